//! What a checkpoint costs a training: how long it waits for the snapshot, how much slower its steps are
//! while the snapshot is written, and what the writing costs beside the plainest that could be done.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use lookahead_core::LookaheadConfig;
use lookahead_run::{CheckpointStore, EventLog, Retention, TrainingMetadata};
use lookahead_trainer::checkpointing::snapshot::Snapshot;
use lookahead_trainer::checkpointing::writer::{SaveRequest, Writer};
use lookahead_trainer::config::optimizer::OptimizerConfig;
use lookahead_trainer::distributed::WorkerGroup;
use lookahead_trainer::optimizers::Optimizer;
use lookahead_trainer::registry::Registry;
use tch::{Device, Tensor, nn};

use super::models::{resnet18, variables};
use super::{Comparisons, Target};

pub(super) fn compare(comparisons: &mut Comparisons) -> anyhow::Result<()> {
    let folder = comparisons.folder().to_owned();
    for kind in ["sgd", "adamw"] {
        stall(comparisons, kind);
    }
    writing(comparisons, &folder);
    in_flight(comparisons, &folder);
    Ok(())
}

/// A model of 11.2 M parameters whose optimizer has taken a step, so that its state is there.
fn training(kind: &str) -> (nn::VarStore, Optimizer) {
    let vs = variables(&resnet18());
    let config = OptimizerConfig { kind: kind.to_owned(), ..Default::default() };
    let inner = Registry::builtin().build_optimizer(&config, &vs).expect("a config");
    let lookahead = LookaheadConfig::default();
    let mut optimizer =
        Optimizer::new(inner, Some(&lookahead), &vs, &WorkerGroup::single()).expect("a config");
    optimizer.inner_step().expect("a step");
    (vs, optimizer)
}

/// What training waits for, against a copy of as many bytes in as many tensors.
fn stall(comparisons: &mut Comparisons, kind: &str) {
    let what = format!("stall, {kind}");
    let names = ("snapshot", "copy_ of the state into warm memory");
    comparisons.compare(&what, names, Target::TakesAtMost(1.5), || {
        let (vs, mut optimizer) = training(kind);
        let state = optimizer.state().expect("a state");
        let sources: Vec<Tensor> =
            vs.variables().into_values().chain(state.tensors.into_values()).collect();
        let mut targets: Vec<Tensor> =
            sources.iter().map(|source| source.detach().copy()).collect();
        let mut snapshot = Snapshot::default();
        (
            move || {
                snapshot
                    .take(&vs, &mut optimizer, None, BTreeMap::new(), BTreeMap::new())
                    .expect("a snapshot")
            },
            move || {
                let _guard = tch::no_grad_guard();
                for (target, source) in targets.iter_mut().zip(&sources) {
                    target.copy_(source);
                }
            },
        )
    });
}

fn metadata(step: u64) -> TrainingMetadata {
    TrainingMetadata { step, ..TrainingMetadata::default() }
}

fn writer(folder: &Path) -> Writer {
    let log = EventLog::open(&folder.join("events.jsonl")).expect("a log");
    Writer::new(CheckpointStore::new(folder), log.syncer()).expect("a thread")
}

/// A job of the next step, of a snapshot that is taken for it.
fn job(
    writer: &mut Writer,
    step: u64,
    vs: &nn::VarStore,
    optimizer: &mut Optimizer,
) -> SaveRequest {
    let mut snapshot = writer.spare().expect("nothing is written");
    snapshot.take(vs, optimizer, None, BTreeMap::new(), BTreeMap::new()).expect("a snapshot");
    let retention = Retention::newest(std::num::NonZeroUsize::MIN);
    let (metadata, ranks) = (metadata(step), Vec::new());
    SaveRequest { snapshot, ranks, metadata, retention, lr: 0.1, stall: Duration::ZERO }
}

/// Written, flushed, hashed, read back, published, and the one before removed; against the same bytes
/// written to a file and flushed.
fn writing(comparisons: &mut Comparisons, folder: &Path) {
    let names = ("checkpoint", "one file, written and flushed");
    comparisons.compare("writing, Sgd", names, Target::Takes, || {
        let (vs, mut optimizer) = training("sgd");
        let mut writer = writer(folder);
        let mut step = 0;
        let first = job(&mut writer, 0, &vs, &mut optimizer);
        let (state, model) = (first.snapshot.bytes(), vs.variables());
        let model: usize = model.values().map(|t| t.numel() * t.kind().elt_size_in_bytes()).sum();
        writer.begin(first).expect("a thread");
        let published = writer.wait().expect("a job").outcome.expect("a checkpoint");
        println!(
            "A checkpoint of {:.1} MB of tensors has {:.1} MB: {:.4} times as many.",
            (state + model) as f64 / 1e6,
            published.bytes as f64 / 1e6,
            published.bytes as f64 / (state + model) as f64
        );
        let plain = vec![7u8; state + model];
        let file = folder.join("plain");
        (
            move || {
                step += 1;
                let next = job(&mut writer, step, &vs, &mut optimizer);
                writer.begin(next).expect("a thread");
                writer.wait().expect("a job").outcome.expect("a checkpoint");
            },
            move || {
                let mut out = std::fs::File::create(&file).expect("a file");
                out.write_all(&plain).and_then(|()| out.sync_all()).expect("a file");
            },
        )
    });
}

/// Steps while a checkpoint is written, in turns with steps while none is.
fn in_flight(comparisons: &mut Comparisons, folder: &Path) {
    const ROUNDS: usize = 15;
    const WHAT: &str = "a step with a checkpoint in flight";
    if !comparisons.takes(WHAT) {
        return;
    }
    let (vs, mut optimizer) = training("sgd");
    let mut writer = writer(folder);
    let images = Tensor::randn([64, 1024], (tch::Kind::Float, Device::Cpu));
    let weights = Tensor::randn([1024, 1024], (tch::Kind::Float, Device::Cpu));
    let mut rounds = Vec::new();
    for round in 0..ROUNDS as u64 {
        let next = job(&mut writer, 1000 + round, &vs, &mut optimizer);
        // Layers, as far as time is concerned, and a step of the optimizer.
        let mut step = || {
            let started = Instant::now();
            let mut x = images.shallow_clone();
            for _ in 0..12 {
                x = x.matmul(&weights).tanh();
            }
            optimizer.inner_step().expect("a step");
            let lookahead = optimizer.lookahead().expect("there is one");
            lookahead.sync_if_due().expect("a sync");
            drop(x);
            started.elapsed().as_secs_f64()
        };
        let without: Vec<f64> = (0..10).map(|_| step()).collect();
        writer.begin(next).expect("a thread");
        let mut with = Vec::new();
        while with.is_empty() || writer.is_busy() {
            with.push(step());
            writer.poll();
        }
        let mean = |times: &[f64]| times.iter().sum::<f64>() / times.len() as f64;
        rounds.push((mean(&with), mean(&without)));
    }
    comparisons.add(WHAT, ("with", "without"), Target::Takes, &rounds);
}
