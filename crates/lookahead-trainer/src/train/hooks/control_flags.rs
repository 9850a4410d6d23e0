//! Requests to a run of several processes: all exchange them at the start of a cycle, and now and then within a long
//! one, and do the same.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

use lookahead_run::command::{Command, Setting};
use lookahead_run::event::{Event, Rank, Ranks};
use lookahead_run::status::State;

use super::Hooks;
use super::checkpoints::Saving;
use super::roll_back::NO_SLOW_WEIGHTS;
use crate::controls::Request;
use crate::distributed::ControlFlags;
use crate::train::setup::Training;

/// Steps from one exchange to the next without Lookahead.
const EVERY: u64 = 10;
/// Within a long cycle, so that a request to stop does not wait for its end.
const WITHIN_A_CYCLE: u64 = 100;
/// How often the processes exchange requests in a pause.
const PAUSE: Duration = Duration::from_millis(500);

impl Hooks {
    /// All processes do what is requested of any of them. `Break` if that is to stop.
    pub(super) fn exchange_requests(
        &mut self,
        t: &mut Training,
    ) -> anyhow::Result<ControlFlow<()>> {
        if !is_time(t) {
            return Ok(Continue(()));
        }
        t.context(&mut self.events).read_losses()?;
        let overdue = self.checkpoints.is_overdue();
        let mut own = ControlFlags { checkpoint: overdue, ..ControlFlags::default() };
        let mut settings = Vec::new();
        // After a signal every poll returns Stop.
        while !own.stop
            && let Some(command) = self.controls.poll()
        {
            self.update_flags(command, &mut own, &mut settings, t);
        }
        let report = self.own_report(t);
        let (mut all, reports) = t.workers.sync_flags(own, &report)?;
        self.last_exchange = Instant::now();
        if reports.iter().all(|report| report[1].is_finite()) {
            let rank = |report: &Vec<f64>| Rank {
                loss: report[0],
                step_seconds: report[1],
                wait_seconds: report[2],
                distance: Some(report[3]).filter(|distance| !distance.is_nan()),
            };
            let ranks: Vec<Rank> = reports.iter().map(rank).collect();
            self.events.status.record_ranks(&ranks);
            self.events.record(t.state.step, Event::Ranks(Ranks { ranks }));
        }
        self.exchange_settings(t, all.settings, &mut settings)?;
        own.settings = false;
        let waits = all.pause && !all.stop;
        if waits {
            self.events.record(t.state.step, Event::Paused);
            self.events.show(&t.progress(), State::Paused);
        }
        let rest = waits.then(|| self.events.step_clock.rest());
        while all.pause && !all.stop {
            if all.checkpoint {
                self.save(t, Saving::Requested)?;
            }
            self.checkpoints.collect(t, &mut self.events)?;
            match self.controls.wait(PAUSE) {
                Request::Command(command) => {
                    self.update_flags(command, &mut own, &mut settings, t);
                }
                Request::Timeout => {}
                // The pause can no longer be ended here.
                Request::DashboardClosed => {
                    self.events.observer.close_dashboard();
                    own.pause = self.is_open_to_others() && own.pause;
                }
            }
            all = t.workers.all_reduce_flags(own)?;
            (own.checkpoint, own.settings) = (false, false);
            self.exchange_settings(t, all.settings, &mut settings)?;
        }
        drop(rest);
        if waits {
            self.events.record(t.state.step, Event::Continued);
            self.events.show(&t.progress(), State::Training);
            self.events.timer.restart();
            self.last_exchange = Instant::now();
        }
        if all.checkpoint && !all.stop {
            self.save(t, Saving::Requested)?;
        }
        Ok(if all.stop { Break(()) } else { Continue(()) })
    }

    /// This process's report since the last exchange: mean loss, seconds per step without waiting, seconds of
    /// waiting, distance of θ from the mean in the last sync. NaN before the first step or sync.
    fn own_report(&mut self, t: &mut Training) -> [f64; 4] {
        let (loss, steps) = self.events.observer.take_mean_loss();
        let waited = t.workers.take_wait().as_secs_f64();
        let busy = (self.last_exchange.elapsed().as_secs_f64() - waited).max(0.0);
        let distance = t.optimizer.lookahead().and_then(|lookahead| lookahead.distance_from_mean());
        [loss, busy / steps as f64, waited, distance.unwrap_or(f64::NAN)]
    }

    /// If there are any, all processes set rank 0's settings: only that one gets some.
    fn exchange_settings(
        &mut self,
        t: &mut Training,
        are_there: bool,
        settings: &mut Vec<Setting>,
    ) -> anyhow::Result<()> {
        if !are_there {
            return Ok(());
        }
        let all = t.workers.broadcast_bytes(&serde_json::to_vec(&std::mem::take(settings))?)?;
        let all: Vec<Setting> = serde_json::from_slice(&all)?;
        all.iter().try_for_each(|setting| self.settings.set(setting, t, &mut self.events))
    }

    /// At the end of a cycle, before its sync: all processes roll back if that is requested of one.
    pub(super) fn exchange_roll_back(&mut self, t: &mut Training) -> anyhow::Result<()> {
        if t.config.lookahead.is_none() {
            return Ok(());
        }
        let wanted = std::mem::take(&mut self.roll_back_is_due);
        let own = self.controls.take(&Command::RollBack) || wanted;
        if t.workers.means(&[f64::from(u8::from(own))])?[0] > 0.0 {
            self.roll_back_as_requested(t)?;
        }
        Ok(())
    }

    fn update_flags(
        &mut self,
        command: Command,
        own: &mut ControlFlags,
        settings: &mut Vec<Setting>,
        t: &Training,
    ) {
        match command {
            Command::Stop => own.stop = true,
            Command::Checkpoint => own.checkpoint = true,
            Command::Pause => own.pause = true,
            Command::Continue => own.pause = false,
            Command::Set(setting) => {
                settings.push(setting);
                own.settings = true;
            }
            Command::RollBack if t.config.lookahead.is_none() => {
                self.events.warn(t.state.step, NO_SLOW_WEIGHTS.to_owned());
            }
            // At the start of a cycle there is nothing to roll back: the end of this one may be meant.
            Command::RollBack => self.roll_back_is_due = true,
        }
    }
}

/// Whether the processes exchange requests before this step: the same in all.
fn is_time(t: &mut Training) -> bool {
    !t.has_pending_work()
        && match t.optimizer.lookahead() {
            Some(lookahead) => {
                lookahead.phase() == 0 || t.state.step.is_multiple_of(WITHIN_A_CYCLE)
            }
            None => t.state.step.is_multiple_of(EVERY),
        }
}
