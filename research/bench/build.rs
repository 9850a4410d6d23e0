//! Links the program and its tests with libtorch as lookahead-core says, and notes the compiler.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let arguments =
        std::env::var("DEP_LOOKAHEAD_CORE_LINK_ARGS").expect("lookahead-core tells them");
    for argument in arguments.split('\u{1f}') {
        println!("cargo:rustc-link-arg={argument}");
    }
    let compiler = std::env::var("RUSTC").expect("cargo tells it");
    let version = Command::new(compiler).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    println!("cargo:rustc-env=BENCH_RUSTC={}", version.as_deref().unwrap_or("unknown").trim());
}
