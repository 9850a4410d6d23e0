//! What happens around a step. [`Hooks`] has one method for each point of the [loop](super::loop), which
//! calls the hooks below in a fixed order.
//!
//! | module | what is in it |
//! |---|---|
//! | `commands` | pause, stop, save, set: by keys, signals and other processes |
//! | `workers` | several processes agree on what is asked of one |
//! | [`settings`], `kept_config` | settings that change during the run, and its `config.toml` |
//! | `evaluation` | θ and φ on validation and test data |
//! | [`probe`] | θ and φ on one batch around a sync |
//! | `checkpoints` | checkpoints of a training that continues meanwhile |
//! | `divergence` | losses and weights that are NaN or infinity |
//! | [`log`] | what is recorded: events, status, time |
//! | `losses` | losses that are still on the device |
//! | `learning` | a loss that is no better than guessing |
//! | `status` | the run's status, for whoever asks |
//! | `report`, [`throughput`], [`resources`], [`timing`] | how fast it is, what it uses, where the time goes |
//! | `folder` | whether the run's folder is where it was |

pub mod checkpoints;
mod commands;
mod divergence;
pub(crate) mod evaluation;
mod folder;
mod kept_config;
mod learning;
pub mod log;
mod losses;
pub mod probe;
mod report;
pub mod resources;
pub mod settings;
mod status;
pub mod throughput;
pub mod timing;
mod workers;

use std::ops::ControlFlow::{self, Break, Continue};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use lookahead_run::command::{Command, Setting};
use lookahead_run::event::{self, Event};
use lookahead_run::status::State;
use lookahead_run::{ControlServer, RunFolder};
use tch::Tensor;

use super::diverged::Diverged;
use super::setup::Training;
use super::state::PendingEvaluation;
use crate::checkpointing::writer::Writer;
use crate::config::mutable_keys::PERIOD;
use crate::controls::{Controls, Hangup};
use crate::observer::{Observer, Show};
use crate::panics::caught;
use checkpoints::Checkpoints;
use divergence::Saving;
use log::Events;
use probe::ProbeHook;
use report::Report;
use settings::Settings;
use timing::Phase;

/// What happens around a step: who is told, who may ask, who writes checkpoints.
#[derive(Debug)]
pub struct Hooks {
    /// What is recorded.
    pub events: Events,
    /// Who may ask.
    pub controls: Controls,
    /// Who writes checkpoints.
    pub checkpoints: Checkpoints,
    settings: Settings,
    probe: ProbeHook,
    report: Report,
    /// The k of the cycle that the present step is in.
    k: Option<u64>,
    /// When the processes met last.
    met: Instant,
    /// Where commands of other processes go.
    asked: Sender<Command>,
    /// The socket through which they come, which ends with this.
    server: Option<ControlServer>,
}

/// An inner step that was taken, or skipped.
#[derive(Debug)]
pub struct InnerStep {
    /// Its loss.
    pub loss: Tensor,
    /// The loss's value, if that is read in each step.
    pub value: Option<f64>,
    /// Its learning rate.
    pub learning_rate: f64,
    /// Why it was skipped, as a sentence, if it was.
    pub skipped: Option<String>,
}

/// Why nothing is set in a run of several processes.
const NOT_SET: &str = "While several processes train together no setting can change: stop the \
                       run and resume it with `--set`.";

/// Commands of other processes that wait for the next step, at most.
const WAITING: usize = 32;

impl Hooks {
    /// Of a run folder.
    ///
    /// # Errors
    /// If the event log can't be opened, or the system refuses a thread or a signal handler.
    pub fn new(
        folder: &RunFolder,
        t: &Training,
        show: &Show,
        hangup: Hangup,
    ) -> anyhow::Result<Self> {
        let observer = Observer::new(folder, show)?;
        let writer = Writer::new(folder.checkpoints(), observer.syncer()?)?;
        Hooks::with(observer, writer, Some(folder.clone()), t, hangup)
    }

    /// Of one of several processes that keeps no record and has no files: rank 0 has them.
    ///
    /// # Errors
    /// If the system refuses a thread or a signal handler.
    pub fn follower(t: &Training) -> anyhow::Result<Self> {
        Hooks::with(Observer::follower(), Writer::idle(), None, t, Hangup::of(true))
    }

    fn with(
        observer: Observer,
        writer: Writer,
        folder: Option<RunFolder>,
        t: &Training,
        hangup: Hangup,
    ) -> anyhow::Result<Self> {
        let (asked, remote) = crossbeam_channel::bounded(WAITING);
        let deadline = t.config.checkpoint.deadline_seconds;
        let deadline = (deadline > 0).then(|| Duration::from_secs(deadline));
        let controls = Controls::new(observer.commands(), remote, deadline, hangup)?;
        let settings = Settings::new(t.config.clone(), folder.clone());
        let report = Report::new(t.device, folder.as_ref());
        let mut probe = ProbeHook::default();
        caught(|| probe.rebuild(&t.config.probe, t))?;
        Ok(Hooks {
            events: Events::new(observer, t),
            controls,
            checkpoints: Checkpoints::new(writer, settings.clone(), folder),
            settings,
            probe,
            report,
            k: None,
            met: Instant::now(),
            asked,
            server: None,
        })
    }

    /// Opens the control socket, so that other processes can ask too; a sentence if that can't be,
    /// for example on a file system without sockets: the run continues without. `checkpoint` is the name
    /// of the one that it continues from.
    pub fn open_to_others(&mut self, t: &Training, checkpoint: Option<String>) -> Option<String> {
        let folder = self.checkpoints.folder.as_ref()?;
        let alone = t.workers.is_single();
        let settable = if alone { settings::settable(&t.config) } else { Vec::new() };
        self.events.status.begin(folder.name(), t, settable, checkpoint);
        let (asked, settings) = (self.asked.clone(), self.settings.clone());
        let theirs = self.events.status.clone();
        let accept = move |command| {
            let pass_on = |command| {
                asked.try_send(command).map_err(|_| format!("{WAITING} others wait to be done."))
            };
            match &command {
                Command::Set(_) if !alone => Err(NOT_SET.to_owned()),
                Command::Set(setting) => {
                    let unkept = settings.accept(setting, || pass_on(command.clone()))?;
                    Ok(unkept.map(|why| not_kept_yet(setting, theirs.get().step, &why)))
                }
                _ => pass_on(command).map(|()| None),
            }
        };
        let status = self.events.status.clone();
        match ControlServer::start(folder, accept, move || status.get()) {
            Ok(server) => self.server = Some(server),
            Err(error) => {
                return Some(format!("{error} The run can't be asked for anything from outside."));
            }
        }
        None
    }

    /// Before the first step of this process.
    pub fn begin(&mut self, t: &Training) {
        self.report.begin(t.device);
        self.events.timer.restart();
    }

    /// Before each step: reports a checkpoint that was written meanwhile, and does what is asked for.
    /// `Break` if the run is asked to stop.
    pub(super) fn commands(&mut self, t: &mut Training) -> anyhow::Result<ControlFlow<()>> {
        self.checkpoints.collect(t, &mut self.events)?;
        self.note_hangup(t);
        let flow = if t.workers.is_single() {
            match self.controls.poll() {
                Some(command) => self.handle_command(command, t)?,
                None => Continue(()),
            }
        } else {
            self.sync_control_flags(t)?
        };
        (self.k, _) = t.optimizer.k();
        Ok(flow)
    }

    /// Before an inner step.
    pub(super) fn before_step(&mut self, t: &mut Training) {
        t.state.in_step = true;
        self.report.throughput.step_begins();
    }

    /// Before a loss is computed: its forward pass may spoil the model's buffers.
    pub(super) fn before_loss(&mut self, t: &mut Training) -> anyhow::Result<()> {
        divergence::before_loss(t)
    }

    /// Why a step is skipped for its loss, if so.
    pub(super) fn after_loss(
        &mut self,
        t: &mut Training,
        value: Option<f64>,
    ) -> anyhow::Result<Option<String>> {
        divergence::after_loss(t, value)
    }

    /// Why a step was skipped for its gradients, if so.
    pub(super) fn after_gradients(
        &mut self,
        t: &mut Training,
        taken: bool,
    ) -> anyhow::Result<Option<String>> {
        divergence::after_gradients(t, taken)
    }

    /// After an inner step: mean of θ, log, and whether evaluations are due.
    pub(super) fn after_inner_step(
        &mut self,
        t: &mut Training,
        taken: InnerStep,
    ) -> anyhow::Result<()> {
        if let Some(average) = &mut t.average {
            average.take(&t.model.vs, t.state.step)?;
        }
        self.events.timer.step_taken();
        let samples_per_second = if self.controls.was_continued() {
            self.events.timer.restart();
            let seconds = self.events.observer.longest_silence();
            let suspended = Event::Suspended(event::Suspended { seconds });
            self.events.record(t.state.step - 1, suspended);
            self.report.throughput.step_does_not_count()
        } else {
            self.report.throughput.step_done(t.batches.global_batch_len())
        };
        let step = event::Step {
            epoch: t.batches.epoch(),
            loss: taken.value.unwrap_or(f64::NAN),
            learning_rate: taken.learning_rate,
            samples_per_second,
            phase: t.optimizer.phase(),
        };
        let epoch_completed = t.batches.advance();
        let train = &t.config.train;
        let is_last = t.state.step == t.total_steps && train.evaluate_every_epochs > 0;
        let is_due = epoch_completed && train.evaluates_after(t.batches.epoch());
        let pending = is_last || is_due;
        t.state.pending = if pending { PendingEvaluation::Both } else { PendingEvaluation::None };
        t.state.in_step = false;
        self.events.show(t, State::Training);
        if taken.value.is_some() {
            self.events.record_step(t.state.step, step);
        } else {
            self.events.timer.begin();
            self.events.record_step_later(t, &taken.loss, step)?;
            self.events.timer.end(Phase::ForwardBackward);
        }
        if epoch_completed {
            self.events.check_learning(t);
        }
        match taken.skipped {
            Some(why) => divergence::check_divergence_limit(t, &mut self.events, why),
            None => Ok(()),
        }
    }

    /// After each step and before its sync, if one is due: evaluates θ. `Break` if the run is asked to stop.
    pub(super) fn before_sync(&mut self, t: &mut Training) -> anyhow::Result<ControlFlow<()>> {
        evaluation::before_sync(t, &mut self.events, &mut self.controls)
    }

    /// Just before a sync: θ on the probe batch.
    pub(super) fn probe_before_sync(&mut self, t: &mut Training) -> anyhow::Result<()> {
        self.probe.before_sync(t, &mut self.events)
    }

    /// After a sync inside a run: log, and φ on the probe batch.
    ///
    /// # Errors
    /// [`Diverged`] if θ is NaN or infinity.
    pub(super) fn after_sync(
        &mut self,
        t: &mut Training,
        synced: lookahead_core::Result<bool>,
    ) -> anyhow::Result<()> {
        if self.record_sync(t, synced, false)? {
            t.state.diverging = 0;
        }
        Ok(())
    }

    /// As [`after_sync`](Self::after_sync), for the last sync of a run as well; returns whether it was made.
    pub(super) fn record_sync(
        &mut self,
        t: &mut Training,
        synced: lookahead_core::Result<bool>,
        last: bool,
    ) -> anyhow::Result<bool> {
        let synced = match synced {
            Err(lookahead_core::Error::NonFinite { name }) => {
                let error = Diverged::of_weights(&name, t.state.step, t.config.optimizer.lr);
                // A loss that tells the same came before it.
                self.events.read_losses(t)?;
                return Err(error.into());
            }
            synced => synced?,
        };
        self.events.timer.end(Phase::Sync);
        if !synced {
            divergence::after_roll_back(t, &mut self.events)?;
            return Ok(false);
        }
        if let Some(lookahead) = t.optimizer.lookahead() {
            let waited = lookahead.averaging_took();
            t.workers.add_wait(waited);
        }
        t.workers.average_buffers(&t.model)?;
        self.probe.after_sync(t, &mut self.events, last)?;
        Ok(true)
    }

    /// After each step and its sync: evaluates φ, saves a checkpoint, and reports. `Break` if the run is asked
    /// to stop.
    pub(super) fn after_step(&mut self, t: &mut Training) -> anyhow::Result<ControlFlow<()>> {
        settings::record_new_k(t, &mut self.events, self.k);
        self.events.show(t, State::Training);
        if evaluation::after_sync(t, &mut self.events, &mut self.controls)?.is_break() {
            return Ok(Break(()));
        }
        if self.checkpoints.is_due(t) {
            self.checkpoints.save(t, &mut self.events, Saving::Routine)?;
        }
        self.report.report(t, &mut self.events)?;
        Ok(Continue(()))
    }

    /// When the run is asked to stop: saves it.
    pub(super) fn stop(&mut self, t: &mut Training) -> anyhow::Result<()> {
        self.events.show(t, State::Stopping);
        self.checkpoints.save_and_wait(t, &mut self.events)
    }
}

/// What to say to whoever changed a setting that holds, and that the disk did not take.
fn not_kept_yet(setting: &Setting, step: u64, why: &str) -> String {
    let from = if setting.key == PERIOD { "next cycle" } else { "next step" };
    format!(
        "The run is at step {step}, and `{}` = {} holds from its {from} on, but it is not kept yet: \
         {why} The run tries again. If it is killed before, the change is lost, unless a checkpoint was \
         saved with it.",
        setting.key, setting.value
    )
}
