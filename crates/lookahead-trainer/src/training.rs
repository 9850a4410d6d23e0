//! The training loop, and what it works on.
//!
//! | module | what is in it |
//! |---|---|
//! | [`config`] | the section `[train]`: how long, from which seed, where |
//! | [`divergence`] | losses and weights that are no finite numbers |
//! | `recalibration` | batch normalization's statistics for φ, before it is evaluated or saved |

pub mod config;
pub mod divergence;
mod recalibration;

use std::time::Instant;

use anyhow::Context;
use lookahead_core::build;
use lookahead_run::command::Command;
use lookahead_run::event::{
    self, Evaluation, Event, LookaheadInfo, RunInfo, Split, Status, Versions, Warning, Weights,
};
use lookahead_run::{CheckpointStore, Details, Manifest, Published, RunFolder};
use tch::{Device, Tensor};

use crate::checkpointing;
use crate::config::Config;
use crate::controls::{Controls, Request};
use crate::data::augment::Augmenter;
use crate::data::batches::Batches;
use crate::data::{self, Dataset};
use crate::evaluation::evaluate;
use crate::model::Model;
use crate::observer::Observer;
use crate::optimizer::Optimizer;
use crate::probe::Probe;
use crate::speed::Speed;
use crate::usage::Usage;

use divergence::{
    Diverged, ROLLED_BACK, Saving, SoundBuffers, can_be_saved, go_on_or_give_up,
    keep_sound_buffers, refuse_loss, refuse_weights, take_step,
};
use recalibration::{buffers_of_phi, recalibrate};

/// A training between two steps: all that a step works on.
#[derive(Debug)]
pub struct Training {
    config: Config,
    data: Dataset,
    model: Model,
    optimizer: Optimizer,
    probe: Option<Probe>,
    batches: Batches,
    step: u64,
    total_steps: u64,
    device: Device,
    /// Whether a step has begun and not been taken: then the weights are of no step.
    in_step: bool,
    /// Steps since the last sync whose values were no finite numbers.
    diverging: u32,
    sound_buffers: SoundBuffers,
}

impl Training {
    /// Loads the data and builds model and optimizer as the seed has them at step 0.
    ///
    /// # Errors
    /// Where the data, the device or the model can't be had.
    pub fn new(config: Config) -> anyhow::Result<Self> {
        let device = config.train.device()?;
        config.train.use_threads();
        let data = data::load(&config.data)?;
        config.model.check_batches(data.train.len(), config.data.batch_size)?;
        tch::manual_seed(config.train.seed as i64);
        let model = Model::new(&config.model, &data, device)?;
        let optimizer = Optimizer::new(&config.optimizer, config.lookahead.as_ref(), &model.vs)?;
        let probe = Probe::new(&config.probe, &data, device);
        let batches =
            Batches::new(data.train.len(), config.data.batch_size, config.train.seed, 0, 0);
        let total_steps = config.train.total_steps(batches.per_epoch())?;
        Ok(Training {
            config,
            data,
            model,
            optimizer,
            probe,
            batches,
            step: 0,
            total_steps,
            device,
            in_step: false,
            diverging: 0,
            sound_buffers: SoundBuffers::default(),
        })
    }

    /// Goes to where a checkpoint was taken.
    ///
    /// # Errors
    /// Where the checkpoint does not fit; nothing of it is used then. What the user can mend, such
    /// as data of another size or a `k` that does not fit the phase, is a usage error.
    pub fn restore(&mut self, folder: &std::path::Path, manifest: &Manifest) -> anyhow::Result<()> {
        let details = &manifest.details;
        self.refuse_other_data(details)?;
        checkpointing::restore(folder, details, &self.model.vs, &mut self.optimizer)
            .with_context(|| format!("The checkpoint {} can't be used.", folder.display()))?;
        // The state brings the settings that it was taken with; the config may have others now.
        // The learning rate is set in every step.
        self.optimizer.set_weight_decay(self.config.optimizer.weight_decay.unwrap_or(0.0))?;
        if let (Some(lookahead), Some(config)) =
            (self.optimizer.lookahead(), &self.config.lookahead)
        {
            if config.adaptive_alpha == 0.0 {
                lookahead.set_alpha(config.alpha)?;
            }
            if lookahead.phase() != 0 && lookahead.k() != config.k {
                return Err(inside_a_cycle(config.k, lookahead.k(), details).into());
            }
            lookahead.set_k(config.k)?;
        }
        self.step = details.step;
        self.batches = Batches::new(
            self.data.train.len(),
            self.config.data.batch_size,
            self.config.train.seed,
            details.epoch,
            details.cursor,
        );
        Ok(())
    }

    /// The walk over the data goes on only where there is as much of it as before.
    fn refuse_other_data(&self, details: &Details) -> Result<(), Usage> {
        let found = self.data.train.len() as u64;
        let saved = details.integers.get(TRAIN_SAMPLES).map_or(found, |&n| n as u64);
        // Checkpoints of earlier versions don't tell, and a place beyond the end does.
        if saved == found && details.cursor < self.batches.per_epoch() {
            return Ok(());
        }
        Err(Usage::new(format!(
            "The training set has {found} images, and the checkpoint of step {} was taken with \
             {saved}, after {} batches of an epoch: its place in the data has no meaning in other \
             data. Let `data.dir` lead to the data that the run began with, or start a new run \
             with `lookahead train`.",
            details.step, details.cursor
        )))
    }

    /// Inner steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// Inner steps that the run will have taken at its end.
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// What the run is, for its watchers.
    pub fn info(&self, run: &str) -> RunInfo {
        let lookahead = self.config.lookahead.as_ref();
        RunInfo {
            format: event::FORMAT,
            run: run.to_owned(),
            data: self.data.name.to_owned(),
            model: self.config.model.kind.name().to_owned(),
            optimizer: self.optimizer.name().to_owned(),
            lookahead: lookahead.map(|l| LookaheadInfo { k: l.k, alpha: l.alpha }),
            device: device_name(self.device),
            threads: threads(),
            cpu_capability: build::cpu_capability(),
            parameters: self.model.parameters(),
            total_steps: self.total_steps,
            steps_per_epoch: self.batches.per_epoch(),
            train_samples: self.data.train.len() as u64,
            validation_samples: self.data.validation.len() as u64,
            test_samples: self.data.test.len() as u64,
            seed: self.config.train.seed,
            versions: versions(),
            config: self.config.to_json(),
        }
    }

    fn details(&self, state: &lookahead_core::State) -> Details {
        let mut integers = state.integers.clone();
        integers.insert(TRAIN_SAMPLES.to_owned(), self.data.train.len() as i64);
        Details {
            step: self.step,
            phase: self.optimizer.phase(),
            epoch: self.batches.epoch(),
            cursor: self.batches.cursor(),
            seed: self.config.train.seed,
            versions: versions(),
            device: device_name(self.device),
            threads: threads(),
            cpu_capability: build::cpu_capability(),
            integers,
            numbers: state.numbers.clone(),
        }
    }

    /// The batch where the walk stands: normalized images and their classes, on the device.
    fn current_batch(&self) -> (Tensor, Tensor) {
        let (epoch, cursor) = (self.batches.epoch(), self.batches.cursor());
        let seed = self.config.train.seed;
        let mut augmenter = Augmenter::new(self.config.data.augment, seed, epoch, cursor);
        let change = |image: &[u8], shape, out: &mut Vec<u8>| augmenter.apply(image, shape, out);
        self.data.train.gather(self.batches.current(), change, self.device)
    }
}

/// Where a manifest tells how large the training set was. What is under `data/` is the trainer's
/// and not the optimizer's.
const TRAIN_SAMPLES: &str = "data/train_samples";

fn inside_a_cycle(k: u64, before: u64, details: &Details) -> Usage {
    let (step, phase) = (details.step, details.phase);
    Usage::new(format!(
        "`lookahead.k` can't become {k} with {phase} inner steps of a cycle of {before} taken, as \
         in the checkpoint of step {step}: a cycle ends as it began. Leave `lookahead.k` at \
         {before}, or go on from just after a sync, such as by `--from {}` where that checkpoint \
         is kept.",
        step - phase
    ))
}

/// Threads inside one operation of libtorch.
pub fn threads() -> u32 {
    tch::get_num_threads().max(1) as u32
}

/// What runs.
pub fn versions() -> Versions {
    Versions {
        lookahead: env!("CARGO_PKG_VERSION").to_owned(),
        tch: build::TCH_VERSION.to_owned(),
        libtorch: build::libtorch_version(),
    }
}

fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}

/// Where a run's record goes and its requests come from.
#[derive(Debug)]
pub struct Outside {
    /// Who is told.
    pub observer: Observer,
    /// Who may ask.
    pub controls: Controls,
    /// Where checkpoints go.
    pub checkpoints: CheckpointStore,
}

impl Outside {
    /// Of a run folder, watched on the terminal where there is one and `tui` allows.
    ///
    /// # Errors
    /// Where the event log can't be opened.
    pub fn new(folder: &RunFolder, tui: bool) -> anyhow::Result<Self> {
        let observer = Observer::new(&folder.events_path(), tui)?;
        let controls = Controls::new(observer.commands())?;
        Ok(Outside { observer, controls, checkpoints: folder.checkpoints() })
    }
}

/// Trains from where `t` stands to its last step, or until it is asked to stop, and says which.
/// Whatever is recorded of a step is recorded before its checkpoint, so that a resumed run repeats
/// and leaves out nothing.
///
/// # Errors
/// Where a step, the log or a checkpoint fails.
pub fn train(t: &mut Training, outside: &mut Outside) -> anyhow::Result<Status> {
    let mut speed = Speed::default();
    while t.step < t.total_steps {
        if let Some(command) = outside.controls.poll()
            && obey(command, t, outside)? == Flow::Stop
        {
            save_checkpoint(t, outside, Saving::Asked)?;
            return Ok(Status::Stopped);
        }

        // One inner step: the fast weights move.
        t.in_step = true;
        speed.step_begins();
        let learning_rate =
            t.config.schedule.learning_rate(t.config.optimizer.lr, t.step, t.total_steps);
        t.optimizer.set_learning_rate(learning_rate)?;
        let (images, labels) = t.current_batch();
        keep_sound_buffers(t)?;
        let loss = t.model.forward(&images, true).cross_entropy_for_logits(&labels);
        let loss_value = f64::try_from(&loss)?;
        let gone_wrong = take_step(t, &loss, loss_value)?;
        t.step += 1;
        let step = event::Step {
            epoch: t.batches.epoch(),
            loss: loss_value,
            learning_rate,
            samples_per_second: speed.step_done(t.batches.current().len()),
            phase: t.optimizer.phase(),
        };
        let epoch_completed = t.batches.advance();
        t.in_step = false;
        outside.observer.record(t.step, Event::Step(step))?;
        if let Some(what) = gone_wrong {
            go_on_or_give_up(t, &what, outside)?;
        }

        // θ is evaluated before the sync, φ after it: where both fall on one step, a sync makes
        // them equal and there would be nothing to compare.
        let evaluate_now = evaluation_is_due(t, epoch_completed);
        if evaluate_now {
            evaluate_fast(t, Split::Validation, outside)?;
        }

        // After k of them the slow weights follow, and the fast ones restart from there.
        sync_if_due(t, outside)?;

        if evaluate_now {
            evaluate_slow(t, Split::Validation, outside)?;
        }
        let every = t.config.checkpoint.every_steps;
        if every > 0 && t.step.is_multiple_of(every) && t.step < t.total_steps {
            save_checkpoint(t, outside, Saving::Routine)?;
        }
    }
    // The last checkpoint holds the training as it stands: given more steps later, the run goes on
    // as a longer one would have. The model file in it holds φ, the result.
    save_checkpoint(t, outside, Saving::Asked)?;
    let fast = evaluate_fast(t, Split::Test, outside)?;
    let slow = evaluate_slow(t, Split::Test, outside)?;
    for result in [fast, slow].into_iter().flatten() {
        let what = "The loss on the test set";
        refuse_loss(what, result.loss, t.step, t.config.optimizer.lr)?;
    }
    Ok(Status::Finished)
}

fn evaluation_is_due(t: &Training, epoch_completed: bool) -> bool {
    let config = &t.config.train;
    let last = t.step == t.total_steps && config.evaluate_every_epochs > 0;
    last || (epoch_completed && config.evaluates_after(t.batches.epoch()))
}

/// The sync, with the loss on the probe batch just before it at θ and just after it at φ.
fn sync_if_due(t: &mut Training, outside: &mut Outside) -> anyhow::Result<()> {
    let Training { optimizer, model, probe, step, config, diverging, .. } = t;
    let Some(lookahead) = optimizer.lookahead() else { return Ok(()) };
    if !lookahead.sync_is_due() {
        return Ok(());
    }
    let probe = probe.as_ref().filter(|probe| probe.is_due(lookahead.syncs() + 1));
    let started = Instant::now();
    let fast_loss = probe.map(|probe| probe.loss(model)).transpose()?;
    let mut seconds = started.elapsed().as_secs_f64();

    let synced = match lookahead.sync_if_due() {
        Err(lookahead_core::Error::NonFinite { name }) => {
            return Err(Diverged::of_weights(&name, *step, config.optimizer.lr).into());
        }
        synced => synced?,
    };
    if !synced {
        t.sound_buffers.put_back(&t.model)?;
        let what = format!("The weights hold values that are no finite numbers: {ROLLED_BACK}");
        return go_on_or_give_up(t, &what, outside);
    }
    *diverging = 0;
    let sync = lookahead.syncs();
    let alpha = lookahead.alpha_used().unwrap_or_else(|| lookahead.alpha());
    outside.observer.record(*step, Event::Sync(event::Sync { sync, alpha }))?;

    if let (Some(probe), Some(fast_loss)) = (probe, fast_loss) {
        let started = Instant::now();
        // θ has just restarted from φ, so φ is in the model.
        let slow_loss = probe.loss(model)?;
        seconds += started.elapsed().as_secs_f64();
        let probed = event::Probe { sync, fast_loss, slow_loss, seconds };
        outside.observer.record(*step, Event::Probe(probed))?;
    }
    Ok(())
}

/// Evaluates the fast weights, which are in the model.
fn evaluate_fast(
    t: &mut Training,
    split: Split,
    outside: &mut Outside,
) -> anyhow::Result<Option<Evaluation>> {
    let Some(images) = t.data.split(split) else { return Ok(None) };
    let found = evaluate(&t.model, images, split, Weights::Fast)?;
    outside.observer.record(t.step, Event::Evaluation(found))?;
    Ok(Some(found))
}

/// Evaluates the slow weights, where there are any: the final model.
fn evaluate_slow(
    t: &mut Training,
    split: Split,
    outside: &mut Outside,
) -> anyhow::Result<Option<Evaluation>> {
    let Training { optimizer, model, data, step, config, .. } = t;
    let (Some(images), Some(lookahead)) = (data.split(split), optimizer.lookahead()) else {
        return Ok(None);
    };
    let mut at_phi = lookahead.slow_weights()?;
    recalibrate(&mut at_phi, model, data, config)?;
    let found = evaluate(model, images, split, Weights::Slow)?;
    at_phi.end()?;
    outside.observer.record(*step, Event::Evaluation(found))?;
    Ok(Some(found))
}

#[derive(PartialEq)]
enum Flow {
    GoOn,
    Stop,
}

/// Does what is asked. A pause lasts until it is ended, by `Continue` or by `Stop`.
fn obey(mut command: Command, t: &mut Training, outside: &mut Outside) -> anyhow::Result<Flow> {
    let mut paused = false;
    loop {
        match command {
            Command::Stop => return Ok(Flow::Stop),
            Command::Checkpoint => save_checkpoint(t, outside, Saving::Asked)?,
            Command::Pause if !paused => {
                outside.observer.record(t.step, Event::Paused)?;
                paused = true;
            }
            Command::Continue if paused => {
                outside.observer.record(t.step, Event::Continued)?;
                paused = false;
            }
            Command::Pause | Command::Continue => {}
        }
        if !paused {
            return Ok(Flow::GoOn);
        }
        command = match outside.controls.wait() {
            Request::Asked(command) => command,
            Request::NobodyLeft => {
                let message = "The dashboard ended in a pause, and nobody is left who could end \
                               that: the training goes on.";
                let warning = Warning { message: message.to_owned() };
                outside.observer.record(t.step, Event::Warning(warning))?;
                Command::Continue
            }
        };
    }
}

/// Publishes a checkpoint of this step and removes those beyond `checkpoint.keep`.
fn save_checkpoint(t: &mut Training, outside: &mut Outside, saving: Saving) -> anyhow::Result<()> {
    let started = Instant::now();
    if !can_be_saved(t, outside, saving)? {
        return Ok(());
    }
    // The log must not be behind the checkpoint after a power cut.
    outside.observer.sync()?;
    let published = publish(t, outside)?;
    let saved = event::Checkpoint {
        name: published.name,
        bytes: published.bytes,
        seconds: started.elapsed().as_secs_f64(),
    };
    outside.observer.record(t.step, Event::Checkpoint(saved))
}

fn publish(t: &mut Training, outside: &Outside) -> anyhow::Result<Published> {
    let state = t.optimizer.state()?;
    let recalibrated = buffers_of_phi(t)?;
    let vs = &t.model.vs;
    refuse_weights(vs, &state, t.step, t.config.optimizer.lr)?;
    let published = outside.checkpoints.publish(t.details(&state), |folder| {
        checkpointing::write(folder, vs, &state, recalibrated).map_err(Into::into)
    })?;
    let keep = std::num::NonZeroUsize::new(t.config.checkpoint.keep).context("checked: not 0")?;
    outside.checkpoints.retain_newest(keep)?;
    Ok(published)
}

/// Saves what a training has come to that can't go on, such as for want of room for the log, which
/// is left alone. Returns the checkpoint's name.
///
/// # Errors
/// Where the failure came inside a step, so that the weights are of no step; where the disk says
/// no.
pub fn rescue(t: &mut Training, outside: &Outside) -> anyhow::Result<String> {
    anyhow::ensure!(!t.in_step, "Step {} had begun and was not taken.", t.step + 1);
    // What failed may have come between a cycle's last inner step and its sync.
    if let Some(lookahead) = t.optimizer.lookahead() {
        lookahead.sync_if_due()?;
    }
    Ok(publish(t, outside)?.name)
}
