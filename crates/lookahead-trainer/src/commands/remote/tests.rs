use super::*;

fn parsed(typed: &str) -> Option<(String, String)> {
    Address::parse(Path::new(typed)).map(|found| (found.host, found.run))
}

#[test]
fn a_colon_before_any_slash_makes_a_run_on_another_machine() {
    for (typed, host, run) in [
        ("gpu:digits", "gpu", "digits"),
        ("me@10.0.0.7:work/checkpoints/digits", "me@10.0.0.7", "work/checkpoints/digits"),
        ("gpu:/data/a:b", "gpu", "/data/a:b"),
        ("gpu:", "gpu", ""),
        ("[::1]:digits", "::1", "digits"),
        ("me@[fe80::1]:a:b", "me@fe80::1", "a:b"),
    ] {
        assert_eq!(parsed(typed), Some((host.to_owned(), run.to_owned())), "{typed}");
    }
    for typed in ["digits", "./a:b", "/runs/a:b", "runs/gpu:digits", ":digits", "", "[]:digits"] {
        assert_eq!(parsed(typed), None, "{typed}");
    }
}

/// Any path comes through the shells that are here as it was typed, and starts nothing.
#[test]
fn no_shell_changes_the_name_of_a_run() {
    let names = [
        "plain/run_1.2",
        "it's",
        "a b",
        "$(touch x)",
        "`id`;&|<>*?",
        "-x",
        "\\'\"!{a,b}",
        "é\n%41",
        "",
    ];
    for shell in ["sh", "bash", "dash", "zsh", "fish", "tcsh"] {
        for name in names {
            let command = format!("printf %s {}", encode(name));
            let Ok(output) = std::process::Command::new(shell).args(["-c", &command]).output()
            else {
                continue;
            };
            let word = String::from_utf8(output.stdout).unwrap();
            assert_eq!(decode(&word).unwrap(), name.as_bytes(), "{shell}: {command}");
        }
    }
    assert_eq!(encode("~/runs/~x"), "~/runs/%7Ex");
    assert_eq!(decode("%4"), None);
    assert_eq!(decode("%zz"), None);
}

#[test]
fn the_command_that_shows_a_state_is_quoted() {
    let address = |run: &str| Address { host: "gpu".into(), run: run.into() };
    assert_eq!(address("a").status(), "lookahead ctl gpu:a status");
    assert_eq!(address("a b").status(), "lookahead ctl 'gpu:a b' status");
}
