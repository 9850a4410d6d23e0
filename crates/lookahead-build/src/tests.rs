use super::instructions;

#[test]
fn each_argument_is_passed_to_the_linker() {
    let lines = instructions(Some("-Wl,-rpath,/some where\u{1f}-ltorch".to_owned()));
    assert_eq!(
        lines[1..],
        ["cargo::rustc-link-arg=-Wl,-rpath,/some where", "cargo::rustc-link-arg=-ltorch"]
    );
}

/// As in documentation without libtorch.
#[test]
fn no_arguments_are_not_one_empty_argument() {
    assert_eq!(instructions(Some(String::new())).len(), 1);
}

#[test]
fn an_indirect_dependent_learns_what_to_add() {
    let lines = instructions(None);
    let error = lines[1].strip_prefix("cargo::error=").unwrap();
    assert!(error.ends_with("Add one of them to its [dependencies]."), "{error}");
}
