//! Programs that nobody thought of: whatever a user does with the optimizer, in whatever order, φ is
//! what the definition says.
//!
//! A program is a configuration and a list of operations, drawn by proptest. It runs on the optimizer
//! and on a reference, which replays the definition in f64:
//!
//! ```text
//! φ ← φ + α (θ − φ)                     or, with outer momentum μ:
//! d = φ − θ,  v ← μ v + d,  φ ← φ − α v     (φ − α (d + μ v) in Nesterov's form)
//! θ ← φ
//! ```
//!
//! The reference knows by itself when a sync is due, which k and α hold, which variables take part and
//! where θ, φ, v and the moments stand. θ comes from an inner optimizer whose steps the test repeats
//! to the bit, or, for those of tch, is read just before each sync: their own arithmetic is compared
//! elsewhere. After each sync that was found right the reference takes over the φ found, so that each
//! is judged by itself, by a bound that one rounding after another gives, and errors do not add up.
//!
//! `PROPTEST_CASES=2000` looks longer.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::common::{AnyConfig, INNERS, Inner, bits};
use lookahead_core::{
    Error, InnerOptimizer, Lookahead, Moment, MomentumPolicy, Parameter, Result, Schedule, State,
    SyncPath, TchOptimizer, Variables, fused,
};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::TestCaseError;
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor, no_grad};

// ---- What a program is made of -----------------------------------------------------------------

/// How a variable lies in memory.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Layout {
    Dense,
    Transposed,
    /// With gaps between its elements.
    Strided,
}

/// A variable to be.
#[derive(Debug, Clone)]
struct Spec {
    shape: Vec<i64>,
    kind: Kind,
    layout: Layout,
    group: usize,
    seed: u64,
}

impl Spec {
    fn tensor(&self, seed: u64) -> Tensor {
        let dense = self.values(seed);
        let ends = self.shape.len();
        match self.layout {
            Layout::Transposed if ends >= 2 => {
                let turned: Vec<i64> = (0..ends as i64).rev().collect();
                dense.permute(&turned).contiguous().permute(&turned)
            }
            Layout::Strided if ends >= 1 => {
                let wide = Tensor::stack(&[&dense, &dense], -1).flatten(-2, -1);
                wide.slice(-1, 0, i64::MAX, 2)
            }
            _ => dense,
        }
    }

    /// Numbers from −2 to 2 that `seed` decides, zeros of both signs among them.
    fn values(&self, seed: u64) -> Tensor {
        let count: i64 = self.shape.iter().product();
        let numbers: Vec<f64> = (0..count as u64)
            .map(|i| match mixed(seed ^ mixed(i)) {
                bits if bits % 16 == 0 => 0.0,
                bits if bits % 16 == 1 => -0.0,
                bits => (bits >> 11) as f64 / (1u64 << 51) as f64 - 2.0,
            })
            .collect();
        Tensor::from_slice(&numbers).reshape(&self.shape).to_kind(self.kind)
    }
}

/// A number that has nothing to do with its neighbours' (Steele, Lea, Flood 2014: SplitMix64).
fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What moves θ.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mover {
    /// The test's own, whose steps it repeats.
    Own,
    Tch(Inner),
    Fused(Inner),
    /// A Lookahead around SGD with momentum.
    Nested,
}

/// k and α: first as they are built, then as the program has set them last.
#[derive(Debug, Clone)]
struct Settings {
    first_k: u64,
    k_schedule: Schedule,
    alpha: f64,
    /// Of the groups that have their own.
    alphas: BTreeMap<usize, f64>,
    alpha_schedule: Schedule,
}

#[derive(Debug, Clone)]
struct Config {
    settings: Settings,
    policy: MomentumPolicy,
    outer: (f64, bool),
    path: SyncPath,
    mover: Mover,
    variables: Vec<Spec>,
}

/// Which gradients there were before a step's own.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Forget {
    /// `zero_grad` of the optimizer.
    Optimizer,
    /// Behind the optimizer's back.
    Each,
    /// None: the step's are those of the last one.
    Stale,
}

#[derive(Debug, Clone)]
struct Gradients {
    /// Bit i says whether variable i has one.
    of: u16,
    seed: u64,
    forget: Forget,
}

/// A choice among the variables that there are by then.
type Which = Index;

#[derive(Debug, Clone)]
enum Op {
    Step(Gradients),
    InnerStep(Gradients),
    SyncIfDue,
    Evaluate {
        panics: bool,
    },
    LeakGuard,
    WriteInEvaluation {
        which: Which,
        seed: u64,
    },
    SaveAndLoad {
        weights_first: bool,
    },
    Freeze(Which),
    Thaw(Which),
    AddVariable {
        spec: Spec,
        written_again: Option<u64>,
    },
    SetAlpha(f64),
    SetAlphaOfGroup(usize, f64),
    SetAlphaSchedule(Schedule),
    SetK(u64),
    SetKSchedule(Schedule),
    ResetSlowWeights {
        write: Option<(Which, u64)>,
    },
    WriteFromOutside {
        which: Which,
        seed: u64,
        verb: u8,
    },
    /// On purpose: φ and the phase stay.
    WriteAndAccept {
        which: Which,
        seed: u64,
    },
    RollBack,
    /// With a last sync.
    Finish,
    Discard,
}

/// More would say nothing new.
const MOST_VARIABLES: usize = 10;

fn shape() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![
        1 => Just(vec![]),
        1 => Just(vec![0]),
        1 => Just(vec![3, 0, 2]),
        3 => (1i64..=50).prop_map(|n| vec![n]),
        3 => (1i64..=7, 1i64..=7).prop_map(|(m, n)| vec![m, n]),
        1 => (1i64..=3, 1i64..=4, 1i64..=4).prop_map(|(l, m, n)| vec![l, m, n]),
    ]
}

fn spec() -> impl Strategy<Value = Spec> {
    let kind = prop_oneof![
        3 => Just(Kind::Float),
        2 => Just(Kind::Double),
        2 => Just(Kind::BFloat16),
        2 => Just(Kind::Half),
    ];
    let layout = prop_oneof![
        2 => Just(Layout::Dense),
        1 => Just(Layout::Transposed),
        1 => Just(Layout::Strided),
    ];
    (shape(), kind, layout, 0usize..3, any::<u64>())
        .prop_map(|(shape, kind, layout, group, seed)| Spec { shape, kind, layout, group, seed })
}

fn alpha() -> impl Strategy<Value = f64> {
    prop_oneof![3 => 1e-3..1.0, 1 => Just(0.5), 1 => Just(1.0)]
}

fn alpha_schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        2 => Just(Schedule::Constant),
        1 => (alpha(), 0u64..40).prop_map(|(to, steps)| Schedule::Linear { to, steps }),
        1 => (alpha(), 0u64..40).prop_map(|(to, steps)| Schedule::Cosine { to, steps }),
        1 => (0.3..=1.0, 1u64..10).prop_map(|(factor, every)| Schedule::Step { factor, every }),
    ]
}

fn k_schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        2 => Just(Schedule::Constant),
        1 => (1.0..6.0, 0u64..40).prop_map(|(to, steps)| Schedule::Linear { to, steps }),
        1 => (1.0..6.0, 0u64..40).prop_map(|(to, steps)| Schedule::Cosine { to, steps }),
    ]
}

fn policy() -> impl Strategy<Value = MomentumPolicy> {
    prop_oneof![
        2 => Just(MomentumPolicy::Maintain),
        1 => Just(MomentumPolicy::Reset),
        1 => Just(MomentumPolicy::Pullback),
    ]
}

fn outer() -> impl Strategy<Value = (f64, bool)> {
    let momentum = prop_oneof![2 => Just(0.0), 1 => Just(0.5), 1 => Just(0.9)];
    (momentum, any::<bool>())
}

fn path() -> impl Strategy<Value = SyncPath> {
    prop_oneof![Just(SyncPath::Auto), Just(SyncPath::Foreach)]
}

fn settings() -> impl Strategy<Value = Settings> {
    let alphas = proptest::collection::btree_map(0usize..3, alpha(), 0..3);
    (1u64..=6, k_schedule(), alpha(), alphas, alpha_schedule()).prop_map(
        |(first_k, k_schedule, alpha, alphas, alpha_schedule)| Settings {
            first_k,
            k_schedule,
            alpha,
            alphas,
            alpha_schedule,
        },
    )
}

fn config(mover: impl Strategy<Value = Mover>) -> impl Strategy<Value = Config> {
    let variables = proptest::collection::vec(spec(), 1..=5);
    (settings(), policy(), outer(), path(), mover, variables).prop_map(
        |(settings, policy, outer, path, mover, variables)| Config {
            settings,
            policy,
            outer,
            path,
            mover,
            variables,
        },
    )
}

fn gradients() -> impl Strategy<Value = Gradients> {
    let forget = prop_oneof![
        6 => Just(Forget::Optimizer),
        3 => Just(Forget::Each),
        1 => Just(Forget::Stale),
    ];
    (any::<u16>(), any::<u64>(), forget).prop_map(|(of, seed, forget)| Gradients {
        of,
        seed,
        forget,
    })
}

fn op() -> impl Strategy<Value = Op> {
    let which = any::<Which>;
    let seed = any::<u64>;
    prop_oneof![
        24 => gradients().prop_map(Op::Step),
        4 => gradients().prop_map(Op::InnerStep),
        2 => Just(Op::SyncIfDue),
        2 => any::<bool>().prop_map(|panics| Op::Evaluate { panics }),
        2 => Just(Op::LeakGuard),
        1 => (which(), seed()).prop_map(|(which, seed)| Op::WriteInEvaluation { which, seed }),
        2 => any::<bool>().prop_map(|weights_first| Op::SaveAndLoad { weights_first }),
        2 => which().prop_map(Op::Freeze),
        2 => which().prop_map(Op::Thaw),
        1 => (spec(), proptest::option::weighted(0.3, seed()))
            .prop_map(|(spec, written_again)| Op::AddVariable { spec, written_again }),
        1 => alpha().prop_map(Op::SetAlpha),
        1 => (0usize..4, alpha()).prop_map(|(group, alpha)| Op::SetAlphaOfGroup(group, alpha)),
        1 => alpha_schedule().prop_map(Op::SetAlphaSchedule),
        1 => (1u64..=6).prop_map(Op::SetK),
        1 => k_schedule().prop_map(Op::SetKSchedule),
        1 => proptest::option::of((which(), seed())).prop_map(|write| Op::ResetSlowWeights { write }),
        1 => (which(), seed(), any::<u8>())
            .prop_map(|(which, seed, verb)| Op::WriteFromOutside { which, seed, verb }),
        1 => (which(), seed()).prop_map(|(which, seed)| Op::WriteAndAccept { which, seed }),
        1 => Just(Op::RollBack),
        2 => Just(Op::Finish),
        1 => Just(Op::Discard),
    ]
}

fn program(mover: impl Strategy<Value = Mover>) -> impl Strategy<Value = (Config, Vec<Op>)> {
    (config(mover), proptest::collection::vec(op(), 1..50))
}

fn inner() -> impl Strategy<Value = Inner> {
    proptest::sample::select(&INNERS[..])
}

// ---- Inner optimizers --------------------------------------------------------------------------

const LEARNING_RATE: f64 = 0.05;

/// θ and the momentum after a step of SGD with momentum, each operation in θ's own element type.
fn own_step(fast: &Tensor, gradient: &Tensor, momentum: Option<&Tensor>) -> (Tensor, Tensor) {
    let momentum = match momentum {
        Some(momentum) => momentum * 0.75 + gradient,
        None => gradient.copy(),
    };
    (fast - &momentum * LEARNING_RATE, momentum)
}

/// An inner optimizer of the test's own.
struct Own {
    variables: Variables,
    parameters: Vec<Parameter>,
    momenta: Vec<Option<Tensor>>,
}

impl Own {
    fn new(vs: &nn::VarStore) -> Result<Own> {
        let mut own =
            Own { variables: Variables::new(vs), parameters: Vec::new(), momenta: Vec::new() };
        own.join_new_parameters()?;
        Ok(own)
    }

    fn key(parameter: &Parameter) -> String {
        format!("own/momentum/{}", parameter.name)
    }
}

impl InnerOptimizer for Own {
    fn step(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        let _guard = tch::no_grad_guard();
        for (Parameter { tensor, .. }, kept) in self.parameters.iter().zip(&mut self.momenta) {
            let gradient = tensor.grad();
            if gradient.defined() && tensor.requires_grad() {
                let (next, momentum) = own_step(tensor, &gradient, kept.as_ref());
                tensor.shallow_clone().copy_(&next);
                *kept = Some(momentum);
            }
        }
        Ok(())
    }

    fn zero_grad(&mut self) -> Result<()> {
        self.parameters.iter().try_for_each(Parameter::zero_grad)
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        self.parameters.extend(self.variables.take_new());
        self.momenta.resize_with(self.parameters.len(), || None);
        Ok(())
    }

    fn moment_names(&self) -> Option<Vec<&'static str>> {
        Some(vec!["momentum"])
    }

    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        let kept = self.momenta[parameter].iter();
        Ok(kept.map(|m| Moment { name: "momentum", tensor: m.shallow_clone() }).collect())
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        self.momenta[parameter] = None;
        Ok(())
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        Ok(vec![LEARNING_RATE])
    }

    fn set_learning_rate(&mut self, _learning_rate: f64) -> Result<()> {
        Err(Error::Unreachable { what: "learning rate" })
    }

    fn set_learning_rate_group(&mut self, _group: usize, _learning_rate: f64) -> Result<()> {
        Err(Error::Unreachable { what: "learning rate" })
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        for (parameter, kept) in self.parameters.iter().zip(&self.momenta) {
            if let Some(momentum) = kept {
                state.tensors.insert(Own::key(parameter), momentum.contiguous().copy());
            }
        }
        Ok(state)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        // In θ's layout, as it was: by another one the sync would go by another path, which rounds
        // in other places.
        let read = |parameter: &Parameter| {
            let saved = state.tensors.get(&Own::key(parameter))?;
            let mut momentum = no_grad(|| parameter.tensor.zeros_like());
            momentum.copy_(saved);
            Some(momentum)
        };
        self.momenta = self.parameters.iter().map(read).collect();
        Ok(())
    }
}

impl Mover {
    fn build(self, vs: &nn::VarStore) -> Result<Box<dyn InnerOptimizer>> {
        fn tchs<C: OptimizerConfig>(
            config: C,
            vs: &nn::VarStore,
        ) -> Result<Box<dyn InnerOptimizer>> {
            Ok(Box::new(TchOptimizer::new(config, vs, LEARNING_RATE)?))
        }
        match self {
            Mover::Own => Ok(Box::new(Own::new(vs)?)),
            Mover::Tch(inner) => tchs(AnyConfig(inner), vs),
            Mover::Fused(inner) => tchs(FusedConfig(inner), vs),
            Mover::Nested => {
                let sgd = AnyConfig(Inner::Sgd);
                let level = Lookahead::builder(sgd).k(2).alpha(0.5).build(vs, LEARNING_RATE)?;
                Ok(Box::new(level))
            }
        }
    }

    /// Adam's and RMSprop's ε of 1e-8 is 0 in half precision, so that a gradient of 0 gives NaN.
    fn takes_half_precision(self) -> bool {
        match self {
            Mover::Own | Mover::Nested => true,
            Mover::Tch(inner) | Mover::Fused(inner) => inner == Inner::Sgd,
        }
    }
}

/// [`AnyConfig`] in the fused optimizers' place.
#[derive(Debug, Clone, Copy)]
struct FusedConfig(Inner);

impl OptimizerConfig for FusedConfig {
    fn build_copt(&self, lr: f64) -> Result<tch::COptimizer, tch::TchError> {
        match self.0 {
            Inner::Sgd => fused::sgd(0.9, 0.0, 1e-4, true).build_copt(lr),
            Inner::Adam => fused::Adam::default().amsgrad(true).build_copt(lr),
            Inner::AdamW => fused::AdamW::default().amsgrad(true).build_copt(lr),
            Inner::RmsProp => fused::rms_prop(0.99, 1e-8, 0.0, 0.9, true).build_copt(lr),
        }
    }
}

// ---- The definition, in f64 --------------------------------------------------------------------

/// A value and how far from it rounding may lead.
type Bounded = (f64, f64);

/// Half the distance from 1 to the next number of an element type, u, and its least positive number.
fn precision(kind: Kind) -> (f64, f64) {
    match kind {
        Kind::Double => (f64::EPSILON / 2.0, f64::from_bits(1)),
        Kind::Float => (f64::from(f32::EPSILON) / 2.0, f64::from(f32::from_bits(1))),
        other => panic!("no slow weights are {other:?}"),
    }
}

/// φ + α (θ − φ). Each operation and α itself are rounded once, by a part of u at most. In either
/// form of `lerp` that is, next to the last rounding, of φ itself, at most four times u |θ − φ|; twice
/// that, since the reference rounds too where φ is f64.
fn interpolated(slow: f64, fast: f64, alpha: f64, kind: Kind) -> Bounded {
    let (u, least) = precision(kind);
    let next = slow + alpha * (fast - slow);
    (next, 2.0 * u * (next.abs() + 4.0 * (fast - slow).abs()) + 4.0 * least)
}

/// v and φ with outer momentum. v is rounded once for μ, μ v, d and their sum; φ for those, for α,
/// in Nesterov's form for μ v and d + μ v, for the product and for itself. Twice that, as above.
fn with_momentum(
    (slow, velocity): (f64, f64),
    fast: f64,
    alpha: f64,
    (momentum, nesterov): (f64, bool),
    kind: Kind,
) -> (Bounded, Bounded) {
    let (u, least) = precision(kind);
    let d = slow - fast;
    let v = momentum * velocity + d;
    let along = if nesterov { d + momentum * v } else { v };
    let next = slow - alpha * along;
    let of_v = 2.0 * (momentum * velocity).abs() + d.abs() + v.abs();
    let of_next = next.abs() + alpha * (of_v + d.abs() + 2.0 * v.abs() + 3.0 * along.abs());
    let bound = |of: f64| 2.0 * u * of + 8.0 * least;
    ((v, bound(of_v)), (next, bound(of_next)))
}

fn scheduled(schedule: Schedule, from: f64, step: u64) -> f64 {
    match schedule {
        Schedule::Constant => from,
        Schedule::Linear { to, steps } | Schedule::Cosine { to, steps } if step >= steps => to,
        Schedule::Linear { to, steps } => from + (to - from) * step as f64 / steps as f64,
        Schedule::Cosine { to, steps } => {
            let angle = std::f64::consts::PI * step as f64 / steps as f64;
            (from + to) / 2.0 + (from - to) / 2.0 * angle.cos()
        }
        Schedule::Step { factor, every } => from * factor.powi((step / every) as i32),
    }
}

impl Settings {
    fn k(&self, steps: u64) -> u64 {
        (scheduled(self.k_schedule, self.first_k as f64, steps).round() as u64).max(1)
    }

    fn alpha(&self, group: usize, steps: u64) -> f64 {
        let first = self.alphas.get(&group).copied().unwrap_or(self.alpha);
        scheduled(self.alpha_schedule, first, steps)
    }
}

/// A variable, and what the reference knows of it.
struct Variable {
    spec: Spec,
    name: String,
    /// The model's own.
    weights: Tensor,
    /// As the model has it.
    frozen: bool,
    /// As the optimizer takes it: no sync moves it, and it is not watched.
    left_alone: bool,
    /// θ.
    fast: Tensor,
    /// φ.
    slow: Vec<f64>,
    /// v.
    velocity: Vec<f64>,
    moments: BTreeMap<&'static str, Tensor>,
    slow_moments: BTreeMap<&'static str, Vec<f64>>,
}

impl Variable {
    fn slow_kind(&self) -> Kind {
        if self.spec.kind == Kind::Double { Kind::Double } else { Kind::Float }
    }

    /// φ as θ would hold it.
    fn slow_as_fast(&self) -> Tensor {
        as_tensor(&self.slow, self.slow_kind(), &self.fast)
    }

    /// φ ← θ.
    fn follow(&mut self) {
        self.slow = numbers(&self.fast);
    }

    /// θ and φ where both are what `weights` is.
    fn start_from(&mut self, weights: &Tensor) {
        self.fast = weights.detach().contiguous().copy();
        self.slow = numbers(weights);
        self.velocity = vec![0.0; self.slow.len()];
    }
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    Vec::try_from(tensor.detach().to_kind(Kind::Double).contiguous().view([-1])).unwrap()
}

/// Numbers of the type `kind`, as `like` would hold them.
fn as_tensor(numbers: &[f64], kind: Kind, like: &Tensor) -> Tensor {
    Tensor::from_slice(numbers).to_kind(kind).to_kind(like.kind()).reshape(like.size())
}

/// Equal to the bit: −0 is not 0.
fn same(a: &[f64], b: &[f64]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

// ---- A program, while it runs ------------------------------------------------------------------

type Checked<T = ()> = std::result::Result<T, TestCaseError>;

fn ok<T>(result: Result<T>) -> Checked<T> {
    result.map_err(|error| TestCaseError::fail(format!("refused: {error}")))
}

/// A program on the optimizer, and beside it what the reference says of it.
struct Run {
    config: Config,
    vs: nn::VarStore,
    opt: Lookahead<Box<dyn InnerOptimizer>>,
    variables: Vec<Variable>,
    settings: Settings,
    k: u64,
    phase: u64,
    steps: u64,
    syncs: u64,
    alpha_used: Option<f64>,
    /// Inner steps that resets have dropped since the last sync.
    dropped: u64,
    refused_resets: u32,
    /// A guard was leaked, and the optimizer not called since: the model is at φ.
    leaked: bool,
}

impl Run {
    fn new(config: &Config) -> Checked<Run> {
        let mut config = config.clone();
        for spec in &mut config.variables {
            fit(spec, config.mover);
        }
        let groups = config.variables.iter().map(|spec| spec.group + 1).max().unwrap();
        config.settings.alphas.retain(|group, _| *group < groups);
        let settings = config.settings.clone();
        let vs = nn::VarStore::new(Device::Cpu);
        let variables: Vec<Variable> =
            config.variables.iter().enumerate().map(|(i, spec)| add(&vs, i, spec)).collect();
        let opt = ok(build(&config, &settings, &vs))?;
        let k = settings.k(0);
        let (phase, steps, syncs, alpha_used, dropped, leaked) = (0, 0, 0, None, 0, false);
        Ok(Run {
            config,
            vs,
            opt,
            variables,
            settings,
            k,
            phase,
            steps,
            syncs,
            alpha_used,
            dropped,
            refused_resets: 0,
            leaked,
        })
    }

    /// Runs a whole program; φ is in the model at its end.
    fn follow(&mut self, program: &[Op]) -> Checked {
        self.take_all(program)?;
        self.take(&Op::Finish)?;
        self.check()
    }

    fn take_all(&mut self, program: &[Op]) -> Checked {
        for (i, op) in program.iter().enumerate() {
            let outcome = self.take(op).and_then(|()| self.check());
            outcome.map_err(|error| match error {
                TestCaseError::Fail(why) => {
                    TestCaseError::fail(format!("after operation {i}, {op:?}: {why}"))
                }
                rejected => rejected,
            })?;
        }
        Ok(())
    }

    fn take(&mut self, op: &Op) -> Checked {
        match op {
            Op::Step(gradients) => self.step(gradients),
            Op::InnerStep(gradients) => {
                self.give(gradients)?;
                if self.is_due() { self.cannot_step() } else { self.inner_step() }
            }
            Op::SyncIfDue => self.sync_if_due(),
            Op::Evaluate { panics } => self.evaluate(*panics),
            Op::LeakGuard => {
                std::mem::forget(ok(self.opt.slow_weights())?);
                self.leaked = true;
                Ok(())
            }
            Op::WriteInEvaluation { which, seed } => self.write_in_evaluation(which, *seed),
            Op::SaveAndLoad { weights_first } => self.save_and_load(*weights_first),
            Op::Freeze(which) => self.set_frozen(which, true),
            Op::Thaw(which) => self.set_frozen(which, false),
            Op::AddVariable { spec, written_again } => self.add_variable(spec, *written_again),
            Op::SetAlpha(alpha) => {
                self.settings.alpha = *alpha;
                self.settings.alphas.values_mut().for_each(|own| *own = *alpha);
                self.settings.alpha_schedule = Schedule::Constant;
                ok(self.opt.set_alpha(*alpha))
            }
            Op::SetAlphaOfGroup(group, alpha) => self.set_alpha_of_group(*group, *alpha),
            Op::SetAlphaSchedule(schedule) => {
                self.settings.alpha_schedule = *schedule;
                ok(self.opt.set_alpha_schedule(*schedule))
            }
            Op::SetK(k) => self.set_k(*k),
            Op::SetKSchedule(schedule) => {
                self.settings.k_schedule = *schedule;
                if self.phase == 0 {
                    self.k = self.settings.k(self.steps);
                }
                ok(self.opt.set_k_schedule(*schedule))
            }
            Op::ResetSlowWeights { write } => {
                if let Some((which, seed)) = write {
                    self.heal()?;
                    ok(self.opt.state())?;
                    self.write(which, *seed);
                }
                self.reset()
            }
            Op::WriteFromOutside { which, seed, verb } => {
                self.write_from_outside(which, *seed, *verb)
            }
            Op::WriteAndAccept { which, seed } => {
                self.heal()?;
                // One that joins with the next call joins as it is then.
                ok(self.opt.state())?;
                let i = self.write(which, *seed);
                ok(self.opt.accept_fast_weights())?;
                if self.variables[i].left_alone {
                    self.variables[i].follow();
                }
                self.check_state()
            }
            Op::RollBack => self.roll_back(),
            Op::Finish => self.finish(),
            Op::Discard => {
                ok(self.opt.discard_cycle())?;
                self.back_to_slow_weights()
            }
        }
    }

    /// A last sync of whatever there was since the last one.
    fn finish(&mut self) -> Checked {
        if self.config.mover == Mover::Nested && self.phase > 0 {
            // The inner level's comes first, and θ after it is what the outer one syncs.
            self.heal()?;
            ok(self.opt.inner_mut().finish())?;
            ok(self.opt.accept_fast_weights())?;
            self.read_what_moved()?;
            for variable in self.variables.iter_mut().filter(|variable| variable.left_alone) {
                variable.follow();
            }
        }
        let synced = ok(self.opt.finish())?;
        self.leaked = false;
        prop_assert_eq!(synced, self.phase > 0, "whether it synced");
        match synced {
            true => self.check_sync(),
            false => self.back_to_slow_weights(),
        }
    }

    fn back_to_slow_weights(&mut self) -> Checked {
        for variable in self.variables.iter_mut().filter(|variable| !variable.left_alone) {
            variable.fast = variable.slow_as_fast();
        }
        self.restarted()
    }

    /// What the optimizer's next call makes of what is frozen: φ is θ there. While all of several are
    /// frozen, none is.
    fn notice_frozen(&mut self) {
        let all = self.variables.iter().all(|variable| variable.frozen);
        let none = all && self.variables.len() > 1;
        for variable in &mut self.variables {
            let left_alone = variable.frozen && !none;
            if variable.left_alone != left_alone {
                variable.left_alone = left_alone;
                variable.follow();
            }
        }
    }

    fn is_due(&self) -> bool {
        self.phase == self.k
    }

    fn begin_cycle(&mut self) {
        self.phase = 0;
        self.k = self.settings.k(self.steps);
        self.leaked = false;
    }

    /// α of each group. That a schedule is where it should be is judged here; its last bits, which go
    /// by the order of operations, are the optimizer's.
    fn alphas(&self) -> Checked<[f64; 3]> {
        let alphas = [0, 1, 2].map(|group| self.opt.alpha_of_group(group));
        for (group, alpha) in alphas.iter().enumerate() {
            let expected = self.settings.alpha(group, self.steps);
            let near = (alpha - expected).abs() <= 1e-12 * expected && *alpha <= 1.0;
            prop_assert!(near, "α of group {} is {}, not {}", group, alpha, expected);
        }
        Ok(alphas)
    }

    fn which(&self, which: &Which) -> usize {
        which.index(self.variables.len())
    }

    /// A call that does nothing but to put the fast weights back after a leaked guard.
    fn heal(&mut self) -> Checked {
        if self.leaked {
            ok(self.opt.zero_grad())?;
            self.leaked = false;
        }
        Ok(())
    }

    // ---- Steps and syncs

    /// The gradients of the next step.
    fn give(&mut self, gradients: &Gradients) -> Checked {
        match gradients.forget {
            Forget::Stale => return Ok(()),
            Forget::Optimizer => {
                ok(self.opt.zero_grad())?;
                self.leaked = false;
            }
            Forget::Each => {
                for variable in &self.variables {
                    let (name, tensor) = (String::new(), variable.weights.shallow_clone());
                    ok(Parameter { name, group: 0, tensor }.zero_grad())?;
                }
            }
        }
        backward(&self.variables, gradients);
        Ok(())
    }

    fn step(&mut self, gradients: &Gradients) -> Checked {
        self.give(gradients)?;
        if self.is_due() {
            self.cannot_step()?;
            self.sync_if_due()?;
        }
        if self.config.mover != Mover::Own {
            self.inner_step()?;
            return self.sync_if_due();
        }
        self.predict();
        self.count_step();
        let synced = ok(self.opt.step())?;
        self.leaked = false;
        prop_assert_eq!(synced, self.is_due(), "whether it synced");
        if synced { self.check_sync() } else { Ok(()) }
    }

    fn inner_step(&mut self) -> Checked {
        self.predict();
        self.count_step();
        prop_assert!(ok(self.opt.inner_step())?, "a step was not taken");
        self.leaked = false;
        self.read_what_moved()
    }

    fn count_step(&mut self) {
        self.phase += 1;
        self.steps += 1;
    }

    fn cannot_step(&mut self) -> Checked {
        let refused = self.opt.inner_step();
        self.leaked = false;
        prop_assert!(matches!(refused, Err(Error::SyncIsDue { k }) if k == self.k), "{refused:?}");
        Ok(())
    }

    /// θ and the momentum after a step of the test's own optimizer.
    fn predict(&mut self) {
        if self.config.mover != Mover::Own {
            return;
        }
        for variable in self.variables.iter_mut().filter(|variable| !variable.frozen) {
            let gradient = variable.weights.grad();
            if gradient.defined() {
                let kept = variable.moments.get("momentum");
                let (fast, momentum) = own_step(&variable.fast, &gradient, kept);
                variable.fast = fast.contiguous();
                variable.moments.insert("momentum", momentum);
            }
        }
    }

    /// θ and the moments that an optimizer of tch has reached.
    fn read_what_moved(&mut self) -> Checked {
        if self.config.mover == Mover::Own {
            return Ok(());
        }
        for i in 0..self.variables.len() {
            self.variables[i].fast = self.variables[i].weights.detach().contiguous().copy();
            self.variables[i].moments = self.moments(i)?;
            // Optimizers of tch step what has an old gradient, frozen or not.
            if self.variables[i].left_alone {
                self.variables[i].follow();
            }
        }
        Ok(())
    }

    fn moments(&mut self, variable: usize) -> Checked<BTreeMap<&'static str, Tensor>> {
        let moments = ok(self.opt.inner_mut().moments(variable))?;
        Ok(moments.into_iter().map(|moment| (moment.name, moment.tensor.copy())).collect())
    }

    fn sync_if_due(&mut self) -> Checked {
        let synced = ok(self.opt.sync_if_due())?;
        self.leaked = false;
        prop_assert_eq!(synced, self.is_due(), "whether it synced");
        if synced { self.check_sync() } else { Ok(()) }
    }

    /// Compares what a sync has made with the definition, and takes it over.
    fn check_sync(&mut self) -> Checked {
        let state = ok(self.opt.state())?;
        let (policy, outer) = (self.config.policy, self.config.outer);
        let alphas = self.alphas()?;
        for i in 0..self.variables.len() {
            let variable = &mut self.variables[i];
            if variable.left_alone {
                continue; // `check_that` finds all of it as it was
            }
            let alpha = alphas[variable.spec.group];
            let name = variable.name.clone();
            let kind = variable.slow_kind();
            let slow = found(&state, &format!("slow/{name}"))?;
            let fast = numbers(&variable.fast);
            if outer.0 > 0.0 {
                let velocity = found(&state, &format!("velocity/{name}"))?;
                let pairs = variable.slow.iter().zip(&variable.velocity).zip(&fast);
                let (velocities, slows): (Vec<_>, Vec<_>) = pairs
                    .map(|((slow, v), fast)| with_momentum((*slow, *v), *fast, alpha, outer, kind))
                    .unzip();
                within(&velocity, &velocities, &format!("v of {name}"))?;
                within(&slow, &slows, &format!("φ of {name}"))?;
                variable.velocity = velocity;
            } else {
                follows(&variable.slow, &fast, &slow, alpha, kind, &format!("φ of {name}"))?;
            }
            variable.slow = slow;
            // At α = 1 θ is not written: then Lookahead is its inner optimizer.
            if alpha < 1.0 || outer.0 > 0.0 {
                variable.fast = variable.slow_as_fast();
            }

            match policy {
                MomentumPolicy::Maintain => {}
                MomentumPolicy::Reset => variable.moments.clear(),
                MomentumPolicy::Pullback => {
                    for (moment, fast) in &mut variable.moments {
                        let what = format!("{moment} of {name}");
                        let slow = found(&state, &format!("slow_moment/{moment}/{name}"))?;
                        let zeros = || vec![0.0; slow.len()];
                        let before = variable.slow_moments.entry(moment).or_insert_with(zeros);
                        follows(before, &numbers(fast), &slow, alpha, kind, &what)?;
                        if alpha < 1.0 {
                            *fast = as_tensor(&slow, kind, fast);
                        }
                        *before = slow;
                    }
                }
                other => panic!("{other:?} has no reference"),
            }
        }
        self.alpha_used = Some(alphas[0]);
        (self.syncs, self.dropped) = (self.syncs + 1, 0);
        self.begin_cycle();
        self.check_that(&state)?;
        let mut trained = self.variables.iter().filter(|variable| !variable.left_alone);
        match outer.0 > 0.0 || trained.any(|variable| alphas[variable.spec.group] < 1.0) {
            true => self.check_restart(&state),
            false => Ok(()),
        }
    }

    // ---- What else a program does

    fn evaluate(&mut self, panics: bool) -> Checked {
        let variables = &self.variables;
        let look = || variables.iter().map(|v| v.weights.detach().copy()).collect::<Vec<_>>();
        let seen = if panics {
            let mut seen = Vec::new();
            let thrown = catch_unwind(AssertUnwindSafe(|| {
                self.opt.with_slow_weights(|| {
                    seen = look();
                    resume_unwind(Box::new("evaluation"))
                })
            }));
            prop_assert!(thrown.is_err(), "the panic was swallowed");
            seen
        } else {
            ok(self.opt.with_slow_weights(look))?
        };
        self.leaked = false;
        for (variable, seen) in self.variables.iter().zip(&seen) {
            let slow = bits(&variable.slow_as_fast());
            prop_assert!(bits(seen) == slow, "evaluated at another φ of {}", variable.name);
        }
        Ok(())
    }

    /// Where θ and φ have one type, φ itself is written to, and nothing goes on before that is
    /// mended; else a copy, which is dropped.
    fn write_in_evaluation(&mut self, which: &Which, seed: u64) -> Checked {
        let variable = &self.variables[self.which(which)];
        let values = variable.spec.values(seed);
        let (mut weights, name) = (variable.weights.shallow_clone(), variable.name.clone());
        let told = self.opt.with_slow_weights(|| no_grad(|| weights.copy_(&values)));
        self.leaked = false;
        if variable.left_alone {
            ok(told.map(drop))?;
            ok(self.opt.state())?;
            let i = self.which(which);
            self.variables[i].fast = values;
            self.variables[i].follow();
            return Ok(());
        }
        if variable.spec.kind != variable.slow_kind() {
            let replaced =
                matches!(&told, Err(Error::ReplacedInEvaluation { name: of }) if *of == name);
            prop_assert!(replaced, "{:?}", told);
            return Ok(());
        }
        for told in [told.map(drop), self.opt.step().map(drop), self.opt.roll_back()] {
            let changed =
                matches!(&told, Err(Error::SlowWeightsChanged { name: of }) if *of == name);
            prop_assert!(changed, "{:?}", told);
        }
        self.reset_where(false)
    }

    /// Through files into fresh objects, which go on in the place of these. They are built with other
    /// settings and, if the weights come second, other weights: all of it has to come from the files.
    fn save_and_load(&mut self, weights_first: bool) -> Checked {
        let mut state = ok(self.opt.state())?;
        self.leaked = false;
        state.tensors = through_a_file(&state.tensors);
        let weights = self
            .variables
            .iter()
            .map(|variable| (variable.name.clone(), variable.weights.detach().contiguous()));
        let weights = through_a_file(&weights.collect());

        let vs = nn::VarStore::new(Device::Cpu);
        let fresh: Vec<Variable> = self
            .variables
            .iter()
            .enumerate()
            .map(|(i, old)| add(&vs, i, &Spec { seed: !old.spec.seed, ..old.spec.clone() }))
            .collect();
        let load_weights = || {
            for (variable, old) in fresh.iter().zip(&self.variables) {
                no_grad(|| variable.weights.shallow_clone().copy_(&weights[&old.name]));
                let _ = variable.weights.set_requires_grad(!old.frozen);
            }
        };
        let settings = Settings {
            first_k: self.k + 1,
            k_schedule: Schedule::Constant,
            alpha: 0.123,
            // All that the state has, or one that is missing in it would be noticed.
            alphas: self.settings.alphas.keys().map(|group| (*group, 0.321)).collect(),
            alpha_schedule: Schedule::Step { factor: 0.5, every: 1 },
        };
        if weights_first {
            load_weights();
        }
        let mut opt = ok(build(&self.config, &settings, &vs))?;
        if !weights_first {
            load_weights();
        }
        ok(opt.load_state(&state))?;
        self.dropped = 0;
        for (old, fresh) in self.variables.iter_mut().zip(fresh) {
            old.weights = fresh.weights;
        }
        (self.vs, self.opt) = (vs, opt);
        self.check_state()
    }

    fn set_frozen(&mut self, which: &Which, frozen: bool) -> Checked {
        let i = self.which(which);
        let _ = self.variables[i].weights.set_requires_grad(!frozen);
        self.variables[i].frozen = frozen;
        ok(self.opt.state())?;
        self.leaked = false;
        self.notice_frozen();
        self.check_state()
    }

    /// φ is the variable as the optimizer's next call finds it.
    fn add_variable(&mut self, spec: &Spec, written_again: Option<u64>) -> Checked {
        if self.variables.len() < MOST_VARIABLES {
            let mut spec = spec.clone();
            fit(&mut spec, self.config.mover);
            let i = self.variables.len();
            let all_frozen = self.variables.iter().all(|variable| variable.frozen);
            self.variables.push(add(&self.vs, i, &spec));
            if let Some(seed) = written_again {
                let variable = &mut self.variables[i];
                let values = variable.spec.values(seed);
                no_grad(|| variable.weights.copy_(&values));
                variable.start_from(&values);
            }
            if all_frozen {
                ok(self.opt.state())?;
                self.leaked = false;
                self.notice_frozen();
            }
        }
        Ok(())
    }

    fn set_alpha_of_group(&mut self, group: usize, alpha: f64) -> Checked {
        if group == 3 {
            let refused = self.opt.set_alpha_of_group(group, alpha);
            prop_assert!(matches!(refused, Err(Error::Group { group: 3, .. })), "{:?}", refused);
        }
        // Those of the first variables: a later one may not have joined yet.
        if self.config.variables.iter().any(|spec| spec.group >= group) {
            self.settings.alphas.insert(group, alpha);
            ok(self.opt.set_alpha_of_group(group, alpha))?;
        }
        Ok(())
    }

    fn set_k(&mut self, k: u64) -> Checked {
        let set = self.opt.set_k(k);
        if self.phase != 0 && k != self.k {
            let refused = matches!(set, Err(Error::PeriodInsideCycle { .. }));
            prop_assert!(refused, "{:?}", set);
            return Ok(());
        }
        (self.k, self.settings.first_k, self.settings.k_schedule) = (k, k, Schedule::Constant);
        ok(set)
    }

    fn write(&mut self, which: &Which, seed: u64) -> usize {
        let i = self.which(which);
        let variable = &mut self.variables[i];
        let values = variable.spec.values(seed);
        no_grad(|| variable.weights.copy_(&values));
        variable.fast = values;
        i
    }

    /// Starts again from θ.
    fn reset(&mut self) -> Checked {
        self.reset_where(true)
    }

    /// Where φ was spoilt there is no other way, so it is never refused.
    fn reset_where(&mut self, phi_is_whole: bool) -> Checked {
        let dropped = self.dropped + self.phase;
        if phi_is_whole && self.phase > 0 && dropped > 2 * self.k {
            let refused = self.opt.reset_slow_weights();
            self.leaked = false;
            let told = matches!(refused, Err(Error::NeverSynced { steps, .. }) if steps == dropped);
            prop_assert!(told, "{:?}", refused);
            self.refused_resets += 1;
            // As it says.
            ok(self.opt.accept_fast_weights())?;
            for variable in self.variables.iter_mut().filter(|variable| variable.left_alone) {
                variable.follow();
            }
            self.finish()?;
        }
        self.dropped += self.phase;
        ok(self.opt.reset_slow_weights())?;
        let pulled = self.config.policy == MomentumPolicy::Pullback;
        for variable in &mut self.variables {
            variable.start_from(&variable.fast.copy());
            variable.slow_moments.clear();
            if pulled {
                let moments = variable.moments.iter();
                variable.slow_moments = moments.map(|(name, m)| (*name, numbers(m))).collect();
            }
        }
        self.restarted()
    }

    /// Refused by whatever is called next, which changes nothing, until φ starts again.
    fn write_from_outside(&mut self, which: &Which, seed: u64, verb: u8) -> Checked {
        self.heal()?;
        // One that joins with the next call joins as it is then.
        ok(self.opt.state())?;
        let i = self.write(which, seed);
        if self.variables[i].left_alone {
            self.variables[i].follow();
            return self.check_state();
        }
        let opt = &mut self.opt;
        let refused = match verb % 7 {
            0 => opt.step().map(drop),
            1 => opt.inner_step().map(drop),
            2 => opt.with_slow_weights(|| ()),
            3 => opt.state().map(drop),
            4 => opt.finish().map(drop),
            5 => opt.discard_cycle(),
            _ if self.phase == self.k => opt.sync_if_due().map(drop),
            _ => opt.step().map(drop),
        };
        let name = &self.variables[i].name;
        let told = matches!(&refused, Err(Error::FastWeightsChanged { name: of }) if of == name);
        prop_assert!(told, "{:?} for {}", refused, name);
        self.check()?;
        self.reset()
    }

    fn roll_back(&mut self) -> Checked {
        ok(self.opt.roll_back())?;
        self.back_to_slow_weights()
    }

    // ---- Comparison with the reference

    /// What can be seen without a call that would put anything in order.
    fn check(&self) -> Checked {
        let opt = &self.opt;
        prop_assert_eq!(opt.phase(), self.phase, "phase");
        prop_assert_eq!(opt.steps(), self.steps, "steps");
        prop_assert_eq!(opt.syncs(), self.syncs, "syncs");
        prop_assert_eq!(opt.k(), self.k, "k");
        prop_assert_eq!(opt.sync_is_due(), self.is_due(), "whether a sync is due");
        prop_assert_eq!(opt.alpha_used(), self.alpha_used, "α of the last sync");
        self.alphas()?;
        for variable in &self.variables {
            let weights = bits(&variable.weights);
            let (expected, what) = match self.leaked {
                true => (bits(&variable.slow_as_fast()), "φ"),
                false => (bits(&variable.fast), "θ"),
            };
            prop_assert!(weights == expected, "the model is not at {} in {}", what, variable.name);
        }
        Ok(())
    }

    /// θ was set, and a cycle begins.
    fn restarted(&mut self) -> Checked {
        self.begin_cycle();
        let state = ok(self.opt.state())?;
        self.check_that(&state)?;
        self.check_restart(&state)
    }

    /// A level inside starts again from θ too.
    fn check_restart(&self, state: &State) -> Checked {
        if self.config.mover == Mover::Nested {
            prop_assert_eq!(state.integers["inner/phase"], 0, "the inner level's phase");
            for variable in &self.variables {
                let slow = found(state, &format!("inner/slow/{}", variable.name))?;
                let same = same(&slow, &numbers(&variable.fast));
                prop_assert!(same, "the inner level's φ of {} is not θ", variable.name);
            }
        }
        Ok(())
    }

    fn check_state(&mut self) -> Checked {
        let state = ok(self.opt.state())?;
        self.check_that(&state)
    }

    /// The state, and the moments, are to the bit what the reference has.
    fn check_that(&mut self, state: &State) -> Checked {
        self.check()?;
        let mut expected = BTreeSet::new();
        for i in 0..self.variables.len() {
            let moments = self.moments(i)?;
            if self.config.policy == MomentumPolicy::Pullback {
                // A state holds m̄, 0 as long as there was no sync, of every moment that there is.
                for (name, moment) in &moments {
                    let zeros = || vec![0.0; moment.numel()];
                    self.variables[i].slow_moments.entry(name).or_insert_with(zeros);
                }
            }
            let variable = &self.variables[i];
            let kind = variable.slow_kind();
            let mut compare = |key: String, numbers: &[f64]| -> Checked {
                let tensor = state.tensors.get(&key);
                let tensor = tensor.ok_or_else(|| TestCaseError::fail(format!("no {key}")))?;
                prop_assert_eq!(tensor.kind(), kind, "{}", key);
                prop_assert_eq!(tensor.size(), variable.weights.size(), "{}", key);
                prop_assert!(same(&found(state, &key)?, numbers), "{} is another", key);
                expected.insert(key);
                Ok(())
            };
            compare(format!("slow/{}", variable.name), &variable.slow)?;
            if self.config.outer.0 > 0.0 {
                compare(format!("velocity/{}", variable.name), &variable.velocity)?;
            }
            for (moment, slow) in &variable.slow_moments {
                compare(format!("slow_moment/{moment}/{}", variable.name), slow)?;
            }
            let all_bits = |moments: &BTreeMap<&'static str, Tensor>| -> Vec<_> {
                moments.iter().map(|(name, moment)| (*name, bits(moment))).collect()
            };
            let same = all_bits(&moments) == all_bits(&variable.moments);
            prop_assert!(same, "the moments of {} are others", variable.name);
        }
        let outside = |key: &&String| !key.starts_with("inner/");
        let found: BTreeSet<String> = state.tensors.keys().filter(outside).cloned().collect();
        prop_assert_eq!(found, expected, "what the state holds");
        Ok(())
    }
}

/// Element types that the optimizer can compute in.
fn fit(spec: &mut Spec, mover: Mover) {
    if spec.kind == Kind::Half && !mover.takes_half_precision() {
        spec.kind = Kind::BFloat16;
    }
}

/// Adds variable `i` to the store; both θ and φ are its values.
fn add(vs: &nn::VarStore, i: usize, spec: &Spec) -> Variable {
    let layer = (vs.root() / format!("layer{i}")).set_group(spec.group);
    let weights = layer.add("weight", spec.tensor(spec.seed), true);
    let mut variable = Variable {
        spec: spec.clone(),
        name: format!("layer{i}.weight"),
        weights: weights.shallow_clone(),
        frozen: false,
        left_alone: false,
        fast: Tensor::new(),
        slow: Vec::new(),
        velocity: Vec::new(),
        moments: BTreeMap::new(),
        slow_moments: BTreeMap::new(),
    };
    variable.start_from(&weights);
    variable
}

/// Adds gradients that depend on θ, so that a wrong θ does not come right by itself.
fn backward(variables: &[Variable], gradients: &Gradients) {
    let all = variables.iter().enumerate();
    let terms: Vec<Tensor> = all
        .filter(|(i, variable)| gradients.of >> i & 1 == 1 && !variable.frozen)
        .map(|(i, variable)| {
            let (w, slope) = (&variable.weights, gradients.seed ^ i as u64);
            let loss = w * variable.spec.values(slope) + w.square() * 0.5;
            loss.to_kind(Kind::Double).sum(Kind::Double)
        })
        .collect();
    if !terms.is_empty() {
        Tensor::stack(&terms, 0).sum(Kind::Double).backward();
    }
}

fn build(
    config: &Config,
    settings: &Settings,
    vs: &nn::VarStore,
) -> Result<Lookahead<Box<dyn InnerOptimizer>>> {
    let mut builder = Lookahead::around(config.mover.build(vs)?)
        .k(settings.first_k)
        .k_schedule(settings.k_schedule)
        .alpha(settings.alpha)
        .alpha_schedule(settings.alpha_schedule)
        .momentum_policy(config.policy)
        .outer_momentum(config.outer.0)
        .outer_nesterov(config.outer.1)
        .sync_path(config.path);
    for (group, alpha) in &settings.alphas {
        builder = builder.alpha_of_group(*group, *alpha);
    }
    builder.build()
}

fn found(state: &State, key: &str) -> Checked<Vec<f64>> {
    let tensor = state.tensors.get(key);
    tensor.map(numbers).ok_or_else(|| TestCaseError::fail(format!("the state has no {key}")))
}

/// `found` is `slow` after a sync towards `fast`: at α = 1 a copy.
fn follows(
    slow: &[f64],
    fast: &[f64],
    found: &[f64],
    alpha: f64,
    kind: Kind,
    what: &str,
) -> Checked {
    if alpha == 1.0 {
        prop_assert!(same(found, fast), "{} is no copy: {:?} of {:?}", what, found, fast);
        return Ok(());
    }
    let pairs = slow.iter().zip(fast);
    let expected: Vec<Bounded> =
        pairs.map(|(slow, fast)| interpolated(*slow, *fast, alpha, kind)).collect();
    within(found, &expected, what)
}

fn within(found: &[f64], expected: &[Bounded], what: &str) -> Checked {
    prop_assert_eq!(found.len(), expected.len(), "{}", what);
    for (i, (found, (expected, bound))) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() <= *bound;
        prop_assert!(near, "{}: element {} is {}, not {} ± {}", what, i, found, expected, bound);
    }
    Ok(())
}

fn through_a_file(tensors: &BTreeMap<String, Tensor>) -> BTreeMap<String, Tensor> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tensors.safetensors");
    let all: Vec<(&str, &Tensor)> = tensors.iter().map(|(name, t)| (name.as_str(), t)).collect();
    Tensor::write_safetensors(&all, &file).unwrap();
    Tensor::read_safetensors(&file).unwrap().into_iter().collect()
}

/// `PROPTEST_CASES` overrides how many.
fn cases(usual: u32) -> ProptestConfig {
    let given = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    let cases = if given { default.cases } else { usual };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

// ---- What the other properties need ------------------------------------------------------------

/// Everything that decides the next steps, to the bit.
#[derive(Debug, PartialEq)]
struct Everything {
    tensors: BTreeMap<String, Vec<u8>>,
    integers: BTreeMap<String, i64>,
    numbers: BTreeMap<String, f64>,
}

impl Everything {
    fn of(run: &mut Run) -> Checked<Everything> {
        let State { tensors, integers, numbers } = ok(run.opt.state())?;
        let mut tensors: BTreeMap<String, Vec<u8>> =
            tensors.iter().map(|(name, tensor)| (name.clone(), bits(tensor))).collect();
        for variable in &run.variables {
            tensors.insert(variable.name.clone(), bits(&variable.weights));
        }
        Ok(Everything { tensors, integers, numbers })
    }
}

/// How a state may be broken.
#[derive(Debug, Clone)]
enum Break {
    Remove(Index),
    AddTensor(&'static str),
    AddInteger(&'static str),
    AddNumber(&'static str),
    /// A dimension more or less, one element more, or all but one less: some of it broadcasting would
    /// let pass.
    Reshape(Index, u8),
    Recast(Index),
    Negate(Index),
    NotANumber(Index),
}

const NAMES: [&str; 16] = [
    "nobody",
    "slow",
    "slow/nobody",
    "velocity/nobody",
    "velocity/layer0.weight",
    "slow_moment/nobody",
    "slow_moment/momentum_buffer/nobody",
    "phase/nobody",
    "alpha/nobody",
    "alpha/7",
    "alpha_schedule/nobody",
    "k_schedule/nobody",
    "inner/nobody",
    "inner/sgd/momentum_buffer/nobody",
    "inner/adam/exp_avg/nobody",
    "inner/slow/nobody",
];

fn break_of_a_state() -> impl Strategy<Value = Break> {
    let name = || proptest::sample::select(&NAMES[..]);
    let which = any::<Index>;
    prop_oneof![
        3 => which().prop_map(Break::Remove),
        1 => name().prop_map(Break::AddTensor),
        1 => name().prop_map(Break::AddInteger),
        1 => name().prop_map(Break::AddNumber),
        2 => (which(), any::<u8>()).prop_map(|(which, how)| Break::Reshape(which, how)),
        1 => which().prop_map(Break::Recast),
        1 => which().prop_map(Break::Negate),
        1 => which().prop_map(Break::NotANumber),
    ]
}

/// Entries that a state may lack: those of earlier versions did, or there was nothing to keep yet.
fn may_be_missing(key: &str) -> bool {
    let key = key.trim_start_matches("inner/");
    ["steps", "non_finite", "alpha_used"].contains(&key)
        || key.starts_with("alpha/")
        // States of earlier versions don't have the count.
        || key.ends_with("/tensors")
        || (key.contains("/momentum_buffer/") && !key.starts_with("slow_moment/"))
}

impl Break {
    /// Breaks it; `None` where it has no such entry.
    fn apply(&self, state: &mut State) -> Option<()> {
        fn key<T>(of: &BTreeMap<String, T>, which: &Index) -> Option<String> {
            (!of.is_empty()).then(|| of.keys().nth(which.index(of.len())).unwrap().clone())
        }
        fn add<T>(to: &mut BTreeMap<String, T>, name: &str, value: T) -> Option<()> {
            to.insert(name.to_owned(), value).is_none().then_some(())
        }
        match self {
            Break::Remove(which) => {
                let State { tensors, integers, numbers } = state;
                let all = tensors.keys().chain(integers.keys()).chain(numbers.keys());
                let all: Vec<String> = all.filter(|key| !may_be_missing(key)).cloned().collect();
                let key = &all[which.index(all.len())];
                tensors.remove(key);
                integers.remove(key);
                numbers.remove(key);
            }
            Break::AddTensor(name) => add(&mut state.tensors, name, Tensor::from(1.0))?,
            Break::AddInteger(name) => add(&mut state.integers, name, 1)?,
            Break::AddNumber(name) => add(&mut state.numbers, name, 0.5)?,
            Break::Reshape(which, how) => {
                let tensor = state.tensors.get_mut(&key(&state.tensors, which)?)?;
                let options = (tensor.kind(), tensor.device());
                *tensor = match how % 4 {
                    1 => Tensor::zeros([tensor.numel() as i64 + 1], options),
                    2 if tensor.size() != [1] => Tensor::zeros([1], options),
                    3 if tensor.size().contains(&1) => tensor.squeeze(),
                    _ => tensor.unsqueeze(0),
                };
            }
            Break::Recast(which) => {
                let tensor = state.tensors.get_mut(&key(&state.tensors, which)?)?;
                let other = if tensor.kind() == Kind::Float { Kind::Double } else { Kind::Float };
                *tensor = tensor.to_kind(other);
            }
            Break::Negate(which) => {
                state.integers.insert(key(&state.integers, which)?, -1);
            }
            Break::NotANumber(which) => {
                state.numbers.insert(key(&state.numbers, which)?, f64::NAN);
            }
        }
        Some(())
    }
}

/// Tch's own optimizers and the fused ones.
fn of_tch() -> impl Strategy<Value = Mover> {
    prop_oneof![inner().prop_map(Mover::Tch), inner().prop_map(Mover::Fused)]
}

fn any_but_own() -> impl Strategy<Value = Mover> {
    prop_oneof![4 => of_tch(), 1 => Just(Mover::Nested)]
}

fn any_mover() -> impl Strategy<Value = Mover> {
    prop_oneof![1 => Just(Mover::Own), 5 => any_but_own()]
}

/// An optimizer of tch with nothing around it.
struct Bare {
    vs: nn::VarStore,
    variables: Vec<Variable>,
    optimizer: nn::Optimizer,
}

impl Bare {
    fn new(config: &Config) -> Bare {
        let vs = nn::VarStore::new(Device::Cpu);
        let specs = config.variables.iter().enumerate();
        let variables = specs.map(|(i, spec)| add(&vs, i, spec)).collect();
        let optimizer = match config.mover {
            Mover::Tch(inner) => AnyConfig(inner).build(&vs, LEARNING_RATE),
            Mover::Fused(inner) => FusedConfig(inner).build(&vs, LEARNING_RATE),
            other => panic!("{other:?} is none of tch's"),
        };
        Bare { vs, variables, optimizer: optimizer.unwrap() }
    }

    /// What `run` has just done, as far as an optimizer without slow weights can.
    fn take(&mut self, op: &Op, run: &Run) {
        match op {
            Op::Step(gradients) if gradients.forget == Forget::Stale => self.optimizer.step(),
            Op::Step(gradients) => {
                self.optimizer.zero_grad();
                backward(&self.variables, gradients);
                self.optimizer.step();
            }
            Op::AddVariable { .. } => {
                for i in self.variables.len()..run.variables.len() {
                    self.variables.push(add(&self.vs, i, &run.variables[i].spec));
                }
            }
            Op::Freeze(which) | Op::Thaw(which) => {
                let variable = &mut self.variables[run.which(which)];
                variable.frozen = matches!(op, Op::Freeze(_));
                let _ = variable.weights.set_requires_grad(!variable.frozen);
            }
            _ => {}
        }
    }
}

// ---- The properties ----------------------------------------------------------------------------

proptest! {
    #![proptest_config(cases(256))]

    /// With an inner optimizer whose steps the test repeats to the bit.
    #[test]
    fn phi_is_what_the_definition_says((config, program) in program(Just(Mover::Own))) {
        Run::new(&config)?.follow(&program)?;
    }

    /// With each that tch has, with the fused ones, and nested.
    #[test]
    fn phi_follows_from_the_theta_of_any_optimizer((config, program) in program(any_but_own())) {
        Run::new(&config)?.follow(&program)?;
    }

    /// Whatever k: after each step the model is what tch's optimizer alone makes of it.
    #[test]
    fn at_alpha_one_it_is_the_inner_optimizer((config, program) in program(of_tch())) {
        let config = Config {
            settings: Settings {
                alpha: 1.0,
                alphas: BTreeMap::new(),
                alpha_schedule: Schedule::Constant,
                ..config.settings
            },
            policy: MomentumPolicy::Maintain,
            outer: (0.0, false),
            ..config
        };
        let mut run = Run::new(&config)?;
        let mut bare = Bare::new(&run.config);
        for op in program {
            let op = match op {
                Op::InnerStep(gradients) => Op::Step(gradients),
                Op::AddVariable { spec, .. } => Op::AddVariable { spec, written_again: None },
                Op::ResetSlowWeights { .. } => Op::ResetSlowWeights { write: None },
                Op::Step(_) | Op::Freeze(_) | Op::Thaw(_) => op,
                Op::SyncIfDue | Op::Evaluate { .. } | Op::SetK(_) | Op::SetKSchedule(_) => op,
                _ => continue, // it would change θ, or α
            };
            run.take(&op)?;
            run.check()?;
            bare.take(&op, &run);
            for (ours, theirs) in run.variables.iter().zip(&bare.variables) {
                let same = bits(&ours.weights) == bits(&theirs.weights);
                prop_assert!(same, "{} differs after {:?}", ours.name, op);
            }
        }
    }

    /// At whatever moments: not a bit of what comes after is another.
    #[test]
    fn saving_and_loading_changes_nothing(
        (config, program) in program(any_mover()),
        saves in proptest::collection::vec((any::<Index>(), any::<bool>()), 1..4),
    ) {
        // A fresh process has no gradients of the last step, and no guard that was leaked in another.
        let mut program: Vec<Op> = program
            .into_iter()
            .filter(|op| !matches!(op, Op::LeakGuard | Op::SaveAndLoad { .. }))
            .collect();
        for op in &mut program {
            if let Op::Step(gradients) | Op::InnerStep(gradients) = op
                && gradients.forget == Forget::Stale
            {
                gradients.forget = Forget::Each;
            }
        }
        let mut straight = Run::new(&config)?;
        straight.take_all(&program)?;
        // A fresh process knows nothing of resets before it.
        prop_assume!(straight.refused_resets == 0);
        for (at, weights_first) in saves {
            let at = at.index(program.len() + 1);
            program.insert(at, Op::SaveAndLoad { weights_first });
        }
        let mut saved = Run::new(&config)?;
        saved.take_all(&program)?;
        prop_assert_eq!(Everything::of(&mut straight)?, Everything::of(&mut saved)?);
    }

    /// A state that lacks an entry, has one too many, or one of another shape, type or range is
    /// refused; the training goes on as if nothing had been asked.
    #[test]
    fn a_broken_state_is_refused_and_changes_nothing(
        (config, mut program) in program(any_but_own()),
        at in any::<Index>(),
        broken in break_of_a_state(),
    ) {
        let later = program.split_off(at.index(program.len()));
        let mut run = Run::new(&config)?;
        run.take_all(&program)?;
        let mut state = ok(run.opt.state())?;
        run.leaked = false;
        if broken.apply(&mut state).is_none() {
            return Ok(()); // nothing to break in that way
        }
        // From here on it differs from the state in all that changes.
        let same_variables = |op: &&Op| !matches!(op, Op::AddVariable { .. });
        let later: Vec<Op> = later.iter().filter(same_variables).cloned().collect();
        run.take_all(&later)?;
        let before = Everything::of(&mut run)?;
        run.leaked = false;
        prop_assert!(run.opt.load_state(&state).is_err(), "{:?} was accepted", broken);
        prop_assert_eq!(before, Everything::of(&mut run)?);
        run.follow(&later)?;
    }

    /// From its first value to its last, never beyond, and never back.
    #[test]
    fn schedules_stay_between_their_ends(
        (from, to) in (1e-6..1e6, 1e-6..1e6),
        steps in prop_oneof![0u64..100, any::<u64>()],
        at in proptest::collection::vec((0.0..=1.5, 0u64..3), 2..20),
    ) {
        let mut at: Vec<u64> = at
            .into_iter()
            .map(|(part, more)| ((steps as f64 * part) as u64).saturating_add(more))
            .collect();
        at.push(0);
        at.sort_unstable();
        for schedule in [Schedule::Linear { to, steps }, Schedule::Cosine { to, steps }] {
            let values: Vec<f64> = at.iter().map(|at| schedule.at(from, *at)).collect();
            if steps > 0 {
                prop_assert_eq!(values[0], from, "{:?} begins with another", schedule);
            }
            prop_assert_eq!(schedule.at(from, steps), to);
            for value in &values {
                let between = (from.min(to)..=from.max(to)).contains(value);
                prop_assert!(between, "{:?} from {} is {}", schedule, from, value);
            }
            // The cosine is rounded, and so may be back by a last bit where it is flat.
            let slack = 4.0 * f64::EPSILON * from.max(to);
            for pair in values.windows(2) {
                let onward = (pair[1] - pair[0]) * (to - from).signum();
                prop_assert!(onward >= -slack, "{:?} from {} goes back: {:?}", schedule, from, pair);
            }
        }
    }
}
