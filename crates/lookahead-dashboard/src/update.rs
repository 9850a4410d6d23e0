//! How a message changes what the dashboard knows.

use crossterm::event::KeyEvent;
use lookahead_run::command::Command;
use lookahead_run::event::{
    Checkpoint, Evaluation, Event, Probe, Record, Resumed, RunEnded, RunInfo, Split, Status, Step,
    Weights,
};

use crate::format;
use crate::keys::{self, Action};
use crate::messages::Kind;
use crate::model::{Asked, Model, Run, State};

/// What can happen to a dashboard.
#[derive(Debug)]
pub(crate) enum Message {
    /// Something happened in the run.
    Record(Record),
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size: only to be drawn anew.
    Resize,
    /// Another second has begun, at this Unix time.
    Tick(f64),
    /// So many records in all found no room.
    Dropped(u64),
    /// Nobody takes commands.
    Undelivered(Command),
    /// The next frame is the last, at this Unix time.
    Closing(f64),
}

/// Changes the model, and returns what to ask of the run. It touches nothing else.
pub(crate) fn update(model: &mut Model, message: Message) -> Vec<Command> {
    match message {
        Message::Record(record) => take_in(model, record),
        Message::Key(key) => {
            return keys::action(&key).map_or_else(Vec::new, |action| act(model, action));
        }
        Message::Resize => {}
        Message::Tick(now) => model.now = now,
        Message::Dropped(count) => model.dropped = count,
        Message::Undelivered(command) => undelivered(model, command),
        Message::Closing(now) => {
            model.now = now;
            model.help = false;
            model.closing = true;
        }
    }
    Vec::new()
}

fn act(model: &mut Model, action: Action) -> Vec<Command> {
    let over = model.has_ended() || model.stop_asked;
    match action {
        Action::TogglePause if !over => {
            let (asked, command) = if model.would_continue() {
                (Asked::Continue, Command::Continue)
            } else {
                (Asked::Pause, Command::Pause)
            };
            model.asked = Some(asked);
            return vec![command];
        }
        Action::Checkpoint if !over => {
            model.checkpoint_asked = true;
            return vec![Command::Checkpoint];
        }
        Action::TogglePause | Action::Checkpoint => {}
        Action::Stop => return stop(model),
        Action::Interrupt => {
            model.interrupts += 1;
            model.abort = model.interrupts > 1;
            return stop(model);
        }
        Action::ToggleHelp => model.help = !model.help,
        Action::Close => model.help = false,
    }
    Vec::new()
}

fn stop(model: &mut Model) -> Vec<Command> {
    if model.has_ended() || model.stop_asked {
        return Vec::new();
    }
    model.stop_asked = true;
    model.asked = None;
    vec![Command::Stop]
}

/// The training takes no commands: it shows as if nothing had been asked, so that it can be
/// asked again.
fn undelivered(model: &mut Model, command: Command) {
    match command {
        Command::Pause | Command::Continue => model.asked = None,
        Command::Checkpoint => model.checkpoint_asked = false,
        Command::Stop => model.stop_asked = false,
    }
    let text = "The training takes no commands at the moment; try again.";
    note(model, model.now, Kind::Warning, text);
}

fn note(model: &mut Model, time: f64, kind: Kind, text: &str) {
    let run = &mut model.run;
    let at = run.clock.elapsed(time);
    run.messages.push(at, run.step, kind, text);
}

fn take_in(model: &mut Model, record: Record) {
    let Record { time, step, event } = record;
    match event {
        Event::RunStarted(info) => {
            model.run = Run::new();
            begin(model, info, time);
        }
        Event::Resumed(Resumed { checkpoint, info, .. }) => {
            model.run.go_back_to(step, time);
            begin(model, info, time);
            note(model, time, Kind::Plain, &format!("resumed from {checkpoint}"));
            model.run.checkpoint = Some((checkpoint, time));
        }
        Event::Step(event) => take_step(model, step, time, event),
        Event::Sync(sync) => {
            model.run.syncs.push(step, sync.sync as f64);
            model.run.alpha = Some(sync.alpha);
        }
        Event::Probe(probe) => take_probe(&mut model.run, step, probe),
        Event::Evaluation(evaluation) => take_evaluation(model, step, time, evaluation),
        Event::Checkpoint(checkpoint) => take_checkpoint(model, time, checkpoint),
        Event::Paused => {
            model.run.clock.stop(time);
            model.run.state = State::Paused;
            model.asked.take_if(|asked| *asked == Asked::Pause);
            note(model, time, Kind::Plain, "paused");
        }
        Event::Continued => {
            go_on(model, time);
            note(model, time, Kind::Plain, "continued");
        }
        Event::Warning(warning) => {
            model.run.warnings += 1;
            note(model, time, Kind::Warning, &warning.message);
        }
        Event::RunEnded(end) => take_end(model, time, end),
        Event::Unknown => {}
    }
}

fn begin(model: &mut Model, info: RunInfo, time: f64) {
    model.run.info = Some(info);
    model.run.state = State::Training;
    model.run.clock.start(time);
    // What was asked of an earlier process of the run is over.
    model.asked = None;
    model.checkpoint_asked = false;
    model.stop_asked = false;
}

fn go_on(model: &mut Model, time: f64) {
    model.run.clock.start(time);
    model.run.state = State::Training;
    model.asked.take_if(|asked| *asked == Asked::Continue);
}

fn take_step(model: &mut Model, step: u64, time: f64, event: Step) {
    // A step proves that the run goes on, whatever happened to the record that said so, or to a
    // pause that was taken back before it began.
    if model.run.state != State::Training || model.asked == Some(Asked::Continue) {
        go_on(model, time);
    }
    let run = &mut model.run;
    run.step = step;
    run.last = Some(event);
    run.raw.push(step, event.loss);
    let smoothed = run.ema.push(event.loss);
    // Where the loss is not finite the smoothed line breaks as well.
    run.smoothed.push(step, if event.loss.is_finite() { smoothed } else { event.loss });
    run.clock.step(step, time);
}

fn take_probe(run: &mut Run, step: u64, probe: Probe) {
    run.probes.fast.push(step, probe.fast_loss);
    run.probes.slow.push(step, probe.slow_loss);
    run.last_probe = Some(probe);
    let before = run.probing.newest().unwrap_or(0.0);
    run.probing.push(step, before + probe.seconds);
}

fn take_evaluation(model: &mut Model, step: u64, time: f64, evaluation: Evaluation) {
    let run = &mut model.run;
    let (evaluations, test, symbol) = match evaluation.weights {
        Weights::Slow => (&mut run.validation.slow, &mut run.test.slow, "φ"),
        Weights::Fast => (&mut run.validation.fast, &mut run.test.fast, "θ"),
    };
    let split = match evaluation.split {
        Split::Validation => {
            evaluations.loss.push(step, evaluation.loss);
            evaluations.accuracy.push(step, evaluation.accuracy);
            "validation"
        }
        Split::Test => {
            *test = Some((step, evaluation.accuracy));
            "test"
        }
    };
    let accuracy = format::percent(evaluation.accuracy, 2);
    let text = format!("{symbol} {accuracy} loss {}", format::loss(evaluation.loss));
    let at = run.clock.elapsed(time);
    run.messages.push_topic(at, step, split, &text);
}

fn take_checkpoint(model: &mut Model, time: f64, checkpoint: Checkpoint) {
    model.checkpoint_asked = false;
    let size = format::bytes(checkpoint.bytes);
    let seconds = format::significant(checkpoint.seconds, 2);
    let text = format!("checkpoint {}, {size} in {seconds} s", checkpoint.name);
    note(model, time, Kind::Plain, &text);
    model.run.checkpoint = Some((checkpoint.name, time));
}

fn take_end(model: &mut Model, time: f64, end: RunEnded) {
    model.run.clock.stop(time);
    model.run.state = State::Ended(end.status);
    model.asked = None;
    let (kind, text) = match end.status {
        Status::Finished => (Kind::Good, "finished"),
        Status::Stopped => (Kind::Plain, "stopped, with a checkpoint saved"),
        Status::Failed => (Kind::Bad, "failed"),
    };
    match end.message {
        Some(message) => note(model, time, kind, &format!("{text}: {message}")),
        None => note(model, time, kind, text),
    }
}
