//! The example as its users run it: its binary, with the whole command line of `lookahead`.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

fn config() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("spirals.toml")
}

fn program(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spirals"));
    command.current_dir(folder).args(arguments);
    command
}

fn output(folder: &Path, arguments: &[&str]) -> Output {
    let output = program(folder, arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    output
}

/// The arguments of a short run of this name, with a checkpoint every 20 steps.
fn short<'a>(config: &'a str, name: &'a str) -> Vec<&'a str> {
    let mut arguments =
        vec!["train", config, "--no-tui", "--quiet", "--out", "runs", "--name", name];
    for set in ["train.max_steps=1000", "train.threads=1", "checkpoint.every_steps=20"] {
        arguments.extend(["--set", set]);
    }
    arguments
}

/// The loss of each step, as the log has it.
fn losses(run: &Path) -> Vec<String> {
    let log = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let loss = |line: &str| {
        let (_, rest) = line.split_once("\"loss\":")?;
        Some(rest.split([',', '}']).next()?.to_owned())
    };
    log.lines().filter(|line| line.contains("\"event\":\"step\"")).filter_map(loss).collect()
}

#[test]
fn a_run_is_killed_resumed_to_the_bit_evaluated_and_exported() {
    let folder = TempDir::new().unwrap();
    let (path, config) = (folder.path(), config());
    let config = config.to_str().unwrap();
    output(path, &short(config, "whole"));

    let arguments = [&short(config, "killed")[..], &["--set", "checkpoint.keep=100"]].concat();
    let mut child = program(path, &arguments).stderr(Stdio::null()).spawn().unwrap();
    let first = path.join("runs/killed/step-00000020/manifest.json");
    let started = Instant::now();
    while !first.exists() {
        assert!(started.elapsed() < Duration::from_secs(60), "there is no checkpoint");
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(losses(&path.join("runs/killed")).len() < 1000, "it was killed too late");
    output(path, &["resume", "runs/killed", "--no-tui", "--quiet"]);
    let (whole, resumed) = (losses(&path.join("runs/whole")), losses(&path.join("runs/killed")));
    assert_eq!((whole.len(), &whole), (1000, &resumed));

    let evaluated = output(path, &["eval", "runs/killed", "--json"]);
    let report = String::from_utf8(evaluated.stdout).unwrap();
    assert!(report.contains("\"samples\":500"), "{report}");
    output(path, &["export", "runs/killed", "-o", "spirals.safetensors"]);
    assert!(path.join("spirals.safetensors").exists());
}

#[test]
fn two_processes_train_together() {
    let folder = TempDir::new().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = config();
    let config = config.to_str().unwrap();
    let sets = ["--set", "distributed.mode=local", "--set", "train.max_steps=20"];
    let start = |rank: usize| {
        let mut command = program(folder.path(), &["train", config, "--no-tui", "--name", "two"]);
        command.args(sets).env("RANK", rank.to_string()).env("WORLD_SIZE", "2");
        command.env("MASTER_ADDR", "127.0.0.1").env("MASTER_PORT", port.to_string());
        command.stderr(Stdio::piped()).spawn().unwrap()
    };
    for rank in [start(0), start(1)] {
        let output = rank.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(losses(&folder.path().join("checkpoints/two")).len(), 20);
}

#[test]
fn a_sweep_starts_this_program_and_compare_reads_its_runs() {
    let folder = TempDir::new().unwrap();
    let sweep = format!(
        "config = {:?}\nseeds = 1\n[set]\n\"train.max_steps\" = 40\n\"train.threads\" = 1\n[grid]\n\"lookahead.k\" = [2, 5]\n",
        config()
    );
    std::fs::write(folder.path().join("k.toml"), sweep).unwrap();
    output(folder.path(), &["sweep", "k.toml", "--quiet"]);
    let compared = output(folder.path(), &["compare", "checkpoints/k", "--by", "lookahead.k"]);
    let table = String::from_utf8(compared.stdout).unwrap();
    assert!(table.contains("lookahead.k=5") && table.contains("accuracy in %"), "{table}");
}

#[test]
fn it_learns_to_tell_the_spirals_apart() {
    let folder = TempDir::new().unwrap();
    let config = config();
    let sets = ["--set", "train.threads=1", "--quiet", "--no-tui", "--name", "spirals"];
    output(folder.path(), &[&["train", config.to_str().unwrap()][..], &sets].concat());
    let evaluated = output(folder.path(), &["eval", "checkpoints/spirals", "--json"]);
    let report = String::from_utf8(evaluated.stdout).unwrap();
    let accuracy = report.split("\"accuracy\":").nth(1).unwrap().split([',', '}']).next().unwrap();
    assert!(accuracy.parse::<f64>().unwrap() > 0.98, "{report}");
}

#[test]
fn a_key_that_the_kinds_lack_is_refused_with_its_line() {
    let folder = TempDir::new().unwrap();
    let text = std::fs::read_to_string(config()).unwrap();
    for (there, wrong, words) in [
        (
            "kind = \"spirals\"",
            "kind = \"spirals\"\npionts = 100",
            "line 5: There is no key `data.pionts`. Did you mean `data.points`?",
        ),
        (
            "kind = \"spirals\"",
            "kind = \"spirals\"\npoints = 1",
            "line 5: `data.points` is 1. Use 2 to",
        ),
        ("kind = \"sines\"", "kind = \"sines\"\nhidden = [0]", "line 9: `model.hidden` is [0]."),
        (
            "kind = \"sines\"",
            "kind = \"lstm\"",
            "Models that can: cnn, mlp, resnet, torchscript and sines.",
        ),
    ] {
        std::fs::write(folder.path().join("wrong.toml"), text.replace(there, wrong)).unwrap();
        let refused =
            program(folder.path(), &["train", "wrong.toml", "--no-tui"]).output().unwrap();
        let errors = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{errors}");
        assert!(errors.contains(words), "{errors}");
    }
}

#[test]
fn init_and_config_know_its_keys() {
    let folder = TempDir::new().unwrap();
    let text =
        |arguments: &[&str]| String::from_utf8(output(folder.path(), arguments).stdout).unwrap();
    assert!(text(&["init"]).contains("points on two spirals, one inside the other"));
    let config = text(&["init", "spirals", "--output", "-"]);
    for words in ["kind = \"sines\"", "lr = 0.05", "# turns = 1.5", "turns of each spiral"] {
        assert!(config.contains(words), "{words}: {config}");
    }
}

#[test]
fn built_in_models_learn_from_it_too() {
    let folder = TempDir::new().unwrap();
    let config = config();
    let sets = ["--set", "model.kind=mlp", "--set", "train.max_steps=20", "--quiet", "--no-tui"];
    output(folder.path(), &[&["train", config.to_str().unwrap()][..], &sets].concat());
    let sets = ["--set", "model.kind=cnn", "--no-tui"];
    let arguments = [&["train", config.to_str().unwrap()][..], &sets].concat();
    let refused = program(folder.path(), &arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(2), "{errors}");
    assert!(errors.contains("and the samples of spirals have shape [2]"), "{errors}");
}
