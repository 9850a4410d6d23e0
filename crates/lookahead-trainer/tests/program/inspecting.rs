//! `lookahead inspect` on valid and damaged runs and checkpoints.

use crate::common::{SMALL, Sandbox, failed, succeeded};
use serde_json::Value;

fn json(output: &std::process::Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_run_and_its_checkpoints() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=5"]);
    let inspect = |more: &[&str]| sandbox.lookahead(&[&["inspect"], more].concat());
    let text = String::from_utf8(succeeded(inspect(&["runs/run"])).stdout).unwrap();
    for words in [
        "run: finished at step 5 of 5",
        "Lookahead(k 3, α 0.5) around sgd",
        "step-00000004: valid",
        "validation/accuracy",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let found = json(&succeeded(inspect(&["runs/run", "--json"])));
    assert_eq!(found["kind"], "run");
    assert_eq!(found["state"], "finished");
    assert_eq!(found["step"], 5);
    assert_eq!(found["checkpoints"].as_array().unwrap().len(), 5);
    assert!(found["checkpoints"][3]["metrics"]["validation/accuracy"].is_f64());
    assert!(found["checkpoints"][2]["metrics"].as_object().unwrap().is_empty());

    // A damaged one is named, with exit status 1.
    let file = sandbox.run_folder("run").join("step-00000002/model.safetensors");
    std::fs::write(file, "no").unwrap();
    let output = inspect(&["runs/run"]);
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("step-00000002: DAMAGED") && text.contains("step-00000003: valid"));
    assert!(text.contains("`model.safetensors` should have"), "{text}");
    let found = json(&inspect(&["runs/run", "--json"]));
    assert!(found["checkpoints"][1]["fault"].as_str().unwrap().contains("model.safetensors"));
    let output = inspect(&["runs/run/step-00000002"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stdout).unwrap().contains("DAMAGED"));
}

#[test]
fn a_manifest_has_all_that_decides_the_future() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let inspect = |more: &[&str]| sandbox.lookahead(&[&["inspect"], more].concat());
    let path = "runs/run/step-00000004";
    let text = String::from_utf8(succeeded(inspect(&[path])).stdout).unwrap();
    assert!(text.contains("step 4, 1 inner steps since the last sync; epoch 1, batch 0"), "{text}");
    assert!(text.contains("fast/fc1.weight  F32 [16, 64]"), "{text}");

    let found = json(&succeeded(inspect(&[path, "--json"])));
    let manifest = &found["manifest"];
    for (key, value) in
        [("step", 4), ("phase", 1), ("epoch", 1), ("cursor", 0), ("seed", 0), ("threads", 1)]
    {
        assert_eq!(manifest[key], value, "{key}");
    }
    assert!(manifest["wall_seconds"].as_f64().unwrap() > 0.0);
    assert_eq!(manifest["config"]["lookahead"]["k"], 3);
    assert_eq!(manifest["config"]["data"]["augment"], "none");
    for key in ["lookahead", "tch", "libtorch"] {
        assert!(manifest["versions"][key].is_string(), "{key}");
    }
    for key in ["phase", "syncs", "steps", "non_finite"] {
        assert!(manifest["integers"][key].is_i64(), "{key}");
    }
    let state = &manifest["train_state"];
    for (key, value) in [("step", 4), ("epoch", 1), ("cursor", 0), ("diverging", 0), ("workers", 1)]
    {
        assert_eq!(state[key], value, "{key}");
    }
    assert_eq!(state["pending"], "none");
    assert_eq!((&state["best"]["step"], &state["best"]["since"]), (&4.into(), &0.into()));
    assert!(state["best"]["value"].is_f64());
    assert!(state["data"]["train_samples"].is_u64());
    let training = &found["tensors"]["training.safetensors"];
    for tensor in [
        "fast/fc1.weight",
        "fast/fc_bn1.running_mean",
        "optimizer/slow/fc1.weight",
        "optimizer/inner/sgd/momentum_buffer/fc1.weight",
        "generator/cpu",
    ] {
        assert!(training[tensor]["shape"].is_array(), "{tensor}");
    }
    assert_eq!(found["tensors"]["model.safetensors"]["fc1.weight"]["dtype"], "F32");
}

/// The commit of the folder in which a run was trained, and whether there were uncommitted changes.
#[test]
fn the_git_revision_is_recorded() {
    let sandbox = Sandbox::new(SMALL);
    let git = |arguments: &[&str]| {
        let mut git = std::process::Command::new("git");
        let identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=m"];
        let output = git.args(identity).args(arguments).current_dir(sandbox.path()).output();
        String::from_utf8(succeeded(output.unwrap()).stdout).unwrap().trim().to_owned()
    };
    let more = ["--set", "train.max_steps=1"];
    let saved = |run: &str| {
        let (_, manifest) = sandbox.checkpoints(run).pop().unwrap();
        manifest.unwrap().metadata.git
    };
    // Not that of a parent folder.
    sandbox.train("outside", &more);
    assert_eq!(saved("outside"), None);
    git(&["init", "--quiet"]);
    sandbox.train("unborn", &more);
    assert_eq!(saved("unborn"), None);
    git(&["add", "test.toml"]);
    git(&["commit", "--quiet", "--message", "first"]);
    sandbox.train("clean", &more);
    let revision = git(&["rev-parse", "HEAD"]);
    let expected = |modified| Some(lookahead_run::Git { revision: revision.clone(), modified });
    assert_eq!(saved("clean"), expected(false));
    std::fs::write(sandbox.config(), format!("{SMALL}\n")).unwrap();
    sandbox.train("changed", &more);
    assert_eq!(saved("changed"), expected(true));
}

#[test]
fn other_folders_and_states() {
    let sandbox = Sandbox::new(SMALL);
    let inspect = |path: &str| sandbox.lookahead(&["inspect", path]);
    failed(&inspect("."), 2, &["is neither the folder of a run", "`manifest.json`"]);
    failed(&inspect("nowhere"), 2, &["There is no run `nowhere`"]);

    let mut child = sandbox.start("run", &["--set", "train.max_steps=10000000"]);
    sandbox.wait_for("run", &mut child, |record| record.step >= 3);
    let state = || {
        let output = sandbox.lookahead(&["inspect", "runs/run", "--json"]);
        json(&output)["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(state(), "running");
    crate::common::signal(&child, "KILL");
    child.wait().unwrap();
    assert_eq!(state(), "interrupted");
}

/// The program's peak memory, sampled, in KiB.
fn peak(sandbox: &Sandbox, arguments: &[&str]) -> (u64, Value) {
    use std::io::Read;
    let mut command = sandbox.command(arguments);
    let mut child = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let found = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        most = most.max(found.unwrap_or(0));
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    (most, serde_json::from_str(&text).unwrap())
}

#[test]
fn a_long_log_takes_no_more_memory_than_a_short_one() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=2"]);
    let inspect = ["inspect", "runs/run", "--json"];
    let (short, _) = peak(&sandbox, &inspect);
    let log = sandbox.run_folder("run").join("events.jsonl");
    let text = std::fs::read_to_string(&log).unwrap();
    let step = text.lines().find(|line| line.contains("\"step\"")).unwrap();
    let line = text.lines().find(|line| line.contains("\"event\":\"step\"")).unwrap_or(step);
    let mut out =
        std::io::BufWriter::new(std::fs::File::options().append(true).open(&log).unwrap());
    for number in 3..300_003 {
        use std::io::Write;
        writeln!(out, "{}", line.replace("\"step\":1,", &format!("\"step\":{number},"))).unwrap();
    }
    drop(out);
    let (long, found) = peak(&sandbox, &inspect);
    assert_eq!(found["step"], 300_002);
    assert!(long < short + (32 << 10), "{long} KiB, and {short} KiB of a short log");
}
