//! What several processes do about what is asked of one: the same, where a cycle begins, or now and then
//! within a long one.

use std::time::{Duration, Instant};

use lookahead_run::command::Command;
use lookahead_run::event::{Event, Rank, Ranks, Warning};
use lookahead_run::status::State;

use super::divergence::Saving;
use super::outside::NOT_SET;
use super::{Flow, Outside, Training, losses, saving};
use crate::controls::Request;
use crate::distributed::Wishes;

/// Steps from one meeting to the next, where there is no cycle.
const EVERY: u64 = 10;
/// And where cycles are long: whoever asks for a stop does not wait for the end of one.
const WITHIN_A_CYCLE: u64 = 100;
/// How often the processes tell each other that a pause goes on.
const PAUSE: Duration = Duration::from_millis(500);

/// Where a cycle begins, all do what any of them is asked for.
pub(super) fn meet(t: &mut Training, outside: &mut Outside) -> anyhow::Result<Flow> {
    if !is_time(t) {
        return Ok(Flow::GoOn);
    }
    losses::read(t, outside)?;
    let mut own = Wishes { checkpoint: saving::is_overdue(t), ..Wishes::default() };
    // After a signal the answer is Stop however often it is asked.
    while !own.stop
        && let Some(command) = outside.controls.poll()
    {
        wish(command, &mut own, t, outside);
    }
    let report = report(t, outside);
    let (mut all, reports) = t.team.meet(own, &report)?;
    t.met = Instant::now();
    if reports.iter().all(|report| report[1].is_finite()) {
        let rank = |report: &Vec<f64>| Rank {
            loss: report[0],
            step_seconds: report[1],
            wait_seconds: report[2],
            distance: Some(report[3]).filter(|distance| !distance.is_nan()),
        };
        let ranks: Vec<Rank> = reports.iter().map(rank).collect();
        outside.status.met(&ranks);
        outside.observer.record(t.step, Event::Ranks(Ranks { ranks }));
    }
    let waits = all.pause && !all.stop;
    if waits {
        outside.observer.record(t.step, Event::Paused);
        outside.status.show(t, State::Paused);
    }
    while all.pause && !all.stop {
        if all.checkpoint {
            saving::begin(t, outside, Saving::Asked)?;
        }
        saving::collect(t, outside)?;
        match outside.controls.wait(PAUSE) {
            Request::Asked(command) => wish(command, &mut own, t, outside),
            Request::Nothing => {}
            // Whoever could end the pause here is gone.
            Request::NoKeys => {
                outside.observer.go_on_without_dashboard();
                own.pause = outside.is_open_to_others() && own.pause;
            }
        }
        all = t.team.decide(own)?;
        own.checkpoint = false;
    }
    if waits {
        outside.observer.record(t.step, Event::Continued);
        outside.status.show(t, State::Training);
        t.clock.restart();
        t.met = Instant::now();
    }
    if all.checkpoint && !all.stop {
        saving::begin(t, outside, Saving::Asked)?;
    }
    Ok(if all.stop { Flow::Stop } else { Flow::GoOn })
}

/// How this process fared since the last meeting: mean loss, seconds a step without waiting, seconds
/// of waiting, distance of θ from the mean in the last sync. No numbers before the first step or sync.
fn report(t: &mut Training, outside: &mut Outside) -> [f64; 4] {
    let (loss, steps) = outside.observer.take_mean_loss();
    let waited = t.team.take_waited().as_secs_f64();
    let busy = (t.met.elapsed().as_secs_f64() - waited).max(0.0);
    let distance = t.optimizer.lookahead().and_then(|lookahead| lookahead.distance_from_mean());
    [loss, busy / steps as f64, waited, distance.unwrap_or(f64::NAN)]
}

/// Whether the processes meet before this step. All of them know.
fn is_time(t: &mut Training) -> bool {
    !t.is_amid_a_step()
        && match t.optimizer.lookahead() {
            Some(lookahead) => lookahead.phase() == 0 || t.step.is_multiple_of(WITHIN_A_CYCLE),
            None => t.step.is_multiple_of(EVERY),
        }
}

fn wish(command: Command, own: &mut Wishes, t: &Training, outside: &mut Outside) {
    match command {
        Command::Stop => own.stop = true,
        Command::Checkpoint => own.checkpoint = true,
        Command::Pause => own.pause = true,
        Command::Continue => own.pause = false,
        Command::Set(setting) => {
            let message = format!("`{}` was not set. {NOT_SET}", setting.key);
            outside.observer.record(t.step, Event::Warning(Warning { message }));
        }
    }
}
