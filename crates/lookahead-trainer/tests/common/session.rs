//! A user at a shell: what was typed, and what came.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A small net on the digits: 14 steps, of which 4 are an epoch and 3 a cycle. Its only checkpoint is the last one:
/// where the line about an earlier one comes depends on how long the disk takes.
pub const DIGITS: &str = r#"
[data]
kind = "digits"
batch_size = 300
validation = 341

[model]
kind = "mlp"
hidden = [16]

[lookahead]
k = 3

[train]
max_steps = 14
threads = 1

[checkpoint]
every_steps = 0
"#;

/// A shell in a folder of its own, in which `lookahead` is on the path. The transcript is for a snapshot.
///
/// ```ignore
/// let mut session = Session::new();
/// session.write("digits.toml", DIGITS);
/// session.run("lookahead train digits.toml --epochs 3");
/// session.assert_snapshot("epochs");
/// ```
pub struct Session {
    folder: TempDir,
    transcript: String,
}

/// What differs from run to run or between processors, and what replaces it in a transcript.
const FILTERS: [(&str, &str); 7] = [
    (r"\d[\d,]* samples/s", "[rate] samples/s"),
    (r"\d[\d,]* samples per second", "[rate] samples per second"),
    (r"process \d+", "process [id]"),
    (r"\b(loss|Loss|fast|slow|mean|perplexity) -?\d+\.\d+(e-?\d+)?", "$1 [value]"),
    (r"\b(accuracy|F1) \d+\.\d+ %", "$1 [value]"),
    (r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?", "[time]"),
    (r"\b\d+(\.\d+)? (seconds?|minutes?) ago", "[time] ago"),
];

impl Session {
    /// A shell in an empty folder.
    pub fn new() -> Self {
        Session { folder: tempfile::tempdir().unwrap(), transcript: String::new() }
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file, for example a config. Missing folders are created.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Types a line in the shell, `sh`, and waits for its end. The transcript has the line, stdout and stderr as a
    /// terminal shows them, and the exit status if that is not 0.
    pub fn run(&mut self, line: &str) {
        let (shown, status) = self.quietly(line);
        self.transcript += &format!("$ {line}\n{shown}");
        if status != 0 {
            self.transcript += &format!("[exit status {status}]\n");
        }
        self.transcript.push('\n');
    }

    /// As [`run`](Self::run), but not for the transcript: returns what came, and the exit status.
    pub fn quietly(&self, line: &str) -> (String, i32) {
        let program = PathBuf::from(env!("CARGO_BIN_EXE_lookahead"));
        let paths = std::env::var_os("PATH").unwrap_or_default();
        let paths = std::iter::once(program.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&paths));
        let output = Command::new("sh")
            .args(["-c", "exec 2>&1; eval \"$0\"", line])
            .current_dir(self.path())
            .env("PATH", std::env::join_paths(paths).unwrap())
            .env("COLUMNS", "100")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        let here = self.path().canonicalize().unwrap();
        let shown = shown
            .replace(here.to_str().unwrap(), "/here")
            .replace(self.path().to_str().unwrap(), "/here");
        (shown, output.status.code().expect("no signal ended the shell"))
    }

    /// What was typed, and what came.
    pub fn transcript(&self) -> &str {
        &self.transcript
    }

    /// Compares the transcript with the snapshot of that name.
    #[track_caller]
    pub fn assert_snapshot(&self, name: &str) {
        let mut settings = insta::Settings::clone_current();
        for (pattern, replacement) in FILTERS {
            settings.add_filter(pattern, replacement);
        }
        settings.set_snapshot_path("../sessions");
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, self.transcript.trim_end()));
    }
}
