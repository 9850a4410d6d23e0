//! Links the program and its tests with libtorch, and notes the compiler.

use std::process::Command;

fn main() {
    lookahead_build::link();
    let compiler = std::env::var("RUSTC").expect("cargo tells it");
    let version = Command::new(compiler).arg("--version").output().ok();
    let version = version.and_then(|output| String::from_utf8(output.stdout).ok());
    println!("cargo:rustc-env=BENCH_RUSTC={}", version.as_deref().unwrap_or("unknown").trim());
}
