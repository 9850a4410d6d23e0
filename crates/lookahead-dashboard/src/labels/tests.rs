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
    let found = labels(&[a, other, b]);
    assert!(found[0].ends_with("a/run") && found[2].ends_with("b/run"), "{found:?}");
    assert_eq!(found[1], "other");
}

#[test]
fn names_are_shown_safely_and_told_apart() {
    let names = [
        "loss",
        "lo\u{200b}ss",
        "lo\u{ad}ss",
        "\u{202e}loss",
        "loss\n",
        "\u{1b}[2Jloss",
        "\u{feff}loss",
        "\u{2067}loss",
        "l\u{2028}oss",
        "\u{e0041}loss",
    ];
    let shown: std::collections::BTreeSet<String> = names.iter().map(|name| safe(name)).collect();
    assert_eq!(shown.len(), names.len());
    for name in &shown {
        assert!(name.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{name:?}");
    }
    for name in ["漢字", "‖θ − φ‖", "val/acc.", "عدد", "e\u{301}", "\u{1f468}\u{200d}\u{1f469}"]
    {
        assert_eq!(safe(name), name);
    }
    assert_eq!(safe(&"x".repeat(1000)).chars().count(), LONGEST + 1);
}
