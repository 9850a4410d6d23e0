use super::*;

#[test]
fn lines_become_commands() {
    let set = |key: &str, value: serde_json::Value| {
        PromptCommand::Run(Command::Set(Setting { key: key.into(), value }))
    };
    for (text, line) in [
        ("pause", PromptCommand::Run(Command::Pause)),
        ("  stop ", PromptCommand::Run(Command::Stop)),
        ("set lookahead.k=10", set("lookahead.k", 10.into())),
        ("set optimizer.lr = 1e-3", set("optimizer.lr", 0.001.into())),
        ("set optimizer.lr=.5", set("optimizer.lr", 0.5.into())),
        ("set probe.every_syncs=1_000", set("probe.every_syncs", 1000.into())),
        ("set train.device=cuda:0", set("train.device", "cuda:0".into())),
        ("goto 1,500", PromptCommand::GoTo(1500)),
        ("smooth 0.97", PromptCommand::Smooth(3)),
        ("smooth 0", PromptCommand::Smooth(0)),
        ("save", PromptCommand::Save(None)),
        ("save a b.png", PromptCommand::Save(Some("a b.png".into()))),
        ("q", PromptCommand::Quit),
    ] {
        assert_eq!(parse(text), Ok(line), "{text}");
    }
}

#[test]
fn what_is_not_a_command_gets_an_error_with_a_remedy() {
    for (text, parts) in [
        ("fly", ["`fly`", "checkpoint"]),
        ("", ["``", "pause"]),
        ("pause now", ["`now`", "leave out"]),
        ("set lr", ["`lr`", "set optimizer.lr=0.01"]),
        ("set lr=", ["`lr=`", "KEY"]),
        ("goto there", ["`there`", "goto 1500"]),
        ("smooth 1", ["`1`", "0.98"]),
    ] {
        let error = parse(text).unwrap_err();
        let found = parts.iter().all(|part| error.to_lowercase().contains(&part.to_lowercase()));
        assert!(found && error.ends_with('.'), "{text}: {error}");
    }
}

#[test]
fn a_paste_is_a_line_of_letters() {
    for (text, line, more) in [
        ("optimizer.lr=0.1", "set optimizer.lr=0.1 now", false),
        ("\n  \r\na\x1b[2Jb\tc\u{7}\nquit\n", "set a[2Jbc now", true),
        ("αβ\r\n", "set αβ now", false),
        ("", "set  now", false),
    ] {
        let mut prompt = typed("set  now");
        prompt.move_by(-4);
        assert_eq!(prompt.paste(text), more, "{text:?}");
        assert_eq!(prompt.text, line);
    }
    let mut prompt = Prompt::default();
    prompt.paste(&"s".repeat(10 * LENGTH));
    assert_eq!(prompt.text.len(), LENGTH);
}

fn typed(text: &str) -> Prompt {
    let mut prompt = Prompt::default();
    text.chars().for_each(|letter| prompt.insert(letter));
    prompt
}

#[test]
fn letters_go_where_the_place_is() {
    let mut prompt = typed("αβδ");
    prompt.move_by(-1);
    prompt.insert('γ');
    assert_eq!(prompt.text, "αβγδ");
    prompt.delete_before();
    prompt.delete_after();
    assert_eq!((prompt.text.as_str(), prompt.at), ("αβ", 2));
    prompt.move_by(-99);
    prompt.delete_before();
    prompt.insert('\u{1b}');
    assert_eq!((prompt.text.as_str(), prompt.at), ("αβ", 0));
}

#[test]
fn words_are_completed_as_far_as_they_are_clear() {
    for (text, completed) in [
        ("se", "set "),
        ("s", "s"),
        ("c", "c"),
        ("ch", "checkpoint "),
        ("set l", "set lookahead."),
        ("set lookahead.a", "set lookahead.alpha="),
        ("xyz", "xyz"),
    ] {
        let mut prompt = typed(text);
        prompt.complete(&KEYS);
        assert_eq!(prompt.text, completed);
    }
}

#[test]
fn earlier_lines_come_back() {
    let lines = ["first".to_owned(), "second".to_owned()];
    let mut prompt = typed("new");
    for (earlier, text) in
        [(true, "second"), (true, "first"), (true, "first"), (false, "second"), (false, "")]
    {
        prompt.recall(earlier, &lines);
        assert_eq!(prompt.text, text);
    }
    prompt.recall(true, &[]);
    assert_eq!(prompt.text, "");
}
