//! Records for the tests.

use lookahead_run::event::{
    Checkpoint, Evaluation, Event, FORMAT, LookaheadInfo, Probe, Record, Resumed, RunInfo, Split,
    Step, Sync, Versions, Weights,
};

use crate::model::Model;
use crate::theme::Theme;
use crate::update::{Message, update};

pub(crate) const START: f64 = 1_700_000_000.0;

pub(crate) fn record(seconds: f64, step: u64, event: Event) -> Record {
    Record { time: START + seconds, step, event }
}

pub(crate) fn info() -> RunInfo {
    RunInfo {
        format: FORMAT,
        run: "digits-mlp".into(),
        data: "digits".into(),
        model: "mlp".into(),
        optimizer: "adam".into(),
        lookahead: Some(LookaheadInfo { k: 5, alpha: 0.5 }),
        device: "cpu".into(),
        threads: 2,
        cpu_capability: "AVX2".into(),
        parameters: 421_642,
        total_steps: 2000,
        steps_per_epoch: 250,
        train_samples: 1200,
        validation_samples: 200,
        test_samples: 397,
        seed: 1,
        versions: Versions {
            lookahead: "0.1.0".into(),
            tch: "0.26.0".into(),
            libtorch: "2.13.0".into(),
        },
        config: Default::default(),
    }
}

pub(crate) fn step(step: u64, loss: f64) -> Event {
    Event::Step(Step {
        epoch: step / 250,
        loss,
        learning_rate: 0.001,
        samples_per_second: 1234.0,
        phase: step.wrapping_sub(1) % 5 + 1,
    })
}

pub(crate) fn probe(fast_loss: f64, slow_loss: f64) -> Event {
    Event::Probe(Probe { sync: 1, fast_loss, slow_loss, seconds: 0.1 })
}

pub(crate) fn evaluation(weights: Weights, accuracy: f64) -> Event {
    Event::Evaluation(Evaluation {
        weights,
        split: Split::Validation,
        loss: 0.5,
        accuracy,
        samples: 200,
        seconds: 0.1,
    })
}

pub(crate) fn checkpoint(step: u64) -> Event {
    Event::Checkpoint(Checkpoint {
        name: format!("step-{step:08}"),
        bytes: 1_500_000,
        seconds: 0.012,
        write_seconds: 0.04,
    })
}

pub(crate) fn resumed(step: u64) -> Event {
    Event::Resumed(Resumed {
        checkpoint: format!("step-{step:08}"),
        changes: Default::default(),
        info: info(),
    })
}

pub(crate) fn model(color: bool) -> Model {
    Model::new(Theme::new(color))
}

pub(crate) fn feed(model: &mut Model, records: impl IntoIterator<Item = Record>) {
    for record in records {
        assert!(update(model, Message::Record(Box::new(record))).is_empty());
    }
}

/// A run after `steps` steps, ten a second, with all that a trainer tells.
pub(crate) fn run(color: bool, steps: u64) -> Model {
    let mut model = model(color);
    feed(&mut model, [record(0.0, 0, Event::RunStarted(info()))]);
    for number in 1..=steps {
        let seconds = number as f64 / 10.0;
        let course = 0.3 + 2.0 * (-(number as f64) / 200.0).exp();
        let wave = (number as f64 * 2.4).sin();
        let mut events = vec![step(number, course * (1.0 + 0.2 * wave))];
        if number % 5 == 0 {
            events.push(Event::Sync(Sync {
                sync: number / 5,
                alpha: 0.5,
                distance: None,
                gradient_norm: None,
            }));
            events.push(probe(course * 1.15, course * 0.9));
        }
        if number % 250 == 0 {
            events.push(evaluation(Weights::Slow, 1.0 - course / 4.0));
            events.push(evaluation(Weights::Fast, 0.98 - course / 4.0));
            events.push(checkpoint(number));
        }
        feed(&mut model, events.into_iter().map(|event| record(seconds, number, event)));
    }
    update(&mut model, Message::Tick(START + steps as f64 / 10.0));
    model
}
