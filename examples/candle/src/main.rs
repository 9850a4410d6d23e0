//! A training loop with candle: a small network learns which of two rings a point is on.
//!
//! ```sh
//! cargo run --release        # in one terminal
//! lookahead watch            # in another one, in the same folder
//! lookahead ctl rings set lr=0.001
//! ```

use std::f32::consts::TAU;
use std::process::ExitCode;

use candle_core::{D, DType, Device, Result as Candle, Tensor};
use candle_nn::{AdamW, Linear, Module, Optimizer, VarBuilder, VarMap, linear, loss};
use lookahead_run::event::MetricInfo;
use lookahead_run::{Recorder, RecorderOptions, Request};

const BATCH: usize = 128;

fn main() -> ExitCode {
    let out = std::env::args().nth(1).unwrap_or_else(|| "checkpoints".to_owned());
    let steps = std::env::args().nth(2).and_then(|steps| steps.parse().ok()).unwrap_or(20_000);
    match train(&out, steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn train(out: &str, steps: u64) -> Result<(), Box<dyn std::error::Error>> {
    let variables = VarMap::new();
    let network = Network::new(&VarBuilder::from_varmap(&variables, DType::F32, &Device::Cpu))?;
    let mut optimizer = AdamW::new_lr(variables.all_vars(), 0.01)?;

    let accuracy = MetricInfo { name: "accuracy".into(), higher_is_better: true, percent: true };
    let options = RecorderOptions::new()
        .about("rings", "2-32-32-2", "adamw")
        .total_steps(steps)
        .metric(accuracy)
        .setting("lr", optimizer.learning_rate())
        .checkpoints();
    let mut run = Recorder::create_numbered(out, "rings", options)?;

    'training: for step in 1..=steps {
        // Waits while the run is paused.
        loop {
            match run.poll()? {
                Request::Continue => break,
                Request::Stop => break 'training,
                Request::Set(setting) => {
                    let lr = setting.value.as_f64().unwrap_or(optimizer.learning_rate());
                    optimizer.set_learning_rate(lr);
                }
                Request::Checkpoint => {
                    let path = run.folder().path().join("model.safetensors");
                    variables.save(&path)?;
                    run.checkpoint_saved(step - 1, "model.safetensors", path.metadata()?.len())?;
                }
            }
        }
        let (points, rings) = batch()?;
        let logits = network.forward(&points)?;
        let loss = loss::cross_entropy(&logits, &rings)?;
        optimizer.backward_step(&loss)?;
        let loss = f64::from(loss.to_scalar::<f32>()?);
        run.log(step, &[("loss", loss), ("lr", optimizer.learning_rate())])?;
        if step % 50 == 0 {
            let (points, rings) = batch()?;
            let right = network.forward(&points)?.argmax(D::Minus1)?.eq(&rings)?;
            let right = right.to_dtype(DType::F32)?.mean_all()?.to_scalar::<f32>()?;
            run.log(step, &[("accuracy", f64::from(right))])?;
        }
    }
    run.finish()?;
    Ok(())
}

struct Network {
    layers: [Linear; 3],
}

impl Network {
    fn new(variables: &VarBuilder) -> Candle<Network> {
        let layers = [
            linear(2, 32, variables.pp("first"))?,
            linear(32, 32, variables.pp("second"))?,
            linear(32, 2, variables.pp("last"))?,
        ];
        Ok(Network { layers })
    }
}

impl Module for Network {
    fn forward(&self, points: &Tensor) -> Candle<Tensor> {
        let [first, second, last] = &self.layers;
        last.forward(&second.forward(&first.forward(points)?.relu()?)?.relu()?)
    }
}

/// Points near two rings, of radius 1 and 2, and the ring of each: of shapes (BATCH, 2) and (BATCH).
fn batch() -> Candle<(Tensor, Tensor)> {
    let device = &Device::Cpu;
    let angle = Tensor::rand(0f32, TAU, (BATCH, 1), device)?;
    let rings = Tensor::rand(0f32, 1., (BATCH, 1), device)?.ge(0.5f32)?;
    let radius = (rings.to_dtype(DType::F32)? + Tensor::randn(1f32, 0.2, (BATCH, 1), device)?)?;
    let points = Tensor::cat(&[(&radius * angle.cos()?)?, (&radius * angle.sin()?)?], 1)?;
    Ok((points, rings.to_dtype(DType::U32)?.flatten_all()?))
}
