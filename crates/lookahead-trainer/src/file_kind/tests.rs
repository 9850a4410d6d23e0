use super::*;

#[test]
fn pages_and_pointers_are_recognized() {
    for (start, word) in [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        ("\u{feff}\n<!DOCTYPE html><html>", "web page"),
        ("<html lang=en>", "web page"),
        ("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>", "web page"),
    ] {
        assert!(stand_in(start.as_bytes()).unwrap().contains(word), "{start}");
    }
    for start in ["", "version 1", "<", "[data]\nkind = \"digits\"\n", "<h1>A text</h1>"] {
        assert_eq!(stand_in(start.as_bytes()), None, "{start}");
    }
}
