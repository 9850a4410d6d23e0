//! Requests to a run: pause, continue, stop, save, set.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

use lookahead_run::command::Command;
use lookahead_run::event::Event;
use lookahead_run::program_name;
use lookahead_run::status::State;

use super::Hooks;
use super::checkpoints::Saving;
use crate::controls::Request;
use crate::train::setup::Training;

/// How often a paused run checks for events.
const POLL: Duration = Duration::from_millis(20);

impl Hooks {
    /// Carries out a request. A pause lasts until `Continue` or `Stop`.
    pub(super) fn handle_command(
        &mut self,
        mut command: Command,
        t: &mut Training,
    ) -> anyhow::Result<ControlFlow<()>> {
        t.context(&mut self.events).read_losses()?;
        self.events.observer.write();
        let _rest = self.events.step_clock.rest();
        let mut paused = false;
        let mut since = Instant::now();
        loop {
            match command {
                Command::Stop => return Ok(Break(())),
                Command::Checkpoint => {
                    self.save(t, Saving::Requested)?;
                }
                Command::Pause if !paused => {
                    self.events.record(t.state.step, Event::Paused);
                    paused = true;
                    since = Instant::now();
                }
                Command::Continue if paused => {
                    self.events.record(t.state.step, Event::Continued);
                    paused = false;
                    self.events.timer.leave_out(since.elapsed());
                }
                Command::Pause | Command::Continue => {}
                Command::RollBack => self.roll_back_as_requested(t)?,
                Command::Set(setting) => {
                    self.settings.set(&setting, t, &mut self.events)?;
                }
            }
            let state = if paused { State::Paused } else { State::Training };
            self.events.show(&t.progress(), state);
            if !paused {
                return Ok(Continue(()));
            }
            command = self.wait_in_pause(t)?;
        }
    }

    /// Waits for the next request, and reports a checkpoint that is written meanwhile.
    fn wait_in_pause(&mut self, t: &Training) -> anyhow::Result<Command> {
        loop {
            self.checkpoints.collect(t, &mut self.events)?;
            self.note_hangup(t);
            match self.controls.wait(POLL) {
                Request::Command(command) => return Ok(command),
                Request::Timeout => {}
                Request::DashboardClosed => {
                    self.events.observer.close_dashboard();
                    if let Some(command) = self.on_dashboard_closed(t) {
                        return Ok(command);
                    }
                }
            }
        }
    }

    /// The dashboard was closed during a pause, which lasts only if another process can end it.
    fn on_dashboard_closed(&mut self, t: &Training) -> Option<Command> {
        if self.is_open_to_others() {
            let message = format!(
                "The dashboard was closed, and the run stays paused. `{} ctl RUN continue` continues it.",
                program_name()
            );
            self.events.note(t.state.step, message);
            return None;
        }
        let message = "The dashboard was closed during a pause, and nothing else can end it, so the training \
                       continues.";
        self.events.warn(t.state.step, message.to_owned());
        Some(Command::Continue)
    }

    /// Whether other processes can send requests.
    pub(super) fn is_open_to_others(&self) -> bool {
        self.server.is_some()
    }

    /// Notes once that the terminal was closed, if the training continues without it.
    pub(super) fn note_hangup(&mut self, t: &Training) {
        if self.controls.terminal_was_closed() {
            let message = "The terminal was closed (SIGHUP). The training continues without it.";
            self.events.note(t.state.step, message.to_owned());
        }
    }
}
