use super::*;

#[test]
fn a_path_with_a_space_is_quoted() {
    assert_eq!(resume(Path::new("checkpoints/digits")), "lookahead resume checkpoints/digits");
    assert_eq!(resume(Path::new("my runs/digits")), "lookahead resume 'my runs/digits'");
}

#[test]
fn a_quote_in_a_word_is_escaped() {
    assert_eq!([shell_word("a.toml"), shell_word("it's")], ["a.toml", r"'it'\''s'"]);
}
