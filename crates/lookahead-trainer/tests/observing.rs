//! Observing changes nothing, and equal seeds give equal losses.

mod common;

use common::{SMALL, Sandbox, stderr};
use lookahead_run::event::{Event, Split};

#[test]
fn probes_evaluations_and_checkpoints_leave_every_loss_as_it_is() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("watched", &[]);
    let quiet = ["--set", "probe.every_syncs=0", "--set", "checkpoint.every_steps=0"];
    sandbox.train("quiet", &quiet);

    assert_eq!(sandbox.losses("watched"), sandbox.losses("quiet"));
    assert!(sandbox.tensors("watched", 14) == sandbox.tensors("quiet", 14));
    let count = |run: &str, wanted: fn(&Event) -> bool| {
        sandbox.records(run).iter().filter(|record| wanted(&record.event)).count()
    };
    let probes = |event: &Event| matches!(event, Event::Probe(_));
    let checkpoints = |event: &Event| matches!(event, Event::Checkpoint(_));
    assert_eq!((count("watched", probes), count("quiet", probes)), (4, 0));
    assert_eq!((count("watched", checkpoints), count("quiet", checkpoints)), (14, 1));
}

/// Evaluations in the middle of cycles, where θ and φ differ, against none at all.
#[test]
fn an_evaluation_inside_a_cycle_leaves_every_loss_as_it_is() {
    let sandbox = Sandbox::new(SMALL);
    // A single batch an epoch: the end of an epoch, with its evaluation, follows every step.
    let every = ["--set", "data.batch_size=1200", "--set", "train.max_steps=8"];
    sandbox.train("evaluated", &every);
    let never = ["--set", "train.evaluate_every_epochs=0"];
    sandbox.train("never", &[&every[..], &never].concat());
    let third = ["--set", "train.evaluate_every_epochs=3"];
    sandbox.train("third", &[&every[..], &third].concat());

    let evaluations = |run: &str, wanted: Split| -> Vec<u64> {
        let records = sandbox.records(run);
        let on = |event: &Event| matches!(event, Event::Evaluation(e) if e.split == wanted);
        records.iter().filter(|r| on(&r.event)).map(|r| r.step).collect()
    };
    let both = |steps: &[u64]| steps.iter().flat_map(|&step| [step, step]).collect::<Vec<_>>();
    assert_eq!(evaluations("evaluated", Split::Validation), both(&[1, 2, 3, 4, 5, 6, 7, 8]));
    assert_eq!(evaluations("third", Split::Validation), both(&[3, 6, 8]));
    assert!(evaluations("never", Split::Validation).is_empty());
    assert_eq!(evaluations("never", Split::Test), [8, 8], "the result is told all the same");
    for run in ["never", "third"] {
        assert_eq!(sandbox.losses("evaluated"), sandbox.losses(run));
        for step in 1..=8 {
            let same = sandbox.tensors("evaluated", step) == sandbox.tensors(run, step);
            assert!(same, "{run}: θ, φ, inner state or generator differ after step {step}");
        }
    }
}

#[test]
fn equal_seeds_give_equal_bits_and_others_do_not() {
    let sandbox = Sandbox::new(SMALL);
    let output = sandbox.train("one", &[]);
    assert!(stderr(&output).contains("on cpu with 1 thread\n"), "{}", stderr(&output));
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
