//! What is asked of a run: pause, continue, stop, save, set.

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

use lookahead_run::command::Command;
use lookahead_run::event::Event;
use lookahead_run::status::State;

use super::Hooks;
use super::checkpoints::Saving;
use crate::controls::Request;
use crate::train::setup::Training;

/// How often a paused run looks around.
const MOMENT: Duration = Duration::from_millis(20);

impl Hooks {
    /// Does what is asked. A pause lasts until it is ended, by `Continue` or by `Stop`.
    pub(super) fn handle_command(
        &mut self,
        mut command: Command,
        t: &mut Training,
    ) -> anyhow::Result<ControlFlow<()>> {
        t.context(&mut self.events).read_losses()?;
        self.events.observer.write();
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

    /// Waits for the next request. A checkpoint on its way is reported in a pause too.
    fn wait_in_pause(&mut self, t: &Training) -> anyhow::Result<Command> {
        loop {
            self.checkpoints.collect(t, &mut self.events)?;
            self.note_hangup(t);
            match self.controls.wait(MOMENT) {
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

    /// The dashboard closed in a pause. If others can end the pause it lasts; else it ends now.
    fn on_dashboard_closed(&mut self, t: &Training) -> Option<Command> {
        if self.is_open_to_others() {
            let message = "The dashboard is gone, and the run stays paused: `lookahead ctl RUN_DIR \
                           continue` lets it go on.";
            self.events.note(t.state.step, message.to_owned());
            return None;
        }
        let message = "The dashboard ended in a pause, and nobody is left who could end that: the \
                       training goes on.";
        self.events.warn(t.state.step, message.to_owned());
        Some(Command::Continue)
    }

    /// Whether other processes can ask the run for something.
    pub(super) fn is_open_to_others(&self) -> bool {
        self.server.is_some()
    }

    /// Notes that the terminal is gone, once, if the training is to continue then.
    pub(super) fn note_hangup(&mut self, t: &Training) {
        if self.controls.terminal_is_gone() {
            let message = "The terminal is gone (SIGHUP), and the training goes on without it.";
            self.events.note(t.state.step, message.to_owned());
        }
    }
}
