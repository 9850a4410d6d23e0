//! This project's contenders.
//!
//! | contender | what it is |
//! |---|---|
//! | `trainer` | what `lookahead train` does: the probe, the event log, checkpoints |
//! | `trainer-without-checkpoints` | the same, but for the checkpoints |
//! | `trainer-without-probe` | the same, but for checkpoints and probe |
//! | `library` | lookahead-core alone: a plain loop over the same model and data |
//! | `bare` | the same loop with the inner optimizer alone |

use std::io::{BufRead, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use lookahead_core::tch_ext::{build, memory};
use lookahead_core::{
    InnerOptimizer, Lookahead, NonFinite, Parameter, Result as CoreResult, State, TchOptimizer,
    fused,
};
use lookahead_run::event::{Event, RunInfo, Split, Weights};
use lookahead_run::{RunFolder, RunLock, log};
use lookahead_trainer::config::Config;
use lookahead_trainer::controls::Hangup;
use lookahead_trainer::data::batches::Batches;
use lookahead_trainer::data::{Dataset, SampleKey};
use lookahead_trainer::models::Model;
use lookahead_trainer::objective::Objective;
use lookahead_trainer::observer::Show;
use lookahead_trainer::registry::Registry;
use lookahead_trainer::train::evaluation::evaluate;
use lookahead_trainer::train::hooks::Hooks;
use lookahead_trainer::train::r#loop::step;
use lookahead_trainer::train::setup::Training;
use tch::{Device, Kind, Tensor, nn};
use tempfile::TempDir;

use crate::protocol::{Answer, Command, Job, peak_memory_of};
use crate::workload::{Work, shapes};

/// What takes commands.
trait Contender {
    /// One step, or sync.
    fn step(&mut self) -> anyhow::Result<()>;

    /// The losses of that many steps.
    fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>>;

    /// Loss on the test set at φ.
    fn evaluate(&mut self) -> anyhow::Result<f64> {
        bail!("This contender evaluates nothing.")
    }

    /// Writes first weights and order.
    fn export(&self, _initial: &Path, _order: &Path) -> anyhow::Result<()> {
        bail!("This contender exports nothing.")
    }
}

/// Does what lines of standard input say, until their end.
///
/// # Errors
/// If standard input or output fails; every other failure is an answer.
pub fn serve() -> anyhow::Result<()> {
    // As the trainer's program does. Python's allocator is not ours to set.
    let _ = memory::keep_freed();
    let mut contender: Option<Box<dyn Contender>> = None;
    for line in std::io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?)
            .map_err(anyhow::Error::from)
            .and_then(|command| obey(command, &mut contender))
            .unwrap_or_else(|error| Answer::Failed { message: format!("{error:#}") });
        let mut out = std::io::stdout().lock();
        writeln!(out, "{}", serde_json::to_string(&answer)?)?;
        out.flush()?;
    }
    Ok(())
}

fn obey(command: Command, contender: &mut Option<Box<dyn Contender>>) -> anyhow::Result<Answer> {
    let done = || Answer::Done { versions: format!("libtorch {}", build::libtorch_version()) };
    if let Command::Prepare(job) = command {
        // What was there before goes first: memory may not hold both.
        *contender = None;
        *contender = Some(prepare(*job)?);
        return Ok(done());
    }
    if command == Command::Memory {
        let peak = peak_memory_of("self").context("/proc/self/status can't be read.")?;
        return Ok(Answer::Memory { peak });
    }
    let prepared = contender.as_mut().context("Nothing is prepared.")?;
    let started = Instant::now();
    let elapsed = || started.elapsed().as_secs_f64();
    Ok(match command {
        Command::Prepare(_) | Command::Memory => done(),
        Command::Release => {
            *contender = None;
            done()
        }
        Command::Export { initial, order } => {
            prepared.export(&initial, &order)?;
            done()
        }
        Command::Losses { steps } => Answer::Losses { losses: prepared.losses(steps)? },
        Command::Evaluate { .. } => {
            let loss = prepared.evaluate()?;
            Answer::Evaluated { loss, seconds: elapsed() }
        }
        Command::Time { seconds, cycle } => {
            let least = Duration::from_secs_f64(seconds.clamp(0.0, 3600.0));
            let mut steps = 0;
            loop {
                for _ in 0..cycle.max(1) {
                    prepared.step()?;
                }
                steps += cycle.max(1);
                if started.elapsed() >= least {
                    return Ok(Answer::Timed { steps, seconds: elapsed() });
                }
            }
        }
    })
}

fn prepare(job: Job) -> anyhow::Result<Box<dyn Contender>> {
    tch::set_num_threads(i32::try_from(job.threads)?);
    Ok(match job.work {
        Work::Optimizer { parameters, tensors, inner, sync: false } => {
            Box::new(Steps::new(&inner, parameters, tensors)?)
        }
        Work::Optimizer { parameters, tensors, inner, .. } => {
            Box::new(Syncs::new(parameters, tensors, inner == UNCHECKED)?)
        }
        Work::Training { config, .. } => match job.contender.as_str() {
            "library" => Box::new(Plain::new(*config, true)?),
            "bare" => Box::new(Plain::new(*config, false)?),
            name if name.starts_with("trainer") => Box::new(Trainer::new(*config)?),
            other => bail!("There is no contender {other} here."),
        },
    })
}

/// What of a config makes it one of the trainer's contenders.
///
/// # Errors
/// If there is no such contender.
pub fn adapt(contender: &str, config: &mut Config) -> anyhow::Result<()> {
    match contender {
        "trainer-without-checkpoints" => config.checkpoint.every_steps = 0,
        "trainer-without-probe" => {
            config.checkpoint.every_steps = 0;
            config.probe.every_syncs = Some(0);
        }
        "trainer" | "library" | "bare" => {}
        other => bail!("There is no contender {other} here."),
    }
    Ok(())
}

/// The trainer's own loop, on a run folder that goes when this does.
struct Trainer {
    training: Training,
    hooks: Hooks,
    run: RunFolder,
    _lock: RunLock,
    _folder: TempDir,
}

impl Trainer {
    /// As `lookahead train` begins.
    fn new(config: Config) -> anyhow::Result<Self> {
        let mut training = Training::new(&Registry::builtin(), config.clone(), None)?;
        let folder = tempfile::tempdir()?;
        let run = RunFolder::create(folder.path(), "run")?;
        let lock = run.lock()?;
        let run = lock.folder().clone();
        run.write_config(&config.to_toml())?;
        let mut hooks = Hooks::new(&run, &training, &Show::default(), Hangup::of(false))?;
        let info: RunInfo = training.info(run.name());
        hooks.events.record_start(info);
        if let Some(sentence) = hooks.open_to_others(&training, None) {
            bail!(sentence);
        }
        hooks.begin(&mut training)?;
        Ok(Trainer { training, hooks, run, _lock: lock, _folder: folder })
    }
}

impl Contender for Trainer {
    fn step(&mut self) -> anyhow::Result<()> {
        if step(&mut self.training, &mut self.hooks)?.is_break() {
            bail!("The training stopped on request.");
        }
        Ok(())
    }

    /// As the event log has them. It may have them later than the step was taken.
    fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>> {
        const LATER: u64 = 100;
        let from = self.training.step();
        while self.training.step() < from + steps + LATER {
            self.step()?;
            if self.training.step() < from + steps {
                continue;
            }
            self.hooks.events.observer.finish()?;
            let records = log::read(&self.run.events_path())?;
            let losses: Vec<f64> = records
                .iter()
                .filter(|record| (from + 1..=from + steps).contains(&record.step))
                .filter_map(|record| match &record.event {
                    Event::Step(step) => Some(step.loss),
                    _ => None,
                })
                .collect();
            if losses.len() as u64 == steps {
                return Ok(losses);
            }
        }
        bail!("The event log does not have the losses of the steps.")
    }
}

/// A plain loop, with Lookahead or without.
struct Plain {
    config: Config,
    data: Dataset,
    model: Model,
    objective: Objective,
    optimizer: Optimizer,
    batches: Batches,
}

enum Optimizer {
    Lookahead(Box<Lookahead<Box<dyn InnerOptimizer>>>),
    Bare(Box<dyn InnerOptimizer>),
}

impl Plain {
    fn new(config: Config, lookahead: bool) -> anyhow::Result<Self> {
        let data = Registry::builtin().load_data(&config.data)?;
        let seed = config.train.seed;
        tch::manual_seed(seed as i64);
        let model = Registry::builtin()
            .build_model(&config.model, &data.spec, Device::Cpu)?
            .computing_as(&config.train)?;
        let objective = Registry::builtin().build_objective(&config, &data.spec, Device::Cpu)?;
        let inner = Registry::builtin().build_optimizer(&config.optimizer, &model.vs)?;
        let optimizer = match &config.lookahead {
            Some(section) if lookahead => {
                let builder = Lookahead::around(inner).k(section.k).alpha(section.alpha);
                Optimizer::Lookahead(Box::new(builder.build()?))
            }
            _ => Optimizer::Bare(inner),
        };
        let batches = Batches::new(data.train.len(), config.data.batch_size, seed, 0, 0);
        Ok(Plain { config, data, model, objective, optimizer, batches })
    }

    /// Its loss is read in every step, as those of all other contenders are.
    fn take_step(&mut self) -> anyhow::Result<f64> {
        let (epoch, cursor) = (self.batches.epoch(), self.batches.cursor());
        let key = SampleKey { seed: self.config.train.seed, epoch, cursor };
        let batch = self.data.train.gather(self.batches.current(), key, Device::Cpu)?;
        let loss = self.objective.loss(&self.model, &batch, true)?;
        let value = f64::try_from(&loss)?;
        match &mut self.optimizer {
            Optimizer::Lookahead(lookahead) => {
                lookahead.backward_step(&loss)?;
            }
            Optimizer::Bare(inner) => {
                inner.zero_grad()?;
                loss.f_backward()?;
                inner.step()?;
            }
        }
        self.batches.advance();
        Ok(value)
    }
}

impl Contender for Plain {
    fn step(&mut self) -> anyhow::Result<()> {
        self.take_step().map(drop)
    }

    fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>> {
        (0..steps).map(|_| self.take_step()).collect()
    }

    /// As the trainer evaluates.
    fn evaluate(&mut self) -> anyhow::Result<f64> {
        let Plain { model, objective, data, optimizer, .. } = self;
        let test = || evaluate(objective, model, &*data.test, Split::Test, Weights::Slow, || false);
        let found = match optimizer {
            Optimizer::Lookahead(lookahead) => lookahead.with_slow_weights(test)??,
            Optimizer::Bare(_) => test()?,
        };
        Ok(found.context("The evaluation was stopped.")?.loss)
    }

    fn export(&self, initial: &Path, order: &Path) -> anyhow::Result<()> {
        // Weights that lie channels last can't be saved as they are.
        let weights = self.model.vs.variables().into_iter();
        let weights: Vec<(String, Tensor)> = weights
            .map(|(name, weight)| Ok((name, weight.f_detach()?.f_contiguous()?)))
            .collect::<anyhow::Result<_>>()?;
        Tensor::write_safetensors(&weights, initial)?;
        let Batches { .. } = &self.batches;
        let (count, seed) = (self.data.train.len(), self.config.train.seed);
        let all = Batches::new(count, count, seed, 0, 0);
        let indices: Vec<i64> = all.current().iter().map(|&index| index as i64).collect();
        Tensor::write_safetensors(&[("order", Tensor::from_slice(&indices))], order)?;
        Ok(())
    }
}

/// Weights of the shapes, from −1 to 1 in each tensor.
fn weights(parameters: i64, tensors: i64) -> nn::VarStore {
    let vs = nn::VarStore::new(Device::Cpu);
    let _guard = tch::no_grad_guard();
    for (i, size) in shapes(parameters, tensors).into_iter().enumerate() {
        let mut weight = vs.root().zeros(&format!("weight{i}"), &[size]);
        weight.copy_(&Tensor::linspace(-1.0, 1.0, size, (Kind::Float, Device::Cpu)));
    }
    vs
}

/// The mean square of all weights, in the place of a loss.
fn mean_square(weights: &[Tensor]) -> anyhow::Result<f64> {
    let (mut sum, mut count) = (0.0, 0);
    for weight in weights {
        sum += f64::try_from(weight.detach().square().sum(Kind::Double))?;
        count += weight.numel();
    }
    Ok(sum / count as f64)
}

/// So small that the weights hardly move, however many steps are timed.
const LEARNING_RATE: f64 = 1e-5;

/// Steps of the inner optimizer alone; the gradients stay the same.
struct Steps {
    optimizer: TchOptimizer,
    weights: Vec<Tensor>,
}

impl Steps {
    fn new(inner: &str, parameters: i64, tensors: i64) -> anyhow::Result<Self> {
        let vs = weights(parameters, tensors);
        let optimizer = match inner {
            "sgd" => TchOptimizer::new(fused::sgd(0.9, 0.0, 0.0, false), &vs, LEARNING_RATE)?,
            "adamw" => TchOptimizer::new(fused::AdamW::default(), &vs, LEARNING_RATE)?,
            other => bail!("There is no inner optimizer {other} here."),
        };
        let weights = vs.trainable_variables();
        // The gradient of half the sum of squares is the weight itself, in memory of its own.
        for weight in &weights {
            (weight.square().sum(Kind::Float) * 0.5).f_backward()?;
        }
        Ok(Steps { optimizer, weights })
    }
}

impl Contender for Steps {
    fn step(&mut self) -> anyhow::Result<()> {
        Ok(self.optimizer.step()?)
    }

    fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>> {
        (0..steps).map(|_| self.step().and_then(|()| mean_square(&self.weights))).collect()
    }
}

/// In the place of an inner optimizer's name: syncs that don't look for NaN before.
pub const UNCHECKED: &str = "unchecked";

/// Syncs alone: of a Lookahead with k 1, as a user builds it, around an optimizer that does nothing.
struct Syncs {
    lookahead: Lookahead<Nothing>,
    weights: Vec<Tensor>,
}

impl Syncs {
    fn new(parameters: i64, tensors: i64, unchecked: bool) -> anyhow::Result<Self> {
        let weights = weights(parameters, tensors).trainable_variables();
        let parameter = |(i, tensor): (usize, &Tensor)| Parameter {
            name: format!("weight{i}"),
            group: 0,
            tensor: tensor.shallow_clone(),
        };
        let parameters = weights.iter().enumerate().map(parameter).collect();
        let inner = Nothing { parameters, factor: 1.0 };
        let look = if unchecked { NonFinite::Unchecked } else { NonFinite::default() };
        let lookahead = Lookahead::around(inner).k(1).alpha(0.5).non_finite(look).build()?;
        Ok(Syncs { lookahead, weights })
    }
}

impl Contender for Syncs {
    fn step(&mut self) -> anyhow::Result<()> {
        self.lookahead.step()?;
        Ok(())
    }

    /// Each step halves θ before the sync, or that would change nothing.
    fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>> {
        self.lookahead.inner_mut().factor = 0.5;
        let losses =
            (0..steps).map(|_| self.step().and_then(|()| mean_square(&self.weights))).collect();
        self.lookahead.inner_mut().factor = 1.0;
        losses
    }
}

/// An inner optimizer whose steps do nothing, or multiply θ by a factor.
#[derive(Debug)]
struct Nothing {
    parameters: Vec<Parameter>,
    factor: f64,
}

impl InnerOptimizer for Nothing {
    fn step(&mut self) -> CoreResult<()> {
        if self.factor != 1.0 {
            for parameter in &mut self.parameters {
                lookahead_core::tch_ext::arithmetic::scale(&mut parameter.tensor, self.factor)?;
            }
        }
        Ok(())
    }

    fn zero_grad(&mut self) -> CoreResult<()> {
        Ok(())
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn learning_rates(&self) -> CoreResult<Vec<f64>> {
        Ok(vec![0.0])
    }

    fn set_learning_rate(&mut self, _: f64) -> CoreResult<()> {
        Ok(())
    }

    fn set_learning_rate_group(&mut self, _: usize, _: f64) -> CoreResult<()> {
        Ok(())
    }

    fn state(&mut self) -> CoreResult<State> {
        Ok(State::default())
    }

    fn load_state(&mut self, _: &State) -> CoreResult<()> {
        Ok(())
    }
}
