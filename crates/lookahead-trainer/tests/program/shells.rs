//! Completion scripts and manual pages, each read by the program that it is for, if this machine has it.

use crate::common::session::Session;

/// Fills in the variables that bash has while it completes a line, and prints the answers.
const BASH: &str = r#"
source <(lookahead completions bash)
answer() {
    local words=${1//=/ = }
    COMP_LINE=$1 COMP_POINT=${#1}
    read -ra COMP_WORDS <<< "${words//:/ : }"
    if [[ $1 == *' ' ]]; then COMP_WORDS+=(""); fi
    COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
    _complete_lookahead
    echo "${COMPREPLY[*]}"
}
compopt() { :; }
answer 'lookahead ev'
answer 'lookahead train --set optimizer.kin'
answer 'lookahead train --set optimizer.kind=ra'
answer 'lookahead train --set lookahead.outer_nesterov='
answer 'lookahead train --set train.device=cpu --set probe.s'
answer 'lookahead train dig'
answer 'lookahead eval fir'
answer 'lookahead ctl first set lookahead.'
"#;

const ANSWERS: &str = "\
eval
optimizer.kind=
radam
true false
probe.samples=
digits
first
lookahead.alpha= lookahead.k=
";

/// Types beginnings of lines with Tab into a zsh in a pseudo-terminal, and writes what it makes of them.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "autoload -U compinit; compinit -u -D; source <(lookahead completions zsh)"
zpty -w z 'report() { print -r -- "$BUFFER|" >> answers; BUFFER= }; zle -N report; bindkey "^B" report'
zpty -w z 'bindkey "^I" complete-word'
for line in 'lookahead ev' 'lookahead train --set optimizer.kin' 'lookahead train --set optimizer.kind=rad' \
    'lookahead train dig' 'lookahead watch check'; do
    zpty -n -w z "$line"$'\t\x02'
done
zpty -w z exit
while zpty -r z out; do :; done
cat answers
"#;

const ZSH_ANSWERS: &str = "\
lookahead eval |
lookahead train --set optimizer.kind=|
lookahead train --set optimizer.kind=radam |
lookahead train digits |
lookahead watch checkpoints/|
";

/// Whether a program is installed. `LOOKAHEAD_REQUIRE_SHELLS` requires all but mandoc, which few systems have.
fn has(session: &Session, program: &str) -> bool {
    let found = session.quietly(&format!("command -v {program}")).1 == 0;
    let is_required = std::env::var_os("LOOKAHEAD_REQUIRE_SHELLS").is_some();
    assert!(
        found || !is_required || program == "mandoc",
        "{program} is missing, and it is required"
    );
    found
}

#[test]
fn each_script_is_read_by_its_shell() {
    let session = Session::new();
    for (shell, program) in [("bash", "bash"), ("zsh", "zsh"), ("fish", "fish"), ("elvish", "")] {
        let script = format!("lookahead completions {shell} > script");
        assert_eq!(session.quietly(&script), (String::new(), 0), "{shell}");
        if !program.is_empty() && has(&session, program) {
            let shown = session.quietly(&format!("{program} -n script"));
            assert_eq!(shown, (String::new(), 0), "{shell}");
        }
    }
}

#[test]
fn bash_completes_keys_values_configs_and_runs() {
    let session = Session::new();
    session.write("configs/digits.toml", "");
    session.write("checkpoints/first/config.toml", "");
    session.write("script", BASH);
    let (shown, status) = session.quietly("bash script");
    let sorted = |text: &str| {
        let sort = |line: &str| {
            let mut words: Vec<&str> = line.split_whitespace().collect();
            words.sort_unstable();
            words.join(" ")
        };
        text.lines().map(sort).collect::<Vec<_>>()
    };
    let shown = shown.replace('\u{b}', " ");
    assert_eq!((sorted(&shown), status), (sorted(ANSWERS), 0), "{shown}");
}

#[test]
fn zsh_adds_no_space_where_the_word_continues() {
    let session = Session::new();
    if !has(&session, "zsh") {
        eprintln!("zsh is not installed: skipped");
        return;
    }
    session.write("configs/digits.toml", "");
    session.write("checkpoints/first/config.toml", "");
    session.write("script", ZSH);
    assert_eq!(session.quietly("zsh -f script"), (ZSH_ANSWERS.to_owned(), 0));
}

#[test]
fn there_is_a_manual_page_for_each_command() {
    let session = Session::new();
    let (shown, status) = session.quietly("lookahead man pages/man1");
    let said =
        "The manual pages are in pages/man1. To read the first: man /here/pages/man1/lookahead.1";
    assert_eq!((shown.trim(), status), (said, 0));
    let (pages, _) = session.quietly("cd pages/man1; ls");
    for page in ["lookahead.1", "lookahead-train.1", "lookahead-ctl-set.1", "lookahead-schema.1"] {
        assert!(pages.lines().any(|name| name == page), "{page} is missing: {pages}");
    }
    let (text, _) = session.quietly("cat pages/man1/lookahead-train.1");
    assert!(text.contains(".TH lookahead") && text.contains("optimizer.lr=0.1"), "{text}");
    for check in ["mandoc -Tlint -Werror", "groff -Kutf8 -man -Tutf8 -ww -z"] {
        if has(&session, check.split(' ').next().unwrap()) {
            let shown = session.quietly(&format!("{check} pages/man1/*.1"));
            assert_eq!(shown, (String::new(), 0), "{check}");
        }
    }
}
