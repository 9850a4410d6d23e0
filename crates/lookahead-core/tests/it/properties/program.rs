//! A program: a configuration and a list of operations, drawn by proptest.

use std::collections::BTreeMap;

use crate::common::{INNERS, Inner};
use lookahead_core::{MomentumPolicy, Schedule, SyncPath};
use proptest::prelude::*;
use proptest::sample::Index;
use tch::{Kind, Tensor};

/// A variable's memory layout.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Layout {
    Dense,
    Transposed,
    /// With gaps between its elements.
    Strided,
}

/// The specification of a variable.
#[derive(Debug, Clone)]
pub(super) struct Spec {
    pub(super) shape: Vec<i64>,
    pub(super) kind: Kind,
    pub(super) layout: Layout,
    pub(super) group: usize,
    pub(super) seed: u64,
}

impl Spec {
    pub(super) fn tensor(&self, seed: u64) -> Tensor {
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

    /// Numbers from −2 to 2 determined by `seed`, including zeros of both signs.
    pub(super) fn values(&self, seed: u64) -> Tensor {
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

/// A hash (Steele, Lea, Flood 2014: SplitMix64).
pub(super) fn mixed(seed: u64) -> u64 {
    let z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What moves θ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mover {
    /// The tests' own, whose steps they repeat.
    Own,
    Tch(Inner),
    Fused(Inner),
    /// A Lookahead around SGD with momentum.
    Nested,
}

/// k and α: as built, then as the program set them last.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) first_k: u64,
    pub(super) k_schedule: Schedule,
    pub(super) alpha: f64,
    /// Of the groups with their own.
    pub(super) alphas: BTreeMap<usize, f64>,
    pub(super) alpha_schedule: Schedule,
}

#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) settings: Settings,
    pub(super) policy: MomentumPolicy,
    pub(super) outer: (f64, bool),
    pub(super) path: SyncPath,
    pub(super) mover: Mover,
    pub(super) variables: Vec<Spec>,
}

/// What happens to old gradients before a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Forget {
    /// `zero_grad` of the optimizer.
    Optimizer,
    /// Cleared without the optimizer.
    Each,
    /// Kept: the step uses those of the last one.
    Stale,
}

#[derive(Debug, Clone)]
pub(super) struct Gradients {
    /// Bit i: whether variable i has one.
    pub(super) of: u16,
    pub(super) seed: u64,
    pub(super) forget: Forget,
}

/// A choice among the variables that exist at the time.
pub(super) type Which = Index;

#[derive(Debug, Clone)]
pub(super) enum Op {
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
    /// φ and the phase stay.
    WriteAndAccept {
        which: Which,
        seed: u64,
    },
    RollBack,
    /// With a last sync.
    Finish,
    Discard,
}

/// More would show nothing new.
pub(super) const MOST_VARIABLES: usize = 10;

pub(super) fn shape() -> impl Strategy<Value = Vec<i64>> {
    prop_oneof![
        1 => Just(vec![]),
        1 => Just(vec![0]),
        1 => Just(vec![3, 0, 2]),
        3 => (1i64..=50).prop_map(|n| vec![n]),
        3 => (1i64..=7, 1i64..=7).prop_map(|(m, n)| vec![m, n]),
        1 => (1i64..=3, 1i64..=4, 1i64..=4).prop_map(|(l, m, n)| vec![l, m, n]),
    ]
}

pub(super) fn spec() -> impl Strategy<Value = Spec> {
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

pub(super) fn alpha() -> impl Strategy<Value = f64> {
    prop_oneof![3 => 1e-3..1.0, 1 => Just(0.5), 1 => Just(1.0)]
}

pub(super) fn alpha_schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        2 => Just(Schedule::Constant),
        1 => (alpha(), 0u64..40).prop_map(|(to, steps)| Schedule::Linear { to, steps }),
        1 => (alpha(), 0u64..40).prop_map(|(to, steps)| Schedule::Cosine { to, steps }),
        1 => (alpha(), 0.5..4.0, 0u64..40).prop_map(|(to, power, steps)| Schedule::Power { to, power, steps }),
        1 => (0.3..=1.0, 1u64..10).prop_map(|(factor, every)| Schedule::Step { factor, every }),
    ]
}

pub(super) fn k_schedule() -> impl Strategy<Value = Schedule> {
    prop_oneof![
        2 => Just(Schedule::Constant),
        1 => (1.0..6.0, 0u64..40).prop_map(|(to, steps)| Schedule::Linear { to, steps }),
        1 => (1.0..6.0, 0u64..40).prop_map(|(to, steps)| Schedule::Cosine { to, steps }),
    ]
}

pub(super) fn policy() -> impl Strategy<Value = MomentumPolicy> {
    prop_oneof![
        2 => Just(MomentumPolicy::Maintain),
        1 => Just(MomentumPolicy::Reset),
        1 => Just(MomentumPolicy::Pullback),
    ]
}

pub(super) fn outer() -> impl Strategy<Value = (f64, bool)> {
    let momentum = prop_oneof![2 => Just(0.0), 1 => Just(0.5), 1 => Just(0.9)];
    (momentum, any::<bool>())
}

pub(super) fn path() -> impl Strategy<Value = SyncPath> {
    prop_oneof![Just(SyncPath::Auto), Just(SyncPath::Foreach)]
}

pub(super) fn settings() -> impl Strategy<Value = Settings> {
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

pub(super) fn config(mover: impl Strategy<Value = Mover>) -> impl Strategy<Value = Config> {
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

pub(super) fn gradients() -> impl Strategy<Value = Gradients> {
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

pub(super) fn op() -> impl Strategy<Value = Op> {
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

pub(super) fn program(
    mover: impl Strategy<Value = Mover>,
) -> impl Strategy<Value = (Config, Vec<Op>)> {
    (config(mover), proptest::collection::vec(op(), 1..50))
}

pub(super) fn inner() -> impl Strategy<Value = Inner> {
    proptest::sample::select(&INNERS[..])
}
