//! Training loops in candle and burn, as contenders of `just bench-rust`: they do what lines of JSON on standard input
//! say, and answer in lines of JSON. See `../../src/protocol.rs`.

mod burn_loop;
mod candle_loop;

use std::io::{BufRead, Write};
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Command {
    Prepare(Box<Job>),
    Losses { steps: u64 },
    Time { seconds: f64, cycle: u64 },
    Evaluate {},
    Release,
}

#[derive(Deserialize)]
struct Job {
    contender: String,
    threads: usize,
    work: Work,
    initial: PathBuf,
    order: PathBuf,
    samples: PathBuf,
}

#[derive(Deserialize)]
struct Work {
    config: Config,
}

/// What these loops know of the trainer's configuration.
#[derive(Deserialize)]
struct Config {
    data: Data,
    model: Model,
    optimizer: Optimizer,
    lookahead: Option<Value>,
}

#[derive(Deserialize)]
struct Data {
    batch_size: usize,
}

#[derive(Deserialize)]
struct Model {
    kind: String,
    #[serde(default)]
    channels: Vec<usize>,
    hidden: Vec<usize>,
}

#[derive(Deserialize)]
struct Optimizer {
    kind: String,
    lr: f64,
    momentum: f64,
}

trait Contender {
    /// A step; returns its loss.
    fn step(&mut self) -> anyhow::Result<f64>;
    /// The mean loss on the test set.
    fn evaluate(&self) -> anyhow::Result<f64>;
}

/// Samples of an evaluation's forward pass.
const AT_ONCE: usize = 250;

/// Where a loop is in the epoch. Every epoch has the order of the first one.
struct Batches {
    order: Vec<i64>,
    size: usize,
    at: usize,
}

impl Batches {
    fn next(&mut self) -> &[i64] {
        if self.at >= self.order.len() {
            self.at = 0;
        }
        let from = self.at;
        self.at = (from + self.size).min(self.order.len());
        &self.order[from..self.at]
    }
}

fn prepare(job: Job) -> anyhow::Result<(Box<dyn Contender>, &'static str)> {
    let Config { optimizer, lookahead, .. } = &job.work.config;
    if optimizer.kind != "sgd" || lookahead.is_some() {
        bail!("These contenders train with SGD and without Lookahead.");
    }
    // Once for the process; both libraries compute in this pool.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(job.threads).build_global();
    let (candle, burn) = ("candle 0.11.1", "burn 0.22.1");
    Ok(match job.contender.as_str() {
        "candle" => (Box::new(candle_loop::Training::new(&job)?), candle),
        "burn-flex" => {
            (Box::new(burn_loop::Training::new(&job, burn::tensor::Device::flex())?), burn)
        }
        other => bail!("There is no contender {other} here."),
    })
}

fn obey(command: Command, contender: &mut Option<Box<dyn Contender>>) -> anyhow::Result<Value> {
    if let Command::Prepare(job) = command {
        *contender = None;
        let (prepared, versions) = prepare(*job)?;
        *contender = Some(prepared);
        return Ok(json!({"is": "done", "versions": versions}));
    }
    let prepared = contender.as_mut().context("Nothing is prepared.")?;
    let started = Instant::now();
    Ok(match command {
        Command::Prepare(_) | Command::Release => {
            *contender = None;
            json!({"is": "done", "versions": ""})
        }
        Command::Losses { steps } => {
            let losses = (0..steps).map(|_| prepared.step());
            json!({"is": "losses", "losses": losses.collect::<anyhow::Result<Vec<f64>>>()?})
        }
        Command::Time { seconds, cycle } => {
            let mut steps = 0;
            while steps == 0 || started.elapsed().as_secs_f64() < seconds {
                for _ in 0..cycle {
                    prepared.step()?;
                }
                steps += cycle;
            }
            json!({"is": "timed", "steps": steps, "seconds": started.elapsed().as_secs_f64()})
        }
        Command::Evaluate {} => {
            let loss = prepared.evaluate()?;
            json!({"is": "evaluated", "loss": loss, "seconds": started.elapsed().as_secs_f64()})
        }
    })
}

fn main() -> anyhow::Result<()> {
    let mut contender = None;
    for line in std::io::stdin().lock().lines() {
        let answer = serde_json::from_str(&line?)
            .map_err(anyhow::Error::from)
            .and_then(|command| obey(command, &mut contender))
            .unwrap_or_else(|error| json!({"is": "failed", "message": format!("{error:#}")}));
        let mut out = std::io::stdout().lock();
        writeln!(out, "{answer}")?;
        out.flush()?;
    }
    Ok(())
}
