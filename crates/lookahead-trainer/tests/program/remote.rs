//! Runs on another machine: the real program, through a script in place of ssh, and through a real sshd.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use lookahead_run::event::{Event, Status};
use portable_pty::PtySize;
use serde_json::Value;

use crate::common::terminal::{SIZE, SIZES, Terminal, curve};
use crate::common::{Killed, SMALL, Sandbox, failed, signal, stderr, succeeded, wait_until};

const PROGRAM: &str = env!("CARGO_BIN_EXE_lookahead");
/// A run that does not end by itself.
const LONG: [&str; 5] =
    ["--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=0", "--no-tui"];

/// ssh to a machine that is this one. A file `down` takes the machine off the network, `kill` ends a connection.
const FAKE: &str = r#"#!/bin/sh
if [ -e down ]; then
    echo "ssh: connect to host far port 22: No route to host" >&2
    exit 255
fi
for command; do :; done
exec 3<&0
sh -c "echo hello from a shell; exec $command" <&3 &
echo "$$ $!" >connection
trap 'kill $!; wait; echo "Timeout, server far not responding." >&2; exit 255' TERM
wait $!
"#;

fn fake_ssh(sandbox: &Sandbox) -> String {
    let path = sandbox.path().join("ssh");
    fs::write(&path, FAKE).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

fn watch(sandbox: &Sandbox, ssh: &str, runs: &[&str], size: PtySize) -> Terminal {
    let arguments = [&["watch", "--remote-program", PROGRAM], runs].concat();
    Terminal::start(sandbox, size, &arguments, &[("LOOKAHEAD_SSH", ssh)])
}

fn cut(sandbox: &Sandbox) {
    let processes = fs::read_to_string(sandbox.path().join("connection")).unwrap();
    let script = processes.split(' ').next().unwrap();
    assert!(Command::new("kill").arg(script).status().unwrap().success());
}

/// A screen as one line, in which a sentence is whole again.
fn words(screen: &str) -> String {
    screen.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The curve goes on after the connection was lost for a while, and nothing comes twice.
#[test]
fn a_lost_connection_comes_back_and_continues() {
    for (cols, rows) in SIZES {
        let sandbox = Sandbox::new(SMALL);
        let ssh = fake_ssh(&sandbox);
        let mut trainer = Killed(sandbox.start("run", &LONG));
        sandbox.wait_for("run", &mut trainer.0, |record| record.step > 20);
        let size = PtySize { rows, cols, ..SIZE };
        let mut watcher = watch(&sandbox, &ssh, &["far:runs/run"], size);
        watcher.wait_for("curves", |text| {
            // The smallest screen has no room for the name.
            let is_named = cols == 40 || text.contains("far:runs/run");
            curve(text) > 10 && text.contains("TRAINING") && is_named
        });
        watcher.press("p");
        watcher.wait_for("pause", |text| text.contains("PAUSED"));
        wait_until("the pause in the log", || {
            sandbox.records("run").last().is_some_and(|record| !record.event.is_frequent())
        });
        fs::write(sandbox.path().join("down"), "").unwrap();
        cut(&sandbox);
        watcher.wait_for("its loss", |text| {
            text.contains("LINK LOST")
                && words(text).contains("The connection to far is lost (")
                && text.contains("Trying again")
                && (cols == 40 || text.contains("far lost: Timeout,"))
        });
        watcher.wait_for("an attempt", |text| words(text).contains("No route"));
        watcher.press("p");
        watcher.wait_for("refusal", |text| {
            words(text).contains("Commands can be sent when it is back")
        });
        fs::remove_file(sandbox.path().join("down")).unwrap();
        watcher.wait_for("return", |text| text.contains("PAUSED"));
        watcher.press("m");
        watcher.wait_for("messages", |text| {
            // All would have come again after a restart, without what came before.
            let count = |what: &str| words(text).matches(what).count();
            count("connection to far lost") == 1
                && count("connected to far again") == 1
                && count("paused") == 1
        });
        watcher.press("\x1b");
        // The two keys together would be Alt-P.
        watcher.wait_for("the charts", |text| !text.contains("messages of"));
        watcher.press("p");
        watcher.wait_for("continuation", |text| text.contains("TRAINING"));
        let step = sandbox.records("run").last().unwrap().step;
        wait_until("steps", || sandbox.records("run").last().unwrap().step > step + 3);
        signal(&trainer.0, "TERM");
        watcher.wait_for("end", |text| text.contains("STOPPED"));
        watcher.press("q");
        assert_eq!(watcher.end(), 0);
    }
}

#[test]
fn runs_here_and_elsewhere_are_watched_together() {
    let sandbox = Sandbox::new(SMALL);
    let ssh = fake_ssh(&sandbox);
    sandbox.train("it's; touch $(echo bad) %41", &[]);
    sandbox.train("here", &[]);
    let runs = ["runs/here", "far:runs/it's; touch $(echo bad) %41"];
    let mut watcher = watch(&sandbox, &ssh, &runs, PtySize { cols: 160, ..SIZE });
    watcher.wait_for("both", |text| {
        text.contains("2 runs")
            && text.lines().any(|line| line.contains("far:runs/it's") && line.contains("finished"))
            && text.lines().any(|line| line.contains("here") && line.contains("finished"))
    });
    assert!(!sandbox.path().join("bad").exists());
    watcher.press("q");
    assert_eq!(watcher.end(), 0);
    // What exists here has that name.
    fs::rename(sandbox.run_folder("here"), sandbox.path().join("far:here")).unwrap();
    let watcher = watch(&sandbox, "/no/ssh", &["far:here"], SIZE);
    watcher.wait_for("the run here", |text| text.contains("FINISHED"));
}

/// Relays and their processes end with the dashboard.
#[test]
fn a_relay_ends_with_the_dashboard() {
    let sandbox = Sandbox::new(SMALL);
    let ssh = fake_ssh(&sandbox);
    sandbox.train("run", &[]);
    let watcher = watch(&sandbox, &ssh, &["far:runs/run"], SIZE);
    watcher.wait_for("the run", |text| text.contains("FINISHED"));
    let processes = fs::read_to_string(sandbox.path().join("connection")).unwrap();
    let processes: Vec<PathBuf> =
        processes.split_whitespace().map(|id| Path::new("/proc").join(id)).collect();
    assert!(processes.iter().all(|process| process.exists()));
    watcher.signal("KILL");
    wait_until("their ends", || processes.iter().all(|process| !is_running(process)));
}

fn is_running(process: &Path) -> bool {
    fs::read_to_string(process.join("stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// The program on a terminal until it ends, and what it showed.
fn shown(sandbox: &Sandbox, ssh: &str, arguments: &[&str]) -> String {
    let arguments = [&["watch"], arguments].concat();
    let terminal = Terminal::start(sandbox, SIZE, &arguments, &[("LOOKAHEAD_SSH", ssh)]);
    let screen = terminal.screen.clone();
    assert_ne!(terminal.end(), 0);
    let text = screen.lock().unwrap().screen().contents();
    words(&text)
}

#[test]
fn what_is_wrong_with_a_connection_is_said_before_the_dashboard_opens() {
    let sandbox = Sandbox::new(SMALL);
    let ssh = fake_ssh(&sandbox);
    let old = sandbox.path().join("old");
    for (script, words) in [
        ("echo '{\"lookahead_relay\":99}'; sleep 9", "version 99"),
        ("echo 'error: unrecognized subcommand' >&2; exit 2", "unrecognized subcommand"),
        ("printf 'x%.0s' $(seq 99999); sleep 9", "did not answer like `lookahead`"),
        ("printf '\\033]0;evil\\007bad\\n' >&2; exit 255", "There is no connection to far"),
        ("echo '{\"lookahead_relay\":1,\"error\":\"\\u001b[2Jno\"}'", "far: [2Jno"),
    ] {
        fs::write(&old, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).unwrap();
        let program = ["--remote-program", old.to_str().unwrap(), "far:run"];
        let text = shown(&sandbox, &ssh, &program);
        assert!(text.contains(words), "no `{words}` in: {text}");
    }
    let program = ["--remote-program", PROGRAM];
    fs::create_dir(sandbox.path().join("lot")).unwrap();
    for (arguments, words) in [
        (&["far:lot", program[0], program[1]][..], "`lot` is a folder of runs"),
        (&["far:run", "--remote-program", "no-such-program"][..], "was not found on far"),
        (&["far:none", program[0], program[1]], "There is no run `none`"),
        (&["far:", program[0], program[1]], "There is no run in `checkpoints/`"),
        (&[program[0], program[1], "--", "-oProxyCommand=touch bad:x"], "is not a host"),
    ] {
        let text = shown(&sandbox, &ssh, arguments);
        assert!(text.contains(words), "no `{words}` in: {text}");
    }
    assert!(!sandbox.path().join("bad").exists());
    let text = shown(&sandbox, "/no/ssh", &["far:run"]);
    assert!(text.contains("`/no/ssh` can't be started"), "{text}");
    fs::write(sandbox.path().join("down"), "").unwrap();
    let text = shown(&sandbox, &ssh, &["far:run"]);
    assert!(text.contains("There is no connection to far: ssh: connect to host"), "{text}");
    // Other commands name what works.
    failed(&sandbox.lookahead(&["eval", "far:run"]), 2, &["only `lookahead watch`", "`ssh far`"]);
    failed(&sandbox.lookahead(&["watch", "far:run"]), 2, &["`lookahead ctl far:run status`"]);
}

/// A command for a run elsewhere, with the script in place of ssh.
fn there(sandbox: &Sandbox, arguments: &[&str]) -> Output {
    let fake = fake_ssh(sandbox);
    let arguments = [arguments, &["--remote-program", PROGRAM]].concat();
    sandbox.command(&arguments).env("LOOKAHEAD_SSH", fake).output().unwrap()
}

#[test]
fn runs_elsewhere_are_controlled_by_any_name() {
    let sandbox = Sandbox::new(SMALL);
    let name = "it's; touch $(echo bad) %41 \"* &";
    let mut trainer = Killed(sandbox.start(name, &LONG));
    sandbox.wait_for(name, &mut trainer.0, |record| record.step > 20);
    let run = format!("far:runs/{name}");
    let output = succeeded(there(&sandbox, &["ctl", &run, "set", "optimizer.lr=0.0123"]));
    assert!(stderr(&output).contains("0.0123"), "{}", stderr(&output));
    let output = succeeded(there(&sandbox, &["ctl", &run, "status", "--json"]));
    let text = String::from_utf8(output.stdout).unwrap();
    // What the shell there prints comes before.
    let status = text.strip_prefix("hello from a shell\n").unwrap();
    let status: Value = serde_json::from_str(status).unwrap();
    assert_eq!((&status["state"], &status["run"]), (&"training".into(), &name.into()), "{text}");
    let output = succeeded(there(&sandbox, &["ctl", &run, "stop"]));
    assert!(stderr(&output).contains("Stopped at step"), "{}", stderr(&output));
    assert!(trainer.0.wait().unwrap().success());
    assert!(!sandbox.path().join("bad").exists());
    let ended = sandbox.records(name).pop().unwrap().event;
    assert!(matches!(&ended, Event::RunEnded(end) if end.status == Status::Stopped), "{ended:?}");

    // What it prints and its exit status are those of the command there.
    let output = there(&sandbox, &["ctl", &run, "pause"]);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.starts_with("error: The run is not running. it's; touch"), "{said}");
    assert_eq!(said.matches("error:").count(), 1, "{said}");
    let output = there(&sandbox, &["ctl", "far:none", "pause"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.starts_with("error: There is no run `none`"), "{said}");
    // A name there that looks like one elsewhere starts no further connection.
    let output = there(&sandbox, &["ctl", "far:other:run", "pause"]);
    assert_eq!(output.status.code(), Some(2));
    let said = stderr(&output);
    assert!(said.starts_with("error: `other:run` is a run on another machine"), "{said}");
}

#[test]
fn folders_elsewhere_are_listed() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("a b", &[]);
    fs::rename(sandbox.path().join("runs"), sandbox.path().join("checkpoints")).unwrap();
    let listed = |arguments: &[&str]| {
        let output = succeeded(there(&sandbox, &[&["list"], arguments].concat()));
        let text = String::from_utf8(output.stdout).unwrap();
        text.strip_prefix("hello from a shell\n").unwrap().to_owned()
    };
    let here = succeeded(sandbox.lookahead(&["list", "--json"]));
    let here = String::from_utf8(here.stdout).unwrap();
    assert!(here.contains("a b"), "{here}");
    assert_eq!(listed(&["far:", "--json"]), here);
    assert_eq!(listed(&["far:checkpoints", "--json"]), here);
    assert_eq!(listed(&["far:", "far:a b", "--json"]), here.repeat(2));
    assert!(listed(&["far:a b"]).contains("finished"));
    let output = there(&sandbox, &["list", "far:", "near:"]);
    failed(&output, 2, &["`far:` is on another machine than other folders"]);
    failed(&there(&sandbox, &["list", "far:", "checkpoints"]), 2, &["apart"]);
    assert_eq!(there(&sandbox, &["list", "far:none"]).status.code(), Some(2));
}

#[test]
fn what_is_wrong_with_the_connection_of_a_command_is_said() {
    let sandbox = Sandbox::new(SMALL);
    let ssh = fake_ssh(&sandbox);
    let run = |ssh: &str, arguments: &[&str]| {
        sandbox.command(arguments).env("LOOKAHEAD_SSH", ssh).output().unwrap()
    };
    let pause = ["ctl", "far:run", "pause", "--remote-program", "no-such-program"];
    let output = run(&ssh, &pause);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("The program was not found on far"), "{}", stderr(&output));
    failed(&run("/no/ssh", &pause), 1, &["`/no/ssh` can't be started"]);
    let option = ["list", "--", "-oProxyCommand=touch bad:x"];
    failed(&run(&ssh, &option), 1, &["is not a host"]);
    assert!(!sandbox.path().join("bad").exists());
    fs::write(sandbox.path().join("down"), "").unwrap();
    failed(&run(&ssh, &pause), 1, &["No route to host", "There is no connection to far"]);
}

/// sshd and ssh of this machine; none if they are not installed, which is an error if they are required.
fn sshd() -> Option<PathBuf> {
    let folders = ["/usr/sbin", "/usr/bin", "/usr/local/sbin"].map(Path::new);
    let find =
        |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path| path.exists());
    let found = find("sshd").filter(|_| find("ssh").is_some());
    if found.is_none() {
        let missing = "sshd is not installed: `apt-get install openssh-server openssh-client`";
        assert!(std::env::var_os("LOOKAHEAD_REQUIRE_SSHD").is_none(), "{missing}");
        eprintln!("skipped: {missing}");
    }
    found
}

/// A server on loopback with keys of its own, as whoever runs the test.
struct Server {
    daemon: Killed,
    /// The command that connects to it as host `far`.
    ssh: String,
}

impl Server {
    fn start(sshd: &Path, folder: &Path) -> Server {
        let file = |name: &str| folder.join(name).display().to_string();
        for key in ["host", "user"] {
            let mut keygen = Command::new("ssh-keygen");
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-f", &file(key)]);
            assert!(keygen.status().unwrap().success());
        }
        // As root, sshd wants the empty folder that its service creates.
        if is_root() {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let [host, user, known] = [file("host"), file("user"), file("known")];
        let server = format!(
            "ListenAddress 127.0.0.1\nPort {port}\nHostKey {host}\nAuthorizedKeysFile {user}.pub\nPidFile none\n\
             StrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        );
        fs::write(file("sshd_config"), server).unwrap();
        let client = format!(
            "Host far\nHostName 127.0.0.1\nPort {port}\nIdentityFile {user}\nIdentitiesOnly yes\n\
             UserKnownHostsFile {known}\nStrictHostKeyChecking no\n"
        );
        fs::write(file("ssh_config"), client).unwrap();
        let log = fs::File::create(file("sshd.log")).unwrap();
        let mut daemon = Command::new(sshd);
        daemon.args(["-D", "-e", "-f", &file("sshd_config")]);
        let daemon = Killed(daemon.stdin(Stdio::null()).stderr(log).spawn().unwrap());
        let ssh = format!("ssh -F {}", file("ssh_config"));
        let server = Server { daemon, ssh };
        wait_until("an answer of sshd", || server.run("true").status.success());
        server
    }

    fn run(&self, command: &str) -> Output {
        let mut words = self.ssh.split(' ');
        let mut ssh = Command::new(words.next().unwrap());
        ssh.args(words).args(["-o", "BatchMode=yes", "far", command]).output().unwrap()
    }

    /// Ends all connections, not the server.
    fn cut(&self) {
        let id = self.daemon.0.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap();
        for child in children.split_whitespace() {
            assert!(Command::new("kill").args(["-9", child]).status().unwrap().success());
        }
    }
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[test]
fn a_real_sshd_carries_updates_and_commands_and_may_drop_the_link() {
    let Some(sshd) = sshd() else { return };
    let sandbox = Sandbox::new(SMALL);
    let server = Server::start(&sshd, sandbox.path());
    let mut trainer = Killed(sandbox.start("run", &LONG));
    sandbox.wait_for("run", &mut trainer.0, |record| record.step > 20);
    let run = format!("far:{}", sandbox.run_folder("run").display());
    let mut watcher = watch(&sandbox, &server.ssh, &[&run], PtySize { cols: 160, ..SIZE });
    watcher.wait_for("curves", |text| curve(text) > 10 && text.contains("TRAINING"));
    watcher.press("p");
    watcher.wait_for("pause", |text| text.contains("PAUSED"));
    server.cut();
    watcher.wait_for("its loss", |text| text.contains("The connection to far is lost"));
    watcher.wait_for("its return", |text| text.contains("connected to far again"));
    watcher.wait_for("the state", |text| text.contains("PAUSED"));
    watcher.press("p");
    watcher.wait_for("continuation", |text| text.contains("TRAINING"));
    watcher.press(":set optimizer.lr=0.0123\r");
    // Its message soon makes room for those of evaluations.
    watcher.wait_for("the change", |text| {
        text.lines().any(|line| line.contains("learning rate") && line.contains("0.0123"))
    });
    // Commands without a dashboard, in the folder that a login begins in.
    let far = |arguments: &[&str]| {
        let arguments = [arguments, &["--remote-program", PROGRAM]].concat();
        sandbox.command(&arguments).env("LOOKAHEAD_SSH", &server.ssh).output().unwrap()
    };
    let output = succeeded(far(&["ctl", &run, "set", "optimizer.lr=0.0456"]));
    assert!(stderr(&output).contains("0.0456"), "{}", stderr(&output));
    let folder = format!("far:{}", sandbox.path().join("runs").display());
    let output = succeeded(far(&["list", &folder]));
    let listed = String::from_utf8(output.stdout).unwrap();
    assert!(listed.contains("running"), "{listed}");
    assert_eq!(far(&["ctl", "far:/none", "pause"]).status.code(), Some(2));
    succeeded(far(&["ctl", &run, "stop"]));
    watcher.wait_for("end", |text| text.contains("STOPPED"));
    watcher.press("q");
    assert_eq!(watcher.end(), 0);
    assert_eq!(far(&["ctl", &run, "pause"]).status.code(), Some(1));

    let text = shown(&sandbox, &server.ssh, &["far:none", "--remote-program", PROGRAM]);
    assert!(text.contains("far: There is no run `none`"), "{text}");
    let text = shown(&sandbox, &server.ssh, &["far:none", "--remote-program", "not-installed"]);
    assert!(text.contains("was not found on far"), "{text}");
    let ssh = server.ssh.clone();
    drop(server);
    let text = shown(&sandbox, &ssh, &["far:none"]);
    assert!(text.contains("There is no connection to far") && text.contains("refused"), "{text}");
}
