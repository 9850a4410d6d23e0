use super::describe;

/// The fault that the parser finds.
fn fault(text: &str) -> String {
    let error = toml::from_str::<toml::Table>(text).unwrap_err();
    let position = error.span().map_or(text.len(), |span| span.start);
    describe(text, position, error.message())
}

#[test]
fn each_slip_has_its_remedy() {
    for (text, expected) in [
        ("a = 1\na = 2\n", "`a` is set twice in its section. Remove one of the two lines."),
        (
            "[a]\nb = 1\n[c]\n[a]\n",
            "The section `[a]` begins twice. Put all of its keys below the first one.",
        ),
        ("k = \"sgd\n", "`k` is `\"sgd`. Close the text with a quote: `k = \"sgd\"`."),
        ("k = sgd # no\n", "`k` is `sgd`. Put text in quotes: `k = \"sgd\"`."),
        ("k = data/x.csv\n", "`k` is `data/x.csv`. Put text in quotes: `k = \"data/x.csv\"`."),
        ("k = \"sgd\",\n", "`k` is `\"sgd\",`. Remove the mark at the end: `k = \"sgd\"`."),
        ("lr = 0,1\n", "`lr` is `0,1`. Write a number with a point: `lr = 0.1`."),
        (
            "lr = -.1\n",
            "`lr` is `-.1`. Write a number with a point and digits on both sides, and without leading zeros: `lr = -0.1`.",
        ),
        (
            "n = 03\n",
            "`n` is `03`. Write a number with a point and digits on both sides, and without leading zeros: `n = 3`.",
        ),
        ("b = True\n", "`b` is `True`. Write it in small letters, true or false: `b = true`."),
        (
            "n = None\n",
            "`n` is `None`, which TOML does not have. Remove the line: the key then has its default.",
        ),
        ("lr: 0.1\n", "`lr: 0.1` has a colon. Write `lr = 0.1`."),
        ("train:\n  epochs: 3\n", "`train:` is not a section. Write `[train]`."),
        (
            "{\"train\": 3}\n",
            "The file looks like JSON, and TOML is needed: lines like `[train]` and `epochs = 10`.",
        ),
        ("epochs 3\n", "`epochs 3` has no `=`. Write `epochs = 3`."),
        ("epochs\n", "`epochs` has no value. Write `epochs = ` with one after it."),
        (
            "epochs =\n",
            "`epochs` has no value. Write one after the `=`, or remove the line: the key then has its default.",
        ),
        (
            "[train\nepochs = 3\n",
            "The section `[train` lacks its closing bracket. Write `[train]`.",
        ),
        (
            "[train] epochs = 3\n",
            "`epochs = 3` is on the line of its section. Put it on the next line, below `[train]`.",
        ),
        ("h = [64, 64\n", "`h` is `[64, 64`. Close the list: `h = [64, 64]`."),
        ("h = (64, 64)\n", "`h` is `(64, 64)`. Write a list in brackets: `h = [64, 64]`."),
        ("k = “sgd”\n", "`k` is `“sgd”`. Use straight quotes: `k = \"sgd\"`."),
        (
            "f = \"C:\\data\\x\"\n",
            "`f` is `\"C:\\data\\x\"`. In double quotes, `\\` is special. Use single quotes: `f = 'C:\\data\\x'`.",
        ),
        ("n = 3 // three\n", "`n` is `3 // three`. A comment begins with `#`: `n = 3 # three`."),
        (
            "n = 1e-3f\n",
            "`n` is `1e-3f`. Write a number like `0.1`, `true`, `false`, a list like `[64]`, or text in quotes.",
        ),
    ] {
        assert_eq!(fault(text), expected, "{text}");
    }
}

/// Whatever the text and the position are, there is a sentence.
#[test]
fn any_position_is_described() {
    let text = "[a\r\n\r\nk = “é”\n=\n[]\n= 3\n{\n";
    for position in 0..text.len() + 3 {
        assert!(describe(text, position, "what").ends_with('.'));
    }
    assert!(describe("", 0, "what").ends_with('.'));
}
