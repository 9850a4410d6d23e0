//! Runs on disk with known numbers, for tests. The evidence report's tests use them too.

use std::path::{Path, PathBuf};

use lookahead_run::event::{
    Compute, Evaluation, Event, LookaheadInfo, Parameters, Probe, Record, RunEnded, RunInfo,
    Samples, Software, Split, Status, Step, Task, Versions, Weights,
};
use lookahead_run::{EventLog, RunFolder};
use serde_json::{Value, json};

pub(super) fn info(name: &str, config: Value, seed: u64) -> RunInfo {
    let lookahead = config.get("lookahead").map(|section| LookaheadInfo {
        k: section["k"].as_u64().unwrap_or(5),
        alpha: section["alpha"].as_f64().unwrap_or(0.5),
    });
    RunInfo {
        format: 1,
        run: name.to_owned(),
        data: config["data"]["kind"].as_str().unwrap_or("digits").to_owned(),
        task: match config["data"]["kind"].as_str() {
            Some("text") => Task::Language.into(),
            _ => Task::Classification.into(),
        },
        model: "mlp".into(),
        optimizer: config["optimizer"]["kind"].as_str().unwrap_or("sgd").to_owned(),
        lookahead,
        compute: Compute { device: "cpu".into(), threads: 1, cpu_capability: "AVX2".into() },
        parameters: Parameters { trainable: 10, frozen: 0 },
        total_steps: 40,
        steps_per_epoch: 20,
        samples: Samples { train: 100, validation: 10, test: 10 },
        seed,
        software: Software { program: None, versions: Versions::default() },
        config,
    }
}

/// The numbers of a run on disk.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) config: Value,
    pub(crate) seed: u64,
    /// Validation and test accuracy; a loss is 1 less the accuracy.
    pub(crate) accuracy: Option<(f64, f64)>,
    pub(crate) ended: Option<(Status, Option<&'static str>)>,
    pub(crate) steps: u64,
}

impl Made {
    /// A run that finished.
    pub(crate) fn new(config: Value, seed: u64, validation: f64, test: f64) -> Made {
        let accuracy = Some((validation, test));
        Made { config, seed, accuracy, ended: Some((Status::Finished, None)), steps: 40 }
    }

    /// One that diverged at half of its steps.
    pub(crate) fn diverged(config: Value, seed: u64) -> Made {
        let ended = Some((Status::Failed, Some("the loss is NaN: the training diverged.")));
        Made { accuracy: None, ended, steps: 20, ..Made::new(config, seed, 0.0, 0.0) }
    }

    /// Writes it as `folder/name`.
    pub(crate) fn write(&self, folder: &Path, name: &str) -> PathBuf {
        let mut config = self.config.clone();
        config["train"]["seed"] = json!(self.seed);
        let run = RunFolder::create(folder, name).unwrap();
        run.write_config("").unwrap();
        let mut log = EventLog::open(&run.events_path()).unwrap();
        let mut time = 0.0;
        let mut append = |step: u64, event: Event| {
            time += 1.0;
            log.append(&Record { time, step, event }).unwrap();
        };
        let info = info(name, config, self.seed);
        let k = info.lookahead.map(|lookahead| lookahead.k);
        append(0, Event::RunStarted(info));
        for step in 1..=self.steps {
            let phase = k.map_or(0, |k| (step - 1) % k + 1);
            // Falls with the steps, rises within a cycle, and no two seeds are alike.
            let noise = (step * 7 + self.seed * 3) % 5;
            let loss = 2.0 / (1.0 + step as f64 / 10.0) + 0.02 * phase as f64 + 0.01 * noise as f64;
            let event =
                Step { epoch: step / 20, loss, learning_rate: 0.1, samples_per_second: 1.0, phase };
            append(step, Event::Step(event));
            if k.is_some_and(|k| phase == k) {
                let probe =
                    Probe { sync: 1, fast_loss: loss, slow_loss: loss - 0.05, seconds: 0.0 };
                append(step, Event::Probe(probe));
            }
            let Some((validation, test)) = self.accuracy else { continue };
            let weights = if k.is_some() { Weights::Slow } else { Weights::Fast };
            let mut evaluate = |split, accuracy: f64| {
                let loss = 1.0 - if accuracy.is_nan() { 0.5 } else { accuracy };
                let found =
                    Evaluation { loss, accuracy, samples: 10, ..Evaluation::new(weights, split) };
                append(step, Event::Evaluation(found));
            };
            if step % 10 == 0 {
                evaluate(Split::Validation, validation - 0.01 * ((self.steps - step) / 10) as f64);
            }
            if step == self.steps {
                evaluate(Split::Test, test);
            }
        }
        if let Some((status, message)) = self.ended {
            let message = message.map(str::to_owned);
            append(self.steps, Event::RunEnded(RunEnded { message, ..RunEnded::new(status) }));
        }
        run.path().to_owned()
    }
}
