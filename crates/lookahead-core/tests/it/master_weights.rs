//! bfloat16 and half-precision weights with master weights in single precision.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::common::{AnyConfig, INNERS, Inner, POLICIES, bits, write};
use lookahead_core::{
    EmaNesterov, Error, Extrapolation, InnerOptimizer, Lookahead, MasterWeights, MomentumPolicy,
    Primal, PrimalAveraging, Result, State, TailAverage, TailMean, TchOptimizer, fused,
};
use tch::{Device, Kind, Tensor, nn};

/// A matrix and a vector in half precision, and a vector that stays in single precision.
struct Model {
    vs: nn::VarStore,
    matrix: Tensor,
    vector: Tensor,
    single: Tensor,
}

impl Model {
    fn new(kind: Kind) -> Model {
        Model::seeded(kind, 0.0)
    }

    fn seeded(kind: Kind, seed: f64) -> Model {
        let vs = nn::VarStore::new(Device::Cpu);
        let values = |count: i64| {
            let all = Tensor::arange(count, (Kind::Float, Device::Cpu));
            // Numbers of eight bits, which every type holds.
            (all + 1.0 + seed).sin().to_kind(Kind::BFloat16)
        };
        let layer = vs.root() / "layer";
        // `var_copy` would make all of the store's own type.
        let matrix = layer.add("matrix", values(6).reshape([3, 2]).to_kind(kind), true);
        let vector = layer.set_group(1).add("vector", values(3).to_kind(kind), true);
        let single = vs.root().add("single", values(3).to_kind(Kind::Float), true);
        Model { vs, matrix, vector, single }
    }

    /// The loss of batch `i`, computed in `kind`: weights of a wider type are rounded first.
    fn loss(&self, i: i64, kind: Kind) -> Tensor {
        let x = (Tensor::arange(8, (Kind::Float, Device::Cpu)) + i).cos().reshape([4, 2]);
        let [matrix, vector] = [&self.matrix, &self.vector].map(|w| w.to_kind(kind));
        let hidden = x.to_kind(kind).matmul(&matrix.transpose(0, 1)) + vector;
        (hidden.to_kind(Kind::Float) * &self.single).square().mean(Kind::Float)
    }

    fn weights(&self) -> Vec<Vec<u8>> {
        [&self.matrix, &self.vector, &self.single].map(bits).to_vec()
    }
}

fn lookahead(vs: &nn::VarStore, inner: Inner) -> Result<Lookahead> {
    Lookahead::builder(AnyConfig(inner)).k(3).alpha(0.4).outer_momentum(0.3).build(vs, 0.01)
}

fn with_masters(model: &Model, inner: Inner) -> MasterWeights<Lookahead> {
    MasterWeights::new(&model.vs, |masters| lookahead(masters, inner)).unwrap()
}

fn train<O: InnerOptimizer>(
    model: &Model,
    opt: &mut MasterWeights<O>,
    steps: std::ops::Range<i64>,
) {
    for i in steps {
        opt.backward_step(&model.loss(i, model.matrix.kind())).unwrap();
    }
}

/// θ is the f32 training's θ, rounded, to the bit; moments and φ are its own.
#[test]
fn it_is_the_training_in_f32_of_a_model_that_rounds() {
    for kind in [Kind::BFloat16, Kind::Half] {
        for inner in INNERS {
            let (narrow, wide) = (Model::new(kind), Model::new(Kind::Float));
            let mut opt = with_masters(&narrow, inner);
            let mut reference = lookahead(&wide.vs, inner).unwrap();
            for i in 0..8 {
                opt.backward_step(&narrow.loss(i, kind)).unwrap();
                reference.backward_step(&wide.loss(i, kind)).unwrap();
                let (state, expected) = (opt.state().unwrap(), reference.state().unwrap());
                for (name, own, other) in [
                    ("layer.matrix", &narrow.matrix, &wide.matrix),
                    ("layer.vector", &narrow.vector, &wide.vector),
                ] {
                    assert!(bits(own) == bits(&other.to_kind(kind)), "{inner:?}, {name}, step {i}");
                    assert!(bits(&state.tensors[&format!("master/{name}")]) == bits(other));
                }
                assert!(bits(&narrow.single) == bits(&wide.single), "{inner:?}, step {i}");
                let inner_state = state.part("inner");
                assert_eq!(inner_state.integers, expected.integers);
                for (key, tensor) in &expected.tensors {
                    assert_eq!(tensor.kind(), Kind::Float);
                    assert!(bits(&inner_state.tensors[key]) == bits(tensor), "{inner:?}, {key}");
                }
            }
            assert!(opt.finish().unwrap() && reference.finish().unwrap());
            assert!(bits(&narrow.matrix) == bits(&wide.matrix.to_kind(kind)));
        }
    }
}

/// A step of 0.001 from 1 is below bfloat16's resolution of 1/256.
#[test]
fn small_steps_add_up() {
    let at = |with: bool| {
        let mut vs = nn::VarStore::new(Device::Cpu);
        let w = vs.root().ones("w", &[1]);
        vs.bfloat16();
        if with {
            let mut opt = MasterWeights::new(&vs, |masters| {
                Lookahead::builder(fused::Sgd::default()).k(5).alpha(0.5).build(masters, 0.001)
            })
            .unwrap();
            (0..200).for_each(|_| opt.backward_step(&w.sum(Kind::Float)).unwrap());
        } else {
            let builder = Lookahead::builder(fused::Sgd::default()).k(5).alpha(0.5);
            let mut opt = builder.build(&vs, 0.001).unwrap();
            (0..200).for_each(|_| assert!(opt.backward_step(&w.sum(Kind::Float)).is_ok()));
        }
        w.double_value(&[0])
    };
    assert_eq!(at(false), 1.0);
    // 40 syncs, each half of 5 steps.
    assert!((at(true) - 0.9).abs() < 0.003, "{}", at(true));
}

#[test]
fn a_saved_training_continues_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    for policy in POLICIES {
        let build = |model: &Model| {
            MasterWeights::new(&model.vs, |masters| {
                let level = Lookahead::builder(fused::Adam::default()).k(3).momentum_policy(policy);
                Lookahead::around(level.build(masters, 0.05)?).k(4).build()
            })
            .unwrap()
        };
        let whole = Model::new(Kind::BFloat16);
        train(&whole, &mut build(&whole), 0..10);
        for stop in 0..10 {
            let first = Model::new(Kind::BFloat16);
            let mut opt = build(&first);
            train(&first, &mut opt, 0..stop);
            opt.state().unwrap().save(&path).unwrap();
            let mut second = Model::seeded(Kind::BFloat16, 5.0);
            second.vs.copy(&first.vs).unwrap();
            let mut opt = build(&second);
            opt.load_state(&State::load(&path).unwrap()).unwrap();
            train(&second, &mut opt, stop..10);
            assert!(second.weights() == whole.weights(), "{policy:?} from step {stop}");
        }
    }
}

/// The masters are the weights: without the model's file only `single`, which has no master, is missing.
#[test]
fn loading_a_state_sets_the_weights() {
    let (first, second) = (Model::new(Kind::BFloat16), Model::seeded(Kind::BFloat16, 5.0));
    let mut opt = with_masters(&first, Inner::Adam);
    train(&first, &mut opt, 0..4);
    with_masters(&second, Inner::Adam).load_state(&opt.state().unwrap()).unwrap();
    assert_eq!(second.weights()[..2], first.weights()[..2]);
    assert_ne!(second.weights()[2], first.weights()[2]);
}

#[test]
fn a_bad_state_is_refused_and_changes_nothing() {
    let model = Model::new(Kind::BFloat16);
    let mut opt = with_masters(&model, Inner::Adam);
    train(&model, &mut opt, 0..4);
    let before = model.weights();
    type Damage = fn(&mut State);
    let damage: [(&str, Damage); 5] = [
        ("`master/layer.matrix`", |state| drop(state.tensors.remove("master/layer.matrix"))),
        ("`master/layer.vector`", |state| {
            let nan = Tensor::full([3], f64::NAN, (Kind::Float, Device::Cpu));
            state.tensors.insert("master/layer.vector".to_owned(), nan);
        }),
        ("`master/layer.vector`", |state| {
            let narrow = Tensor::ones([3], (Kind::BFloat16, Device::Cpu));
            state.tensors.insert("master/layer.vector".to_owned(), narrow);
        }),
        ("`other`", |state| state.integers.extend([("other".to_owned(), 1)])),
        ("`inner/slow/single`", |state| drop(state.tensors.remove("inner/slow/single"))),
    ];
    for (named, damage) in damage {
        let mut state = opt.state().unwrap();
        damage(&mut state);
        let refused = opt.load_state(&state).unwrap_err().to_string();
        assert!(refused.contains(named), "{refused}");
        assert!(model.weights() == before);
        assert_eq!(opt.inner().phase(), 1);
    }
    train(&model, &mut opt, 4..5);
}

#[test]
fn evaluating_shows_phi_and_changes_nothing() {
    let (observed, alone) = (Model::new(Kind::BFloat16), Model::new(Kind::BFloat16));
    let (mut opt, mut other) = [&observed, &alone].map(|m| with_masters(m, Inner::Adam)).into();
    for i in 0..7 {
        train(&observed, &mut opt, i..i + 1);
        train(&alone, &mut other, i..i + 1);
        let fast = observed.weights();
        let slow = &opt.state().unwrap().tensors["inner/slow/layer.matrix"].to_kind(Kind::BFloat16);
        let at_phi = opt.with_slow_weights(|| observed.matrix.copy()).unwrap();
        assert!(bits(&at_phi) == bits(slow), "step {i}");
        assert!(observed.weights() == fast && observed.weights() == alone.weights(), "step {i}");
    }
    let fast = observed.weights();
    let panicked = catch_unwind(AssertUnwindSafe(|| opt.with_slow_weights(|| panic!("at φ"))));
    assert!(panicked.is_err() && observed.weights() == fast);
    // What has no master is φ's own memory there.
    let written = opt.with_slow_weights(|| write(&observed.single, 1.0));
    assert!(matches!(written, Err(Error::SlowWeightsChanged { .. })));
    assert!(matches!(opt.step(), Err(Error::SlowWeightsChanged { .. })));
}

#[test]
fn changes_from_outside_are_noticed() {
    let model = Model::new(Kind::BFloat16);
    let mut opt = with_masters(&model, Inner::Sgd);
    train(&model, &mut opt, 0..2);
    let master = |opt: &mut MasterWeights<Lookahead>| {
        opt.state().unwrap().tensors.remove("master/layer.vector").unwrap()
    };
    let before = master(&mut opt);
    let _ = tch::no_grad(|| model.vector.get(0).fill_(2.0));
    assert!(matches!(opt.step(), Err(Error::MasterWeightsOutdated { .. })));
    assert_eq!(model.vector.double_value(&[0]), 2.0);
    opt.accept_weights().unwrap();
    let after = master(&mut opt);
    assert_eq!(after.double_value(&[0]), 2.0);
    assert!(bits(&after.narrow(0, 1, 2)) == bits(&before.narrow(0, 1, 2)), "others keep precision");
    assert_eq!(opt.inner().phase(), 2);

    write(&model.vector, 0.5);
    opt.reset_master_weights().unwrap();
    let state = opt.state().unwrap();
    for key in ["master/layer.vector", "inner/slow/layer.vector"] {
        assert_eq!(state.tensors[key].double_value(&[1]), 0.5, "{key}");
    }
    train(&model, &mut opt, 2..6);
}

#[test]
fn frozen_weights_stay_and_may_be_written() {
    let model = Model::new(Kind::BFloat16);
    let mut opt = with_masters(&model, Inner::Adam);
    train(&model, &mut opt, 0..4);
    let _ = model.vector.set_requires_grad(false);
    let before = model.weights();
    train(&model, &mut opt, 4..8);
    assert!(model.weights()[1] == before[1] && model.weights()[0] != before[0]);
    write(&model.vector, 0.25);
    train(&model, &mut opt, 8..10);
    let state = opt.state().unwrap();
    for key in ["master/layer.vector", "inner/slow/layer.vector"] {
        assert_eq!(state.tensors[key].double_value(&[0]), 0.25, "{key}");
    }
    let _ = model.vector.set_requires_grad(true);
    train(&model, &mut opt, 10..11);
    assert_ne!(model.vector.double_value(&[0]), 0.25);
}

#[test]
fn late_and_tied_weights() {
    let model = Model::new(Kind::BFloat16);
    let _ = (model.vs.root() / "a").add("tied", model.matrix.shallow_clone(), true);
    let mut opt = with_masters(&model, Inner::Adam);
    train(&model, &mut opt, 0..2);
    let late = model.vs.root().add("late", Tensor::ones([2], (Kind::BFloat16, Device::Cpu)), true);
    for i in 2..6 {
        let loss = model.loss(i, Kind::BFloat16) + late.square().sum(Kind::Float);
        opt.backward_step(&loss).unwrap();
    }
    let state = opt.state().unwrap();
    for key in ["master/a.tied", "master/late", "inner/slow/late", "inner/inner/adam/exp_avg/late"]
    {
        assert_eq!(state.tensors[key].kind(), Kind::Float, "{key}");
    }
    assert!(!state.tensors.contains_key("master/layer.matrix"));
    assert_eq!(opt.learning_rates().unwrap().len(), 2);

    // A state under the other name.
    let first = Model::new(Kind::BFloat16);
    let mut saved = with_masters(&first, Inner::Adam);
    train(&first, &mut saved, 0..4);
    let tied = Model::new(Kind::BFloat16);
    let _ = (tied.vs.root() / "a").add("tied", tied.matrix.shallow_clone(), true);
    with_masters(&tied, Inner::Adam).load_state(&saved.state().unwrap()).unwrap();
    assert!(tied.weights()[0] == first.weights()[0]);
}

#[test]
fn lookahead_around_it_is_refused() {
    let model = Model::new(Kind::BFloat16);
    let inner = MasterWeights::new(&model.vs, |masters| {
        TchOptimizer::new(fused::Sgd::default(), masters, 0.1)
    });
    let mut opt = Lookahead::around(inner.unwrap()).k(2).build().unwrap();
    opt.backward_step(&model.loss(0, Kind::BFloat16)).unwrap();
    let refused = opt.backward_step(&model.loss(1, Kind::BFloat16)).unwrap_err();
    assert!(matches!(refused, Error::MasterWeightsInside { .. }), "{refused}");
}

#[test]
fn a_cast_after_the_build_is_refused() {
    let mut vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("w", &[2]);
    let mut opt =
        MasterWeights::new(&vs, |masters| TchOptimizer::new(fused::Sgd::default(), masters, 0.1))
            .unwrap();
    vs.bfloat16();
    let refused = opt.backward_step(&w.sum(Kind::Float)).unwrap_err();
    assert!(matches!(refused, Error::NoMasterWeights { .. }), "{refused}");
}

#[test]
fn clipping_is_in_single_precision() {
    let model = Model::new(Kind::BFloat16);
    let mut opt = with_masters(&model, Inner::Sgd);
    opt.zero_grad().unwrap();
    model.loss(0, Kind::BFloat16).backward();
    let norm = opt.with_inner(|lookahead| lookahead.clip_grad_norm(1e-3)).unwrap();
    assert!(norm > 1e-3);
}

#[test]
fn a_part_of_a_state() {
    let model = Model::new(Kind::BFloat16);
    let mut opt = with_masters(&model, Inner::Adam);
    train(&model, &mut opt, 0..4);
    let saved = opt.state().unwrap();
    let grown = Model::seeded(Kind::BFloat16, 5.0);
    let _ = grown.vs.root().add("new", Tensor::ones([2], (Kind::BFloat16, Device::Cpu)), true);
    let mut other = with_masters(&grown, Inner::Adam);
    let taken = other.load_partial(&saved).unwrap();
    assert_eq!(taken.new.keys().collect::<Vec<_>>(), ["new"]);
    assert_eq!(taken.variables.len(), 3);
    let state = other.state().unwrap();
    for key in ["master/layer.matrix", "inner/slow/layer.matrix", "inner/inner/adam/exp_avg/single"]
    {
        assert!(bits(&state.tensors[key]) == bits(&saved.tensors[key]), "{key}");
    }
    assert!(grown.weights()[0] == model.weights()[0]);
    for key in ["master/new", "inner/slow/new"] {
        assert_eq!(state.tensors[key].double_value(&[0]), 1.0, "{key}");
    }
}

/// With α = 1 and moments kept Lookahead is its inner optimizer, here too.
#[test]
fn at_alpha_one_lookahead_changes_nothing() {
    let (alone, around) = (Model::new(Kind::BFloat16), Model::new(Kind::BFloat16));
    let config = || fused::AdamW::default();
    let mut a = MasterWeights::new(&alone.vs, |m| TchOptimizer::new(config(), m, 0.01)).unwrap();
    let mut b = MasterWeights::new(&around.vs, |m| {
        let builder = Lookahead::builder(config()).k(2).alpha(1.0);
        builder.momentum_policy(MomentumPolicy::Maintain).build(m, 0.01)
    })
    .unwrap();
    train(&alone, &mut a, 0..7);
    train(&around, &mut b, 0..7);
    assert!(alone.weights() == around.weights());
}

/// An average inside is of the masters: its result is rounded once, and it resumes bit for bit.
#[test]
fn an_average_is_of_the_masters() {
    macro_rules! check {
        ($around:expr) => {
            let build = |model: &Model| {
                let inner = |m: &nn::VarStore| TchOptimizer::new(fused::Adam::default(), m, 0.01);
                MasterWeights::new(&model.vs, |m| $around(inner(m)?)).unwrap()
            };
            let whole = Model::new(Kind::BFloat16);
            let mut opt = build(&whole);
            train(&whole, &mut opt, 0..7);
            let own = whole.weights();
            let result = opt.with_result(|| whole.weights()).unwrap();
            let state = opt.state().unwrap();
            let averages = ["layer.matrix", "layer.vector", "single"].map(|name| {
                let average = &state.tensors[&format!("inner/average/{name}")];
                assert_eq!(average.kind(), Kind::Float);
                bits(&if name == "single" {
                    average.copy()
                } else {
                    average.to_kind(Kind::BFloat16)
                })
            });
            assert!(result == averages && result != own);
            assert!(whole.weights() == own);
            let written =
                |model: &Model| drop(tch::no_grad(|| model.single.shallow_clone().fill_(0.0)));
            train(&whole, &mut opt, 7..9);

            let (first, second) = (Model::new(Kind::BFloat16), Model::seeded(Kind::BFloat16, 2.0));
            let mut opt = build(&first);
            train(&first, &mut opt, 0..4);
            let state = opt.state().unwrap();
            assert!(matches!(
                opt.with_result(|| written(&first)),
                Err(Error::ResultChanged { .. })
            ));
            assert!(opt.step().is_err());
            let mut vs = second.vs;
            vs.copy(&first.vs).unwrap();
            let second = Model { vs, ..second };
            let mut opt = build(&second);
            opt.load_state(&state).unwrap();
            train(&second, &mut opt, 4..9);
            assert!(second.weights() == whole.weights());
        };
    }
    check!(|inner| PrimalAveraging::new(inner, Primal::exponential(0.9, 0.5)));
    check!(|inner| TailAverage::new(inner, TailMean::exponential(0.9)));
}

/// A loaded state is the saved one to the bit, also of averages, whose points are computed from one another.
#[test]
fn a_loaded_state_is_the_saved_one() {
    macro_rules! check {
        ($around:expr, $kinds:expr) => {
            for kind in $kinds {
                let build = |model: &Model| {
                    let inner =
                        |m: &nn::VarStore| TchOptimizer::new(fused::Adam::default(), m, 0.01);
                    MasterWeights::new(&model.vs, |m| $around(inner(m)?)).unwrap()
                };
                let first = Model::new(kind);
                let mut opt = build(&first);
                for step in 0..6 {
                    train(&first, &mut opt, step..step + 1);
                    let saved = opt.state().unwrap();
                    let mut loaded = build(&Model::seeded(kind, 2.0));
                    loaded.load_state(&saved).unwrap();
                    let loaded = loaded.state().unwrap();
                    assert_eq!(loaded.numbers, saved.numbers);
                    assert_eq!(loaded.integers, saved.integers);
                    assert!(loaded.tensors.keys().eq(saved.tensors.keys()));
                    for (key, tensor) in &saved.tensors {
                        let found = bits(&loaded.tensors[key]);
                        assert!(found == bits(tensor), "{key} after step {step} in {kind:?}");
                    }
                }
            }
        };
    }
    let kinds = [Kind::BFloat16, Kind::Half];
    check!(|inner| PrimalAveraging::new(inner, Primal::exponential(0.9, 0.7)), kinds);
    check!(|inner| PrimalAveraging::new(inner, Primal::schedule_free(0.9)), kinds);
    check!(
        |inner| EmaNesterov::new(inner, Extrapolation { beta: 0.7, ..Default::default() }),
        kinds
    );
    check!(|inner| TailAverage::new(inner, TailMean::exponential(0.9)), kinds);
    check!(|inner| Lookahead::around(inner).k(2).alpha(0.4).build(), kinds);
}
