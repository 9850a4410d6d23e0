//! Several processes of which one differs: it dies, fails, or has another loss.

use std::fs;
use std::path::Path;

use lookahead_run::event::{Event, Record, RollBackCause, RolledBack, Step};
use lookahead_trainer::config::Config;
use lookahead_trainer::data::SampleKey;
use lookahead_trainer::data::batches::Batches;
use lookahead_trainer::registry::Registry;
use lookahead_trainer::tensor_file::TensorFile;
use serde_json::Value;
use tch::{Device, Tensor};

use crate::common::ranks::{ends, start, start_each, succeed};
use crate::common::{SMALL, Sandbox, failed, sets, signal, stderr, write_npy};

fn train<'a>(run: &'a str, keys: &[&'a str]) -> Vec<&'a str> {
    let first = ["train", "test.toml", "--out", "runs", "--name", run, "--quiet"];
    [&first[..], &sets(keys)].concat()
}

// ---- Alerts

const ENDLESS: [&str; 4] = [
    "distributed.mode=local",
    "distributed.timeout_seconds=60",
    "train.max_steps=10000000",
    "checkpoint.every_steps=0",
];

/// The key that adds every alert to a file of the sandbox.
fn to_a_file(sandbox: &Sandbox) -> String {
    let path = sandbox.path().join("received");
    format!("alert.command=[\"sh\", \"-c\", \"cat >>'{0}'; echo >>'{0}'\"]", path.display())
}

/// Expects one alert, of a failure, and returns its reason.
#[track_caller]
fn failure(sandbox: &Sandbox) -> String {
    let text = fs::read_to_string(sandbox.path().join("received")).unwrap_or_default();
    let all: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [alert] = &all[..] else { panic!("{all:?}") };
    assert_eq!((&alert["alert"], &alert["run"]), (&"failed".into(), &"run".into()), "{alert}");
    let folder = Path::new(alert["folder"].as_str().unwrap()).canonicalize().unwrap();
    assert_eq!(folder, sandbox.run_folder("run").canonicalize().unwrap());
    assert!(alert["step"].as_u64().unwrap() > 0, "{alert}");
    alert["reason"].as_str().unwrap().to_owned()
}

/// Rank 0 alerts, or rank 1 if it is rank 0 that is gone.
#[test]
fn the_death_of_a_process_alerts_once_and_names_it() {
    for victim in 0..3 {
        let sandbox = Sandbox::new(SMALL);
        let command = to_a_file(&sandbox);
        let arguments = [&train("run", &ENDLESS)[..], &sets(&[&command])].concat();
        let mut ranks = start(&sandbox, 3, &arguments);
        sandbox.wait_for("run", &mut ranks[0], |record| record.step > 20);
        signal(&ranks[victim], "KILL");
        let survivors = ends(ranks).into_iter().enumerate().filter(|(rank, _)| *rank != victim);
        for (rank, output) in survivors {
            assert_eq!(output.status.code(), Some(1), "{rank}: {}", stderr(&output));
        }
        let reason = failure(&sandbox);
        assert!(reason.contains(&format!("Rank {victim} does not answer")), "{victim}: {reason}");
    }
}

/// A loss of rank 1 only, which ends it and with it rank 0.
#[test]
fn an_error_of_another_process_alerts_once_and_names_it() {
    let sandbox = Regression { samples: 400, outliers: &[(1, 8, 1e30)] }.sandbox();
    let command = to_a_file(&sandbox);
    let keys = ["distributed.mode=local", "train.max_steps=12", &command];
    for (rank, output) in ends(start(&sandbox, 2, &train("run", &keys))).iter().enumerate() {
        failed(output, 1, &["The loss is inf in step 8"]);
        assert_eq!(stderr(output).contains("Rank 1 of 2 ended"), rank == 0, "{}", stderr(output));
    }
    let reason = failure(&sandbox);
    let words = "Rank 1 of 2 ended, and with it rank 0: The loss is inf in step 8";
    assert!(reason.contains(words), "{reason}");
}

/// Rank 0 has waited in vain for rank 1, which was frozen, and has alerted and ended.
#[test]
fn a_process_that_wakes_up_after_the_end_of_rank_0_does_not_alert_again() {
    let sandbox = Sandbox::new(SMALL);
    let command = to_a_file(&sandbox);
    let keys = [&ENDLESS[..], &["distributed.timeout_seconds=15", &command]].concat();
    let mut ranks = start(&sandbox, 2, &train("run", &keys));
    sandbox.wait_for("run", &mut ranks[0], |record| record.step > 40);
    signal(&ranks[1], "STOP");
    let frozen = ranks.pop().unwrap();
    let output = ranks.pop().unwrap().wait_with_output().unwrap();
    failed(&output, 1, &["Rank 1 does not answer"]);
    signal(&frozen, "CONT");
    failed(&frozen.wait_with_output().unwrap(), 1, &["Rank 0 does not answer"]);
    let reason = failure(&sandbox);
    assert!(reason.contains("Rank 1 does not answer"), "{reason}");
}

/// The address is in the environment of rank 0 only.
#[test]
fn an_alert_that_another_process_can_not_send_is_a_warning() {
    let sandbox = Sandbox::new(SMALL);
    let arguments = train("run", &[&ENDLESS[..], &["alert.webhook=$HOOK_OF_0"]].concat());
    let mut ranks = start_each(&sandbox, 2, &arguments, |rank, command| {
        if rank == 0 {
            command.env("HOOK_OF_0", "http://127.0.0.1:1");
        }
    });
    sandbox.wait_for("run", &mut ranks[0], |record| record.step > 20);
    signal(&ranks[0], "KILL");
    let output = ends(ranks).pop().unwrap();
    failed(&output, 1, &["Warning: `alert.webhook` is `$HOOK_OF_0`", "Rank 0 does not answer"]);
}

// ---- Losses of one rank only

/// Samples of a linear function, some of which have a target far away.
struct Regression<'a> {
    samples: usize,
    /// The rank of two that trains on it, its step, and the target.
    outliers: &'a [(usize, u64, f32)],
}

const REGRESSION: &str = r#"
[data]
kind = "arrays"
file = "FOLDER/x.npy"
targets_file = "FOLDER/y.npy"
batch_size = 8
validation = 16
[model]
kind = "mlp"
hidden = [4]
[optimizer]
kind = "sgd"
lr = 0.01
momentum = 0.9
[lookahead]
k = 3
[train]
threads = 1
[probe]
every_syncs = 0
[checkpoint]
every_steps = 1
keep = 100
"#;

impl Regression<'_> {
    /// A folder with the data, and its config.
    fn sandbox(&self) -> Sandbox {
        let sandbox = Sandbox::new("");
        let config = REGRESSION.replace("FOLDER", &sandbox.path().display().to_string());
        fs::write(sandbox.config(), &config).unwrap();
        let write = |name: &str, shape: String, values: Vec<f32>| {
            let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            write_npy(&sandbox.path().join(name), "<f4", &shape, &bytes);
        };
        // The first number of a sample is its place in the file.
        let count = self.samples;
        let inputs = (0..count).flat_map(|i| [i as f32 / 1024.0, (i * 37 % 101) as f32 / 101.0]);
        write("x.npy", format!("({count}, 2)"), inputs.collect());
        let mut targets: Vec<f32> = (0..count).map(|i| (i * 37 % 101) as f32 / 50.0).collect();
        write("y.npy", format!("({count},)"), targets.clone());
        let registry = Registry::builtin();
        let config = Config::parse(registry.kinds(), "test.toml", &config, &[]).unwrap().config;
        let data = registry.load_data(&config.data).unwrap();
        for &(rank, step, target) in self.outliers {
            let (size, seed) = (config.data.batch_size, config.train.seed);
            let mut batches = Batches::new(data.train.len(), size, seed, 0, 0).for_rank(rank, 2);
            assert!(step <= batches.per_epoch());
            for _ in 1..step {
                batches.advance();
            }
            let key = SampleKey { seed, epoch: 0, cursor: 0 };
            let batch = data.train.gather(batches.current(), key, Device::Cpu).unwrap();
            let place = batch.inputs.double_value(&[0, 0]) * 1024.0;
            targets[place.round() as usize] = target;
        }
        write("y.npy", format!("({count},)"), targets);
        sandbox
    }
}

/// The fast weights of a rank in a checkpoint, to the bit.
fn fast_weights(sandbox: &Sandbox, run: &str, rank: usize, step: u64) -> Vec<(String, Vec<u32>)> {
    let file = match rank {
        0 => "training.safetensors".to_owned(),
        rank => format!("training-rank-{rank:05}.safetensors"),
    };
    let path = sandbox.run_folder(run).join(format!("step-{step:08}")).join(file);
    let tensors = TensorFile::open(&path).unwrap().tensors().unwrap();
    let fast = tensors.into_iter().filter(|(name, _)| name.starts_with("fast/"));
    fast.map(|(name, tensor)| (name, bits(&tensor))).collect()
}

fn bits(tensor: &Tensor) -> Vec<u32> {
    let values = Vec::<f32>::try_from(tensor.flatten(0, -1)).unwrap();
    values.into_iter().map(f32::to_bits).collect()
}

fn warnings(sandbox: &Sandbox, words: &str) -> Vec<(u64, String)> {
    let found = |record: Record| match record.event {
        Event::Warning(warning) if warning.message.contains(words) => {
            Some((record.step, warning.message))
        }
        _ => None,
    };
    sandbox.records("run").into_iter().filter_map(found).collect()
}

fn roll_backs(sandbox: &Sandbox, run: &str) -> Vec<(u64, RolledBack)> {
    let found = |record: Record| match record.event {
        Event::RolledBack(event) => Some((record.step, event)),
        _ => None,
    };
    sandbox.records(run).into_iter().filter_map(found).collect()
}

/// Step 8 is the second of its cycle.
#[test]
fn infinity_on_one_rank_drops_the_step_or_the_cycle_on_all() {
    for mode in ["local", "data_parallel"] {
        for (policy, done, back_to) in [
            ("skip_step", "the step was skipped.", 7),
            ("roll_back", "the fast weights went back to the slow ones.", 6),
        ] {
            let sandbox = Regression { samples: 400, outliers: &[(1, 8, 1e30)] }.sandbox();
            let (mode, policy) =
                (format!("distributed.mode={mode}"), format!("lookahead.non_finite={policy}"));
            let keys = [&mode[..], &policy, "train.max_steps=12", "distributed.timeout_seconds=60"];
            let outputs = succeed(start(&sandbox, 2, &train("run", &keys)));
            let message = format!("The loss of another process is NaN or infinity: {done}");
            assert_eq!(warnings(&sandbox, "infinity"), [(8, message)], "{mode} {policy}");
            let said = stderr(&outputs[1]);
            assert_eq!(said.matches(&format!("The loss is inf: {done}")).count(), 1, "{said}");
            let rolled_back = roll_backs(&sandbox, "run");
            assert_eq!(rolled_back.len(), usize::from(back_to == 6), "{rolled_back:?}");

            let of = |rank, step| fast_weights(&sandbox, "run", rank, step);
            for rank in 0..2 {
                assert_eq!(of(rank, 8), of(rank, back_to), "{mode} {policy} {rank}");
                assert_ne!(of(rank, 7), of(rank, 6));
                assert_ne!(of(rank, 9), of(rank, 8));
            }
            // In the last checkpoint after a sync both have the slow weights.
            let synced = sandbox.records("run").into_iter().rev().find_map(|record| {
                let ends = matches!(record.event, Event::Step(Step { phase: 3, .. }));
                ends.then_some(record.step)
            });
            let synced = synced.unwrap();
            assert_eq!(synced, if back_to == 6 { 11 } else { 10 });
            assert_eq!(of(0, synced), of(1, synced), "{mode} {policy}");
            let folder = sandbox.run_folder("run").join(format!("step-{synced:08}"));
            let mut model = TensorFile::open(&folder.join("model.safetensors")).unwrap();
            let slow = model.tensors().unwrap().into_iter();
            let slow: Vec<_> =
                slow.map(|(name, tensor)| (format!("fast/{name}"), bits(&tensor))).collect();
            assert_eq!(of(0, synced), slow, "{mode} {policy}");
        }
    }
}

/// The second spike comes when the resumed process has taken fewer steps than a judgement needs.
#[test]
fn processes_resumed_between_two_spikes_decide_as_those_that_went_through() {
    let outliers = [(1, 29, 30.0), (0, 40, 30.0)];
    let sandbox = Regression { samples: 900, outliers: &outliers }.sandbox();
    for mode in ["local", "data_parallel"] {
        let run = |name: &str| format!("{name}-{mode}");
        let (whole, parts) = (run("whole"), run("parts"));
        let mode = format!("distributed.mode={mode}");
        let keys = [
            &mode[..],
            "distributed.timeout_seconds=60",
            "watchdog.spike=roll_back",
            "watchdog.lr_factor=0.5",
        ];
        let until = |steps| [&keys[..], &[steps]].concat();
        succeed(start(&sandbox, 2, &train(&whole, &until("train.max_steps=44"))));
        let rolled_back = roll_backs(&sandbox, &whole);
        let causes: Vec<_> = rolled_back.iter().map(|(step, event)| (*step, event.cause)).collect();
        // At the ends of their cycles.
        assert_eq!(causes, [(30, RollBackCause::Spike), (42, RollBackCause::Spike)], "{mode}");
        assert_eq!(rolled_back[1].1.lr_scale, 0.25);

        // Inside a cycle.
        succeed(start(&sandbox, 2, &train(&parts, &until("train.max_steps=35"))));
        let folder = format!("runs/{parts}");
        let resume = ["resume", &folder, "--quiet", "--set", "train.max_steps=44"];
        succeed(start(&sandbox, 2, &resume));
        assert_eq!(roll_backs(&sandbox, &parts), rolled_back, "{mode}");
        assert_eq!(sandbox.losses(&parts), sandbox.losses(&whole), "{mode}");
        assert_eq!(sandbox.tensors(&parts, 44), sandbox.tensors(&whole, 44), "{mode}");
        let of = |run| fast_weights(&sandbox, run, 1, 44);
        assert_eq!(of(&parts), of(&whole), "{mode}");
    }
}
