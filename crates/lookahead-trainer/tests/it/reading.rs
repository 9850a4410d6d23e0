//! Losses that are read from the device together.

use crate::common::{SMALL, Sandbox, failed, sets, train};
use lookahead_core::tch_ext::ops;
use lookahead_run::RunFolder;
use lookahead_run::event::Event;
use lookahead_trainer::config::Config;
use lookahead_trainer::controls::Hangup;
use lookahead_trainer::observer::Show;
use lookahead_trainer::registry::Registry;
use lookahead_trainer::train::hooks::Hooks;
use lookahead_trainer::train::r#loop::step;
use lookahead_trainer::train::setup::Training;

/// A run's events without times and speeds, which differ from run to run.
fn events(sandbox: &Sandbox, run: &str) -> Vec<String> {
    let records = sandbox.records(run).into_iter().filter_map(|record| {
        let told = match record.event {
            Event::Step(step) => format!("{:x} {} {}", step.loss.to_bits(), step.epoch, step.phase),
            Event::Sync(sync) => format!("{sync:?}"),
            Event::Probe(probe) => format!("probe {} {}", probe.fast_loss, probe.slow_loss),
            Event::Evaluation(found) => {
                format!("{:?} {:?} {}", found.weights, found.split, found.loss)
            }
            Event::Checkpoint(saved) => saved.name,
            Event::RunEnded(ended) => format!("{ended:?}"),
            // The config has the key that is tried.
            _ => return None,
        };
        Some(format!("{} {told}", record.step))
    });
    records.collect()
}

#[test]
fn reading_losses_together_changes_neither_log_nor_training() {
    let sandbox = Sandbox::new(SMALL);
    let common = ["checkpoint.every_steps=5", "probe.every_syncs=2", "train.max_steps=23"];
    let train = |run: &str, every: &str| {
        sandbox.train(run, &sets(&[&common[..], &[every]].concat()));
    };
    train("each", "train.read_loss_every=1");
    // Checkpoints are written in the background, so their events may come a step later or earlier.
    let told = |run: &str| {
        let mut events = events(&sandbox, run);
        let checkpoints =
            events.extract_if(.., |event| event.contains(" step-")).collect::<Vec<_>>();
        (events, checkpoints)
    };
    let each = told("each");
    assert!(each.0.len() > 23 + 7 + 3, "{each:?}");
    for (run, every) in [("few", "train.read_loss_every=4"), ("all", "train.read_loss_every=1000")]
    {
        train(run, every);
        assert_eq!(told(run), each);
        for step in [5, 10, 15, 20, 23] {
            assert!(sandbox.tensors(run, step) == sandbox.tensors("each", step), "{run} {step}");
        }
    }
}

#[test]
fn nan_is_found_in_the_step_where_it_was() {
    let sandbox = Sandbox::new(SMALL);
    for (name, lookahead) in [("with", "lookahead.k=3"), ("without", "lookahead=false")] {
        let mut found = Vec::new();
        for every in ["1", "10"] {
            let run = format!("{name}-{every}");
            let every = format!("train.read_loss_every={every}");
            let keys = [lookahead, &every, "optimizer.lr=1e37", "checkpoint.every_steps=0"];
            let output = sandbox.lookahead(&train(&run, &sets(&keys)));
            failed(&output, 1, &["the training diverged", "in step"]);
            found.push(events(&sandbox, &run));
        }
        assert!(found[0].len() > 1, "a step was taken before: {found:?}");
        assert_eq!(
            found[0], found[1],
            "{name}: its log ends with the same step, and the same words"
        );
    }
}

#[test]
fn skip_and_roll_back_need_every_loss() {
    let sandbox = Sandbox::new(SMALL);
    for policy in ["skip_step", "roll_back"] {
        let policy = format!("lookahead.non_finite={policy}");
        let keys = sets(&[&policy, "train.read_loss_every=2"]);
        let output = sandbox.lookahead(&train("run", &keys));
        failed(&output, 2, &["`train.read_loss_every` is 2", "Set `train.read_loss_every` to 1"]);
    }
}

/// Reading a value would wait for the GPU in each step.
#[test]
fn no_value_is_read_back_in_between() {
    let sandbox = Sandbox::new(SMALL);
    let reads = |every: u64| -> (usize, usize) {
        let quiet = "[probe]\nevery_syncs = 0\n[checkpoint]\nevery_steps = 0\n";
        let text =
            SMALL.split("[probe]").next().unwrap().replace("max_steps = 14", "max_steps = 99");
        let text = format!("{text}read_loss_every = {every}\nevaluate_every_epochs = 0\n{quiet}");
        let config =
            Config::parse(Registry::builtin().kinds(), "test.toml", &text, &[]).unwrap().config;
        let mut training = Training::new(&Registry::builtin(), config.clone(), None).unwrap();
        let name = format!("run-{every}");
        let folder = RunFolder::create(sandbox.path(), &name).unwrap();
        let show = Show { quiet: true, ..Show::default() };
        let mut hooks = Hooks::new(&folder, &training, &show, Hangup::Ignore).unwrap();
        hooks.begin(&mut training).unwrap();
        let (_, ops) = ops::record(|| {
            for _ in 0..20 {
                assert!(step(&mut training, &mut hooks).unwrap().is_continue());
            }
        });
        let count = |name: &str| ops.iter().filter(|op| op.depth == 0 && op.name == name).count();
        assert_eq!(count("aten::linear"), 40, "{ops:?}");
        // tch reads a tensor's values with a cast of it and a move to the CPU.
        (count("aten::to"), count("aten::stack"))
    };
    assert_eq!(reads(1), (20 * 2, 0));
    // One stack of ten losses, moved to the CPU, cast and read.
    assert_eq!(reads(10), (2 * 3, 2));
}
