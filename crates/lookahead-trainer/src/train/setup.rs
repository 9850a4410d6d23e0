//! A training built from a config and its seed: data, model and optimizer at step 0.

use std::sync::Arc;
use std::time::Instant;

use lookahead_core::SchedulePosition;
use lookahead_core::tch_ext::{build, generator};
use lookahead_run::event::{self, Compute, LookaheadInfo, RunInfo, Samples, Software, Versions};
use lookahead_run::{Git, TrainingMetadata, program_name};
use tch::{Device, Tensor};

use super::averaging::Average;
use super::diverged::{BATCH_LOSS, Diverged, refuse_loss};
use super::divergence::DivergenceGuard;
use super::hook::{HookContext, Request};
use super::hooks::events::Events;
use super::hooks::status::Progress;
use super::state::{DataIdentity, PendingEvaluation, TrainState};
use crate::checkpointing::machine::Machine;
use crate::config::Config;
use crate::data::batches::Batches;
use crate::data::loader::Loader;
use crate::data::{Batch, Dataset};
use crate::distributed::WorkerGroup;
use crate::git;
use crate::initial::InitialWeights;
use crate::models::Model;
use crate::objective::Objective;
use crate::optimizers::Optimizer;
use crate::registry::Registry;
use crate::usage::UsageError;

/// What a step works on: the data, the model, its optimizer, and the state between two steps.
#[derive(Debug)]
pub struct Training {
    pub(crate) registry: Registry,
    pub(crate) config: Config,
    pub(crate) workers: WorkerGroup,
    pub(crate) data: Dataset,
    pub(crate) model: Model,
    pub(crate) objective: Objective,
    pub(crate) optimizer: Optimizer,
    pub(crate) average: Option<Average>,
    loader: Loader,
    pub(crate) state: TrainState,
    pub(crate) total_steps: u64,
    pub(crate) guard: DivergenceGuard,
    /// What a hook wants the loop to do.
    pub(super) request: Option<Request>,
    provenance: Provenance,
    started: Instant,
}

/// What a run records of where it runs and what it begins with.
#[derive(Debug)]
struct Provenance {
    /// Of the working directory. A training in memory records none.
    git: Option<Git>,
    machine: Machine,
    /// Where the first weights came from, if they were not drawn.
    origin: Option<String>,
}

/// What a training is made of.
pub(crate) struct Parts {
    pub(crate) registry: Registry,
    pub(crate) config: Config,
    pub(crate) workers: WorkerGroup,
    pub(crate) data: Dataset,
    pub(crate) model: Model,
    pub(crate) objective: Objective,
    pub(crate) optimizer: Optimizer,
    /// The position before the first batch.
    pub(crate) batches: Batches,
}

/// The position before the first batch of a process.
pub(crate) fn batches(config: &Config, data: &Dataset, workers: &WorkerGroup) -> Batches {
    Batches::new(data.train.len(), config.data.batch_size, config.train.seed, 0, 0)
        .for_rank(workers.rank(), workers.size())
        .accumulating(config.train.accumulate)
}

impl Training {
    /// Loads the data and builds model and optimizer, with weights drawn by the seed or those of a file.
    ///
    /// # Errors
    /// If data, device or model are not available, or the file does not fit the model.
    pub fn new(
        registry: &Registry,
        config: Config,
        init_from: Option<&InitialWeights>,
    ) -> anyhow::Result<Self> {
        Training::with_workers(registry, config, init_from, WorkerGroup::single())
    }

    /// As [`new`](Self::new), as one of several processes.
    pub(crate) fn with_workers(
        registry: &Registry,
        mut config: Config,
        init_from: Option<&InitialWeights>,
        mut workers: WorkerGroup,
    ) -> anyhow::Result<Self> {
        let device = config.train.device_of(workers.local_rank())?;
        workers.agree_on_gpus(device)?;
        config.train.use_threads();
        let git = git::in_background();
        let data = registry.load_data(&config.data)?;
        config.settle(registry.kinds(), data.spec.task, data.validation.len())?;
        workers.refuse_other_data(&data)?;
        if data.train.len() < workers.size() {
            return Err(UsageError::new(format!(
                "There are {} training samples for {} processes. Start fewer processes.",
                data.train.len(),
                workers.size()
            ))
            .into());
        }
        let batches = batches(&config, &data, &workers);
        generator::seed(config.train.seed)?;
        let model = registry.build_model(&config.model, &data.spec, device)?;
        let mut model = model.computing_as(&config.train)?;
        model.check_batches(&batches, &data)?;
        let objective = registry.build_objective(&config, &data.spec, device)?;
        // Before the optimizer is built, so that φ begins there too.
        let init_from = init_from.filter(|_| workers.is_rank_zero());
        let mut origin = init_from.map(|from| from.load(&model.vs)).transpose()?;
        workers.broadcast_weights(&model.vs)?;
        model.freeze(&config.train.freeze)?;
        let lookahead = config.lookahead.as_ref();
        let inner = registry.build_optimizer(&config.optimizer, &model.vs)?;
        let alphas = config.optimizer.alphas(registry.kinds());
        let optimizer = Optimizer::with_alphas(inner, lookahead, &alphas, &model.vs, &workers)?;
        let mut optimizer = optimizer.averaged(&config.averaging)?;
        if let (Some(from), Some(loaded)) = (init_from, &mut origin) {
            from.load_optimizer(loaded, &mut optimizer)?;
        }
        if !workers.is_single() {
            generator::seed(workers.seed(config.train.seed))?;
        }
        let registry = registry.clone();
        let parts = Parts { registry, config, workers, data, model, objective, optimizer, batches };
        let mut training = Training::of(parts)?;
        training.provenance.git = git();
        training.provenance.origin = origin.map(|loaded| loaded.note);
        Ok(training)
    }

    /// The training of these parts, before its first step.
    ///
    /// # Errors
    /// A usage error if the steps can't be counted.
    pub(crate) fn of(parts: Parts) -> Result<Self, UsageError> {
        let Parts { registry, config, workers, data, model, objective, optimizer, batches } = parts;
        let average = Average::new(&config.averaging, &model.vs);
        let mut training = Training {
            average: average.map_err(|error| UsageError::new(error.to_string()))?,
            total_steps: config.train.total_steps(batches.per_epoch()).map_err(UsageError::new)?,
            loader: Loader::new(Arc::clone(&data.train), batches),
            state: TrainState::default(),
            guard: DivergenceGuard::new(&config),
            request: None,
            provenance: Provenance { git: None, machine: Machine::here(), origin: None },
            started: Instant::now(),
            registry,
            config,
            workers,
            data,
            model,
            objective,
            optimizer,
        };
        training.set_schedules().map_err(|error| UsageError::new(error.to_string()))?;
        Ok(training)
    }

    /// Sets the schedules of k and α. Those without steps of their own take the whole run.
    pub(super) fn set_schedules(&mut self) -> lookahead_core::Result<()> {
        if let (Some(lookahead), Some(config)) =
            (self.optimizer.lookahead(), &self.config.lookahead)
        {
            lookahead.set_alpha_schedule(config.alpha_schedule.over(self.total_steps))?;
            lookahead.set_k_schedule(config.k_schedule.over(self.total_steps))?;
        }
        Ok(())
    }

    /// A sentence if a batch would have more samples than the data.
    pub(crate) fn oversized_batch(&self) -> Option<String> {
        let (wanted, there) = (self.batches().global_batch_size(), self.batches().samples());
        let of_each = match self.workers.size() {
            1 => String::new(),
            size => format!(" for each of {size} processes"),
        };
        let often = match self.batches().accumulate() {
            1 => String::new(),
            often => format!(", `train.accumulate` {often}"),
        };
        (wanted > there).then(|| {
            format!(
                "`data.batch_size` is {}{often}{of_each}, and there are {there} training samples: each step takes all \
                 of them, so an epoch is one step.",
                self.batches().batch_size()
            )
        })
    }

    /// A sentence if this machine computes in another way than the config says.
    pub(crate) fn note(&self) -> Option<String> {
        self.model.note()
    }

    /// Where the first weights come from, as a sentence, if they were not drawn.
    pub(crate) fn origin(&self) -> Option<String> {
        self.provenance.origin.clone().or_else(|| self.model.origin())
    }

    /// The configuration, with what was set during the run.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What determines the last bits on this machine.
    pub(crate) fn machine(&self) -> &Machine {
        &self.provenance.machine
    }

    /// The git working tree in which the program runs, if there is one.
    pub(super) fn git(&self) -> Option<&Git> {
        self.provenance.git.as_ref()
    }

    /// The processes of the run.
    pub fn workers(&self) -> &WorkerGroup {
        &self.workers
    }

    /// Where the model is.
    pub fn device(&self) -> Device {
        self.model.vs.device()
    }

    /// The position in the training data.
    pub(crate) fn batches(&self) -> &Batches {
        self.loader.batches()
    }

    /// Moves to another position in the training data.
    pub(super) fn set_batches(&mut self, batches: Batches) {
        self.loader.set_position(batches);
    }

    /// Inner steps taken.
    pub fn step(&self) -> u64 {
        self.state.step
    }

    /// The bytes of the model's variables, in the order of their names.
    pub fn weights_as_bytes(&self) -> Vec<u8> {
        self.model.weights_as_bytes()
    }

    /// Inner steps of the whole run.
    pub fn total_steps(&self) -> u64 {
        self.total_steps
    }

    /// The run's description, for the log.
    pub fn info(&self, run: &str) -> RunInfo {
        let lookahead = self.config.lookahead.as_ref();
        RunInfo {
            format: event::FORMAT,
            run: run.to_owned(),
            data: self.data.name.to_owned(),
            task: self.objective.info(),
            model: self.config.model.kind.clone(),
            optimizer: self.config.optimizer.kind.clone(),
            lookahead: lookahead.map(|l| LookaheadInfo { k: l.k, alpha: l.alpha }),
            compute: self.compute(),
            parameters: self.model.parameters(),
            total_steps: self.total_steps,
            steps_per_epoch: self.batches().per_epoch(),
            samples: Samples {
                train: self.data.train.len() as u64,
                validation: self.data.validation.len() as u64,
                test: self.data.test.len() as u64,
            },
            seed: self.config.train.seed,
            software: software(),
            config: self.config.to_json(),
        }
    }

    /// The device, and how its CPU kernels compute.
    pub(super) fn compute(&self) -> Compute {
        Compute {
            device: device_name(self.device()),
            threads: self.machine().threads,
            cpu_capability: self.machine().cpu_capability.clone(),
        }
    }

    /// How long the run's processes have run so far, in seconds.
    pub(super) fn wall_seconds(&self) -> f64 {
        self.state.earlier_seconds + self.started.elapsed().as_secs_f64()
    }

    /// Whether `train.patience` evaluations came without a better one: then the run is finished.
    pub fn is_out_of_patience(&self) -> bool {
        self.state.is_out_of_patience(self.config.train.patience)
    }

    /// Whether the last step's sync or evaluations are still to be done, because the run was stopped before them.
    pub(crate) fn has_pending_work(&self) -> bool {
        self.state.pending != PendingEvaluation::None || self.optimizer.sync_is_due()
    }

    /// The learning rate of the next step: by its schedule, and cut by roll-backs.
    pub(crate) fn learning_rate(&self) -> f64 {
        let epoch = self.batches().epoch();
        let at = SchedulePosition { step: self.state.step, total: self.total_steps, epoch };
        let lr = self.config.schedule.learning_rate(self.config.optimizer.lr, at);
        lr * self.state.roll_backs.lr_scale
    }

    /// Averages gradients and buffers over the workers of a data-parallel run, weighted by their shares of the
    /// batch.
    pub(crate) fn average_gradients(&mut self) -> anyhow::Result<()> {
        if !self.workers.is_data_parallel() {
            return Ok(());
        }
        let weight = self.batches().step_len() * self.workers.size();
        let weight = weight as f64 / self.batches().global_batch_len() as f64;
        let parameters: Vec<&Tensor> =
            self.optimizer.parameters().iter().map(|p| &p.tensor).collect();
        self.workers.average_gradients(&parameters, weight)?;
        self.workers.average_buffers(&self.model)
    }

    /// One step of the inner optimizer; false if it was skipped.
    ///
    /// # Errors
    /// [`Diverged`] if it has left NaN or infinity that an average would take.
    pub(crate) fn inner_step(&mut self) -> anyhow::Result<bool> {
        self.optimizer.inner_step().map_err(|error| match error {
            lookahead_core::Error::NonFiniteStep { name } => {
                let (step, lr) = (self.state.step + 1, self.config.optimizer.lr);
                Diverged::of_weights(&name, step, lr).into()
            }
            other => other.into(),
        })
    }

    /// Why the next step is skipped, if its `loss` is NaN or infinity, or that of another process.
    pub(crate) fn skip_reason(&mut self, loss: Option<f64>) -> anyhow::Result<Option<String>> {
        let (step, lr) = (self.state.step + 1, self.config.optimizer.lr);
        if self.guard.continues() && self.workers.any(loss.is_some())? && loss.is_none() {
            let done = self.guard.drop_step(&self.model, &mut self.optimizer)?;
            return Ok(Some(format!("The loss of another process is NaN or infinity: {done}")));
        }
        let Some(loss) = loss else { return Ok(None) };
        if !self.guard.continues() {
            refuse_loss(BATCH_LOSS, loss, step, lr)?;
        }
        let done = self.guard.drop_step(&self.model, &mut self.optimizer)?;
        Ok(Some(format!("The loss is {loss}: {done}")))
    }

    /// Moves to the next batch of this step; false if there is none.
    pub(super) fn next_part(&mut self) -> bool {
        self.loader.next_part()
    }

    /// Moves to the next step's batch, and notes whether evaluations are due after this step.
    pub(crate) fn next_batch(&mut self) {
        let epoch_completed = self.loader.advance();
        (self.state.epoch, self.state.cursor) = (self.batches().epoch(), self.batches().cursor());
        let train = &self.config.train;
        let is_last = self.state.step == self.total_steps && train.evaluate_every_epochs > 0;
        let is_due = epoch_completed && train.evaluates_after(self.state.epoch);
        self.state.pending =
            if is_last || is_due { PendingEvaluation::Both } else { PendingEvaluation::None };
    }

    /// The view of it that hooks get.
    pub(crate) fn context<'a>(&'a mut self, events: &'a mut Events) -> HookContext<'a> {
        HookContext {
            config: &self.config,
            data: &self.data,
            workers: &self.workers,
            model: &self.model,
            objective: &self.objective,
            optimizer: &mut self.optimizer,
            average: self.average.as_mut(),
            state: &mut self.state,
            events,
            request: &mut self.request,
        }
    }

    /// What the status shows of it.
    pub(crate) fn progress(&self) -> Progress {
        Progress {
            step: self.state.step,
            epoch: self.state.epoch,
            phase: self.optimizer.phase(),
            k: self.optimizer.k(),
            alpha: self.optimizer.alpha(),
            probe_every_syncs: self.config.probe.every_syncs(),
        }
    }

    /// Whether the run, if it ended now, would need a last sync inside a cycle.
    pub(crate) fn lacks_final_sync(&self) -> bool {
        let wanted = self.config.lookahead.as_ref().is_some_and(|lookahead| lookahead.final_sync);
        wanted && self.optimizer.phase() > 0
    }

    /// The current batch, on the device.
    ///
    /// # Errors
    /// If a sample can't be read.
    pub(crate) fn current_batch(&mut self) -> anyhow::Result<Batch> {
        let device = self.device();
        self.loader.load(device)
    }
}

/// Refuses data whose contents are not those that a checkpoint was taken with, if both are known.
///
/// # Errors
/// A usage error if they differ; if the checkpoint can't be read.
pub fn refuse_other_contents(data: &Dataset, metadata: &TrainingMetadata) -> anyhow::Result<()> {
    let now = DataIdentity::new(data).fingerprint;
    let then = TrainState::from_metadata(metadata)?.data.fingerprint;
    if then.is_none() || now.is_none() || now == then {
        return Ok(());
    }
    Err(UsageError::new(format!(
        "The training data is not what the checkpoint of step {} was taken with: its contents have \
         changed. Point `data.dir` or `data.file` to the data that the run started with, or start a new run with \
         `{} train`.",
        metadata.step,
        program_name()
    ))
    .into())
}

/// The program's name in logs and manifests.
pub const PROGRAM: &str = "lookahead";

/// This program and its libraries, with their versions.
pub fn software() -> Software {
    let versions = Versions {
        lookahead: env!("CARGO_PKG_VERSION").to_owned(),
        tch: build::TCH_VERSION.to_owned(),
        libtorch: build::libtorch_version(),
    };
    Software { program: Some(PROGRAM.to_owned()), versions }
}

pub(super) fn device_name(device: Device) -> String {
    match device {
        Device::Cuda(index) => format!("cuda:{index}"),
        _ => "cpu".to_owned(),
    }
}
