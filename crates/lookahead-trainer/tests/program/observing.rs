//! Observing changes nothing, and equal seeds give equal losses.

use crate::common::{SMALL, Sandbox, signal, stderr, succeeded};
use lookahead_run::event::{Event, Record, Split};

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
    assert_eq!((count("watched", probes), count("quiet", probes)), (5, 0));
    assert_eq!((count("watched", checkpoints), count("quiet", checkpoints)), (14, 1));
}

/// Each module is a layer, and the layers together are as far as the whole.
#[test]
fn layers_are_parts_of_the_whole_and_leave_every_loss_as_it_is() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("plain", &[]);
    sandbox.train("layers", &["--set", "probe.layers=true"]);
    assert_eq!(sandbox.losses("plain"), sandbox.losses("layers"));
    assert!(sandbox.tensors("plain", 14) == sandbox.tensors("layers", 14));
    let records = sandbox.records("layers");
    let mut syncs = records.iter().filter_map(|record| match record.event {
        Event::Sync(sync) => Some(sync),
        _ => None,
    });
    let layers = records.iter().filter_map(|record| match &record.event {
        Event::Layers(layers) => Some(layers),
        _ => None,
    });
    let mut count = 0;
    for found in layers {
        let sync = syncs.find(|sync| sync.sync == found.sync).unwrap();
        assert!(found.names.len() > 1 && !found.names[0].ends_with("weight"), "{:?}", found.names);
        let together = |norms: &[f64]| norms.iter().fold(0.0, |sum: f64, norm| sum.hypot(*norm));
        let wholes = [sync.distance, sync.gradient_norm].map(Option::unwrap);
        let sums = [&found.distance, &found.gradient_norm].map(|norms| together(norms));
        for (whole, sum) in wholes.into_iter().zip(sums) {
            assert!((sum / whole - 1.0).abs() < 1e-4, "{sum} is not {whole}");
        }
        count += 1;
    }
    assert_eq!(count, 5);
    assert!(!sandbox.records("plain").iter().any(|r| matches!(r.event, Event::Layers(_))));
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
    // An evaluation of φ after the last sync comes last.
    let all = [both(&[1, 2, 3, 4, 5, 6, 7, 8]), vec![8]].concat();
    assert_eq!(evaluations("evaluated", Split::Validation), all);
    assert_eq!(evaluations("third", Split::Validation), both(&[3, 6, 8]));
    assert!(evaluations("never", Split::Validation).is_empty());
    assert_eq!(evaluations("never", Split::Test), [8, 8], "the result is evaluated anyway");
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
fn syncs_and_probes_come_at_their_steps() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "probe.every_syncs=2"]);
    let records = sandbox.records("run");
    let at = |wanted: fn(&Event) -> bool| -> Vec<u64> {
        records.iter().filter(|r| wanted(&r.event)).map(|r| r.step).collect()
    };
    // The last sync is of the last two steps.
    assert_eq!(at(|e| matches!(e, Event::Sync(_))), [3, 6, 9, 12, 14]);
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

/// Plain SGD with a cycle of one step: θ − φ is the learning rate times the gradient.
#[test]
fn probes_have_the_right_norms() {
    let sandbox = Sandbox::new(SMALL);
    let plain = ["--set", "lookahead.k=1", "--set", "optimizer.momentum=0"];
    sandbox.train("run", &[&plain[..], &["--set", "probe.every_syncs=2"]].concat());
    let mut measured = 0;
    for record in sandbox.records("run") {
        let Event::Sync(sync) = record.event else { continue };
        assert_eq!(sync.distance.is_some(), sync.sync % 2 == 0);
        assert_eq!(sync.gradient_norm.is_some(), sync.sync % 2 == 0);
        let (Some(distance), Some(gradient)) = (sync.distance, sync.gradient_norm) else {
            continue;
        };
        assert!(gradient > 0.0);
        assert!((distance / (0.05 * gradient) - 1.0).abs() < 1e-4, "{distance} {gradient}");
        measured += 1;
    }
    assert_eq!(measured, 7);
}

/// The parts are of the steps since the last report, and no more than all of the time.
#[test]
fn the_log_says_where_the_time_goes() {
    let sandbox = Sandbox::new(SMALL);
    let mut child = sandbox.start("run", &["--quiet", "--set", "train.max_steps=10000000"]);
    let reported = |record: &Record| matches!(record.event, Event::Timing(_));
    sandbox.wait_for("run", &mut child, reported);
    let first = sandbox.records("run").iter().find(|record| reported(record)).unwrap().step;
    sandbox.wait_for("run", &mut child, |record| reported(record) && record.step > first);
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());
    let (mut steps, mut expected) = (0, 0);
    let mut reports = 0;
    for record in sandbox.records("run") {
        match record.event {
            Event::Timing(timing) => {
                steps += timing.steps;
                expected = record.step;
                let parts = [
                    timing.data,
                    timing.forward_backward,
                    timing.inner_step,
                    timing.sync,
                    timing.probe,
                    timing.evaluation,
                    timing.checkpoint,
                ];
                assert!(parts.iter().all(|seconds| *seconds > 0.0), "{timing:?}");
                assert!(parts.iter().sum::<f64>() <= timing.seconds, "{timing:?}");
                reports += 1;
            }
            Event::System(system) => {
                assert!(system.cpu > 0.0 && system.memory > 1 << 20, "{system:?}");
                assert_eq!(system.gpu, None);
                reports -= 1;
            }
            _ => {}
        }
    }
    assert_eq!(steps, expected, "each step is in one report");
    assert_eq!(reports, 0, "one comes with the other");
}
