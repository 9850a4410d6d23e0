//! Running the real program in a folder of its own, and reading what it left there.
#![allow(dead_code, unreachable_pub)] // each of the two binaries uses a part of it

pub mod ranks;
pub mod session;
pub mod terminal;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use lookahead_run::event::{Event, Record};
use lookahead_run::{Manifest, RunFolder};
use tempfile::TempDir;

/// A small net with dropout and batch norm on the digits: 4 steps an epoch, 3 a cycle.
pub const SMALL: &str = r#"
[data]
kind = "digits"
batch_size = 300
validation = 341

[model]
kind = "mlp"
hidden = [16]
dropout = 0.3
batch_norm = true

[optimizer]
kind = "sgd"
lr = 0.05

[lookahead]
k = 3
alpha = 0.5

[train]
max_steps = 14
threads = 1

[probe]
every_syncs = 1

[checkpoint]
every_steps = 1
keep = 100
"#;

/// The repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The Python that has PyTorch: that of `TORCH_PYTHON`, else the one that `just python` makes.
pub fn python() -> Option<PathBuf> {
    python_with(&["torch", "safetensors"])
}

/// The same, with the other implementations of Lookahead.
pub fn peers() -> Option<PathBuf> {
    python_with(&["torch", "safetensors", "timm", "pytorch_optimizer"])
}

/// The same, if it has these packages.
pub fn python_with(packages: &[&str]) -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let python = set("TORCH_PYTHON")
        .or_else(|| Some(cache()?.join("lookahead/golden-python/bin/python")))?;
    // Only whether they are installed: importing them takes seconds.
    let find =
        format!("from importlib.util import find_spec as f; exit(not all(map(f, {packages:?})))");
    let output = Command::new(&python).args(["-c", &find]).output();
    let works = output.is_ok_and(|output| output.status.success());
    if !works && std::env::var_os("LOOKAHEAD_REQUIRE_PYTHON").is_some() {
        panic!("{} has not all of {packages:?}, and they are required", python.display());
    }
    works.then_some(python)
}

/// A temporary folder with a config.
pub struct Sandbox {
    folder: TempDir,
}

impl Sandbox {
    pub fn new(config: &str) -> Self {
        let sandbox = Sandbox { folder: tempfile::tempdir().unwrap() };
        std::fs::write(sandbox.config(), config).unwrap();
        sandbox
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn config(&self) -> PathBuf {
        self.path().join("test.toml")
    }

    pub fn run_folder(&self, run: &str) -> PathBuf {
        self.path().join("runs").join(run)
    }

    /// The program, in this folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lookahead"));
        command.args(arguments).current_dir(self.path());
        command
    }

    pub fn lookahead(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The program, with no file allowed to grow beyond `blocks` of 512 bytes: writes fail as on a full disk.
    pub fn with_file_limit(&self, blocks: u32, arguments: &[&str]) -> Output {
        let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, env!("CARGO_BIN_EXE_lookahead")]).args(arguments);
        command.current_dir(self.path()).output().unwrap()
    }

    /// Starts training the config as run `run`, in the background.
    pub fn start(&self, run: &str, more: &[&str]) -> Child {
        let mut command = self.command(&train(run, more));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits until the log of a run has an event for which `wanted` holds.
    #[track_caller]
    pub fn wait_for(&self, run: &str, child: &mut Child, wanted: impl Fn(&Record) -> bool) {
        let log = self.run_folder(run).join("events.jsonl");
        let started = Instant::now();
        loop {
            if logged(&log, &wanted) {
                return;
            }
            if started.elapsed() > Duration::from_secs(60) {
                let _ = child.kill(); // otherwise it trains forever
                let records = self.records(run);
                let last = &records[records.len().saturating_sub(5)..];
                panic!("the event never came; the last ones are {last:?}");
            }
            assert!(child.try_wait().unwrap().is_none(), "it ended before the event");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The checkpoints of a run, each verified.
    pub fn checkpoints(&self, run: &str) -> Vec<(u64, lookahead_run::Result<Manifest>)> {
        let folder = RunFolder::open(&self.run_folder(run)).unwrap();
        let all = folder.checkpoints().list().unwrap();
        all.iter().map(|found| (found.step, found.verify())).collect()
    }

    /// Trains the config as run `name`, and expects success.
    pub fn train(&self, name: &str, more: &[&str]) -> Output {
        let config = self.config();
        let fixed = ["train", config.to_str().unwrap(), "--out", "runs", "--name", name];
        succeeded(self.lookahead(&[&fixed, more].concat()))
    }

    pub fn resume(&self, name: &str, more: &[&str]) -> Output {
        let folder = self.run_folder(name);
        succeeded(self.lookahead(&[&["resume", folder.to_str().unwrap()], more].concat()))
    }

    pub fn records(&self, run: &str) -> Vec<Record> {
        lookahead_run::log::read(&self.run_folder(run).join("events.jsonl")).unwrap()
    }

    /// Step and loss, to the bit, of every step in the log.
    pub fn losses(&self, run: &str) -> Vec<(u64, u64)> {
        let records = self.records(run);
        let losses = records.iter().filter_map(|record| match record.event {
            Event::Step(step) => Some((record.step, step.loss.to_bits())),
            _ => None,
        });
        losses.collect()
    }

    /// The bytes of both tensor files of a checkpoint.
    pub fn tensors(&self, run: &str, step: u64) -> [Vec<u8>; 2] {
        ["model.safetensors", "training.safetensors"].map(|file| {
            let path = self.run_folder(run).join(format!("step-{step:08}")).join(file);
            std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        })
    }
}

/// Writes the manifest in `whole`, changed, with a valid seal.
pub fn reseal(path: &Path, whole: &[u8], change: impl FnOnce(&mut serde_json::Value)) {
    let mut manifest: serde_json::Value = serde_json::from_slice(whole).unwrap();
    change(&mut manifest);
    let unsealed = "0".repeat(64);
    manifest["sha256"] = unsealed.clone().into();
    let text = manifest.to_string();
    let digest = lookahead_run::checkpoint::sha256_of(text.as_bytes());
    std::fs::write(path, text.replace(&unsealed, &digest)).unwrap();
}

/// The arguments that train `test.toml` as run `run`.
pub fn train<'a>(run: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["train", "test.toml", "--out", "runs", "--name", run], more].concat()
}

/// Whether a log has an event for which `wanted` holds.
pub fn logged(log: &Path, wanted: impl Fn(&Record) -> bool) -> bool {
    lookahead_run::log::read(log).is_ok_and(|records| records.iter().any(wanted))
}

/// Waits for a condition, at most two minutes.
#[track_caller]
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < Duration::from_secs(120), "not after two minutes: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The arguments that set keys of the config.
pub fn sets<'a>(keys: &[&'a str]) -> Vec<&'a str> {
    keys.iter().flat_map(|key| ["--set", key]).collect()
}

/// A number of the splitmix64 generator.
pub fn random(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Sends a signal, for example `TERM`.
pub fn signal(child: &Child, name: &str) {
    let arguments = [format!("-{name}"), child.id().to_string()];
    assert!(Command::new("kill").args(arguments).status().unwrap().success());
}

/// A process that ends with its test.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
    }
}

pub fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

pub fn succeeded(output: Output) -> Output {
    assert!(output.status.success(), "{}: {}", output.status, stderr(&output));
    output
}

/// Expects the program to end with `status` and print each of `words` on stderr, nothing on stdout.
pub fn failed(output: &Output, status: i32, words: &[&str]) {
    let said = stderr(output);
    assert_eq!(output.status.code(), Some(status), "{said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    assert!(output.stdout.is_empty(), "stdout is for results");
}

pub fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// The optical digits as PNG files, in the parts and the order of the built-in ones.
pub fn write_digits(folder: &Path) {
    let script = root().join("crates/lookahead-trainer/data/digits_png.py");
    let status = Command::new("python3").arg(script).arg(folder).status();
    assert!(status.expect("python3 writes the images").success());
}

/// A `.npy` file of this type, in NumPy's notation, with these bytes.
pub fn write_npy(path: &Path, element: &str, shape: &str, data: &[u8]) {
    let header = format!("{{'descr': '{element}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = (header.len() as u16).to_le_bytes();
    let parts = [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data];
    std::fs::write(path, parts.concat()).unwrap();
}
