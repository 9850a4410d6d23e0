//! Runs, configs and sweeps as people type them: sessions in a shell.

use std::time::{Duration, SystemTime};

use crate::common::session::{DIGITS, Session};
use crate::common::{Killed, Sandbox, signal, stderr, succeeded, wait_until};

const SWEEP: &str = "config = \"../digits.toml\"\njobs = 1\n[grid]\n\"optimizer.lr\" = [0.1]\n";

/// A session with two runs, `digits` and `digits-2`, of which the second is the latest; the first has two checkpoints.
fn two_runs() -> Session {
    let session = Session::new();
    train_two_runs(&session);
    session
}

fn train_two_runs(session: &Session) {
    session.write("configs/digits.toml", DIGITS);
    session.write("configs/sweeps/digits-lr.toml", SWEEP);
    for more in ["--set checkpoint.every_steps=9", ""] {
        let line = format!("lookahead train digits --quiet {more}");
        let (shown, status) = session.quietly(&line);
        assert_eq!((&shown[..], status), ("", 0), "{line}");
    }
}

#[test]
fn names_instead_of_paths() {
    let mut session = two_runs();
    session.run("lookahead eval digits");
    session.run("lookahead eval digits/step-00000009");
    session.run("lookahead eval digits/step-9 --from 9");
    session.run("lookahead eval digits/step-9 --from best");
    session.run("lookahead eval digits/step-3");
    session.run("cd checkpoints/digits/step-00000009 && lookahead eval .");
    session.run("lookahead eval digts");
    session.run("lookahead eval configs");
    session.run("cp -r checkpoints/digits/step-00000009 alone; lookahead eval alone");
    session.run("mkdir digits; lookahead ctl digits status");
    session.run("lookahead train digts");
    session.run("lookahead train configs/mnist.toml");
    session.run("lookahead resume checkpoints/digts");
    session.run("lookahead train digits-lr");
    session.write("mine.toml", &DIGITS.replace("[16]", "[8]"));
    session.run("lookahead train mine --no-tui 2>&1 | head -n 1");
    session.run("lookahead train configs/digits --name digits");
    session.run("lookahead sweep digits-rate");
    session.run("lookahead sweep digits");
    session.run("lookahead sweep digits-lr --dry-run");
    session.run("lookahead compare digits digts");
    session.assert_snapshot("names instead of paths");
}

#[test]
fn without_a_name_the_latest_run() {
    let mut session = Session::new();
    session.run("lookahead eval");
    session.run("lookahead list");
    train_two_runs(&session);
    session.run("lookahead eval");
    session.run("lookahead ctl status");
    session.run("lookahead ctl pause");
    session.run("lookahead export --output phi.safetensors");
    session.run("lookahead plot --output curves.svg");
    session.run("lookahead inspect | head -n 1");
    session.run("lookahead resume");
    session.run(
        "touch checkpoints/digits/events.jsonl; lookahead resume --no-tui --set train.max_steps=15",
    );
    session.run("lookahead eval --json | head -c 40");
    session.assert_snapshot("without a name the latest run");
}

#[test]
fn a_list_of_runs() {
    let mut session = two_runs();
    session.quietly("lookahead sweep digits-lr --quiet");
    session.run("lookahead list");
    session.run("lookahead list digits-lr");
    session.run("lookahead list --json | sed 's/,\"last_event\".*//; s/\"loss\":[0-9.]*/\"loss\":0/; s/\"value\":[0-9.]*/\"value\":0/'");
    session.run("lookahead eval digits-lr");
    session.run("lookahead list nowhere");
    session.run("lookahead watch");
    session.run("lookahead watch digits");
    session.assert_snapshot("a list of runs");
}

/// Without a name, `ctl` prefers a running run to a later one that has ended.
#[test]
fn commands_go_to_the_running_run() {
    let sandbox = Sandbox::new(DIGITS);
    let train = ["train", "test.toml", "--quiet", "--name"];
    succeeded(sandbox.lookahead(&[&train[..], &["ended"]].concat()));
    let endless = ["running", "--set", "train.max_steps=100000000"];
    let mut child = Killed(sandbox.command(&[&train[..], &endless].concat()).spawn().unwrap());
    let runs = sandbox.path().join("checkpoints");
    wait_until("it listens", || runs.join("running/control.sock").exists());
    let log = std::fs::File::options().append(true).open(runs.join("ended/events.jsonl")).unwrap();
    log.set_modified(SystemTime::now() + Duration::from_secs(3600)).unwrap();
    let paused = sandbox.lookahead(&["ctl", "pause"]);
    assert!(stderr(&succeeded(paused)).starts_with("Latest run: checkpoints/running\n"));
    let listed = || String::from_utf8(succeeded(sandbox.lookahead(&["list"])).stdout).unwrap();
    wait_until("it is paused", || {
        listed().lines().any(|line| line.starts_with("running  paused "))
    });
    let evaluated = succeeded(sandbox.lookahead(&["eval"]));
    assert_eq!(stderr(&evaluated), "Latest run: checkpoints/ended\n");
    signal(&child.0, "TERM");
    assert!(child.0.wait().unwrap().success());
}

/// A user's own program has the name by which it is called.
#[test]
fn hints_have_the_name_of_the_program() {
    let mut session = Session::new();
    session.quietly("ln -s \"$(command -v lookahead)\" spirals");
    session.write("checkpoints/old/config.toml", "");
    session.run("./spirals --version");
    session.run("./spirals ctl old stop");
    session.run("./spirals train spirls");
    session.run("./spirals doctor --help");
    session.run("./spirals completions bash | grep -o -- '-F _complete_spirals spirals' | head -1");
    session.assert_snapshot("the name of the program");
}

#[test]
fn output_into_head_ends_quietly() {
    let mut session = two_runs();
    // `head` is gone before the first line.
    let into_true = |line: &str| format!("{{ lookahead {line}; echo \"status $?\" >&2; }} | true");
    for line in ["list", "list --json", "inspect digits", "--help", "completions bash", "doctor"] {
        session.run(&into_true(line));
    }
    session.run("lookahead list | head -n 1");
    session.assert_snapshot("output into head");
}
