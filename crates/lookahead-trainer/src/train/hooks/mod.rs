//! What happens around a step. [`Hooks`] has one method for each point of the [loop](super::loop); it does what
//! the loop needs, and calls every [`Hook`] in a fixed order.
//!
//! | module | what is in it |
//! |---|---|
//! | `commands` | pause, stop, save, set: from keys, signals and other processes |
//! | `control_flags` | several processes agree on such requests |
//! | `roll_back` | θ ← φ, by request and by the watchdog |
//! | [`settings`], `kept_config` | settings that change during the run, and its `config.toml` |
//! | `evaluations` | θ and φ on validation and test data |
//! | `checkpoints` | checkpoints, written while training continues |
//! | [`events`] | what is recorded: events, status, time |
//! | `losses`, `status`, [`throughput`], [`timing`] | its parts |
//!
//! The hooks themselves, one a file:
//!
//! | module | what it does |
//! |---|---|
//! | `averaging` | updates the mean of θ or φ |
//! | `best` | keeps the best evaluation so far |
//! | `learning` | warns of a loss that is no better than guessing |
//! | `period` | records a new k that takes effect |
//! | [`probe`] | measures θ and φ on one batch around a sync |
//! | [`resources`] | records where the time goes and what the process uses |
//! | `folder` | checks that the run's folder is where it was |
//! | [`watchdog`](super::watchdog) | reacts to losses that jump or no longer fall |

mod averaging;
mod best;
pub mod checkpoints;
mod commands;
mod control_flags;
mod evaluations;
pub mod events;
mod folder;
mod kept_config;
mod learning;
mod losses;
mod period;
pub mod probe;
pub mod resources;
pub mod roll_back;
pub mod settings;
pub(crate) mod status;
pub mod throughput;
pub mod timing;

use std::ops::ControlFlow::{self, Continue};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use lookahead_run::command::Command;
use lookahead_run::event::{self, Event, RunEnded};
use lookahead_run::status::State;
use lookahead_run::words::sentences;
use lookahead_run::{ControlServer, RunFolder, program_name};

use super::diverged::Diverged;
use super::divergence::ROLLED_BACK;
use super::hook::{Hook, HookContext, InnerStep, processes_decide};
use super::setup::Training;
use super::watchdog::WatchdogHook;
use crate::checkpointing::writer::Writer;
use crate::controls::{Controls, Hangup};
use crate::hints;
use crate::observer::{Observer, Show};
use checkpoints::{Checkpoints, Saving, can_be_saved};
use events::Events;
use roll_back::NO_SLOW_WEIGHTS;
use settings::Settings;
use timing::Phase;

/// What happens around a step: what the loop needs for itself, and the hooks.
#[derive(Debug)]
pub struct Hooks {
    /// What is recorded.
    pub events: Events,
    /// Commands and signals.
    pub controls: Controls,
    /// The run's checkpoints.
    pub checkpoints: Checkpoints,
    settings: Settings,
    /// In the order in which they are called.
    list: Vec<Box<dyn Hook>>,
    /// Whether a step has begun and not ended, so that the weights belong to no step.
    in_step: bool,
    /// The loss of θ on test data after the last step, once it has been evaluated.
    pub(super) fast_test_loss: Option<f64>,
    /// Whether this one of several processes got a request to roll back, for the end of the cycle.
    roll_back_is_due: bool,
    /// When the processes last exchanged their requests.
    last_exchange: Instant,
    /// Passes commands of other processes on to the controls.
    commands: Sender<Command>,
    /// The control socket, which closes when this is dropped.
    server: Option<ControlServer>,
}

/// Commands of other processes that wait for the next step, at most.
const WAITING: usize = 32;

impl Hooks {
    /// Hooks for a run that writes to `folder`.
    ///
    /// # Errors
    /// If the event log can't be opened, or the system refuses a thread or a signal handler.
    pub fn new(
        folder: &RunFolder,
        t: &Training,
        show: &Show,
        hangup: Hangup,
    ) -> anyhow::Result<Self> {
        let mut observer = Observer::new(folder, show)?;
        if t.config.log.tensorboard {
            observer.write_tensorboard(folder);
        }
        observer.deliver_alerts(folder, &t.config.alert)?;
        let writer = Writer::new(folder.checkpoints(), observer.syncer()?)?;
        Hooks::with(observer, writer, Some(folder), t, Some(hangup))
    }

    /// Hooks for a process other than rank 0, which keeps no record and writes no files.
    ///
    /// # Errors
    /// If the system refuses a thread or a signal handler.
    pub fn follower(t: &Training) -> anyhow::Result<Self> {
        Hooks::with(Observer::follower(), Writer::idle(), None, t, Some(Hangup::of(true)))
    }

    /// Hooks for a training in memory, which keeps no record, writes no files, and leaves signals to the program.
    ///
    /// # Errors
    /// If a hook can't be made.
    pub(crate) fn in_memory(t: &Training) -> anyhow::Result<Self> {
        Hooks::with(Observer::follower(), Writer::idle(), None, t, None)
    }

    fn with(
        observer: Observer,
        writer: Writer,
        folder: Option<&RunFolder>,
        t: &Training,
        hangup: Option<Hangup>,
    ) -> anyhow::Result<Self> {
        let (commands, remote) = crossbeam_channel::bounded(WAITING);
        let deadline = t.config.checkpoint.deadline_seconds;
        let deadline = (deadline > 0).then(|| Duration::from_secs(deadline));
        let controls = match hangup {
            Some(hangup) => {
                // Of a process without a folder, another one knows where the run is.
                let resume = folder.map(|folder| hints::resume(&folder.present_path()));
                let resume = resume.unwrap_or_else(|| format!("{} resume RUN", program_name()));
                Controls::new(observer.commands(), remote, deadline, hangup, resume)?
            }
            None => Controls::without_signals(observer.commands(), remote),
        };
        let settings = Settings::new(t.registry.kinds().clone(), t.config.clone(), folder.cloned());
        Ok(Hooks {
            events: Events::new(observer, &t.config, t.device()),
            controls,
            checkpoints: Checkpoints::new(writer, settings.clone(), folder.cloned()),
            settings,
            list: builtin(t, folder)?,
            in_step: false,
            fast_test_loss: None,
            roll_back_is_due: false,
            last_exchange: Instant::now(),
            commands,
            server: None,
        })
    }

    /// Adds a hook, which is called after those that are there.
    ///
    /// # Errors
    /// If another hook has its name.
    pub fn add(&mut self, hook: Box<dyn Hook>) -> anyhow::Result<()> {
        let name = hook.name();
        anyhow::ensure!(
            self.list.iter().all(|other| other.name() != name),
            "Two hooks are named `{name}`: give one of them another name."
        );
        self.list.push(hook);
        Ok(())
    }

    /// Opens the control socket for requests of other processes. Returns a sentence if that fails, for example
    /// on a file system without sockets: the run continues without. `checkpoint` is the name of the one that
    /// it resumes from.
    pub fn open_to_others(&mut self, t: &Training, checkpoint: Option<String>) -> Option<String> {
        let folder = self.checkpoints.folder.as_ref()?;
        let settable = settings::settable(&t.config);
        self.events.status.begin(folder.name(), t.total_steps, settable, checkpoint);
        self.events.show(&t.progress(), State::Training);
        let (commands, settings) = (self.commands.clone(), self.settings.clone());
        let status = self.events.status.clone();
        let current = status.clone();
        let has_slow_weights = t.config.lookahead.is_some();
        let accept = move |command| {
            let pass_on = |command| {
                commands.try_send(command).map_err(|_| format!("{WAITING} others are waiting."))
            };
            match &command {
                Command::Set(setting) => {
                    let unkept = settings.accept(setting, || pass_on(command.clone()))?;
                    Ok(unkept.map(|why| settings::not_kept_yet(setting, current.get().step, &why)))
                }
                Command::RollBack if !has_slow_weights => Err(NO_SLOW_WEIGHTS.to_owned()),
                _ => pass_on(command).map(|()| None),
            }
        };
        match ControlServer::start(folder, accept, move || status.get()) {
            Ok(server) => {
                self.server = Some(server);
                None
            }
            Err(error) => Some(format!("{error} Other processes can't control the run.")),
        }
    }

    /// Before the first step of this process: gives the hooks their state of the checkpoint.
    ///
    /// # Errors
    /// If a hook can't use it.
    pub fn begin(&mut self, t: &mut Training) -> anyhow::Result<()> {
        for hook in &mut self.list {
            if let Some(state) = t.state.hooks.remove(hook.name()) {
                hook.restore(state)?;
            }
        }
        if self.checkpoints.folder.is_some() || !t.workers.is_single() {
            let samples = t.batches().batch_size() * t.batches().accumulate();
            let sink = self.events.observer.sink();
            self.events.step_clock.watch(&t.config.watchdog, samples, sink);
        }
        self.events.timer.restart();
        Ok(())
    }

    /// Does the same with each hook.
    fn each(
        &mut self,
        t: &mut Training,
        mut call: impl FnMut(&mut dyn Hook, &mut HookContext<'_>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut context = t.context(&mut self.events);
        self.list.iter_mut().try_for_each(|hook| call(&mut **hook, &mut context))
    }

    /// Passes what was recorded on to the hooks, and what they record about it.
    fn deliver_events(&mut self, t: &mut Training) -> anyhow::Result<()> {
        loop {
            let recent = self.events.take_recent();
            if recent.is_empty() {
                return Ok(());
            }
            for record in &recent {
                self.each(t, |hook, context| hook.on_event(context, record.step, &record.event))?;
            }
        }
    }

    /// Before each step: reports a checkpoint that was written meanwhile, and does what is requested.
    /// `Break` if that is to stop.
    pub(super) fn handle_commands(&mut self, t: &mut Training) -> anyhow::Result<ControlFlow<()>> {
        self.checkpoints.collect(t, &mut self.events)?;
        self.note_hangup(t);
        if !t.workers.is_single() {
            return self.exchange_requests(t);
        }
        match self.controls.poll() {
            Some(command) => self.handle_command(command, t),
            None => Ok(Continue(())),
        }
    }

    /// Before an inner step.
    pub(super) fn before_step(&mut self, t: &mut Training) -> anyhow::Result<()> {
        self.each(t, |hook, context| hook.before_step(context))?;
        self.in_step = true;
        self.events.throughput.step_begins();
        self.events.timer.begin();
        Ok(())
    }

    /// Between a backward pass and the inner optimizer's step.
    pub(super) fn after_backward(&mut self, t: &mut Training) -> anyhow::Result<()> {
        self.each(t, |hook, context| hook.after_backward(context))
    }

    /// After an inner step: moves to the next batch, records the step, and notes whether evaluations are due.
    pub(super) fn after_inner_step(
        &mut self,
        t: &mut Training,
        taken: InnerStep,
    ) -> anyhow::Result<()> {
        self.events.timer.step_taken();
        let samples = t.batches().global_batch_len();
        // Measured before the signal is looked for, so that a stop in between is not counted.
        let elapsed = self.events.throughput.elapsed();
        let is_unusual = || self.events.throughput.is_unusual(samples, elapsed);
        if self.controls.was_continued() || is_unusual() && self.controls.will_be_continued() {
            self.events.timer.restart();
            let seconds = self.events.observer.longest_silence();
            let suspended = Event::Suspended(event::Suspended { seconds });
            self.events.record(t.state.step - 1, suspended);
        } else {
            self.events.throughput.step_done(samples, elapsed);
        }
        let step = event::Step {
            epoch: t.state.epoch,
            loss: taken.value.unwrap_or(f64::NAN),
            learning_rate: taken.learning_rate,
            samples_per_second: self.events.throughput.samples_per_second(),
            phase: t.optimizer.phase(),
        };
        let decide = processes_decide(&t.workers, &mut t.optimizer, &t.state);
        t.next_batch();
        self.in_step = false;
        self.events.show(&t.progress(), State::Training);
        if taken.value.is_some() {
            self.events.record_step(t.state.step, step);
        } else {
            self.events.timer.begin();
            let is_time = self.events.record_step_later(t.state.step, &taken.loss, step)?;
            if is_time || decide {
                t.context(&mut self.events).read_losses()?;
            }
            self.events.timer.end(Phase::ForwardBackward);
        }
        self.deliver_events(t)?;
        self.each(t, |hook, context| hook.after_inner_step(context, &taken))?;
        if let Some(why) = taken.skipped {
            self.after_non_finite(t, why, t.guard.drops_cycles())?;
        }
        if decide {
            self.exchange_roll_back(t)?;
        }
        self.carry_out_request(t)
    }

    /// Just before a sync.
    pub(super) fn before_sync(&mut self, t: &mut Training) -> anyhow::Result<()> {
        self.each(t, |hook, context| hook.before_sync(context))?;
        self.events.timer.begin();
        Ok(())
    }

    /// After a sync that was due, or the `last` one at the end of the run; `synced` is false if θ went back to φ
    /// instead.
    ///
    /// # Errors
    /// [`Diverged`] if θ is NaN or infinity.
    pub(super) fn after_sync(
        &mut self,
        t: &mut Training,
        synced: lookahead_core::Result<bool>,
        last: bool,
    ) -> anyhow::Result<()> {
        let synced = match synced {
            Err(lookahead_core::Error::NonFinite { name }) => {
                let error = Diverged::of_weights(&name, t.state.step, t.config.optimizer.lr);
                // A loss that shows the same came before it.
                t.context(&mut self.events).read_losses()?;
                return Err(error.into());
            }
            synced => synced?,
        };
        self.events.timer.end(Phase::Sync);
        self.events.show(&t.progress(), State::Training);
        if !synced {
            t.guard.restore_cycle(&t.model)?;
            let what = format!("The weights hold NaN or infinity: {ROLLED_BACK}");
            return self.after_non_finite(t, what, true);
        }
        if let Some(lookahead) = t.optimizer.lookahead() {
            t.workers.add_wait(Duration::from_secs_f64(lookahead.last_all_reduce_seconds()));
        }
        t.workers.average_buffers(&t.model)?;
        self.each(t, |hook, context| hook.after_sync(context, last))?;
        if !last {
            t.state.diverging = 0;
        }
        Ok(())
    }

    /// After each step, its sync and its evaluations: saves a checkpoint if one is due.
    pub(super) fn after_step(&mut self, t: &mut Training) -> anyhow::Result<()> {
        self.deliver_events(t)?;
        self.each(t, |hook, context| hook.after_step(context))?;
        self.events.step_clock.step_done(t.state.step);
        if self.checkpoints.is_due(t) {
            self.save(t, Saving::Routine)?;
        }
        Ok(())
    }

    /// When the run is requested to stop: saves it.
    pub(super) fn stop(&mut self, t: &mut Training) -> anyhow::Result<()> {
        self.events.show(&t.progress(), State::Stopping);
        self.save_and_wait(t)
    }

    /// At the end of the run, before it is recorded.
    pub(crate) fn finish(&mut self, t: &mut Training, ended: &mut RunEnded) {
        // The end is what the user gets to know, even if a hook fails now.
        if let Err(error) = self.deliver_events(t) {
            self.events.warn(t.state.step, sentences(error.as_ref()));
        }
        let mut context = t.context(&mut self.events);
        self.list.iter_mut().for_each(|hook| hook.finish(&mut context, ended));
    }

    /// Saves a checkpoint while training continues, with the hooks' state.
    ///
    /// # Errors
    /// If the weights are NaN or infinity.
    pub(super) fn save(&mut self, t: &mut Training, saving: Saving) -> anyhow::Result<()> {
        let _rest = self.events.step_clock.rest();
        if !self.prepare_state(t, saving)? {
            return Ok(());
        }
        self.checkpoints.save(t, &mut self.events)
    }

    /// Saves, and waits until the checkpoint is on the disk.
    ///
    /// # Errors
    /// If the weights are NaN or infinity, or the disk keeps refusing.
    pub(super) fn save_and_wait(&mut self, t: &mut Training) -> anyhow::Result<()> {
        let _rest = self.events.step_clock.rest();
        self.prepare_state(t, Saving::Requested)?;
        self.checkpoints.save_and_wait(t, &mut self.events)
    }

    /// Before a checkpoint: puts the hooks' state into the training's, once the hooks have all losses up to here, and know of
    /// the cycle that is dropped if the weights can't be saved. Returns whether there can be a checkpoint.
    ///
    /// # Errors
    /// If a loss is NaN or infinity, or a hook fails.
    pub(super) fn prepare_state(
        &mut self,
        t: &mut Training,
        saving: Saving,
    ) -> anyhow::Result<bool> {
        t.context(&mut self.events).read_losses()?;
        if !can_be_saved(t, &mut self.events, saving)? {
            return Ok(false);
        }
        self.deliver_events(t)?;
        self.each(t, |hook, context| hook.before_checkpoint(context))?;
        self.collect_state(t);
        Ok(true)
    }

    /// Saves a training that failed as far as it got, and returns the checkpoint's name.
    ///
    /// # Errors
    /// If the failure came inside a step, so that the weights belong to no step; if the disk refuses.
    pub(super) fn rescue(&mut self, t: &mut Training) -> anyhow::Result<String> {
        let next = t.state.step + 1;
        anyhow::ensure!(!self.in_step, "Step {next} had begun and was not taken.");
        self.collect_state(t);
        self.checkpoints.rescue(t, &mut self.events)
    }

    /// Puts the hooks' state into the training's.
    fn collect_state(&self, t: &mut Training) {
        let states = self.list.iter().filter_map(|hook| Some((hook.name(), hook.state()?)));
        t.state.hooks = states.map(|(name, state)| (name.to_owned(), state)).collect();
    }
}

/// The hooks of every run.
fn builtin(t: &Training, folder: Option<&RunFolder>) -> anyhow::Result<Vec<Box<dyn Hook>>> {
    let chance = t.objective.loss_of_guessing();
    let learning = learning::LearningCheck::new(chance, &t.config.data, t.batches().per_epoch());
    let mut list: Vec<Box<dyn Hook>> = vec![
        Box::new(averaging::AveragingHook),
        Box::new(learning),
        Box::new(best::BestHook),
        Box::new(period::PeriodHook::default()),
        Box::new(probe::ProbeHook::new(&t.config.probe, &t.data, &t.model)?),
        Box::new(WatchdogHook::new(&t.config.watchdog, chance)),
    ];
    if let Some(folder) = folder {
        list.push(Box::new(folder::FolderHook::new(folder)));
    }
    list.push(Box::new(resources::ResourceHook::default()));
    list.extend(t.registry.make_hooks(&t.config)?);
    Ok(list)
}

#[cfg(test)]
mod tests;
