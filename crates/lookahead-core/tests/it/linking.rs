//! The `build.rs` in the library's documentation, built and run as by cargo.

use std::process::Command;

#[test]
fn the_documented_build_script_passes_arguments_on_or_says_what_to_add() {
    let page = include_str!("../../src/lib.rs");
    let (_, after) = page.split_once("//! // build.rs\n").unwrap();
    let (code, _) = after.split_once("//! ```").unwrap();
    let code: String =
        code.lines().map(|line| line.trim_start_matches("//!").to_owned() + "\n").collect();
    let folder = tempfile::tempdir().unwrap();
    let (source, program) = (folder.path().join("build.rs"), folder.path().join("build"));
    std::fs::write(&source, code).unwrap();
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let built =
        Command::new(rustc).args(["--edition", "2021", "-o"]).args([&program, &source]).status();
    assert!(built.unwrap().success());

    let run = |arguments: Option<&str>| {
        let mut command = Command::new(&program);
        command.env_remove("DEP_LOOKAHEAD_CORE_LINK_ARGS");
        arguments.map(|given| command.env("DEP_LOOKAHEAD_CORE_LINK_ARGS", given));
        let output = command.output().unwrap();
        assert!(output.status.success(), "cargo::error fails the build, with its sentence");
        String::from_utf8(output.stdout).unwrap()
    };
    let output = run(Some("-Wl,-rpath,/some where\u{1f}-ltorch"));
    let passed: Vec<&str> =
        output.lines().filter_map(|line| line.strip_prefix("cargo:rustc-link-arg=")).collect();
    assert_eq!(passed, ["-Wl,-rpath,/some where", "-ltorch"]);
    let output = run(None);
    let error = output.lines().find_map(|line| line.strip_prefix("cargo::error=")).unwrap();
    assert!(error.ends_with("add lookahead-core to its [dependencies]."), "{error}");
    assert!(!output.contains("link-arg="));
}
