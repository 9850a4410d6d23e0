use super::*;

#[test]
fn keys_that_do_not_fit_are_refused() {
    let some = |name: &str| Some(name.into());
    let file = || ArrayOptions { file: some("a.npz"), ..Default::default() };
    file().check().unwrap();
    for (options, words) in [
        (ArrayOptions::default(), "`data.file` is missing"),
        (
            ArrayOptions { file: some("a.npy"), ..file() },
            "Name the file of the targets with `data.targets_file`",
        ),
        (ArrayOptions { test_file: some("a.npy"), ..file() }, "with `data.test_targets_file`"),
        (
            ArrayOptions { test_inputs: Some("x".to_owned()), ..file() },
            "`data.test_inputs` is set, and a test set",
        ),
        (
            ArrayOptions { test_targets_file: some("b.npz"), ..file() },
            "`data.test_targets_file` is set, and",
        ),
        (
            ArrayOptions { test_file: some("b.npz"), test_fraction: Some(0.1), ..file() },
            "`data.test_fraction` and `data.test_file` are both set",
        ),
    ] {
        let issue = options.check().unwrap_err();
        assert!(issue.message.contains(words), "{}", issue.message);
    }
    let npy = ArrayOptions { file: some("a.npy"), targets_file: some("b.npy"), ..file() };
    npy.check().unwrap();
}
