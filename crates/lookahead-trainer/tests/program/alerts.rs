//! Alerts: real programs that get them, and a local web server, also those that fail and that hang.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};

use lookahead_run::event::Event;
use serde_json::Value;

use crate::common::{SMALL, Sandbox, failed, signal, stderr, succeeded, train, wait_until};

/// A program that is a shell script in the sandbox, as a value of `alert.command`.
fn program(sandbox: &Sandbox, script: &str) -> String {
    let path = sandbox.path().join("alert");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    format!("alert.command=[\"{}\", \"an argument\"]", path.display())
}

fn received(sandbox: &Sandbox) -> Value {
    let text = fs::read_to_string(sandbox.path().join("received")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Alerts of every outcome leave the losses as they are.
fn assert_unchanged(sandbox: &Sandbox, run: &str) {
    sandbox.train("plain", &[]);
    assert_eq!(sandbox.losses(run), sandbox.losses("plain"));
}

#[test]
fn a_program_gets_the_alert_on_stdin() {
    let sandbox = Sandbox::new(SMALL);
    let command = program(&sandbox, "echo noise; test \"$1\" = 'an argument' && cat > received");
    let output = sandbox.train("run", &["--set", &command]);
    assert!(output.stdout.is_empty());
    let alert = received(&sandbox);
    assert_eq!(alert["alert"], "finished");
    assert_eq!(alert["run"], "run");
    assert_eq!(alert["step"], 14);
    let folder = PathBuf::from(alert["folder"].as_str().unwrap());
    assert_eq!(folder.canonicalize().unwrap(), sandbox.run_folder("run").canonicalize().unwrap());
    assert!(alert["time"].as_f64().unwrap() > 1e9);
    assert!(alert["program"].as_str().unwrap().starts_with("lookahead "));
    for text in ["host", "reason", "text"] {
        assert!(!alert[text].as_str().unwrap().is_empty(), "{text}");
    }
    assert_unchanged(&sandbox, "run");
}

#[test]
fn a_run_that_fails_alerts_and_one_that_is_not_wanted_does_not() {
    let sandbox = Sandbox::new(SMALL);
    let command = program(&sandbox, "cat > received");
    let diverging =
        ["--set", &command, "--set", "optimizer.lr=1e30", "--set", "alert.on=[\"failed\"]"];
    let output = sandbox.lookahead(&train("run", &diverging));
    assert_eq!(output.status.code(), Some(1));
    let alert = received(&sandbox);
    assert_eq!(alert["alert"], "failed");
    let ended = sandbox.records("run").pop().unwrap().event;
    let Event::RunEnded(ended) = ended else { panic!("{ended:?}") };
    assert_eq!(alert["reason"], ended.message.unwrap());
    fs::remove_file(sandbox.path().join("received")).unwrap();
    sandbox.train("other", &["--set", &command, "--set", "alert.on=[\"failed\"]"]);
    assert!(!sandbox.path().join("received").exists());
}

#[test]
fn a_full_disk_alerts() {
    let sandbox = Sandbox::new(&SMALL.replace("hidden = [16]", "hidden = [256]"));
    let command = program(&sandbox, COLLECT);
    let output = sandbox.with_file_limit(100, &train("run", &["--set", &command]));
    assert!(stderr(&output).contains("NO CHECKPOINT"), "{}", stderr(&output));
    assert_eq!(kinds(&sandbox), ["disk_full", "failed"], "each once");
}

/// The kinds of the alerts that [`COLLECT`] got, sorted: those of the same moment come in any order.
fn kinds(sandbox: &Sandbox) -> Vec<String> {
    let text = fs::read_to_string(sandbox.path().join("received")).unwrap_or_default();
    let kind =
        |line| serde_json::from_str::<Value>(line).unwrap()["alert"].as_str().map(str::to_owned);
    let mut kinds: Vec<String> = text.lines().filter_map(kind).collect();
    kinds.sort();
    kinds
}

/// Adds the alert as a line, in one write.
const COLLECT: &str = "echo \"$(cat)\" >> received";

/// Rolls back in its first steps, and then fails.
const HOPELESS: [&str; 6] = [
    "--set",
    "optimizer.lr=1e30",
    "--set",
    "lookahead.non_finite=roll_back",
    "--set",
    "watchdog.max_roll_backs=1",
];

#[test]
fn the_last_alert_does_not_wait_for_earlier_ones_or_for_the_other_way() {
    let sandbox = Sandbox::new(SMALL);
    let command = program(&sandbox, COLLECT);
    let (address, requests) = server(&[]);
    let webhook = format!("alert.webhook={address}");
    let hangs = ["--set", &command, "--set", &webhook, "--set", "alert.timeout=1"];
    let output = sandbox.lookahead(&train("run", &[&HOPELESS[..], &hangs].concat()));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(kinds(&sandbox), ["failed", "rolled_back"]);
    let sent = requests.try_iter().map(|(_, alert)| alert["alert"].as_str().unwrap().to_owned());
    assert_eq!(sent.collect::<BTreeSet<_>>(), ["failed", "rolled_back"].map(str::to_owned).into());

    // A program that hangs in an earlier alert doesn't keep the last one back either.
    let script = format!(
        "alert=$(cat); case $alert in *rolled_back*) sleep 600;; esac; echo \"$alert\" | ({COLLECT})"
    );
    fs::remove_file(sandbox.path().join("received")).unwrap();
    let command = program(&sandbox, &script);
    let hangs = ["--set", &command, "--set", "alert.timeout=1"];
    let output = sandbox.lookahead(&train("other", &[&HOPELESS[..], &hangs].concat()));
    assert_eq!(kinds(&sandbox), ["failed"]);
    let said = stderr(&output);
    assert!(
        said.contains("The alert `rolled_back`") && said.contains("after 1 s (`alert.timeout`)"),
        "{said}"
    );
}

/// A step that takes twice as long as usual comes soon on any machine.
#[test]
fn a_step_that_takes_too_long_alerts() {
    let sandbox = Sandbox::new(SMALL);
    let command = program(&sandbox, COLLECT);
    let sets = [
        "watchdog.stall_factor=2",
        "watchdog.stall_seconds=0.001",
        "train.max_steps=10000000",
        &command,
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    let mut child = sandbox.start("run", &sets);
    sandbox.wait_for("run", &mut child, |record| matches!(record.event, Event::Stalled(_)));
    wait_until("the alert", || kinds(&sandbox) == ["stalled"]);
    let reason = received(&sandbox)["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains(" ms so far, and") && reason.ends_with(" ms."), "{reason}");
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
}

#[test]
fn a_program_that_fails_or_hangs_is_a_warning_and_does_not_outlive_the_run() {
    let sandbox = Sandbox::new(SMALL);
    let command = program(&sandbox, "echo 'no such channel' >&2; exit 3");
    let output = sandbox.train("failing", &["--set", &command]);
    let said = stderr(&output);
    assert!(
        said.contains("Warning: The alert `finished`") && said.contains("no such channel"),
        "{said}"
    );
    assert_unchanged(&sandbox, "failing");

    // A child of its own holds the pipes open too.
    let command = program(&sandbox, "sleep 600 & echo $$ $! > processes; sleep 600");
    let hanging = ["--set", &command, "--set", "alert.timeout=1"];
    let said = stderr(&sandbox.train("hanging", &hanging));
    assert!(said.contains("was killed: it had not ended after 1 s (`alert.timeout`)"), "{said}");
    let processes = fs::read_to_string(sandbox.path().join("processes")).unwrap();
    for id in processes.split_whitespace() {
        let stat = format!("/proc/{id}/stat");
        wait_until("its end", || {
            fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
        });
    }
    assert_eq!(sandbox.losses("hanging"), sandbox.losses("plain"));

    let said = stderr(&sandbox.train("none", &["--set", "alert.command=[\"/no/such/program\"]"]));
    assert!(said.contains("`/no/such/program` can't be started"), "{said}");
}

/// What is in the middle of a training is logged.
#[test]
fn an_alert_that_is_not_delivered_during_the_training_is_in_the_log() {
    let sandbox = Sandbox::new(&SMALL.replace("hidden = [16]", "hidden = [256]"));
    let command = program(&sandbox, "exit 7");
    // Room for the log, and for some checkpoints only.
    let more =
        ["--set", &command, "--set", "train.max_steps=400", "--set", "checkpoint.every_steps=4"];
    sandbox.with_file_limit(300, &train("run", &more));
    let found = sandbox.records("run").into_iter().any(|record| match record.event {
        Event::Warning(warning) => {
            warning.message.starts_with("The alert `disk_full`") && warning.message.contains("7")
        }
        _ => false,
    });
    assert!(found);
}

/// A server that answers each request with the next of the statuses, or never after the last, and passes on what it
/// got.
fn server(statuses: &'static [u16]) -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}/hook/SECRET", listener.local_addr().unwrap());
    let (sender, requests) = channel();
    std::thread::spawn(move || {
        let mut open = Vec::new();
        let mut statuses = statuses.iter();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            sender.send(request(&stream)).unwrap();
            match statuses.next() {
                Some(status) => write!(
                    stream,
                    "HTTP/1.1 {status} Text\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                .unwrap(),
                None => open.push(stream),
            }
        }
    });
    (address, requests)
}

/// The first line of a request, and its body.
fn request(stream: &TcpStream) -> (String, Value) {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(found) = line.to_lowercase().strip_prefix("content-length:") {
            length = found.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    (first, serde_json::from_slice(&body).unwrap())
}

#[test]
fn a_webhook_is_called_again_until_it_answers() {
    let sandbox = Sandbox::new(SMALL);
    let (address, requests) = server(&[500, 503, 200]);
    let mut command = sandbox.command(&train("run", &["--set", "alert.webhook=$HOOK"]));
    let output = succeeded(command.env("HOOK", &address).output().unwrap());
    assert!(!stderr(&output).contains("alert"), "{}", stderr(&output));
    let all: Vec<_> = requests.try_iter().collect();
    assert_eq!(all.len(), 3);
    for (first, alert) in &all {
        assert!(first.starts_with("POST /hook/SECRET "), "{first}");
        assert_eq!(alert["alert"], "finished");
        assert_eq!(alert, &all[0].1);
    }
    assert_unchanged(&sandbox, "run");
}

#[test]
fn a_webhook_that_refuses_or_hangs_is_a_warning_without_the_secret() {
    let sandbox = Sandbox::new(SMALL);
    let (address, requests) = server(&[404, 404, 404]);
    let set = format!("alert.webhook={address}");
    let said = stderr(&sandbox.train("refused", &["--set", &set]));
    assert!(
        said.contains("could not be sent to http://127.0.0.1:") && said.contains("404"),
        "{said}"
    );
    assert_eq!(requests.try_iter().count(), 3);

    let (address, requests) = server(&[]);
    let hanging = format!("alert.webhook={address}");
    let output = sandbox.train("hanging", &["--set", &hanging, "--set", "alert.timeout=1"]);
    let said = [said, stderr(&output)].concat();
    assert!(said.contains("timeout"), "{said}");
    assert!(requests.try_iter().count() > 0);
    assert_unchanged(&sandbox, "hanging");
    // Only the run's configuration has it.
    assert!(!said.contains("SECRET"), "{said}");
    for run in ["refused", "hanging"] {
        let folder = sandbox.run_folder(run);
        assert!(fs::read_to_string(folder.join("config.toml")).unwrap().contains("SECRET"));
        for file in ["events.jsonl", "step-00000014/manifest.json"] {
            let text = fs::read_to_string(folder.join(file)).unwrap();
            assert!(text.contains("127.0.0.1") && !text.contains("SECRET"), "{file}");
        }
    }
    // A resume has it from there.
    let (address, requests) = server(&[200]);
    let config = sandbox.run_folder("refused").join("config.toml");
    let text = fs::read_to_string(&config).unwrap();
    let old = text.lines().find(|line| line.starts_with("webhook")).unwrap().to_owned();
    fs::write(&config, text.replace(&old, &format!("webhook = \"{address}\""))).unwrap();
    sandbox.resume("refused", &["--set", "train.max_steps=16"]);
    assert_eq!(requests.try_iter().count(), 1);
}

#[test]
fn a_wrong_setting_is_refused_in_words() {
    let sandbox = Sandbox::new(SMALL);
    for (set, words) in [
        ("alert.webhook=example.com", &["`alert.webhook`", "http:// or https://"][..]),
        ("alert.webhook=$NO_SUCH_VARIABLE", &["NO_SUCH_VARIABLE", "not set"]),
        ("alert.on=[\"finish\"]", &["`alert.on` is finish", "`finished`"]),
        ("alert.command=[\"\"]", &["`alert.command`", "name of a program"]),
        ("alert.timeout=0", &["`alert.timeout` is 0", "1 to 3600"]),
    ] {
        failed(&sandbox.lookahead(&train("run", &["--set", set])), 2, words);
    }
}

#[test]
fn a_program_with_a_nul_character_is_refused() {
    let sandbox = Sandbox::new(SMALL);
    let nul = "alert.command=[\"a\\u0000\\u001b[31mb\"]";
    let refused = sandbox.lookahead(&train("run", &["--set", nul]));
    failed(&refused, 2, &["`alert.command` contains a NUL character"]);
    assert!(!stderr(&refused).contains(['\0', '\u{1b}']));
}
