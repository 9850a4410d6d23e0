use super::*;

/// The table as Markdown.
fn markdown() -> String {
    let rows = WORDS.iter().map(|Word { word, meaning }| format!("| {word} | {meaning} |\n"));
    format!("| word | meaning |\n|---|---|\n{}", rows.collect::<String>())
}

/// `crates/lookahead-dashboard/README.md` has this table; to fix it, copy it from the failure.
#[test]
fn the_documentation_has_the_words() {
    let readme = include_str!("../../README.md");
    assert!(readme.contains(&markdown()), "write into README.md:\n{}", markdown());
}
