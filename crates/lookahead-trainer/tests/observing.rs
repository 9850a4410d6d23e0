//! Observing changes nothing, and equal seeds give equal losses.

mod common;

use common::{SMALL, Sandbox};
use lookahead_run::event::Event;

#[test]
fn probes_evaluations_and_checkpoints_leave_every_loss_as_it_is() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("watched", &[]);
    let quiet = ["--set", "probe.every_syncs=0", "--set", "checkpoint.every_steps=0"];
    sandbox.train("quiet", &quiet);
    // Without validation data there is no evaluation in an epoch either. Then there is more to
    // train on, so both sides hold nothing out.
    let other = ["--set", "data.validation=1", "--set", "probe.every_syncs=0"];
    sandbox.train("evaluated", &other);
    let none = ["--set", "data.validation=1", "--set", "probe.every_syncs=2"];
    sandbox.train("probed", &none);

    assert_eq!(sandbox.losses("watched"), sandbox.losses("quiet"));
    assert_eq!(sandbox.losses("evaluated"), sandbox.losses("probed"));
    assert!(sandbox.tensors("watched", 14) == sandbox.tensors("quiet", 14));
    let count = |run: &str, wanted: fn(&Event) -> bool| {
        sandbox.records(run).iter().filter(|record| wanted(&record.event)).count()
    };
    let probes = |event: &Event| matches!(event, Event::Probe(_));
    let checkpoints = |event: &Event| matches!(event, Event::Checkpoint(_));
    assert_eq!((count("watched", probes), count("quiet", probes)), (4, 0));
    assert_eq!((count("watched", checkpoints), count("quiet", checkpoints)), (14, 1));
}

/// An evaluation in the middle of a cycle, where θ and φ differ, against none at all.
#[test]
fn an_evaluation_inside_a_cycle_leaves_every_loss_as_it_is() {
    let sandbox = Sandbox::new(SMALL);
    // One epoch is 4 steps or 1 step: epochs end at other phases, and the same batch size keeps
    // the batches equal. A single batch an epoch is evaluated after every step.
    let every = ["--set", "data.batch_size=1200", "--set", "train.max_steps=6"];
    sandbox.train("evaluated", &every);
    let never = ["--set", "data.validation=0", "--set", "probe.every_syncs=0"];
    let output = sandbox.train("never", &[&every[..], &never].concat());
    assert!(output.status.success());
    let evaluations = |run: &str| {
        let records = sandbox.records(run);
        records
            .iter()
            .filter(|r| matches!(&r.event, Event::Evaluation(e) if e.samples != 256))
            .count()
    };
    assert_eq!(evaluations("evaluated"), 12, "θ and φ after each of 6 epochs");
    assert_eq!(evaluations("never"), 0);
}

#[test]
fn equal_seeds_give_equal_bits_and_others_do_not() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("one", &[]);
    sandbox.train("two", &[]);
    sandbox.train("other", &["--set", "train.seed=1"]);
    assert_eq!(sandbox.losses("one"), sandbox.losses("two"));
    assert!(sandbox.tensors("one", 14) == sandbox.tensors("two", 14));
    assert_ne!(sandbox.losses("one"), sandbox.losses("other"));
}

#[test]
fn without_the_section_the_inner_optimizer_trains_alone() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("bare", &["--set", "lookahead=false"]);
    sandbox.train("alpha-one", &["--set", "lookahead.alpha=1"]);
    assert_eq!(sandbox.losses("bare"), sandbox.losses("alpha-one"));
    let records = sandbox.records("bare");
    assert!(!records.iter().any(|r| matches!(r.event, Event::Sync(_) | Event::Probe(_))));
    let config = std::fs::read_to_string(sandbox.run_folder("bare").join("config.toml")).unwrap();
    assert!(!config.contains("[lookahead]"), "{config}");
}

/// The first sync is after the k-th step, and the probe sees θ before and φ after it.
#[test]
fn syncs_and_probes_stand_where_they_belong() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "probe.every_syncs=2"]);
    let records = sandbox.records("run");
    let at = |wanted: fn(&Event) -> bool| -> Vec<u64> {
        records.iter().filter(|r| wanted(&r.event)).map(|r| r.step).collect()
    };
    assert_eq!(at(|e| matches!(e, Event::Sync(_))), [3, 6, 9, 12]);
    assert_eq!(at(|e| matches!(e, Event::Probe(_))), [6, 12]);
    for record in &records {
        if let Event::Probe(probe) = record.event {
            assert_ne!(probe.fast_loss, probe.slow_loss);
            assert!(probe.seconds > 0.0);
        }
    }
    let phases: Vec<u64> = records
        .iter()
        .filter_map(|r| if let Event::Step(step) = r.event { Some(step.phase) } else { None })
        .collect();
    assert_eq!(phases, [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]);
}
