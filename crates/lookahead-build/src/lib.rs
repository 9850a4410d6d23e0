//! Links a program with the libtorch that it was built against: the one line of a `build.rs`.
//!
//! ```no_run
//! // build.rs
//! fn main() {
//!     lookahead_build::link();
//! }
//! ```
//!
//! tch can't pass on two link arguments, because cargo gives them to the package of a build script only: the path
//! of libtorch, without which a program does not start (*libtorch_cpu.so: cannot open shared object file*), and, if
//! libtorch is built for CUDA, those that keep the linker from dropping CUDA. `lookahead-core` and
//! `lookahead-trainer` publish them as [metadata](https://doc.rust-lang.org/cargo/reference/build-script-examples.html#using-another-sys-crate)
//! for the packages that depend on them directly.

// The example is a build.rs, which has a `main`.
#![allow(clippy::needless_doctest_main)]

/// The variables in which cargo passes the arguments on, by crate.
const VARIABLES: [&str; 3] = [
    "DEP_LOOKAHEAD_TRAINER_LINK_ARGS",
    "DEP_LOOKAHEAD_CORE_LINK_ARGS",
    "DEP_LOOKAHEAD_SYS_LINK_ARGS",
];

/// Separates the arguments; no path contains it.
const SEPARATOR: char = '\u{1f}';

/// Passes the link arguments to the programs, tests and examples of this package. Call it in its `build.rs`.
///
/// If the package does not depend on `lookahead-core` or `lookahead-trainer` directly, the build fails with a
/// sentence on what to add. What this prints is for cargo alone.
pub fn link() {
    print(&instructions(read()));
}

/// [`link`], for a library with a [`links`](https://doc.rust-lang.org/cargo/reference/build-scripts.html#the-links-manifest-key)
/// key, whose dependents need the arguments too: they get them in `DEP_<links>_LINK_ARGS`.
pub fn link_and_pass_on() {
    let arguments = read();
    let passed_on = arguments.as_ref().map(|found| format!("cargo::metadata=link_args={found}"));
    print(&instructions(arguments));
    print(passed_on.as_slice());
}

/// The arguments as cargo passes them on.
fn read() -> Option<String> {
    VARIABLES.iter().find_map(|name| std::env::var(name).ok())
}

/// What a build script prints for these arguments.
fn instructions(arguments: Option<String>) -> Vec<String> {
    let mut lines = vec!["cargo::rerun-if-changed=build.rs".to_owned()];
    match arguments {
        Some(arguments) => lines.extend(
            arguments
                .split(SEPARATOR)
                .filter(|argument| !argument.is_empty())
                .map(|argument| format!("cargo::rustc-link-arg={argument}")),
        ),
        None => lines.push(
            "cargo::error=This package does not depend on lookahead-core or lookahead-trainer directly, and cargo \
             passes link arguments to direct dependents only. Add one of them to its [dependencies]."
                .to_owned(),
        ),
    }
    lines
}

fn print(lines: &[String]) {
    for line in lines {
        println!("{line}");
    }
}

#[cfg(test)]
mod tests;
