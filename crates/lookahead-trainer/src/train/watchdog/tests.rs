use lookahead_run::RunFolder;
use lookahead_run::event::{Record, RolledBack, RunEnded, Status};

use super::*;
use crate::config::Config;
use crate::controls::Hangup;
use crate::observer::Show;
use crate::registry::Registry;
use crate::train::hooks::Hooks;
use crate::train::run::run_to_the_end;
use crate::train::setup::Training;

const CONFIG: &str = r#"
[data]
kind = "digits"
batch_size = 200
[model]
kind = "mlp"
hidden = [8]
batch_norm = true
[optimizer]
kind = "sgd"
lr = 0.1
momentum = 0.9
[lookahead]
k = 4
[train]
max_steps = 40
threads = 1
evaluate_every_epochs = 0
[probe]
every_syncs = 0
[checkpoint]
every_steps = 27
"#;

/// The step with the gradients that lead to the spike, which the next one shows. Both are inside a cycle.
const SPOILED: u64 = 30;

/// Makes gradients far too large, once or from then on.
#[derive(Debug)]
struct Spoiler {
    lasts: bool,
}

impl Hook for Spoiler {
    fn name(&self) -> &'static str {
        "spoiler"
    }

    fn after_backward(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        let next = context.state.step + 1;
        // A roll-back takes the step back, and not its number.
        if next == SPOILED || self.lasts && next > SPOILED {
            for parameter in context.optimizer.parameters() {
                let _ = parameter.tensor.grad().f_mul_(&tch::Tensor::from(1e4f32))?;
            }
        }
        Ok(())
    }
}

struct Run {
    folder: RunFolder,
    training: Training,
    outcome: anyhow::Result<RunEnded>,
    _temporary: tempfile::TempDir,
}

impl Run {
    fn new(sets: &[&str], spoiler: Option<Spoiler>, from: Option<&Run>) -> Run {
        Run::with_hook(sets, spoiler.map(|spoiler| Box::new(spoiler) as Box<dyn Hook>), from)
    }

    fn with_hook(sets: &[&str], hook: Option<Box<dyn Hook>>, from: Option<&Run>) -> Run {
        let sets: Vec<_> = sets.iter().map(|set| set.parse().unwrap()).collect();
        let registry = Registry::builtin();
        let config = Config::parse(registry.kinds(), "test.toml", CONFIG, &sets).unwrap().config;
        let temporary = tempfile::tempdir().unwrap();
        let folder = RunFolder::create(temporary.path(), "run").unwrap();
        let mut training = Training::new(&registry, config, None).unwrap();
        if let Some(from) = from {
            let (checkpoint, manifest) = from.folder.checkpoints().at_step(27).unwrap();
            training.restore(&checkpoint.path, &manifest.metadata).unwrap();
        }
        let show = Show { quiet: true, ..Show::default() };
        let mut hooks = Hooks::new(&folder, &training, &show, Hangup::Ignore).unwrap();
        if let Some(hook) = hook {
            hooks.add(hook).unwrap();
        }
        let outcome = run_to_the_end(&mut training, &mut hooks);
        drop(hooks);
        Run { folder, training, outcome, _temporary: temporary }
    }

    fn records(&self) -> Vec<Record> {
        lookahead_run::log::read(&self.folder.events_path()).unwrap()
    }

    fn losses(&self) -> Vec<(u64, u64)> {
        let loss = |record: &Record| match record.event {
            Event::Step(step) => Some((record.step, step.loss.to_bits())),
            _ => None,
        };
        self.records().iter().filter_map(loss).collect()
    }

    /// Those of the watchdog.
    fn warnings(&self) -> Vec<(u64, String)> {
        let warning = |record: Record| match record.event {
            Event::Warning(warning) if warning.message.contains("`watchdog.") => {
                Some((record.step, warning.message))
            }
            _ => None,
        };
        self.records().into_iter().filter_map(warning).collect()
    }

    fn roll_backs(&self) -> Vec<(u64, RolledBack)> {
        let found = |record: Record| match record.event {
            Event::RolledBack(event) => Some((record.step, event)),
            _ => None,
        };
        self.records().into_iter().filter_map(found).collect()
    }
}

fn once() -> Option<Spoiler> {
    Some(Spoiler { lasts: false })
}

#[test]
fn notes_change_no_loss_and_come_once() {
    let run = Run::new(&[], once(), None);
    let off = Run::new(&["watchdog.spike=off"], once(), None);
    assert_eq!(run.losses(), off.losses());
    assert_eq!(run.training.weights_as_bytes(), off.training.weights_as_bytes());
    assert_eq!(off.warnings(), []);
    let warnings = run.warnings();
    let [(step, message)] = &warnings[..] else { panic!("{warnings:?}") };
    assert_eq!(*step, SPOILED + 1);
    assert!(message.contains("The loss jumped to"), "{message}");
}

#[test]
fn a_clean_training_has_no_alarm() {
    let run = Run::new(&[], None, None);
    assert_eq!(run.warnings(), []);
    let acting = Run::new(&["watchdog.spike=roll_back", "watchdog.stall=stop"], None, None);
    assert_eq!(acting.roll_backs(), []);
    assert_eq!(run.losses(), acting.losses());
}

/// The slow weights take no part of the spoiled cycle, and the training learns on.
#[test]
fn a_spike_is_rolled_back_before_the_sync() {
    let run = Run::new(&["watchdog.spike=roll_back", "watchdog.lr_factor=0.5"], once(), None);
    assert_eq!(run.outcome.as_ref().unwrap().status, Status::Finished);
    let found = run.roll_backs();
    let [(step, event)] = &found[..] else { panic!("{found:?}") };
    assert_eq!((*step, event.cause), (SPOILED + 1, RollBackCause::Spike));
    assert_eq!((event.count, event.lr_scale), (1, 0.5));
    let records = run.records();
    let steps = records.iter().filter_map(|record| match record.event {
        Event::Step(taken) => Some((record.step, taken)),
        _ => None,
    });
    let steps: Vec<_> = steps.collect();
    let loss = |step: u64| steps.iter().find(|(at, _)| *at == step).unwrap().1;
    assert!(loss(SPOILED + 1).loss > 3.0 * loss(SPOILED).loss, "the spike");
    assert!(loss(SPOILED + 2).loss < 1.5 * loss(SPOILED).loss, "rolled back");
    assert_eq!((loss(SPOILED + 2).phase, loss(SPOILED + 2).learning_rate), (1, 0.05));
}

#[test]
fn moments_that_are_kept_bring_the_spike_back() {
    let reset = Run::new(&["watchdog.spike=roll_back"], once(), None);
    let keep = Run::new(&["watchdog.spike=roll_back", "watchdog.moments=keep"], once(), None);
    let after = |run: &Run| run.losses()[SPOILED as usize + 1..].to_vec();
    // The step after the roll-back is at φ, whatever the moments are.
    assert_eq!(after(&keep)[0], after(&reset)[0]);
    assert_eq!(reset.roll_backs().len(), 1);
    assert!(keep.roll_backs().len() > 1, "SGD's momentum has the gradients of the spike");
}

#[test]
fn too_many_roll_backs_end_the_run_with_the_reason() {
    let spoiler = Some(Spoiler { lasts: true });
    let sets = ["watchdog.spike=roll_back", "watchdog.max_roll_backs=2"];
    let run = Run::new(&sets, spoiler, None);
    let message = run.outcome.as_ref().unwrap_err().to_string();
    assert!(message.starts_with("The loss jumped to"), "{message}");
    assert!(
        message.contains("This is roll-back 3, and `watchdog.max_roll_backs` is 2"),
        "{message}"
    );
    assert_eq!(run.roll_backs().len(), 3);
    let last = run.records().pop().unwrap();
    let Event::RunEnded(ended) = last.event else { panic!("{last:?}") };
    assert_eq!(
        (ended.status, ended.reason),
        (Status::Failed, Some(lookahead_run::event::Reason::Watchdog))
    );
    let saved = run.folder.checkpoints().at_step(last.step).unwrap().1.metadata;
    assert_eq!(saved.train_state["roll_backs"]["count"], 3);
}

#[test]
fn a_stop_saves_the_run() {
    let run = Run::new(&["watchdog.spike=stop"], once(), None);
    let message = run.outcome.as_ref().unwrap_err().to_string();
    assert!(message.ends_with("the run was stopped, and is saved."), "{message}");
    let newest = run.folder.checkpoints().list().unwrap();
    assert!(newest.iter().any(|found| found.step == SPOILED + 1), "{newest:?}");
}

/// The detector's window and the cycle's buffers come from the checkpoint.
#[test]
fn a_resumed_run_decides_as_the_one_that_went_through() {
    for action in ["note", "roll_back"] {
        let sets = [&format!("watchdog.spike={action}")[..], "watchdog.lr_factor=0.5"];
        let whole = Run::new(&sets, once(), None);
        let resumed = Run::new(&sets, once(), Some(&whole));
        assert_eq!(whole.losses()[27..], resumed.losses(), "{action}");
        assert_eq!(whole.warnings(), resumed.warnings(), "{action}");
        assert_eq!(whole.roll_backs(), resumed.roll_backs(), "{action}");
        assert_eq!(whole.training.weights_as_bytes(), resumed.training.weights_as_bytes());
    }
}

/// Requests a roll-back in a step of a training whose loss has fallen far.
#[derive(Debug)]
struct Request(RollBackCause);

impl Hook for Request {
    fn name(&self) -> &'static str {
        "request"
    }

    fn after_step(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        if context.state.step == ROLLED_BACK {
            context.request_roll_back_because(self.0, "It was requested".to_owned());
        }
        Ok(())
    }
}

/// In the step after the checkpoint of step 27, so that its state decides after a resume.
const ROLLED_BACK: u64 = 29;

/// The losses from φ on are high beside those of the cycle, and not beside those before it.
#[test]
fn a_roll_back_of_any_cause_is_no_spike() {
    let long = ["lookahead.k=1000000"];
    // φ is that of step 20, with a full window before it.
    let short = ["lookahead.k=20", "lookahead.alpha=1"];
    let common = [
        "optimizer.lr=0.5",
        "data.batch_size=1000",
        "watchdog.spike_window=20",
        "watchdog.spike_deviations=5",
        "watchdog.plateau=note",
        "watchdog.plateau_steps=10",
    ];
    for (cycle, action, cause) in [
        (&long[..], "watchdog.spike=note", RollBackCause::Requested),
        (&long, "watchdog.spike=stop", RollBackCause::Hook),
        (&long, "watchdog.spike=roll_back", RollBackCause::Requested),
        (&short, "watchdog.spike=roll_back", RollBackCause::Hook),
    ] {
        let sets = [cycle, &common, &[action]].concat();
        let run = |from: Option<&Run>| Run::with_hook(&sets, Some(Box::new(Request(cause))), from);
        let whole = run(None);
        assert_eq!(whole.outcome.as_ref().unwrap().status, Status::Finished, "{sets:?}");
        let found = whole.roll_backs();
        assert_eq!(found.len(), 1, "{found:?}");
        let loss = |step: u64| f64::from_bits(whole.losses()[step as usize - 1].1);
        assert!(loss(ROLLED_BACK + 2) > loss(ROLLED_BACK), "it goes back: {sets:?}");
        assert_eq!(whole.warnings(), [], "{sets:?}");
        let resumed = run(Some(&whole));
        assert_eq!(whole.losses()[27..], resumed.losses(), "{sets:?}");
        let state = |run: &Run| {
            let newest = run.folder.checkpoints().at_step(40).unwrap().1.metadata;
            newest.train_state["hooks"]["watchdog"].clone()
        };
        assert!(state(&whole)["at_sync"].is_object());
        assert_eq!(state(&whole), state(&resumed), "{sets:?}");
    }
}

#[test]
fn a_plateau_is_noted() {
    let sets = ["watchdog.plateau=note", "watchdog.plateau_steps=5", "optimizer.lr=0"];
    let run = Run::new(&sets, None, None);
    let warnings = run.warnings();
    let noted = warnings.iter().filter(|(_, message)| message.contains("no longer falls"));
    assert!(noted.count() >= 1, "{warnings:?}");
}
