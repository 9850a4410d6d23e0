//! Records and sessions for the tests.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use lookahead_run::event::{
    Checkpoint, Compute, Evaluation, Event, FORMAT, LookaheadInfo, MetricInfo, Parameters, Probe,
    Record, Resumed, RunEnded, RunInfo, Samples, Software, Split, Status, Step, Sync, System, Task,
    Timing, Versions, Weights,
};

use lookahead_run::{Best, RunFolder, settings};

use crate::message::{Effect, Message, RunUpdate};
use crate::model::table::{Row, RowState, Table, TableUpdate};
use crate::model::{Model, Role};
use crate::options::Options;
use crate::theme::ThemeName;
use crate::update::update;

pub(crate) const START: f64 = 1_700_000_000.0;

pub(crate) fn record(seconds: f64, step: u64, event: Event) -> Record {
    Record { time: START + seconds, step, event }
}

pub(crate) fn info() -> RunInfo {
    RunInfo {
        format: FORMAT,
        run: "digits-mlp".into(),
        data: "digits".into(),
        task: Task::Classification.into(),
        model: "mlp".into(),
        optimizer: "adam".into(),
        lookahead: Some(LookaheadInfo { k: 5, alpha: 0.5 }),
        compute: Compute { device: "cpu".into(), threads: 2, cpu_capability: "AVX2".into() },
        parameters: Parameters { trainable: 421_642, frozen: 0 },
        total_steps: 2000,
        steps_per_epoch: 250,
        samples: Samples { train: 1200, validation: 200, test: 397 },
        seed: 1,
        software: Software {
            program: None,
            versions: Versions {
                lookahead: "0.1.0".into(),
                tch: "0.26.0".into(),
                libtorch: "2.13.0".into(),
            },
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
        loss: 0.5,
        accuracy,
        samples: 200,
        seconds: 0.1,
        ..Evaluation::new(weights, Split::Validation)
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

pub(crate) fn options(theme: ThemeName) -> Options {
    Options { theme, ascii: false, mouse: false, folder: None }
}

pub(crate) fn model(color: bool) -> Model {
    let theme = if color { ThemeName::Dark } else { ThemeName::None };
    Model::new(&options(theme), Role::Trainer, &["digits-mlp".into()])
}

pub(crate) fn feed(model: &mut Model, records: impl IntoIterator<Item = Record>) {
    feed_run(model, 0, records);
}

pub(crate) fn feed_run(model: &mut Model, run: usize, records: impl IntoIterator<Item = Record>) {
    for record in records {
        let record = RunUpdate::Record(Box::new(record));
        assert!(update(model, Message::Run(run, record)).is_empty());
    }
}

/// The events of a run after `steps` steps, ten a second, of all kinds. `rate` and `floor` shape the loss.
pub(crate) fn events(name: &str, steps: u64, rate: f64, floor: f64) -> Vec<Record> {
    let info = RunInfo { run: name.into(), ..info() };
    let mut records = vec![record(0.0, 0, Event::RunStarted(info))];
    for number in 1..=steps {
        let seconds = number as f64 / 10.0;
        let course = floor + 2.0 * (-(number as f64) / rate).exp();
        let wave = (number as f64 * 2.4).sin();
        let mut events = vec![step(number, course * (1.0 + 0.2 * wave))];
        if number % 5 == 0 {
            events.push(Event::Sync(Sync {
                sync: number / 5,
                alpha: 0.5,
                distance: Some(course * 0.3),
                gradient_norm: Some(course * 2.0),
                last: false,
            }));
            events.push(probe(course * 1.15, course * 0.9));
        }
        if number % 10 == 0 {
            events.push(Event::Timing(Timing {
                steps: 10,
                seconds: 1.0,
                data: 0.1,
                forward_backward: 0.5,
                inner_step: 0.15,
                sync: 0.05,
                probe: 0.1,
                evaluation: 0.0,
                checkpoint: 0.0,
            }));
            events.push(Event::System(System { cpu: 1.8, memory: 512_000_000, gpu: None }));
        }
        if number % 250 == 0 {
            events.push(evaluation(Weights::Slow, 1.0 - course / 4.0));
            events.push(evaluation(Weights::Fast, 0.98 - course / 4.0));
            events.push(checkpoint(number));
        }
        records.extend(events.into_iter().map(|event| record(seconds, number, event)));
    }
    records
}

/// A run after `steps` steps.
pub(crate) fn run(color: bool, steps: u64) -> Model {
    let mut model = model(color);
    feed(&mut model, events("digits-mlp", steps, 200.0, 0.3));
    update(&mut model, Message::Tick(START + steps as f64 / 10.0));
    model
}

/// Three runs: one that trains, one that has finished, and one that is hidden.
pub(crate) fn three() -> Model {
    let names = ["lookahead", "adam-alone", "sgd"].map(|name| name.to_owned());
    let mut model = Model::new(&options(ThemeName::Dark), Role::Watcher, &names);
    feed_run(&mut model, 0, events("lookahead", 1500, 200.0, 0.25));
    feed_run(&mut model, 1, events("adam-alone", 2000, 300.0, 0.35));
    let end = RunEnded::new(Status::Finished);
    feed_run(&mut model, 1, [record(200.0, 2000, Event::RunEnded(end))]);
    feed_run(&mut model, 2, events("sgd", 900, 400.0, 0.6));
    model.runs[2].hidden = true;
    update(&mut model, Message::Tick(START + 150.0));
    model
}

/// A dashboard whose user presses keys, and whose runs report what happens.
pub(crate) struct Session(pub(crate) Model);

impl Deref for Session {
    type Target = Model;

    fn deref(&self) -> &Model {
        &self.0
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Model {
        &mut self.0
    }
}

impl Session {
    /// Of a run after `steps` steps.
    pub(crate) fn of_run(steps: u64) -> Session {
        Session(run(true, steps))
    }

    pub(crate) fn send(&mut self, message: Message) -> Vec<Effect> {
        update(&mut self.0, message)
    }

    pub(crate) fn held(&mut self, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
        self.send(Message::Key(KeyEvent::new(code, modifiers)))
    }

    pub(crate) fn key(&mut self, code: KeyCode) -> Vec<Effect> {
        self.held(code, KeyModifiers::NONE)
    }

    /// Presses letters, and returns the effects of the last.
    pub(crate) fn press(&mut self, letters: &str) -> Vec<Effect> {
        letters.chars().map(|letter| self.key(KeyCode::Char(letter))).last().unwrap_or_default()
    }

    /// Enters a line that begins with `:` or `/`.
    pub(crate) fn enter(&mut self, line: &str) -> Vec<Effect> {
        self.press(line);
        self.key(KeyCode::Enter)
    }

    pub(crate) fn tell(&mut self, run: usize, update: RunUpdate) {
        assert!(self.send(Message::Run(run, update)).is_empty());
    }

    /// An event of the first run.
    pub(crate) fn event(&mut self, seconds: f64, step: u64, event: Event) {
        feed(&mut self.0, [record(seconds, step, event)]);
    }

    pub(crate) fn tick(&mut self, seconds: f64) {
        self.send(Message::Tick(START + seconds));
    }

    /// Takes the notice away.
    pub(crate) fn notice(&mut self) -> String {
        self.dialogs.notice.take().map(|(text, _)| text).unwrap_or_default()
    }

    /// The newest message of the selected run.
    pub(crate) fn newest(&self) -> &str {
        &self.run().messages.newest_first().next().unwrap().text
    }

    /// Seconds of training of the selected run.
    pub(crate) fn elapsed(&self) -> f64 {
        self.run().clock.elapsed(self.now)
    }
}

/// A row of the table: a run of 100 steps.
pub(crate) fn row(name: &str, state: RowState, step: u64, seconds: f64) -> Row {
    let label = match state {
        RowState::Waiting => "waiting",
        RowState::Running => "running",
        RowState::Finished => "finished",
        RowState::Stopped => "stopped",
        RowState::Failed => "failed",
        RowState::Unreadable => "unreadable",
    };
    let has_begun = step > 0;
    Row {
        name: name.to_owned(),
        // One that begins later needs no files.
        folder: RunFolder::open_or_await(&std::env::temp_dir().join(name)).unwrap(),
        state,
        label,
        step,
        total: has_begun.then_some(100),
        loss: None,
        best: None,
        settings: Arc::default(),
        first: has_begun.then_some(START),
        last: has_begun.then_some(START + seconds),
        idle: Some(0.0),
        fault: None,
    }
}

/// A table of five runs: finished, running, failed, unreadable, and one that has not begun.
pub(crate) fn table() -> Table {
    let run = |name, state, step, seconds, loss, accuracy, config| Row {
        loss: Some(loss),
        best: Some(Best { step, metric: MetricInfo::accuracy(), value: accuracy }),
        settings: Arc::new(settings::all(&config)),
        ..row(name, state, step, seconds)
    };
    let config = |lr: f64, seed: u64| serde_json::json!({"optimizer": {"kind": "sgd", "lr": lr}, "train": {"seed": seed, "epochs": 3}});
    let broken = Row {
        fault: Some("Line 1 of checkpoints/broken/events.jsonl is not an event.".into()),
        total: None,
        first: None,
        last: None,
        ..row("broken", RowState::Unreadable, 0, 0.0)
    };
    let rows = vec![
        run("lr0.1-s0", RowState::Finished, 100, 100.0, 0.25, 0.96, config(0.1, 0)),
        run("lr0.1-s1", RowState::Running, 50, 160.0, 0.5, 0.91, config(0.1, 1)),
        run("lr0.3-s0", RowState::Failed, 25, 120.0, 2.5, 0.5, config(0.3, 0)),
        broken,
        row("next", RowState::Waiting, 0, 0.0),
    ];
    let mut table = Table::new("sweep rates", Some(12));
    table.apply(TableUpdate {
        rows: rows.into_iter().enumerate().map(|(number, row)| (number, Some(row))).collect(),
        keys: Some(vec!["optimizer.lr".into(), "train.seed".into()]),
        unread: 0,
    });
    table
}

/// A watcher of that table.
pub(crate) fn browser() -> Session {
    let mut model = Model::new(&options(ThemeName::Dark), Role::Watcher, &[]);
    model.table = Some(table());
    update(&mut model, Message::Tick(START + 300.0));
    Session(model)
}
