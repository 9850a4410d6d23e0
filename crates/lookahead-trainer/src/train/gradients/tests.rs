use lookahead_run::RunFolder;
use lookahead_run::event::{Event, RunEnded, Status};

use super::*;
use crate::config::Config;
use crate::controls::Hangup;
use crate::observer::Show;
use crate::registry::Registry;
use crate::train::hook::{Hook, HookContext};
use crate::train::r#loop::train;

const CONFIG: &str = r#"
[data]
kind = "digits"
batch_size = 300
validation = 341
[model]
kind = "mlp"
hidden = [4]
[lookahead]
k = 3
[train]
max_steps = 7
threads = 1
clip_grad_norm = 1.0
[probe]
every_syncs = 0
[checkpoint]
every_steps = 0
"#;

/// Gives the gradients of step 4 NaN, though its loss is finite.
#[derive(Debug)]
struct Spoiler;

impl Hook for Spoiler {
    fn name(&self) -> &'static str {
        "spoiler"
    }

    fn after_backward(&mut self, context: &mut HookContext<'_>) -> anyhow::Result<()> {
        if context.state.step == 3 {
            let parameter = &context.optimizer.parameters()[0];
            let _ = parameter.tensor.grad().fill_(f64::NAN);
        }
        Ok(())
    }
}

/// The training, how it ended, and the warnings of one that took all steps.
fn run(spoils: bool, sets: &[&str]) -> (Training, anyhow::Result<RunEnded>, Vec<String>) {
    let sets: Vec<_> = sets.iter().map(|set| set.parse().unwrap()).collect();
    let registry = Registry::builtin();
    let config = Config::parse(registry.kinds(), "test.toml", CONFIG, &sets).unwrap().config;
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "run").unwrap();
    let mut t = Training::new(&registry, config, None).unwrap();
    let show = Show { quiet: true, ..Show::default() };
    let mut hooks = Hooks::new(&run, &t, &show, Hangup::Ignore).unwrap();
    if spoils {
        hooks.add(Box::new(Spoiler)).unwrap();
    }
    let mut ended = train(&mut t, &mut hooks);
    if let Ok(ended) = &mut ended {
        hooks.finish(&mut t, ended);
    }
    drop(hooks);
    let records = lookahead_run::log::read(&run.path().join("events.jsonl")).unwrap();
    let warnings = records.into_iter().filter_map(|record| match record.event {
        Event::Warning(warning) => Some(warning.message),
        _ => None,
    });
    (t, ended, warnings.collect())
}

fn slow(t: &mut Training) -> Vec<u8> {
    let (model, optimizer) = (&t.model, &mut t.optimizer);
    let lookahead = optimizer.lookahead().unwrap();
    lookahead.with_slow_weights(|| model.weights_as_bytes()).unwrap()
}

/// Neither θ nor φ has changed.
#[test]
fn a_gradient_norm_of_nan_ends_the_run() {
    let (mut before, ended, _) = run(false, &["train.max_steps=3"]);
    ended.unwrap();
    let (mut t, ended, _) = run(true, &[]);
    let message = ended.unwrap_err().to_string();
    assert!(message.starts_with("The norm of the gradients is NaN in step 4: "), "{message}");
    assert_eq!(t.weights_as_bytes(), before.weights_as_bytes());
    assert_eq!(slow(&mut t), slow(&mut before));

    let (before, ended, _) = run(false, &["lookahead=false", "train.max_steps=3"]);
    ended.unwrap();
    let (t, ended, _) = run(true, &["lookahead=false"]);
    let message = ended.unwrap_err().to_string();
    assert!(message.starts_with("The norm of the gradients is NaN in step 4: "), "{message}");
    assert_eq!(t.weights_as_bytes(), before.weights_as_bytes());
}

/// A warning says what was done, and the model stays finite.
#[test]
fn a_gradient_norm_of_nan_follows_the_policy() {
    for (policy, words) in
        [("skip_step", "the step was skipped"), ("roll_back", "went back to the slow ones")]
    {
        let (t, ended, warnings) = run(true, &[&format!("lookahead.non_finite={policy}")]);
        assert_eq!(ended.unwrap().status, Status::Finished, "{policy}");
        let said = warnings.iter().filter(|warning| warning.contains(words));
        assert_eq!(said.count(), 1, "{policy}: {warnings:?}");
        for parameter in t.optimizer.parameters() {
            let finite = parameter.tensor.isfinite().all().int64_value(&[]);
            assert_eq!(finite, 1, "{policy}: {}", parameter.name);
        }
    }
}
