use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tch::Device;

use super::*;
use crate::config::Config;
use crate::data::{self, Batch, Dataset, SampleKey, Samples};
use crate::registry::Registry;
use crate::train::r#loop::train;

/// Two cycles of two steps, with an evaluation at the end.
const CONFIG: &str = r#"
[data]
kind = "digits"
batch_size = 300
validation = 341
[model]
kind = "mlp"
hidden = [4]
[lookahead]
k = 2
[train]
max_steps = 4
threads = 1
[probe]
every_syncs = 0
[checkpoint]
every_steps = 0
"#;

type Calls = Rc<RefCell<Vec<String>>>;

/// Writes down when it is called, and counts the steps.
#[derive(Debug, Default)]
struct Recorder {
    calls: Calls,
    steps: u64,
}

impl Recorder {
    fn call(&self, what: impl Into<String>) -> anyhow::Result<()> {
        self.calls.borrow_mut().push(what.into());
        Ok(())
    }
}

impl Hook for Recorder {
    fn name(&self) -> &'static str {
        "recorder"
    }

    fn before_step(&mut self, _: &mut HookContext<'_>) -> anyhow::Result<()> {
        self.call("before_step")
    }

    fn after_backward(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        let gradient = context.optimizer.parameters()[0].tensor.grad();
        assert!(gradient.defined() && f64::try_from(gradient.norm())? > 0.0);
        self.call("after_backward")
    }

    fn after_inner_step(
        &mut self,
        context: &mut HookContext<'_>,
        taken: &InnerStep,
    ) -> anyhow::Result<()> {
        self.steps += 1;
        assert!(taken.value.is_some() && taken.skipped.is_none());
        self.call(format!("after_inner_step {}", context.state.step))
    }

    fn before_sync(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        assert!(context.optimizer.lookahead().unwrap().distance()? > 0.0);
        self.call("before_sync")
    }

    fn after_sync(&mut self, context: &mut HookContext<'_>, last: bool) -> anyhow::Result<()> {
        assert_eq!(context.optimizer.lookahead().unwrap().distance()?, 0.0);
        assert_eq!(last, context.state.step == 7);
        self.call("after_sync")
    }

    fn on_event(
        &mut self,
        _: &mut HookContext<'_>,
        step: u64,
        event: &Event,
    ) -> anyhow::Result<()> {
        match event {
            Event::Step(_) => self.call(format!("step {step}")),
            Event::Evaluation(found) => self.call(format!("{:?} {:?}", found.split, found.weights)),
            _ => Ok(()),
        }
    }

    fn after_step(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        self.call(format!("after_step {}", context.state.step))
    }

    fn finish(&mut self, _: &mut HookContext<'_>, ended: &mut RunEnded) {
        self.call(format!("{:?}", ended.status)).unwrap();
    }

    fn state(&self) -> Option<Value> {
        Some(json!(self.steps))
    }

    fn restore(&mut self, state: Value) -> anyhow::Result<()> {
        self.steps = serde_json::from_value(state)?;
        Ok(())
    }
}

/// A training of `steps` steps, with hooks for its run folder and a recorder among them.
fn training(run: &RunFolder, steps: u64, calls: &Calls) -> (Training, Hooks) {
    let text = CONFIG.replace("max_steps = 4", &format!("max_steps = {steps}"));
    let config =
        Config::parse(Registry::builtin().kinds(), "test.toml", &text, &[]).unwrap().config;
    let show = Show { quiet: true, ..Show::default() };
    let t = Training::new(&Registry::builtin(), config, None).unwrap();
    let mut hooks = Hooks::new(run, &t, &show, Hangup::Ignore).unwrap();
    hooks.add(Box::new(Recorder { calls: calls.clone(), steps: 0 })).unwrap();
    (t, hooks)
}

#[test]
fn hooks_are_called_in_the_order_of_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "run").unwrap();
    let calls = Calls::default();
    let (mut t, mut hooks) = training(&run, 4, &calls);
    let error = hooks.add(Box::new(Recorder::default())).unwrap_err();
    assert!(error.to_string().contains("Two hooks are named `recorder`"), "{error}");

    let mut ended = train(&mut t, &mut hooks).unwrap();
    hooks.finish(&mut t, &mut ended);
    let cycle = |first: u64| {
        let step = |step: u64| {
            let names = ["before_step", "after_backward", "step N", "after_inner_step N"];
            names.map(|name| name.replace('N', &step.to_string()))
        };
        let mut all = step(first).to_vec();
        all.push(format!("after_step {first}"));
        all.extend(step(first + 1));
        all
    };
    let mut expected = cycle(1);
    expected.extend(["before_sync", "after_sync", "after_step 2"].map(str::to_owned));
    expected.extend(cycle(3));
    let end = ["Test Fast", "Validation Fast", "before_sync", "after_sync", "Validation Slow"];
    expected.extend(end.map(str::to_owned));
    expected.extend(["after_step 4", "Test Slow", "Finished"].map(str::to_owned));
    assert_eq!(*calls.borrow(), expected);
}

#[test]
fn a_hooks_state_survives_a_resume() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "run").unwrap();
    let calls = Calls::default();
    let (mut t, mut hooks) = training(&run, 4, &calls);
    train(&mut t, &mut hooks).unwrap();
    drop(hooks);
    let (checkpoint, manifest) = run.checkpoints().at_step(4).unwrap();
    assert_eq!(manifest.metadata.train_state["hooks"]["recorder"], 4);

    let (mut t, mut hooks) = training(&run, 7, &calls);
    t.restore(&checkpoint.path, &manifest.metadata).unwrap();
    train(&mut t, &mut hooks).unwrap();
    let (_, manifest) = run.checkpoints().at_step(7).unwrap();
    assert_eq!(manifest.metadata.train_state["hooks"]["recorder"], 7);
}

/// The digits, from a source that needs a quarter of a second for each batch.
#[derive(Debug)]
struct Slow(Arc<dyn Samples>);

impl Samples for Slow {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn slice(&self, range: Range<usize>, device: Device) -> anyhow::Result<Batch> {
        self.0.slice(range, device)
    }

    fn gather(&self, indices: &[usize], key: SampleKey, device: Device) -> anyhow::Result<Batch> {
        std::thread::sleep(Duration::from_millis(250));
        self.0.gather(indices, key, device)
    }

    fn is_on_demand(&self) -> bool {
        true
    }
}

#[test]
fn waiting_for_a_slow_source_is_the_time_of_the_data() {
    let slow = Registry::builtin().data("slow", |options, context| {
        let digits = data::digits::load(options, context)?;
        Ok(Dataset { train: Arc::new(Slow(digits.train)), ..digits })
    });
    let folder = tempfile::tempdir().unwrap();
    let (mut losses, mut timing) = (Vec::new(), None);
    for kind in ["digits", "slow"] {
        let run = RunFolder::create(folder.path(), kind).unwrap();
        let text = CONFIG.replace("digits", kind).replace("max_steps = 4", "max_steps = 6");
        let config = Config::parse(slow.kinds(), "test.toml", &text, &[]).unwrap().config;
        let mut t = Training::new(&slow, config, None).unwrap();
        let show = Show { quiet: true, ..Show::default() };
        let mut hooks = Hooks::new(&run, &t, &show, Hangup::Ignore).unwrap();
        train(&mut t, &mut hooks).unwrap();
        hooks.events.observer.finish().unwrap();
        let records = lookahead_run::log::read(&run.path().join("events.jsonl")).unwrap();
        let of_steps = records.iter().filter_map(|record| match &record.event {
            Event::Step(step) => Some(step.loss.to_bits()),
            _ => None,
        });
        losses.push(of_steps.collect::<Vec<_>>());
        timing = records.into_iter().find_map(|record| match record.event {
            Event::Timing(timing) => Some(timing),
            _ => None,
        });
    }
    assert_eq!(losses[0], losses[1]);
    let timing = timing.unwrap();
    assert!(timing.data > 0.7 * timing.seconds, "{timing:?}");
}

/// Logs numbers by name after each step.
#[derive(Debug)]
struct Logs;

impl Hook for Logs {
    fn name(&self) -> &'static str {
        "logs"
    }

    fn after_step(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        let step = context.state.step as f64;
        context.log([("half a step", step / 2.0), ("a\nline", f64::NAN)]);
        Ok(())
    }
}

#[test]
fn numbers_of_a_hook_are_in_the_log_and_change_no_loss() {
    let folder = tempfile::tempdir().unwrap();
    let train = |name: &str, logs: bool| {
        let run = RunFolder::create(folder.path(), name).unwrap();
        let (mut t, mut hooks) = training(&run, 4, &Calls::default());
        if logs {
            hooks.add(Box::new(Logs)).unwrap();
        }
        let mut ended = train(&mut t, &mut hooks).unwrap();
        hooks.finish(&mut t, &mut ended);
        drop(hooks);
        let (mut losses, mut logged) = (Vec::new(), Vec::new());
        for line in std::fs::read_to_string(run.events_path()).unwrap().lines() {
            let record: lookahead_run::event::Record = serde_json::from_str(line).unwrap();
            match record.event {
                Event::Step(step) => losses.push(step.loss.to_bits()),
                Event::Scalars(scalars) => logged.push((record.step, scalars.values)),
                _ => {}
            }
        }
        (losses, logged)
    };
    let (losses, logged) = train("with", true);
    assert_eq!(logged.len(), 4);
    for (step, values) in logged {
        assert_eq!(values["half a step"], step as f64 / 2.0);
        assert!(values["a\nline"].is_nan());
    }
    assert_eq!(train("without", false), (losses, Vec::new()));
}
