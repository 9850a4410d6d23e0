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
use lookahead_core::{InnerOptimizer, Lookahead};
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
use tch::{Device, Tensor};
use tempfile::TempDir;

use crate::alone;
use crate::contender::Contender;
use crate::protocol::{Answer, Command, Job, peak_memory_of};
use crate::workload::Work;

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
        Command::Export { initial, order, samples } => {
            prepared.export(&initial, &order, samples.as_deref())?;
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
        Work::Optimizer { parameters, tensors, inner, sync } => {
            alone::prepare(&job.contender, &inner, (parameters, tensors), sync)?
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

    fn export(&self, initial: &Path, order: &Path, samples: Option<&Path>) -> anyhow::Result<()> {
        // Weights that lie channels last can't be saved as they are.
        let weights = self.model.vs.variables().into_iter();
        let weights: Vec<(String, Tensor)> = weights
            .map(|(name, weight)| Ok((name, weight.f_detach()?.f_contiguous()?)))
            .collect::<anyhow::Result<_>>()?;
        Tensor::write_safetensors(&weights, initial)?;
        let (count, seed) = (self.data.train.len(), self.config.train.seed);
        let all = Batches::new(count, count, seed, 0, 0);
        let indices: Vec<i64> = all.current().iter().map(|&index| index as i64).collect();
        Tensor::write_safetensors(&[("order", Tensor::from_slice(&indices))], order)?;
        let Some(samples) = samples else { return Ok(()) };
        let key = SampleKey { seed, epoch: 0, cursor: 0 };
        let every = |count| (0..count).collect::<Vec<_>>();
        let train = self.data.train.gather(&every(count), key, Device::Cpu)?;
        let test = self.data.test.gather(&every(self.data.test.len()), key, Device::Cpu)?;
        let tensors = [
            ("inputs", train.inputs),
            ("targets", train.targets),
            ("test_inputs", test.inputs),
            ("test_targets", test.targets),
        ];
        Tensor::write_safetensors(&tensors, samples)?;
        Ok(())
    }
}
