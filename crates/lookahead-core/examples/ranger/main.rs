//! Ranger: Lookahead around RAdam.
//!
//!     cargo run --release -p lookahead-core --example ranger
//!
//! Fits a small net to a sine, saves the state halfway, and resumes from it in fresh objects.

use lookahead_core::optimizers::{RAdam, ranger};
use lookahead_core::{Lookahead, MomentumPolicy, Result, RuleOptimizer};
use tch::nn::{self, Module};
use tch::{Device, Kind, Tensor};

struct Fit {
    vs: nn::VarStore,
    net: nn::Sequential,
    ranger: Lookahead<RuleOptimizer<RAdam>>,
}

impl Fit {
    fn new() -> Result<Fit> {
        let vs = nn::VarStore::new(Device::Cpu);
        let net = nn::seq()
            .add(nn::linear(vs.root() / "hidden", 1, 32, Default::default()))
            .add_fn(|x| x.tanh())
            .add(nn::linear(vs.root() / "out", 32, 1, Default::default()));
        let ranger = ranger(&vs, 0.02)?.momentum_policy(MomentumPolicy::Pullback).build()?;
        Ok(Fit { vs, net, ranger })
    }

    fn loss(&self) -> Tensor {
        let x = Tensor::linspace(-3.0, 3.0, 200, (Kind::Float, Device::Cpu)).unsqueeze(1);
        self.net.forward(&x).mse_loss(&x.sin(), tch::Reduction::Mean)
    }

    fn train(&mut self, steps: u64) -> Result<()> {
        for _ in 0..steps {
            let loss = self.loss();
            self.ranger.backward_step(&loss)?;
        }
        Ok(())
    }
}

pub(crate) fn main() -> Result<()> {
    tch::manual_seed(0);
    let mut fit = Fit::new()?;
    println!("loss at the start    {:.6}", fit.loss().double_value(&[]));
    fit.train(200)?;

    // A real program writes both to files: see `State`.
    let state = fit.ranger.state()?;
    let mut resumed = Fit::new()?;
    resumed.vs.copy(&fit.vs)?;
    resumed.ranger.load_state(&state)?;

    fit.train(400)?;
    resumed.train(400)?;
    fit.ranger.finish()?;
    resumed.ranger.finish()?;
    println!("loss at φ            {:.6}", fit.loss().double_value(&[]));
    println!("and of the resumed   {:.6}", resumed.loss().double_value(&[]));
    assert_eq!(fit.loss(), resumed.loss(), "it continues bit for bit");
    Ok(())
}
