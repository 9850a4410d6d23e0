use super::client::*;
use super::protocol::*;
use super::server::*;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rustix::net::{SocketAddrUnix, connect};
use tempfile::{TempDir, tempdir};

use crate::command::{Command, Setting};
use crate::error::Error;
use crate::folder::RunFolder;
use crate::socket::{self, short_path, unix_socket};
use crate::status::{LastStep, LookaheadStatus, State, Status};

struct Live {
    _temp: TempDir,
    run: RunFolder,
    server: Option<ControlServer>,
    asked: mpsc::Receiver<Command>,
}

fn live() -> Live {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    let (sender, asked) = mpsc::channel();
    let sender = Mutex::new(sender);
    let accept = move |command| match command {
        Command::Checkpoint => Err("Not now.".to_owned()),
        command => {
            let note = matches!(command, Command::Set(_)).then(|| "Later.".to_owned());
            let sent = sender.lock().unwrap().send(command);
            sent.map(|()| note).map_err(|error| error.to_string())
        }
    };
    let server = ControlServer::start(&run, accept, some_status);
    Live { _temp: temp, run, server: Some(server.unwrap()), asked }
}

fn some_status() -> Status {
    Status {
        run: "run".into(),
        process: 7,
        state: State::Paused,
        step: u64::MAX,
        last_step: LastStep {
            loss: Some(f64::INFINITY),
            learning_rate: Some(0.1 + 0.2),
            ..LastStep::default()
        },
        lookahead: LookaheadStatus { k: Some(5), ..LookaheadStatus::default() },
        settings: vec!["optimizer.lr".into(), "lookahead.k".into()],
        ..Status::default()
    }
}

/// A run that accepts everything and does nothing.
fn no_run() -> Shared {
    Shared { accept: Box::new(|_| Ok(None)), status: Box::new(Status::default) }
}

impl Live {
    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.run.path().join(FILE_NAME)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream
    }

    /// Sends bytes, closes the sending side, and returns all that comes back.
    fn say(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        // The other side may close before it has read everything.
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut said = Vec::new();
        let _ = stream.read_to_end(&mut said);
        String::from_utf8(said).unwrap()
    }
}

#[test]
fn commands_arrive_in_order_and_are_answered() {
    let live = live();
    let set = |value| Command::Set(Setting { key: "lookahead.k".into(), value });
    let settings = [set(10.into()), set(serde_json::json!({"deep": [null, 0.1]}))];
    let plain = [Command::Pause, Command::Continue, Command::Stop];
    for command in plain.into_iter().chain(settings) {
        let note = send(&live.run, command.clone()).unwrap();
        assert_eq!(note.is_some(), matches!(command, Command::Set(_)));
        assert_eq!(live.asked.try_recv(), Ok(command));
    }
    let error = send(&live.run, Command::Checkpoint).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(error.to_string().contains("Not now."), "{error}");
    // Several on one connection, and a field of a later version.
    let lines = b"{\"command\":\"pause\"}\n{\"by\":[1],\"command\":\"stop\"}\n";
    assert_eq!(live.say(lines), "{\"ok\":true}\n{\"ok\":true}\n");
    assert_eq!(live.asked.try_iter().collect::<Vec<_>>(), [Command::Pause, Command::Stop]);
}

#[test]
fn a_run_reports_its_status() {
    let live = live();
    assert_eq!(status(&live.run).unwrap(), some_status());
    assert!(live.asked.try_recv().is_err(), "a request for the status is not a command");
    // On one connection with a command, and as others read it.
    let said = live.say(b"{\"command\":\"status\"}\n{\"command\":\"pause\",\"status\":7}\n");
    let (first, second) = said.split_once('\n').unwrap();
    assert_eq!(second, "{\"ok\":true}\n");
    let first: serde_json::Value = serde_json::from_str(first).unwrap();
    assert_eq!((&first["ok"], &first["status"]["state"]), (&true.into(), &"paused".into()));
    assert_eq!(first["status"]["loss"], "Infinity");
    assert_eq!(first["status"]["step"], u64::MAX);
    assert_eq!(live.asked.try_iter().collect::<Vec<_>>(), [Command::Pause]);
}

#[test]
fn a_status_of_another_version_is_read() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    let listener = socket::open(run.path(), CONNECTIONS).unwrap();
    let answered = |answer: &'static str| {
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let mut question = String::new();
                BufReader::new(&stream).read_line(&mut question).unwrap();
                assert_eq!(question, "{\"command\":\"status\"}\n");
                stream.write_all(answer.as_bytes()).unwrap();
            });
            status(&run)
        })
    };
    let found = answered("{\"ok\":true,\"status\":{\"step\":7,\"mood\":{}},\"by\":1}\n");
    assert_eq!(found.unwrap(), Status { step: 7, ..Status::default() });
    let answers = [
        ("{\"ok\":true}\n", "It sent no status."),
        ("{\"ok\":true,\"status\":7}\n", "does not understand"),
        ("{\"ok\":true,\"status\":{\"step\":-1}}\n", "does not understand"),
        ("{\"ok\":false,\"error\":\"The message is not a command.\"}\n", "is not a command"),
    ];
    for (answer, expected) in answers {
        let error = answered(answer).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn an_answer_that_is_too_long_is_replaced_by_an_error() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    let length = Arc::new(Mutex::new(0));
    let (of_settings, of_errors) = (length.clone(), length.clone());
    let text = |length: &Mutex<usize>| "x".repeat(*length.lock().unwrap());
    let _server = ControlServer::start(
        &run,
        move |_| Err(text(&of_errors)),
        move || Status { settings: vec![text(&of_settings)], ..Status::default() },
    )
    .unwrap();
    let empty = Answer { status: Some(Status::default()), ..Ok(None).into() };
    // With the quotes around the one key, and the line feed.
    let most = LARGEST_ANSWER - serde_json::to_string(&empty).unwrap().len() - 3;
    *length.lock().unwrap() = most;
    assert_eq!(status(&run).unwrap().settings[0].len(), most);
    *length.lock().unwrap() = most + 1;
    let error = status(&run).unwrap_err().to_string();
    assert!(error.contains("65537 bytes") && error.contains("at most 65536"), "{error}");
    *length.lock().unwrap() = LARGEST_ANSWER;
    let error = send(&run, Command::Stop).unwrap_err().to_string();
    assert!(error.contains("at most 65536"), "{error}");
}

#[test]
fn what_is_not_a_command_gets_a_sentence() {
    let live = live();
    let deep = [&b"[".repeat(4000)[..], b"\n"].concat();
    let messages: [&[u8]; 15] = [
        b"\n",
        b"stop\n",
        b"{}\n",
        b"[]\n",
        b"[\"stop\"]\n",
        b"{\"command\":\"fly\"}\n",
        b"{\"command\":7}\n",
        b"{\"command\":\"status\",\"command\":\"status\"}\n",
        b"{\"command\":{\"status\":null}}\n",
        b"{\"command\":\"set\"}\n",
        b"{\"command\":\"set\",\"key\":\"lookahead.k\"}\n",
        b"{\"command\":\"set\",\"key\":7,\"value\":10}\n",
        b"{\"command\":\"stop\"\n",
        b"\xff\xfe\0\n",
        &deep,
    ];
    for message in messages {
        let said = live.say(message);
        let answer: Answer = serde_json::from_str(said.trim()).unwrap();
        assert!(!answer.ok, "{message:?}");
        let error = answer.error.unwrap();
        assert!(error.contains("is not a command"), "{message:?}: {error}");
        for command in ["pause", "continue", "checkpoint", "stop", "status", "\"set\""] {
            assert!(error.contains(command), "{command}: {error}");
        }
    }
    // A line without its line feed is not a message.
    assert_eq!(live.say(b"{\"command\":\"stop\"}"), "");
    assert!(live.asked.try_recv().is_err());
    send(&live.run, Command::Pause).unwrap();
}

#[test]
fn a_message_without_an_end_is_not_kept() {
    let live = live();
    let said = live.say(&vec![b'x'; 1 << 20]);
    assert!(said.contains("at most 4096 bytes"), "{said}");
    let just_fits = format!("{:<1$}\n", "{\"command\":\"pause\"}", LARGEST_MESSAGE - 1);
    assert_eq!(live.say(just_fits.as_bytes()), "{\"ok\":true}\n");
    let too_long = format!("{:<1$}\n", "{\"command\":\"pause\"}", LARGEST_MESSAGE);
    assert!(live.say(too_long.as_bytes()).contains("at most 4096 bytes"));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Any bytes give a command or a sentence, and a command only if they are one.
    #[test]
    fn messages_of_any_bytes(
        message in prop::sample::select(&[
            "{\"command\":\"pause\"}",
            "{\"command\":\"continue\"}",
            "{\"command\":\"checkpoint\"}",
            "{\"command\":\"stop\"}",
            "{\"command\":\"status\"}",
            "{\"command\":\"set\",\"key\":\"optimizer.lr\",\"value\":1e-3}",
        ][..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        tail in prop::collection::vec(prop_oneof![Just(b'['), Just(b'}'), any::<u8>()], 0..200),
    ) {
        let mut message = message.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        for message in [&message[..], &tail, &[&message[..], &tail].concat()] {
            match parse(message) {
                Ok(found) => {
                    let read: serde_json::Value = serde_json::from_slice(message).unwrap();
                    let found = match found {
                        Request::Status => serde_json::json!({"command": "status"}),
                        Request::Command(command) => serde_json::to_value(command).unwrap(),
                    };
                    for (field, value) in found.as_object().unwrap() {
                        prop_assert_eq!(&read[field], value);
                    }
                }
                Err(sentence) => prop_assert!(sentence.contains("is not a command")),
            }
        }
    }
}

#[test]
fn one_client_too_many_gets_an_error_and_the_others_are_served() {
    let live = live();
    let mut connected: Vec<_> = (0..CONNECTIONS).map(|_| live.connect()).collect();
    for stream in &mut connected {
        // An answer shows that it was accepted.
        stream.write_all(b"{\"command\":\"pause\"}\n").unwrap();
        let mut line = String::new();
        BufReader::new(&*stream).read_line(&mut line).unwrap();
        assert_eq!(line, "{\"ok\":true}\n");
    }
    let error = send(&live.run, Command::Stop).unwrap_err().to_string();
    assert!(error.contains("8 other clients are connected"), "{error}");
    drop(connected.pop());
    let started = Instant::now();
    while send(&live.run, Command::Stop).is_err() {
        assert!(started.elapsed() < Duration::from_secs(20));
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn bytes_that_come_slowly_do_not_extend_the_timeout() {
    let (mut client, server) = UnixStream::pair().unwrap();
    let slow = thread::spawn(move || {
        while client.write_all(b"x").is_ok() {
            thread::sleep(Duration::from_millis(10));
        }
    });
    let found = Messages::new(&server, LARGEST_MESSAGE).next(Duration::from_millis(100));
    assert!(found.is_err(), "a byte now and then is not enough");
    drop(server);
    slow.join().unwrap();
}

#[test]
fn a_client_that_sends_nothing_is_disconnected() {
    let (_client, server) = UnixStream::pair().unwrap();
    let (sender, disconnected) = mpsc::channel();
    thread::spawn(move || {
        let quiet = Duration::from_millis(50);
        sender.send(serve(&server, &no_run(), quiet, ANSWER_TIMEOUT).is_err())
    });
    assert_eq!(disconnected.recv_timeout(Duration::from_secs(20)), Ok(true));
}

#[test]
fn a_client_that_reads_no_answers_does_not_block_the_run() {
    let question = b"{\"command\":\"pause\"}\n";
    let mut live = live();
    let mut deaf = live.connect();
    deaf.set_nonblocking(true).unwrap();
    // Until both directions are full, so that the other side waits in the middle of an answer.
    let mut last = Instant::now();
    while last.elapsed() < Duration::from_millis(300) {
        match deaf.write(question) {
            Ok(1..) => last = Instant::now(),
            _ => thread::sleep(Duration::from_millis(5)),
        }
    }
    // Before the deaf one is disconnected.
    send_within(&live.run, Command::Stop, ANSWER_TIMEOUT / 2).unwrap();
    assert!(live.asked.try_iter().any(|command| command == Command::Stop));
    live.server = None;

    // And it does not keep its connection.
    let (mut deaf, server) = UnixStream::pair().unwrap();
    let asking = thread::spawn(move || {
        while deaf.write_all(question).is_ok() {}
        deaf
    });
    let (sender, disconnected) = mpsc::channel();
    thread::spawn(move || {
        let soon = Duration::from_millis(50);
        sender.send(serve(&server, &no_run(), MESSAGE_TIMEOUT, soon).is_err())
    });
    assert_eq!(disconnected.recv_timeout(Duration::from_secs(9)), Ok(true));
    asking.join().unwrap();
}

#[test]
fn a_client_does_not_wait_for_a_suspended_run() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    let _never_accepted = socket::open(run.path(), CONNECTIONS).unwrap();
    // Clients that give up stay in the queue; when it is full, the next ones do not even get into it.
    for _ in 0..2 * CONNECTIONS {
        let error = send_within(&run, Command::Stop, Duration::from_millis(20)).unwrap_err();
        assert!(matches!(error, Error::NoAnswer { .. }), "{error}");
        assert!(error.to_string().contains("gave no answer within"), "{error}");
    }
}

#[test]
fn bad_answers_become_errors() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    let listener = socket::open(run.path(), CONNECTIONS).unwrap();
    let long = [&b"x".repeat(LARGEST_ANSWER)[..], b"\n"].concat();
    let answers: [(&[u8], &str); 6] = [
        (b"{\"ok\":false}\n", "It gave no reason."),
        (b"{\"ok\":false,\"error\":\"No.\",\"why\":7}\n", "No."),
        (b"\xff\0\n", "does not understand"),
        (b"{\"ok\":true}", "without an answer"),
        (b"", "without an answer"),
        (&long, "too long"),
    ];
    for (answer, expected) in answers {
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = listener.accept().unwrap();
                let _ = BufReader::new(&stream).read_line(&mut String::new());
                let _ = stream.write_all(answer);
            });
            let error = send(&run, Command::Stop).unwrap_err();
            assert!(matches!(error, Error::Refused { .. }), "{error}");
            assert!(error.to_string().contains(expected), "{error}");
        });
    }
}

/// Uses all file handles that a process can have, and so needs a process of its own.
#[test]
fn the_server_survives_a_lack_of_file_handles() {
    let name = "control::tests::the_server_survives_a_lack_of_file_handles";
    let shared = "LOOKAHEAD_TEST_FEW_FILE_HANDLES";
    if std::env::var_os(shared).is_none() {
        let output = std::process::Command::new("sh")
            .args(["-c", "ulimit -n 64 && exec \"$@\"", "sh"])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", name, "--nocapture"])
            .env(shared, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{name} is gone");
        return;
    }
    let mut live = live();
    let folder = File::open(live.run.path()).unwrap();
    // Two clients connect when no handle is left: a waiting server may have one in reserve.
    let clients = || {
        let sockets = [(); 2].map(|()| unix_socket().unwrap());
        let files: Vec<File> = std::iter::from_fn(|| folder.try_clone().ok()).collect();
        let clients = sockets.map(|socket| {
            connect(&socket, &SocketAddrUnix::new(short_path(&folder)).unwrap()).unwrap();
            UnixStream::from(socket)
        });
        thread::sleep(2 * RETRY);
        (clients, files)
    };
    let (mut asking, files) = clients();
    drop(files);
    for client in &mut asking {
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        client.write_all(b"{\"command\":\"pause\"}\n").unwrap();
        let mut line = String::new();
        BufReader::new(&*client).read_line(&mut line).unwrap();
        assert_eq!(line, "{\"ok\":true}\n");
    }
    // The server ends without waiting for handles.
    let _without_any = clients();
    live.server = None;
}

#[test]
fn only_the_owner_may_connect_and_the_socket_is_removed_with_the_server() {
    let mut live = live();
    let path = live.run.path().join(FILE_NAME);
    assert_eq!(path.symlink_metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let idle = live.connect();
    live.server = None;
    assert!(!path.exists());
    assert_eq!((&idle).read(&mut [0]).unwrap(), 0, "connections are closed");
    let error = send(&live.run, Command::Stop).unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
    assert!(error.to_string().contains("lookahead resume"), "{error}");
}

#[test]
fn a_dead_processs_socket_is_replaced_and_nothing_else_is() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    let path = run.base().join(FILE_NAME);
    drop(UnixListener::bind(&path).unwrap());
    let error = send(&run, Command::Stop).unwrap_err();
    assert!(matches!(error, Error::NotRunning { .. }), "{error}");
    drop(ControlServer::start(&run, |_| Ok(None), Status::default).unwrap());

    fs::write(&path, "mine").unwrap();
    let error = ControlServer::start(&run, |_| Ok(None), Status::default).unwrap_err();
    assert!(matches!(error, Error::NotASocket { .. }), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
}

#[test]
fn another_ones_socket_is_not_removed() {
    let mut live = live();
    let path = live.run.path().join(FILE_NAME);
    fs::rename(&path, live.run.path().join("moved")).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    live.server = None;
    assert!(path.exists());
}

#[test]
fn a_folders_path_may_be_longer_than_an_address() {
    let temp = tempdir().unwrap();
    let out = temp.path().join("x".repeat(100)).join("y".repeat(100));
    let run = RunFolder::create(&out, &"z".repeat(100)).unwrap();
    let server = ControlServer::start(&run, |_| Ok(None), Status::default).unwrap();
    send(&run, Command::Pause).unwrap();
    drop(server);
    assert!(!run.path().join(FILE_NAME).exists());
}
