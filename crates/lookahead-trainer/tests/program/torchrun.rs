//! The real program under the real torchrun.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::common::{SMALL, Sandbox, logged, python, train, wait_until};
use lookahead_run::event::{Event, Record};
use rustix::process::{Pid, Signal, kill_process};

/// torchrun with two processes, which it restarts at most three times.
fn torchrun(sandbox: &Sandbox, python: &std::path::Path, run: &str) -> Child {
    let mut command = Command::new(python);
    command
        .args(["-m", "torch.distributed.run", "--no-python", "--standalone"])
        .args(["--nproc-per-node", "2", "--max-restarts", "3", "--monitor-interval", "0.1"])
        .arg(env!("CARGO_BIN_EXE_lookahead"))
        .args(train(run, &["--auto-resume", "--set", "distributed.mode=local"]))
        .current_dir(sandbox.path())
        .env_remove("RANK")
        .env_remove("WORLD_SIZE")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// The processes of this run, as the system lists them, in the order of ranks.
fn ranks(sandbox: &Sandbox, run: &str) -> Vec<(usize, i32)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
        let path = entry.path();
        let here = std::fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == sandbox.path());
        let line = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        let own = line.starts_with(env!("CARGO_BIN_EXE_lookahead"))
            && line.split('\0').any(|argument| argument == run);
        let environment = std::fs::read(path.join("environ")).unwrap_or_default();
        let environment = String::from_utf8_lossy(&environment).into_owned();
        let rank =
            environment.split('\0').find_map(|pair| pair.strip_prefix("RANK=")?.parse().ok());
        if let (true, true, Some(rank)) = (here, own, rank) {
            found.push((rank, pid));
        }
    }
    found.sort_unstable();
    found
}

/// Each process is killed once; torchrun restarts both, and they reach the model of an undisturbed run.
#[test]
fn torchrun_restarts_both_and_they_reach_the_same_model() {
    let Some(python) = python() else {
        eprintln!("Passed over: no Python with torch; `just python` makes one.");
        return;
    };
    let config = SMALL
        .replace("max_steps = 14", "max_steps = 600")
        .replace("every_steps = 1", "every_steps = 100");
    let sandbox = Sandbox::new(&config);
    let mut models = Vec::new();
    for run in ["whole", "killed"] {
        let mut agent = torchrun(&sandbox, &python, run);
        let errors = BufReader::new(agent.stderr.take().unwrap());
        let errors = std::thread::spawn(move || {
            errors.lines().map_while(Result::ok).collect::<Vec<_>>().join("\n")
        });
        for (victim, after) in [(1, 100), (0, 400)].into_iter().filter(|_| run == "killed") {
            let saved = |record: &Record| {
                record.step >= after && matches!(record.event, Event::Checkpoint(_))
            };
            let log = sandbox.run_folder(run).join("events.jsonl");
            let mut found = Vec::new();
            wait_until("both ranks run, and the checkpoint is there", || {
                found = ranks(&sandbox, run);
                found.len() == 2 && logged(&log, saved)
            });
            kill_process(Pid::from_raw(found[victim].1).unwrap(), Signal::KILL).unwrap();
        }
        let status = agent.wait().unwrap();
        let errors = errors.join().unwrap();
        assert!(status.success(), "{errors}");
        let resumed = |record: &&Record| matches!(record.event, Event::Resumed(_));
        let count = sandbox.records(run).iter().filter(resumed).count();
        assert_eq!(count > 0, run == "killed", "{errors}");
        models.push(
            std::fs::read(sandbox.run_folder(run).join("step-00000600/model.safetensors")).unwrap(),
        );
    }
    assert_eq!(models[0], models[1]);
}
