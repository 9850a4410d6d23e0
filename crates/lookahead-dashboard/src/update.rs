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
    Record(Box<Record>),
    /// A key was pressed.
    Key(KeyEvent),
    /// The terminal has another size: only to be drawn anew.
    Resize,
    /// Another second has begun, at this Unix time.
    Tick(f64),
    /// The whole process was stopped between these Unix times, or a little within them.
    WasStopped { from: f64, to: f64 },
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
        Message::Record(record) => take_in(model, *record),
        Message::Key(key) => {
            return keys::action(&key).map_or_else(Vec::new, |action| act(model, action));
        }
        Message::Resize => {}
        Message::Tick(now) => model.now = now,
        Message::WasStopped { from, to } => model.run.clock.stand_still(from, to),
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
        Action::Suspend => model.suspend = true,
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
        Command::Set(_) => {}
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
    model.run.clock.happened(time);
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
        Event::Changed(_) | Event::Timing(_) | Event::System(_) => {}
        Event::Note(event) => note(model, time, Kind::Plain, &event.message),
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
    let text = format!("saved {} ({size}, {})", checkpoint.name, format::cost(checkpoint.seconds));
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

#[cfg(test)]
mod tests {
    use crossterm::event::{KeyCode, KeyModifiers};
    use lookahead_run::event::Warning;

    use super::*;
    use crate::fixture::{self, START, feed, record};

    fn press(model: &mut Model, letter: char) -> Vec<Command> {
        let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::NONE);
        update(model, Message::Key(key))
    }

    fn ctrl_c(model: &mut Model) -> Vec<Command> {
        let key = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
        update(model, Message::Key(key))
    }

    fn one(model: &mut Model, seconds: f64, step: u64, event: Event) {
        feed(model, [record(seconds, step, event)]);
    }

    #[test]
    fn keys_become_commands() {
        for (letter, command) in [
            ('p', Command::Pause),
            ('c', Command::Checkpoint),
            ('s', Command::Stop),
            ('q', Command::Stop),
        ] {
            let mut model = fixture::run(true, 3);
            assert_eq!(press(&mut model, letter), [command], "{letter}");
        }
        let mut model = fixture::run(true, 3);
        assert_eq!(press(&mut model, 'x'), []);
        assert_eq!(press(&mut model, '?'), []);
        assert!(model.help);
        assert_eq!(press(&mut model, 'h'), []);
        assert!(!model.help);
        press(&mut model, '?');
        update(&mut model, Message::Key(KeyEvent::new(KeyCode::Esc, KeyModifiers::NONE)));
        assert!(!model.help);
    }

    #[test]
    fn one_key_pauses_and_continues() {
        let mut model = fixture::run(true, 3);
        assert_eq!(press(&mut model, 'p'), [Command::Pause]);
        assert_eq!(model.asked, Some(Asked::Pause));
        one(&mut model, 1.0, 4, fixture::step(4, 1.0));
        assert_eq!(model.asked, Some(Asked::Pause), "a step on its way is no answer");
        one(&mut model, 1.0, 4, Event::Paused);
        assert_eq!((model.asked, model.run.state), (None, State::Paused));
        assert_eq!(press(&mut model, 'p'), [Command::Continue]);
        assert_eq!(model.run.state, State::Paused);
        one(&mut model, 9.0, 4, Event::Continued);
        assert_eq!((model.asked, model.run.state), (None, State::Training));
    }

    #[test]
    fn a_pause_can_be_taken_back_before_it_begins() {
        let mut model = fixture::run(true, 3);
        assert_eq!(press(&mut model, 'p'), [Command::Pause]);
        assert_eq!(press(&mut model, 'p'), [Command::Continue]);
        // The trainer saw both at once, never paused, and has nothing to tell but steps.
        one(&mut model, 1.0, 4, fixture::step(4, 1.0));
        assert_eq!((model.asked, model.run.state), (None, State::Training));
        assert_eq!(press(&mut model, 'p'), [Command::Pause]);
    }

    #[test]
    fn the_run_stops_once_and_takes_no_commands_afterwards() {
        let mut model = fixture::run(true, 3);
        assert_eq!(press(&mut model, 's'), [Command::Stop]);
        for letter in ['s', 'q', 'p', 'c'] {
            assert_eq!(press(&mut model, letter), []);
        }
        let end = RunEnded { status: Status::Stopped, message: None };
        one(&mut model, 2.0, 3, Event::RunEnded(end));
        for letter in ['s', 'q', 'p', 'c'] {
            assert_eq!(press(&mut model, letter), []);
        }
    }

    #[test]
    fn a_second_ctrl_c_ends_the_program() {
        let mut model = fixture::run(true, 3);
        assert_eq!(ctrl_c(&mut model), [Command::Stop]);
        assert!(!model.abort);
        assert_eq!(ctrl_c(&mut model), []);
        assert!(model.abort);
    }

    #[test]
    fn what_was_not_delivered_can_be_asked_again() {
        let mut model = fixture::run(true, 3);
        assert_eq!(press(&mut model, 's'), [Command::Stop]);
        update(&mut model, Message::Undelivered(Command::Stop));
        assert_eq!(press(&mut model, 's'), [Command::Stop]);
        let newest = model.run.messages.newest_first().next().unwrap();
        assert!(newest.text.contains("takes no commands"));
    }

    #[test]
    fn resuming_drops_what_was_abandoned() {
        let mut model = fixture::run(true, 600);
        let best = model.run.validation.slow.accuracy.max().unwrap();
        one(&mut model, 60.5, 600, checkpoint_named("later"));
        one(&mut model, 1000.0, 300, fixture::resumed(300));
        let run = &model.run;
        for history in [&run.raw, &run.smoothed, &run.probes.fast, &run.probes.slow] {
            assert!(history.last_step().unwrap() <= 300);
            assert!(history.last_step().unwrap() >= 295);
        }
        assert!(run.validation.slow.accuracy.max().unwrap() < best);
        assert_eq!(run.step, 300);
        assert_eq!(run.state, State::Training);
        assert_eq!(run.checkpoint.as_ref().unwrap().0, "step-00000300");
        assert!(run.messages.newest_first().all(|note| note.step <= 300));
        // 30 s were spent up to step 300, and 4 s since.
        update(&mut model, Message::Tick(START + 1004.0));
        assert!((model.elapsed() - 34.0).abs() < 0.2, "{}", model.elapsed());
        one(&mut model, 1005.0, 301, fixture::step(301, 0.7));
        let smoothed = model.run.smoothed.newest().unwrap();
        assert!((0.6..0.9).contains(&smoothed), "{smoothed}");
    }

    fn checkpoint_named(name: &str) -> Event {
        Event::Checkpoint(Checkpoint {
            name: name.into(),
            bytes: 1,
            seconds: 0.1,
            write_seconds: 0.2,
        })
    }

    #[test]
    fn another_run_starts_from_nothing() {
        let mut model = fixture::run(true, 600);
        one(&mut model, 100.0, 0, Event::RunStarted(fixture::info()));
        assert!(model.run.raw.is_empty());
        assert_eq!(model.run.step, 0);
        assert_eq!(model.run.clock.elapsed(START + 101.0), 1.0);
    }

    #[test]
    fn losses_that_are_not_finite_are_counted_and_break_the_lines() {
        let mut model = fixture::run(true, 10);
        one(&mut model, 1.1, 11, fixture::step(11, f64::NAN));
        one(&mut model, 1.2, 12, fixture::step(12, f64::INFINITY));
        assert!(model.run.smoothed.newest().unwrap().is_infinite());
        one(&mut model, 1.3, 13, fixture::step(13, 2.0));
        let run = &model.run;
        assert_eq!(run.raw.non_finite(), 2);
        assert!(run.smoothed.newest().unwrap().is_finite());
        assert!(run.raw.buckets().last().unwrap().gap_before);
        assert!(run.smoothed.buckets().last().unwrap().gap_before);
    }

    #[test]
    fn the_cost_of_probes_is_their_part_of_the_time() {
        let model = fixture::run(true, 100);
        // 20 probes of 0.1 s in 10 s.
        assert!((model.run.probing_cost(model.now).unwrap() - 0.2).abs() < 1e-9);
    }

    #[test]
    fn a_checkpoint_confirms_that_it_was_asked_for() {
        let mut model = fixture::run(true, 3);
        press(&mut model, 'c');
        assert!(model.checkpoint_asked);
        one(&mut model, 1.0, 3, fixture::checkpoint(3));
        assert!(!model.checkpoint_asked);
    }

    #[test]
    fn events_in_any_order_do_no_harm() {
        let mut model = fixture::model(true);
        let warning = Warning { message: "w".into() };
        let end = RunEnded { status: Status::Failed, message: Some("m".into()) };
        for event in [
            Event::Continued,
            Event::Unknown,
            Event::Warning(warning),
            Event::RunEnded(end),
            Event::Paused,
            fixture::probe(1.0, f64::NAN),
            fixture::checkpoint(9),
            fixture::resumed(4),
            fixture::step(2, 1.0),
            Event::RunStarted(fixture::info()),
        ] {
            one(&mut model, 0.0, 0, event);
        }
        assert_eq!(model.run.state, State::Training);
    }
}
