//! The laws of inner optimizers, for each that the library has, and for rules that break one.

use crate::common::{AnyConfig, Inner};
use lookahead_core::optimizers::muon::Precision;
use lookahead_core::optimizers::{Adagrad, Adan, CautiousAdam, Lion, Muon, NAdam, RAdam};
use lookahead_core::tch_ext::arithmetic::scale;
use lookahead_core::{
    Composite, EmaNesterov, Extrapolation, InnerOptimizer, Lookahead, MasterWeights,
    MomentumPolicy, Primal, PrimalAveraging, Result, RuleOptimizer, Step, StepRule, TailAverage,
    TailMean, TchOptimizer, fused, laws,
};
use tch::{Tensor, nn};

type Built = Box<dyn InnerOptimizer>;

/// Puts a wrapper around an optimizer.
type Around = fn(Built) -> Result<Built>;

/// What is put around each optimizer: the first three around all.
const WRAPPERS: [(&str, Around); 5] = [
    ("alone", Ok),
    ("in Lookahead", |inner| Ok(Box::new(lookahead(inner)?))),
    ("in primal averaging", |inner| {
        Ok(Box::new(PrimalAveraging::new(inner, Primal::exponential(0.9, 0.7))?))
    }),
    ("in EMA-Nesterov", |inner| Ok(Box::new(EmaNesterov::new(inner, extrapolation())?))),
    ("in a tail average", |inner| {
        Ok(Box::new(TailAverage::new(inner, TailMean::exponential(0.9))?))
    }),
];

/// k = 2: see [`laws::check`].
fn lookahead<O: InnerOptimizer>(inner: O) -> Result<Lookahead<O>> {
    Lookahead::around(inner).k(2).build()
}

fn extrapolation() -> Extrapolation {
    Extrapolation { beta: 0.5, gamma: 0.8, ..Default::default() }
}

/// One test for each optimizer: alone, in each wrapper, and trained through master weights.
macro_rules! keeps_the_laws {
    ($($name:ident: $build:expr,)*) => {
        keeps_the_laws! { check, &WRAPPERS[..3]; $($name: $build,)* }
    };
    ($check:ident, $wrappers:expr; $($name:ident: $build:expr,)*) => {
        $(#[test]
        fn $name() {
            let build = erased($build);
            for (place, around) in $wrappers {
                laws::$check(|vs| around(build(vs)?))
                    .unwrap_or_else(|broken| panic!("{place}: {broken}"));
            }
            laws::$check(|vs| MasterWeights::new(vs, |masters| build(masters)))
                .unwrap_or_else(|broken| panic!("through master weights: {broken}"));
        })*
    };
}

/// One type for all, so that the wrappers and the laws are compiled once.
fn erased<O: InnerOptimizer + 'static>(
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> impl Fn(&nn::VarStore) -> Result<Built> {
    move |vs| Ok(Box::new(build(vs)?))
}

keeps_the_laws! {
    plain_sgd: |vs| TchOptimizer::new(fused::Sgd::default(), vs, 0.1),
    fused_sgd: |vs| TchOptimizer::new(fused::sgd(0.9, 0.1, 1e-3, false), vs, 0.1),
    fused_nesterov: |vs| TchOptimizer::new(fused::sgd(0.9, 0.0, 1e-3, true), vs, 0.1),
    fused_adam: |vs| TchOptimizer::new(fused::Adam::default().amsgrad(true).wd(0.01), vs, 0.1),
    fused_adamw: |vs| TchOptimizer::new(fused::AdamW::default().amsgrad(true), vs, 0.1),
    fused_rms_prop: |vs| TchOptimizer::new(fused::rms_prop(0.95, 1e-8, 1e-3, 0.8, true), vs, 0.1),
    adagrad: |vs| decayed(Adagrad::default().lr_decay(0.1).initial_accumulator_value(0.1), vs),
    adan: |vs| decayed(Adan::default(), vs),
    adan_without_prox: |vs| decayed(Adan::default().proximal(false), vs),
    cautious_adam: |vs| decayed(CautiousAdam::default().decoupled_weight_decay(false), vs),
    cautious_adamw: |vs| decayed(CautiousAdam::default(), vs),
    cautious_lion: |vs| decayed(Lion::default().cautious(true), vs),
    lion: |vs| decayed(Lion::default(), vs),
    nadam: |vs| decayed(NAdam::default(), vs),
    nadam_decoupled: |vs| decayed(NAdam::default().decoupled_weight_decay(true), vs),
    radam: |vs| decayed(RAdam::default().beta2(0.9), vs),
    radam_decoupled: |vs| decayed(RAdam::default().decoupled_weight_decay(true), vs),
    composite: |vs| Composite::matrices_and_rest(
        vs,
        |matrices| TchOptimizer::new(fused::sgd(0.9, 0.1, 1e-3, false), matrices, 0.1),
        |rest| RuleOptimizer::new(RAdam::default().beta2(0.9), rest, 0.1),
    ),
    composite_of_one_kind: |vs| Composite::matrices_and_rest(
        vs,
        |matrices| TchOptimizer::new(fused::AdamW::default(), matrices, 0.1),
        |rest| TchOptimizer::new(fused::AdamW::default(), rest, 0.1),
    ),
}

// Each wrapper in each.
keeps_the_laws! {
    check, &WRAPPERS;
    lookahead_around_adamw: |vs| lookahead(adamw(vs)?),
    lookahead_that_pulls_back: |vs| {
        Lookahead::around(adamw(vs)?).k(2).momentum_policy(MomentumPolicy::Pullback).build()
    },
    lookahead_around_ema_nesterov: |vs| lookahead(EmaNesterov::new(adamw(vs)?, extrapolation())?),
    primal_averaging: |vs| PrimalAveraging::new(adamw(vs)?, Primal::exponential(0.9, 0.7)),
    schedule_free: |vs| PrimalAveraging::new(adamw(vs)?, Primal::schedule_free(0.9)),
    ema_nesterov: |vs| EmaNesterov::new(adamw(vs)?, extrapolation()),
    tail_average: |vs| TailAverage::new(adamw(vs)?, TailMean::exponential(0.9)),
    tail_mean: |vs| TailAverage::new(adamw(vs)?, TailMean::uniform()),
}

fn adamw(vs: &nn::VarStore) -> Result<TchOptimizer> {
    TchOptimizer::new(fused::AdamW::default(), vs, 0.1)
}

fn decayed<R: StepRule>(rule: R, vs: &nn::VarStore) -> Result<RuleOptimizer<R>> {
    let mut optimizer = RuleOptimizer::new(rule, vs, 0.1)?;
    optimizer.set_weight_decay(0.01)?;
    Ok(optimizer)
}

// On matrices only.
keeps_the_laws! {
    check_matrices, &WRAPPERS[..3];
    muon: |vs| RuleOptimizer::new(Muon::default(), vs, 0.1),
    muon_in_full_precision:
        |vs| RuleOptimizer::new(Muon::default().precision(Precision::Full), vs, 0.1),
}

// tch's own.
keeps_the_laws! {
    tchs_sgd: |vs| TchOptimizer::new(AnyConfig(Inner::Sgd), vs, 0.1),
    tchs_adam: |vs| TchOptimizer::new(AnyConfig(Inner::Adam), vs, 0.1),
    tchs_adamw: |vs| TchOptimizer::new(AnyConfig(Inner::AdamW), vs, 0.1),
    tchs_rms_prop: |vs| TchOptimizer::new(AnyConfig(Inner::RmsProp), vs, 0.1),
}

/// SGD, whose learning rate falls with the number of steps of the whole optimizer, which it forgets to save.
#[derive(Debug, Default)]
struct Forgetful {
    steps: std::cell::Cell<f64>,
}

impl StepRule for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn slots(&self) -> Vec<&'static str> {
        Vec::new()
    }

    fn step(
        &self,
        weights: &mut Tensor,
        gradient: &Tensor,
        _: &mut [Tensor],
        step: Step,
    ) -> Result<()> {
        self.steps.set(self.steps.get() + 1.0);
        let mut update = gradient.copy();
        scale(&mut update, step.learning_rate / self.steps.get())?;
        let _ = weights.f_sub_(&update)?;
        Ok(())
    }
}

#[test]
fn a_rule_with_a_state_of_its_own_is_found() {
    let broken = laws::check(|vs| RuleOptimizer::new(Forgetful::default(), vs, 0.1)).unwrap_err();
    let broken = broken.to_string();
    assert!(broken.contains("A saved state continues to the bit. But `matrix`"), "{broken}");
}
