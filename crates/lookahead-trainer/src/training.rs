//! The training loop, and what it works on.
//!
//! | module | what is in it |
//! |---|---|
//! | [`config`] | the section `[train]`: how long, from which seed, where |
//! | [`best`] | the best so far on validation data, and when to give up |
//! | `folder` | whether the run's folder is where it was |
//! | [`divergence`] | losses and weights that are no finite numbers |
//! | [`early_stopping`] | a run that stops early, whose result is the best model |
//! | `kept_config` | the run's `config.toml`, kept up to date |
//! | `last_sync` | the sync of a run that ends inside a cycle |
//! | `learning` | a loss that is no better than guessing |
//! | `losses` | losses that are still on the device |
//! | [`outside`] | where the record goes and requests come from |
//! | [`settings`] | what may change while the run lives |
//! | `recalibration` | batch normalization's statistics for φ, before it is evaluated or saved |
//! | `saving` | checkpoints of a training that goes on meanwhile |
//! | `status` | how the run is just now, for whoever asks |
//! | `together` | what several processes do about what is asked of one |

pub mod best;
pub mod device;
pub mod divergence;
pub mod early_stopping;
mod folder;
mod kept_config;
mod last_sync;
mod learning;
mod losses;
pub mod outside;
mod recalibration;
mod saving;
pub mod settings;
mod status;
mod together;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use lookahead_core::{build, generator};
use lookahead_run::command::Command;
use lookahead_run::event::{
    self, Evaluation, Event, LookaheadInfo, Note, RunEnded, RunInfo, Split, Status, Versions,
    Warning, Weights,
};
use lookahead_run::status::State;
use lookahead_run::{Details, Git, shown};
use tch::{Device, Tensor};

use crate::averaging::Average;
use crate::checkpointing::machine::Machine;
use crate::checkpointing::restore::{Saved, restore};
use crate::config::Config;
use crate::controls::Request;
use crate::data::batches::Batches;
use crate::data::{self, Batch, Dataset, Place};
use crate::distributed::Team;
use crate::evaluation::{evaluate, evaluate_together};
use crate::model::Model;
use crate::optimizer::Optimizer;
use crate::probe::{Norms, Probe};
use crate::schedule::At;
use crate::speed::Speed;
use crate::system::Meter;
use crate::timing::{Part, Stopwatch};
use crate::usage::UsageError;
use crate::{git, initial};

use best::Best;
use divergence::{
    Diverged, ROLLED_BACK, Saving, SoundBuffers, go_on_or_give_up, keep_sound_buffers, refuse_loss,
    take_step,
};
use learning::Learning;
pub use learning::fault_at_the_end;
use losses::Unread;
pub use outside::Outside;
use recalibration::recalibrate;
pub use saving::{finish_writing, rescue};

/// A training between two steps: all that a step works on.
#[derive(Debug)]
pub struct Training {
    config: Config,
    team: Team,
    /// When the processes met last.
    met: Instant,
    data: Dataset,
    model: Model,
    optimizer: Optimizer,
    average: Option<Average>,
    probe: Option<Probe>,
    batches: Batches,
    step: u64,
    total_steps: u64,
    device: Device,
    /// Whether a step has begun and not been taken: then the weights are of no step.
    in_step: bool,
    /// Whether its last sync has been made: the weights are those of the final model, and the state
    /// before it is in the snapshot that is to be written.
    has_ended: bool,
    /// Steps since the last sync whose values were no finite numbers.
    diverging: u32,
    sound_buffers: SoundBuffers,
    /// What of the last step's evaluations is still to be done.
    owed: Owed,
    best: Best,
    learning: Learning,
    unread: Unread,
    /// The loss of the last step's θ on test data, where that has been evaluated.
    tested_fast: Option<f64>,
    /// The last evaluation's step and values, by their names in a manifest.
    measured: Option<(u64, BTreeMap<String, f64>)>,
    /// When to try a checkpoint again that could not be saved.
    save_again: Option<Instant>,
    /// How long the run's earlier processes ran, in seconds.
    earlier_seconds: f64,
    started: Instant,
    clock: Stopwatch,
    git: Option<Git>,
    machine: Machine,
    origin: Option<String>,
    /// What became of the state of another number of processes.
    other_team: Option<String>,
}

/// The evaluations that follow a step, which a run that is asked to end leaves for later. The
/// numbers are those in checkpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Owed {
    /// None.
    #[default]
    Nothing = 0,
    /// That of θ, before the sync, and that of φ after it.
    Both = 1,
    /// That of φ, after the sync.
    Slow = 2,
}

impl Training {
    /// Loads the data and builds model and optimizer as the seed has them at step 0, or with the
    /// weights of a file.
    ///
    /// # Errors
    /// Where the data, the device or the model can't be had, or the file does not fit it.
    pub fn new(config: Config, init_from: Option<&initial::From>) -> anyhow::Result<Self> {
        Training::in_team(config, init_from, Team::alone())
    }

    /// As [`new`](Self::new), as one of several processes.
    ///
    /// # Errors
    /// As [`new`](Self::new), and where another process does not answer.
    pub fn in_team(
        config: Config,
        init_from: Option<&initial::From>,
        mut team: Team,
    ) -> anyhow::Result<Self> {
        let device = config.train.device_of(team.local_rank())?;
        team.agree_on_gpus(device)?;
        config.train.use_threads();
        let data = data::load(&config.data)?;
        team.refuse_other_data(&data)?;
        if data.train.len() < team.size() {
            return Err(UsageError::new(format!(
                "There are {} training samples for {} processes: start fewer.",
                data.train.len(),
                team.size()
            ))
            .into());
        }
        let batches =
            Batches::new(data.train.len(), config.data.batch_size, config.train.seed, 0, 0)
                .shared(team.rank(), team.size());
        generator::seed(config.train.seed)?;
        let model = Model::new(&config.model, &data, device)?.computing_as(&config.train)?;
        model.check_batches(&batches, &data)?;
        // Before the optimizer is built, so that φ begins there too.
        let init_from = init_from.filter(|_| team.leads());
        let origin = init_from.map(|from| from.load(&model.vs)).transpose()?;
        team.start_together(&model.vs)?;
        let lookahead = config.lookahead.as_ref();
        let optimizer = Optimizer::new(&config.optimizer, lookahead, &team, &model.vs)?;
        if !team.is_alone() {
            generator::seed(team.seed(config.train.seed))?;
        }
        let average = Average::new(&config.averaging, &model.vs);
        // Of one process: the others would only do it again.
        let probe = Probe::new(&config.probe, &data, device).filter(|_| team.leads());
        let total_steps = config.train.total_steps(batches.per_epoch())?;
        let learning = Learning::new(&data.problem, &config.data, batches.per_epoch());
        let unread = Unread::new(config.train.read_loss_every, device, config.losses_may_wait());
        Ok(Training {
            config,
            team,
            met: Instant::now(),
            data,
            model,
            optimizer,
            average,
            probe,
            batches,
            step: 0,
            total_steps,
            device,
            in_step: false,
            has_ended: false,
            diverging: 0,
            sound_buffers: SoundBuffers::default(),
            owed: Owed::Nothing,
            best: Best::default(),
            learning,
            unread,
            tested_fast: None,
            measured: None,
            save_again: None,
            earlier_seconds: 0.0,
            started: Instant::now(),
            clock: Stopwatch::default(),
            git: git::state(),
            machine: Machine::here(),
            origin,
            other_team: None,
        })
    }

    /// Goes to where a checkpoint was taken.
    ///
    /// # Errors
    /// If the checkpoint does not fit; nothing of it is used then. What the user can fix, for example
    /// data of another size, is a usage error.
    pub fn restore(&mut self, folder: &Path, details: &Details) -> anyhow::Result<()> {
        self.restore_from(details, || Saved::read(folder))
            .with_context(|| format!("The checkpoint {} can't be used.", shown(folder).display()))
    }

    /// As [`restore`](Self::restore), with a state that is read only where its details fit.
    ///
    /// # Errors
    /// As [`restore`](Self::restore), and those of the reading.
    pub fn restore_from(
        &mut self,
        details: &Details,
        read: impl FnOnce() -> anyhow::Result<Saved>,
    ) -> anyhow::Result<()> {
        self.refuse_other_data(details)?;
        let average = self.average.as_mut();
        let (details, sound) = &restore(read()?, &self.model.vs, &mut self.optimizer, average)?;
        self.sound_buffers = SoundBuffers::of(sound, self.device)?;
        // The state brings the settings that it was taken with; the config may have others now.
        // The learning rate is set in every step.
        self.optimizer.set_weight_decay(self.config.optimizer.weight_decay.unwrap_or(0.0))?;
        if let (Some(lookahead), Some(config)) =
            (self.optimizer.lookahead(), &self.config.lookahead)
        {
            if config.adaptive_alpha == 0.0 {
                lookahead.set_alpha(config.alpha)?;
            }
            lookahead.set_k(config.k)?;
        }
        self.step = details.step;
        let saved = ranks_of(details);
        let size = self.team.size();
        let cursor = match saved == size {
            true => details.cursor,
            // As many samples as were seen, in whole steps of as many processes as there are now.
            false => {
                let cursor = details.cursor * saved as u64 / size as u64;
                cursor.min(self.batches.per_epoch() - 1)
            }
        };
        let (data, train) = (&self.config.data, &self.config.train);
        let count = self.data.train.len();
        self.batches = Batches::new(count, data.batch_size, train.seed, details.epoch, cursor)
            .shared(self.team.rank(), size);
        self.total_steps = self.steps_in_all()?;
        let own = |key: &str| details.integers.get(key).copied().unwrap_or(0);
        self.diverging = u32::try_from(own(DIVERGING)).unwrap_or(0);
        self.owed = match own(OWED) {
            1 => Owed::Both,
            2 => Owed::Slow,
            _ => Owed::Nothing,
        };
        self.best = Best {
            value: details.numbers.get(BEST).copied(),
            step: own(BEST_STEP).unsigned_abs(),
            since: own(SINCE_BEST).unsigned_abs(),
        };
        self.measured = Some((details.step, details.metrics.clone()));
        self.earlier_seconds = details.wall_seconds;
        if saved != size {
            self.other_team = Some(self.join_other_team(saved)?);
        }
        Ok(())
    }

    /// Goes on with another number of processes than the checkpoint was taken by: from φ, with what is
    /// there of inner states. Tells what became of them.
    fn join_other_team(&mut self, saved: usize) -> anyhow::Result<String> {
        let (step, rank, size) = (self.step, self.team.rank(), self.team.size());
        let count =
            |n: usize| if n == 1 { "1 process".to_owned() } else { format!("{n} processes") };
        let mut from = String::new();
        if let Some(lookahead) = self.optimizer.lookahead() {
            from = format!(
                ", from φ: what was done since the last sync is dropped (inner steps: {})",
                lookahead.phase()
            );
            // θ is each one's own within a cycle, and φ is the same for all.
            lookahead.discard_cycle()?;
            if self.owed == Owed::Both {
                self.owed = Owed::Slow;
            }
        }
        if rank >= saved {
            let seed = self.config.train.seed.wrapping_add(step);
            generator::seed(self.team.seed(seed))?;
        }
        let states = match size > saved {
            true => "who is new has rank 0's inner optimizer state and random numbers of its own",
            false => "the inner optimizer states of the others are dropped",
        };
        Ok(format!(
            "The checkpoint of step {step} was taken by {}, and it goes on with {}{from}; {states}. The place \
             in the epoch is where a whole batch of all begins, so that some samples may be seen again.",
            count(saved),
            count(size),
        ))
    }

    /// What became of the state of another number of processes, as a sentence, where that was so.
    pub fn other_team(&self) -> Option<&str> {
        self.other_team.as_deref()
    }

    /// A sentence, if a batch is to have more samples than there are.
    pub fn oversized_batch(&self) -> Option<String> {
        let (wanted, there) = (self.batches.whole(), self.batches.samples());
        let of_each = match self.team.size() {
            1 => String::new(),
            size => format!(" for each of {size} processes"),
        };
        (wanted > there).then(|| {
            format!(
                "`data.batch_size` is {}{of_each}, and there are {there} training samples: each step takes \
                 all of them, so an epoch is one step.",
                self.batches.batch_size()
            )
        })
    }

    /// Inner steps at the end of the run: those so far, and those of the epochs that are left.
    fn steps_in_all(&self) -> Result<u64, UsageError> {
        let train = &self.config.train;
        let per_epoch = self.batches.per_epoch();
        let all = train.total_steps(per_epoch)?;
        if train.max_steps.is_some() {
            return Ok(all);
        }
        // With one number of processes from the start it is the product.
        let done = self.batches.epoch() * per_epoch + self.batches.cursor();
        Ok((all + self.step).saturating_sub(done))
    }

    /// The walk over the data goes on only where there is as much of it as before.
    fn refuse_other_data(&self, details: &Details) -> Result<(), UsageError> {
        refuse_other_contents(&self.data, details)?;
        let found = self.data.train.len() as u64;
        let saved = details.integers.get(TRAIN_SAMPLES).map_or(found, |&n| n as u64);
        // Checkpoints of earlier versions don't tell, and a place beyond the end does.
        let other_team = ranks_of(details) != self.team.size();
        if saved == found && (other_team || details.cursor < self.batches.per_epoch()) {
            return Ok(());
        }
        Err(UsageError::new(format!(
            "The training set has {found} samples, and the checkpoint of step {} was taken with \
             {saved}, after {} batches of an epoch: its place in the data has no meaning in other \
             data. Let `data.dir` lead to the data that the run began with, or start a new run \
             with `lookahead train`.",
            details.step, details.cursor
        )))
    }

    /// What this machine computes in another way than was asked for, as a sentence.
    pub fn note(&self) -> Option<String> {
        self.model.note()
    }

    /// Where the first weights came from, as a sentence, if they were not drawn.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// What it was begun with, and what has been set since.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What of this machine decides the last bits.
    pub fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The processes of the run.
    pub fn team(&self) -> &Team {
        &self.team
    }

    /// Inner steps taken.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// The bytes of the model's variables as they are now, in the order of their names.
    pub fn weights_as_bytes(&self) -> Vec<u8> {
        let variables: BTreeMap<String, Tensor> = self.model.vs.variables().into_iter().collect();
        let bytes = |tensor: Tensor| {
            let tensor = tensor.detach().to_device(Device::Cpu).contiguous();
            let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
            tensor.copy_data_u8(&mut bytes, tensor.numel());
            bytes
        };
        variables.into_values().flat_map(bytes).collect()
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
            task: self.data.problem.task(),
            model: self.config.model.kind.name().to_owned(),
            optimizer: self.optimizer.name().to_owned(),
            lookahead: lookahead.map(|l| LookaheadInfo { k: l.k, alpha: l.alpha }),
            device: device_name(self.device),
            threads: self.machine.threads,
            cpu_capability: self.machine.cpu_capability.clone(),
            parameters: self.model.parameters(),
            total_steps: self.total_steps,
            steps_per_epoch: self.batches.per_epoch(),
            train_samples: self.data.train.len() as u64,
            validation_samples: self.data.validation.len() as u64,
            test_samples: self.data.test.len() as u64,
            seed: self.config.train.seed,
            program: Some(PROGRAM.to_owned()),
            versions: versions(),
            config: self.config.to_json(),
        }
    }

    /// How long the run's processes have run.
    fn wall_seconds(&self) -> f64 {
        self.earlier_seconds + self.started.elapsed().as_secs_f64()
    }

    /// Whether so many evaluations came without a better one that the run is over.
    pub fn is_out_of_patience(&self) -> bool {
        let patience = self.config.train.patience;
        patience > 0 && self.best.since >= patience && self.owed == Owed::Nothing
    }

    /// Whether it has ended before its last step.
    fn has_stopped_early(&self) -> bool {
        self.step < self.total_steps && self.is_out_of_patience()
    }

    /// Whether the last step's sync and evaluations are still to come: after a run that was asked to
    /// end among them.
    fn is_amid_a_step(&mut self) -> bool {
        let pending = |optimizer: &mut Optimizer| {
            optimizer.lookahead().is_some_and(|lookahead| lookahead.sync_is_due())
        };
        self.owed != Owed::Nothing || pending(&mut self.optimizer)
    }

    /// The batch where the walk stands, on the device.
    fn current_batch(&self) -> Batch {
        let (epoch, cursor) = (self.batches.epoch(), self.batches.cursor());
        // What is drawn for it is of this process's own batch.
        let cursor = cursor * self.team.size() as u64 + self.team.rank() as u64;
        let place = Place { seed: self.config.train.seed, epoch, cursor };
        self.data.train.gather(self.batches.current(), place, self.device)
    }

    /// Which weights are the final model.
    fn final_weights(&mut self) -> Weights {
        match (self.optimizer.lookahead(), &self.average) {
            (Some(_), _) => Weights::Slow,
            (None, Some(_)) => Weights::Average,
            (None, None) => Weights::Fast,
        }
    }
}

/// Data that can be told from other data must be what a checkpoint was taken with.
///
/// # Errors
/// A usage error where it is not.
pub fn refuse_other_contents(data: &Dataset, details: &Details) -> Result<(), UsageError> {
    let now = data.train.fingerprint();
    let then = details.integers.get(FINGERPRINT).copied();
    if then.is_none() || now.is_none() || now == then {
        return Ok(());
    }
    Err(UsageError::new(format!(
        "The training data is not what the checkpoint of step {} was taken with: its contents have \
         changed. Let `data.file` lead to the data that the run began with, or start a new run with \
         `lookahead train`.",
        details.step
    )))
}

/// How many processes took a checkpoint.
pub fn ranks_of(details: &Details) -> usize {
    details.integers.get(RANKS).map_or(1, |&ranks| ranks.unsigned_abs() as usize)
}

/// Where a manifest tells how large the training set was.
const TRAIN_SAMPLES: &str = "data/train_samples";
/// And what tells it from others, where that is known.
const FINGERPRINT: &str = "data/fingerprint";
/// How many processes the checkpoint was taken by, where there was more than one.
const RANKS: &str = "train/ranks";
/// What tells the `config.toml` that lacks the checkpoint's settings, where the disk did not take them.
pub const OUTDATED_CONFIG: &str = "train/outdated_config";
/// In checkpoints of earlier versions: the k that was to hold from the next cycle on, if `config.toml`
/// lacks it.
pub const NEXT_K: &str = "train/next_k";
/// Of [`Training::diverging`].
const DIVERGING: &str = "train/diverging";
/// Of [`Training::owed`].
const OWED: &str = "train/owed";
/// Of [`Training::best`]: its value, its step and how many evaluations came after it.
const BEST: &str = "train/best";
const BEST_STEP: &str = "train/best_step";
const SINCE_BEST: &str = "train/since_best";

/// The program's name in what it writes.
pub const PROGRAM: &str = "lookahead";

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

/// Trains from where `t` stands to its last step, or until it is asked to stop or gets no better, and
/// says how it ended. Whatever is recorded of a step is recorded before its checkpoint, so that a resumed
/// run repeats and leaves out nothing.
///
/// # Errors
/// Where a step fails, or the last checkpoint can't be saved.
pub fn train(t: &mut Training, outside: &mut Outside) -> anyhow::Result<RunEnded> {
    let mut pace = Pace::new(t);
    while t.is_amid_a_step() || (t.step < t.total_steps && !t.is_out_of_patience()) {
        if advance(t, &mut pace, outside)? == Flow::Stop {
            outside.status.show(t, State::Stopping);
            saving::save_and_wait(t, outside)?;
            return Ok(RunEnded::new(Status::Stopped));
        }
    }
    // The last checkpoint holds the training as it is before the last sync: given more steps later, the
    // run continues as a longer one would have. The model file in it holds φ after it, the result.
    let flow = last_sync::take(t, outside)?;
    saving::save_and_wait(t, outside)?;
    if flow == Flow::Stop {
        return Ok(RunEnded::new(Status::Stopped));
    }
    if t.has_stopped_early() {
        return early_stopping::finish(t, outside);
    }
    for weights in [Weights::Fast, Weights::Average, Weights::Slow] {
        let loss = match t.tested_fast {
            Some(loss) if weights == Weights::Fast => Some(loss),
            _ => match measure(t, Split::Test, weights, outside)? {
                Measured::Interrupted => return Ok(RunEnded::new(Status::Stopped)),
                Measured::Done(found) => found.map(|found| found.loss),
            },
        };
        if let Some(loss) = loss {
            let what = "The loss on the test set";
            refuse_loss(what, loss, t.step, t.config.optimizer.lr)?;
        }
    }
    Ok(RunEnded::new(Status::Finished))
}

/// How fast the training is and what it uses, from one step to the next.
#[derive(Debug)]
pub struct Pace {
    speed: Speed,
    meter: Meter,
}

impl Pace {
    /// From now on; the training's clock begins from nothing.
    pub fn new(t: &mut Training) -> Self {
        t.clock.restart();
        Pace { speed: Speed::default(), meter: Meter::new(t.device) }
    }
}

/// One inner step and what is due after it: evaluations, the sync, a checkpoint. A step whose evaluations
/// a request to stop had cut short gets those only.
///
/// # Errors
/// Where the step fails.
pub fn advance(t: &mut Training, pace: &mut Pace, outside: &mut Outside) -> anyhow::Result<Flow> {
    saving::collect(t, outside)?;
    tell_of_a_hangup(t, outside);
    let flow = match t.team.is_alone() {
        true => outside.controls.poll().map_or(Ok(Flow::GoOn), |command| obey(command, t, outside)),
        false => together::meet(t, outside),
    };
    if flow? == Flow::Stop {
        return Ok(Flow::Stop);
    }
    let (k, _) = t.optimizer.k();
    if !t.is_amid_a_step() {
        inner_step(t, &mut pace.speed, outside)?;
    }

    // θ is evaluated before the sync, φ after it: where both fall on one step, a sync makes them equal
    // and there would be nothing to compare. Whoever asks the run to stop does not wait for an
    // evaluation: it is done after the resume.
    if t.owed == Owed::Both {
        let Flow::GoOn = test_fast(t, outside)? else { return Ok(Flow::Stop) };
        let Flow::GoOn = evaluate_fast(t, outside)? else { return Ok(Flow::Stop) };
        t.owed = Owed::Slow;
    }
    // After k inner steps the slow weights follow, and the fast ones restart from there.
    if t.optimizer.lookahead().is_some_and(|lookahead| lookahead.sync_is_due()) {
        sync(t, outside, false)?;
    }
    settings::report_new_k(t, outside, k);
    outside.status.show(t, State::Training);
    if t.owed == Owed::Slow {
        let Flow::GoOn = evaluate_slow(t, outside)? else { return Ok(Flow::Stop) };
        t.owed = Owed::Nothing;
    }

    if saving::is_due(t) {
        saving::begin(t, outside, Saving::Routine)?;
    }
    report(t, &mut pace.meter, outside)?;
    Ok(Flow::GoOn)
}

/// Tells, once a second at most, where the time went, what was used meanwhile, and what became of the
/// run's folder.
///
/// # Errors
/// Where another process has taken the run over.
fn report(t: &mut Training, meter: &mut Meter, outside: &mut Outside) -> anyhow::Result<()> {
    let Some(timing) = t.clock.report() else { return Ok(()) };
    if let Some(watch) = &mut outside.folder_watch
        && let Some(found) = watch.look()?
    {
        outside.observer.record(t.step, found);
    }
    outside.observer.record(t.step, Event::Timing(timing));
    if let Some(used) = meter.look() {
        outside.observer.record(t.step, Event::System(used));
    }
    Ok(())
}

fn tell_of_a_hangup(t: &Training, outside: &mut Outside) {
    if outside.controls.terminal_is_gone() {
        let message =
            "The terminal is gone (SIGHUP), and the training goes on without it.".to_owned();
        outside.observer.record(t.step, Event::Note(Note { message }));
    }
}

/// One inner step: the fast weights move.
fn inner_step(t: &mut Training, speed: &mut Speed, outside: &mut Outside) -> anyhow::Result<()> {
    t.in_step = true;
    speed.step_begins();
    let at = At { step: t.step, total: t.total_steps, epoch: t.batches.epoch() };
    let learning_rate = t.config.schedule.learning_rate(t.config.optimizer.lr, at);
    t.optimizer.set_learning_rate(learning_rate)?;
    t.clock.begin();
    let batch = t.current_batch();
    t.clock.end(Part::Data);
    keep_sound_buffers(t)?;
    let loss = t.model.loss(&batch, true);
    let known = t.unread.none_may_wait().then(|| f64::try_from(&loss)).transpose()?;
    let gone_wrong = take_step(t, &loss, known)?;
    t.step += 1;
    if let Some(average) = &mut t.average {
        average.take(&t.model.vs, t.step)?;
    }
    t.clock.step_taken();
    let samples_per_second = match outside.controls.went_on() {
        false => speed.step_done(t.batches.together()),
        true => {
            t.clock.restart();
            let seconds = outside.observer.longest_silence();
            outside.observer.record(t.step - 1, Event::Suspended(event::Suspended { seconds }));
            speed.step_does_not_count()
        }
    };
    let step = event::Step {
        epoch: t.batches.epoch(),
        loss: known.unwrap_or(f64::NAN),
        learning_rate,
        samples_per_second,
        phase: t.optimizer.phase(),
    };
    let epoch_completed = t.batches.advance();
    t.owed = if evaluation_is_due(t, epoch_completed) { Owed::Both } else { Owed::Nothing };
    t.in_step = false;
    outside.status.show(t, State::Training);
    if let Some(loss) = known {
        t.learning.take(loss);
        outside.status.took(&step);
        outside.observer.record(t.step, Event::Step(step));
    } else {
        t.clock.begin();
        losses::put(t, outside, &loss, step)?;
        t.clock.end(Part::ForwardBackward);
    }
    if epoch_completed {
        learning::check(t, outside);
    }
    match gone_wrong {
        Some(what) => go_on_or_give_up(t, &what, outside),
        None => Ok(()),
    }
}

fn evaluation_is_due(t: &Training, epoch_completed: bool) -> bool {
    let config = &t.config.train;
    let last = t.step == t.total_steps && config.evaluate_every_epochs > 0;
    last || (epoch_completed && config.evaluates_after(t.batches.epoch()))
}

/// The sync, with the loss on the probe batch just before it at θ and just after it at φ, and the
/// norms just before it. The last one of a run comes before its cycle is complete.
fn sync(t: &mut Training, outside: &mut Outside, last: bool) -> anyhow::Result<()> {
    let Some(lookahead) = t.optimizer.lookahead() else { return Ok(()) };
    let sync = lookahead.syncs() + 1;
    if t.probe.as_ref().is_some_and(|probe| probe.is_due(sync)) {
        // It waits for the device anyway.
        losses::read(t, outside)?;
    }
    let Training { optimizer, model, team, probe, step, config, diverging, clock, .. } = t;
    let Some(lookahead) = optimizer.lookahead() else { return Ok(()) };
    let probe = probe.as_ref().filter(|probe| probe.is_due(sync));
    clock.begin();
    let started = Instant::now();
    let fast_loss = probe.map(|probe| probe.loss(model)).transpose()?;
    let mut seconds = started.elapsed().as_secs_f64();
    let norms = probe.map(|_| Norms::now(lookahead)).transpose()?.unwrap_or_default();
    clock.end(Part::Probe);

    let synced = if last { lookahead.finish() } else { lookahead.sync_if_due() };
    let synced = match synced {
        Err(lookahead_core::Error::NonFinite { name }) => {
            let diverged = Diverged::of_weights(&name, *step, config.optimizer.lr);
            // A loss that tells the same came before it.
            losses::read(t, outside)?;
            return Err(diverged.into());
        }
        synced => synced?,
    };
    clock.end(Part::Sync);
    if !synced {
        t.sound_buffers.put_back(&t.model)?;
        let what = format!("The weights hold values that are no finite numbers: {ROLLED_BACK}");
        return go_on_or_give_up(t, &what, outside);
    }
    // After the last one the state to be saved is the one before it.
    if !last {
        *diverging = 0;
    }
    team.waited(lookahead.averaging_took());
    team.average_buffers(model)?;
    let alpha = lookahead.alpha_used().unwrap_or_else(|| lookahead.alpha());
    let Norms { distance, gradient } = norms;
    let synced = event::Sync { sync, alpha, distance, gradient_norm: gradient, last };
    outside.observer.record(*step, Event::Sync(synced));

    if let (Some(probe), Some(fast_loss)) = (probe, fast_loss) {
        clock.begin();
        let started = Instant::now();
        // θ has just restarted from φ, so φ is in the model.
        let slow_loss = probe.loss(model)?;
        seconds += started.elapsed().as_secs_f64();
        clock.end(Part::Probe);
        let probed = event::Probe { sync, fast_loss, slow_loss, seconds };
        outside.observer.record(*step, Event::Probe(probed));
    }
    Ok(())
}

/// The fast weights on test data, at the last step: after its sync they may be φ.
fn test_fast(t: &mut Training, outside: &mut Outside) -> anyhow::Result<Flow> {
    if t.step < t.total_steps || t.optimizer.lookahead().is_none() {
        return Ok(Flow::GoOn);
    }
    Ok(match measure(t, Split::Test, Weights::Fast, outside)? {
        Measured::Interrupted => Flow::Stop,
        Measured::Done(found) => {
            t.tested_fast = found.map(|found| found.loss);
            Flow::GoOn
        }
    })
}

/// The fast weights on validation data.
fn evaluate_fast(t: &mut Training, outside: &mut Outside) -> anyhow::Result<Flow> {
    Ok(match measure(t, Split::Validation, Weights::Fast, outside)? {
        Measured::Interrupted => Flow::Stop,
        Measured::Done(found) => {
            if let (Some(found), Weights::Fast) = (found, t.final_weights()) {
                take_measured(t, &found);
            }
            Flow::GoOn
        }
    })
}

/// The final model, where it is not θ, on validation data.
fn evaluate_slow(t: &mut Training, outside: &mut Outside) -> anyhow::Result<Flow> {
    let weights = t.final_weights();
    // An evaluation that is there only because the run ends is that of φ after the last sync.
    let comes_again = t.step == t.total_steps && last_sync::is_missing(t);
    if weights == Weights::Fast || (comes_again && !is_regular(t)) {
        return Ok(Flow::GoOn);
    }
    Ok(match measure(t, Split::Validation, weights, outside)? {
        Measured::Interrupted => Flow::Stop,
        Measured::Done(found) => {
            if let Some(found) = found {
                take_measured(t, &found);
            }
            Flow::GoOn
        }
    })
}

/// Takes in what was found of the final model on validation data. An evaluation that is there only
/// because the run is at its end says nothing of the best so far: a longer run would not have it.
fn take_measured(t: &mut Training, found: &Evaluation) {
    t.measured = Some((t.step, metrics(found)));
    if is_regular(t) {
        t.best.take(t.config.train.best_by(), t.step, found);
    }
}

/// Whether the evaluations of this step would be there in a longer run too.
fn is_regular(t: &Training) -> bool {
    t.batches.cursor() == 0 && t.config.train.evaluates_after(t.batches.epoch())
}

fn metrics(found: &Evaluation) -> BTreeMap<String, f64> {
    // A task without classes has no accuracy.
    let accuracy = Some((best::ACCURACY, found.accuracy)).filter(|(_, value)| !value.is_nan());
    let all = accuracy.into_iter().chain([(best::LOSS, found.loss)]);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

enum Measured {
    /// What was found; nothing where the split is empty or there are no such weights.
    Done(Option<Evaluation>),
    /// The run was asked to stop meanwhile.
    Interrupted,
}

/// Evaluates one set of weights on one split, and records what is found.
fn measure(
    t: &mut Training,
    split: Split,
    weights: Weights,
    outside: &mut Outside,
) -> anyhow::Result<Measured> {
    losses::read(t, outside)?;
    outside.observer.write();
    let Training { optimizer, average, model, data, team, step, config, clock, .. } = t;
    let Some(samples) = data.split(split) else { return Ok(Measured::Done(None)) };
    clock.begin();
    let controls = &mut outside.controls;
    let mut evaluate = |model: &Model| match team.is_alone() {
        true => evaluate(model, samples, split, weights, || controls.stop_is_asked()),
        false => {
            let found = || evaluate_together(team, model, samples, split, weights).map(Some);
            match weights {
                Weights::Fast => found(),
                Weights::Slow | Weights::Average => team.with_leading_buffers(model, found),
            }
        }
    };
    let found = match weights {
        Weights::Fast => evaluate(model)?,
        Weights::Average => {
            let Some(average) = average else { return Ok(Measured::Done(None)) };
            average.with(&model.vs, || evaluate(model))?
        }
        Weights::Slow => {
            let Some(lookahead) = optimizer.lookahead() else { return Ok(Measured::Done(None)) };
            let mut at_phi = lookahead.slow_weights()?;
            recalibrate(&mut at_phi, model, data, config)?;
            let found = evaluate(model)?;
            at_phi.end()?;
            found
        }
    };
    clock.end(Part::Evaluation);
    let Some(found) = found else { return Ok(Measured::Interrupted) };
    outside.observer.record(*step, Event::Evaluation(found));
    Ok(Measured::Done(Some(found)))
}

/// Whether a training is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Nothing is in its way.
    GoOn,
    /// It was asked to stop.
    Stop,
}

/// Does what is asked. A pause lasts until it is ended, by `Continue` or by `Stop`.
fn obey(mut command: Command, t: &mut Training, outside: &mut Outside) -> anyhow::Result<Flow> {
    losses::read(t, outside)?;
    outside.observer.write();
    let mut paused = false;
    let mut since = Instant::now();
    loop {
        match command {
            Command::Stop => return Ok(Flow::Stop),
            Command::Checkpoint => saving::begin(t, outside, Saving::Asked)?,
            Command::Pause if !paused => {
                outside.observer.record(t.step, Event::Paused);
                paused = true;
                since = Instant::now();
            }
            Command::Continue if paused => {
                outside.observer.record(t.step, Event::Continued);
                paused = false;
                t.clock.leave_out(since.elapsed());
            }
            Command::Pause | Command::Continue => {}
            Command::Set(setting) => settings::set(t, outside, &setting)?,
        }
        outside.status.show(t, if paused { State::Paused } else { State::Training });
        if !paused {
            return Ok(Flow::GoOn);
        }
        command = loop {
            // A checkpoint on its way is told of in a pause too.
            saving::collect(t, outside)?;
            tell_of_a_hangup(t, outside);
            match outside.controls.wait(MOMENT) {
                Request::Asked(command) => break command,
                Request::Nothing => {}
                Request::NoKeys => {
                    outside.observer.go_on_without_dashboard();
                    match without_keys(t, outside) {
                        Some(command) => break command,
                        None => continue,
                    }
                }
            }
        };
    }
}

/// The dashboard is gone in a pause. Where others can end that it lasts; else it ends now.
fn without_keys(t: &Training, outside: &mut Outside) -> Option<Command> {
    if outside.is_open_to_others() {
        let message = "The dashboard is gone, and the run stays paused: `lookahead ctl RUN_DIR \
                       continue` lets it go on."
            .to_owned();
        outside.observer.record(t.step, Event::Note(Note { message }));
        return None;
    }
    let message =
        "The dashboard ended in a pause, and nobody is left who could end that: the training \
                   goes on."
            .to_owned();
    outside.observer.record(t.step, Event::Warning(Warning { message }));
    Some(Command::Continue)
}

/// How often a run that waits looks around.
const MOMENT: Duration = Duration::from_millis(20);
