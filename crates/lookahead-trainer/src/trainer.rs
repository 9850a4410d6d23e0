//! The training loop alone, for programs that have a command line of their own.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

use lookahead_core::{InnerOptimizer, LookaheadConfig};
use lookahead_run::event::{Evaluation, Event, Split};

use crate::config::Config;
use crate::config::schedule::ScheduleConfig;
use crate::data::Dataset;
use crate::distributed::WorkerGroup;
use crate::models::Model;
use crate::objective::{Loss, Metric};
use crate::optimizers::Optimizer;
use crate::panics::caught;
use crate::registry::Registry;
use crate::train::hook::{Hook, HookContext};
use crate::train::hooks::Hooks;
use crate::train::r#loop::train;
use crate::train::setup::{Parts, Training, batches};

/// A training in memory: a model, a data set and an inner optimizer, with Lookahead around it or not. It writes no
/// file, listens to no signal, and prints nothing but warnings, on stderr.
///
/// The losses are those that `lookahead train` has with the same model, data, settings and seed, to the bit.
///
/// ```
/// use lookahead_core::tch_ext::generator;
/// use lookahead_core::{LookaheadConfig, TchOptimizer};
/// use lookahead_trainer::{
///     Array, DataSpec, Dataset, InMemory, Inputs, LoadContext, Model, Task, Trainer,
/// };
/// use tch::{Device, nn};
///
/// # fn main() -> anyhow::Result<()> {
/// // Is the sum of two numbers positive?
/// let points = |count: usize| -> anyhow::Result<InMemory> {
///     let numbers: Vec<f32> = (0..2 * count).map(|i| (i as f32 * 0.37).sin()).collect();
///     let classes: Vec<i64> = numbers.chunks(2).map(|xy| i64::from(xy[0] + xy[1] > 0.0)).collect();
///     let inputs = Array::new(&[count, 2], numbers).map_err(anyhow::Error::msg)?;
///     Ok(InMemory::new(inputs, Array::new(&[count], classes).map_err(anyhow::Error::msg)?)?)
/// };
/// let spec = DataSpec::new("sums", Task::Classification, Inputs::raw(&[2], &["number"], "float32"), 2);
/// let context = LoadContext { name: "sums", batch_size: 32, validation: Some(100) };
/// let data = Dataset::in_memory(&context, spec, points(1000)?, points(200)?)?;
///
/// generator::seed(0)?;
/// let vs = nn::VarStore::new(Device::Cpu);
/// let net = nn::linear(vs.root() / "out", 2, 2, Default::default());
/// let sgd = TchOptimizer::new(nn::Sgd::default(), &vs, 0.5)?;
/// let model = Model::new(vs, Box::new(net));
///
/// let report = Trainer::new(model, data, sgd)
///     .lookahead(LookaheadConfig { k: 5, alpha: 0.5, ..Default::default() })
///     .batch_size(32)
///     .epochs(5)
///     .run()?;
/// let test = report.test.expect("there is test data");
/// assert!(test.accuracy > 0.95);
/// // `report.model` holds φ now.
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Trainer {
    config: Config,
    model: Model,
    data: Dataset,
    inner: Box<dyn InnerOptimizer>,
    loss: Option<Box<dyn Loss>>,
    metrics: Vec<(&'static str, Box<dyn Metric>)>,
    hooks: Vec<Box<dyn Hook>>,
}

impl fmt::Debug for Trainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer").field("config", &self.config).finish_non_exhaustive()
    }
}

/// What a training came to.
#[derive(Debug)]
pub struct Report {
    /// The final model: φ with Lookahead, θ without.
    pub model: Model,
    /// Inner steps taken.
    pub steps: u64,
    /// The loss of each step, in order.
    pub losses: Vec<f64>,
    /// Each evaluation, with its step, in order.
    pub evaluations: Vec<(u64, Evaluation)>,
    /// The final model on test data, if there is any.
    pub test: Option<Evaluation>,
}

impl Trainer {
    /// A training of 10 epochs with batches of 64. `inner` must be the optimizer of the model's variables.
    pub fn new(model: Model, data: Dataset, inner: impl InnerOptimizer + 'static) -> Self {
        let mut config = Config::default();
        config.probe.every_syncs = Some(0);
        config.probe.samples = Some(1);
        config.checkpoint.every_steps = 0;
        Trainer {
            config,
            model,
            data,
            inner: Box::new(inner),
            loss: None,
            metrics: Vec::new(),
            hooks: Vec::new(),
        }
    }

    /// Puts Lookahead around the inner optimizer.
    pub fn lookahead(mut self, lookahead: LookaheadConfig) -> Self {
        self.config.lookahead = Some(lookahead);
        self
    }

    /// Passes over the training data.
    pub fn epochs(mut self, epochs: u64) -> Self {
        (self.config.train.epochs, self.config.train.max_steps) = (epochs, None);
        self
    }

    /// Inner steps, instead of epochs.
    pub fn steps(mut self, steps: u64) -> Self {
        self.config.train.max_steps = Some(steps);
        self
    }

    /// Samples in a batch.
    pub fn batch_size(mut self, samples: usize) -> Self {
        self.config.data.batch_size = samples;
        self
    }

    /// Averages the gradients of this number of batches for one inner step. The default is 1.
    pub fn accumulate(mut self, batches: usize) -> Self {
        self.config.train.accumulate = batches;
        self
    }

    /// Scales the gradients before each inner step so that their joint L2 norm is at most `max`.
    pub fn clip_grad_norm(mut self, max: f64) -> Self {
        self.config.train.clip_grad_norm = max;
        self
    }

    /// Clips each element of the gradients to `-max..=max` before each inner step.
    pub fn clip_grad_value(mut self, max: f64) -> Self {
        self.config.train.clip_grad_value = max;
        self
    }

    /// Fixes the order of the data and its augmentation. The first weights and dropout come from libtorch's generator,
    /// which the caller seeds before building the model.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.train.seed = seed;
        self
    }

    /// The learning rate over time. Without it, it stays that of the inner optimizer.
    pub fn schedule(mut self, schedule: ScheduleConfig) -> Self {
        self.config.schedule = schedule;
        self
    }

    /// Epochs from one evaluation on validation data to the next; 0 is never. The default is 1.
    pub fn evaluate_every_epochs(mut self, epochs: u64) -> Self {
        self.config.train.evaluate_every_epochs = epochs;
        self
    }

    /// Minimizes this loss instead of the task's.
    pub fn loss(mut self, loss: impl Loss + 'static) -> Self {
        self.loss = Some(Box::new(loss));
        self
    }

    /// Measures this metric in evaluations, besides those of the task.
    pub fn metric(mut self, name: &'static str, metric: impl Metric + 'static) -> Self {
        self.metrics.push((name, Box::new(metric)));
        self
    }

    /// Adds a hook.
    pub fn hook(mut self, hook: impl Hook + 'static) -> Self {
        self.hooks.push(Box::new(hook));
        self
    }

    /// Trains to the last step.
    ///
    /// # Errors
    /// If a setting is out of range, the optimizer has several learning rates, or a step, an evaluation or a hook fails: the
    /// loss is NaN or infinity, or a sample can't be read.
    pub fn run(self) -> anyhow::Result<Report> {
        caught(|| self.train())
    }

    fn train(mut self) -> anyhow::Result<Report> {
        let rates = self.inner.learning_rates()?;
        anyhow::ensure!(
            rates.windows(2).all(|two| two[0] == two[1]) && !rates.is_empty(),
            "The inner optimizer has the learning rates {rates:?}, and a training has one for all groups. Set the \
             same for each."
        );
        self.config.optimizer.lr = rates[0];
        let (registry, task) = (Registry::new(), self.data.spec.task);
        self.config.resolve_loop(registry.kinds(), task)?;
        self.config.settle(registry.kinds(), task, self.data.validation.len())?;
        let device = self.model.vs.device();
        let mut objective = registry.build_objective(&self.config, &self.data.spec, device)?;
        objective.replace(self.loss, self.metrics);
        let workers = WorkerGroup::single();
        let optimizer = {
            let lookahead = self.config.lookahead.as_ref();
            Optimizer::new(self.inner, lookahead, &self.model.vs, &workers)?
                .averaged(&self.config.averaging)?
        };
        let batches = batches(&self.config, &self.data, &workers);
        self.model.check_batches(&batches, &self.data)?;
        let mut training = Training::of(Parts {
            registry,
            config: self.config,
            workers,
            data: self.data,
            model: self.model,
            objective,
            optimizer,
            batches,
        })?;
        let mut hooks = Hooks::in_memory(&training)?;
        let recorded = Rc::<RefCell<Recorded>>::default();
        hooks.add(Box::new(Recorder(Rc::clone(&recorded))))?;
        self.hooks.into_iter().try_for_each(|hook| hooks.add(hook))?;
        let mut ended = train(&mut training, &mut hooks)?;
        hooks.finish(&mut training, &mut ended);
        let final_weights = training.config().final_weights();
        let Recorded { losses, evaluations } = recorded.take();
        let is_final =
            |found: &Evaluation| (found.split, found.weights) == (Split::Test, final_weights);
        let test =
            evaluations.iter().map(|(_, found)| found).rfind(|found| is_final(found)).cloned();
        Ok(Report { steps: training.step(), model: training.model, losses, evaluations, test })
    }
}

#[derive(Debug, Default)]
struct Recorded {
    losses: Vec<f64>,
    evaluations: Vec<(u64, Evaluation)>,
}

/// Keeps losses and evaluations for the report.
#[derive(Debug)]
struct Recorder(Rc<RefCell<Recorded>>);

impl Hook for Recorder {
    fn name(&self) -> &'static str {
        "recorder of the report"
    }

    fn on_event(
        &mut self,
        _: &mut HookContext<'_>,
        step: u64,
        event: &Event,
    ) -> anyhow::Result<()> {
        let mut recorded = self.0.borrow_mut();
        match event {
            Event::Step(taken) => recorded.losses.push(taken.loss),
            Event::Evaluation(found) => recorded.evaluations.push((step, found.clone())),
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
