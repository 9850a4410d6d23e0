use lookahead_run::RunFolder;

use super::*;

#[test]
fn runs_of_one_name_are_told_apart_by_their_paths() {
    let temp = tempfile::tempdir().unwrap();
    let [a, b] = ["a", "b"].map(|folder| {
        let out = temp.path().join(folder);
        std::fs::create_dir(&out).unwrap();
        RunFolder::create(&out, "run").unwrap()
    });
    let other = RunFolder::create(temp.path(), "other").unwrap();
    let found = labels(&[a, other, b].map(WatchedRun::Here));
    assert!(found[0].ends_with("a/run") && found[2].ends_with("b/run"), "{found:?}");
    assert_eq!(found[1], "other");
}
