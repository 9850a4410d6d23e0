//! A state loaded into a model that has gained, lost, renamed or reshaped a layer.

use crate::common::{AnyConfig, INNERS, bits, write};
use lookahead_core::optimizers::RAdam;
use lookahead_core::{
    Error, InnerOptimizer, Lookahead, MomentumPolicy, Result, RuleOptimizer, State, Taken,
    TchOptimizer, fused,
};
use tch::{Device, Kind, Tensor, nn};

/// A model of named variables, each filled with its own value.
struct Model {
    vs: nn::VarStore,
    variables: Vec<Tensor>,
}

impl Model {
    fn new(variables: &[(&str, &[i64], f64)]) -> Model {
        let vs = nn::VarStore::new(Device::Cpu);
        let add = |(name, shape, value): &(&str, &[i64], f64)| {
            vs.root().var_copy(name, &Tensor::full(*shape, *value, (Kind::Float, Device::Cpu)))
        };
        let variables = variables.iter().map(add).collect();
        Model { vs, variables }
    }

    fn train(&self, opt: &mut impl InnerOptimizer, steps: usize) {
        for _ in 0..steps {
            opt.zero_grad().unwrap();
            self.variables.iter().for_each(|w| w.square().sum(Kind::Float).backward());
            opt.step().unwrap();
        }
    }
}

const OLD: [(&str, &[i64], f64); 3] =
    [("kept", &[2], 1.0), ("gone", &[3], 2.0), ("other", &[2, 2], 3.0)];

/// `gone` is gone, `new` is new, `other` has another shape.
const NOW: [(&str, &[i64], f64); 3] =
    [("kept", &[2], 0.9), ("new", &[4], 5.0), ("other", &[2, 3], 6.0)];

fn names(taken: &Taken) -> [Vec<&String>; 4] {
    [
        taken.variables.iter().collect(),
        taken.new.keys().collect(),
        taken.reshaped.keys().collect(),
        taken.unknown.keys().collect(),
    ]
}

fn assert_taken(taken: &Taken) {
    assert_eq!(names(taken), [vec!["kept"], vec!["new"], vec!["other"], vec!["gone"]]);
    assert_eq!(taken.new["new"], [4]);
    assert_eq!(taken.reshaped["other"], (vec![2, 2], vec![2, 3]));
    assert_eq!(taken.unknown["gone"], Some(vec![3]));
    assert!(taken.ignored.is_empty(), "{taken}");
}

/// The state of an optimizer after 3 steps on the old model, and what it has after a partial load into a changed model.
fn changed<O: InnerOptimizer>(build: impl Fn(&nn::VarStore) -> Result<O>) -> (State, State, Taken) {
    let old = Model::new(&OLD);
    let mut opt = build(&old.vs).unwrap();
    old.train(&mut opt, 3);
    let saved = opt.state().unwrap();
    let now = Model::new(&NOW);
    let mut opt = build(&now.vs).unwrap();
    let taken = opt.load_partial(&saved).unwrap();
    let loaded = opt.state().unwrap();
    now.train(&mut opt, 9); // it trains
    (saved, loaded, taken)
}

/// Of the variable `kept` all entries, and no tensor of the others but φ.
fn assert_continues(saved: &State, loaded: &State) {
    let mut found = 0;
    for (key, tensor) in &saved.tensors {
        if key.ends_with("/kept") {
            assert!(bits(&loaded.tensors[key]) == bits(tensor), "{key}");
            found += 1;
        }
    }
    assert!(found > 0);
    for (key, step) in saved.integers.iter().filter(|(key, _)| key.ends_with("/kept")) {
        assert_eq!(loaded.integers[key], *step, "{key}");
    }
    let new = loaded.tensors.keys().filter(|key| key.ends_with("/new") || key.ends_with("/other"));
    for key in new {
        assert!(key.contains("slow/") || key.contains("velocity/"), "{key}");
    }
}

#[test]
fn each_inner_optimizer_takes_what_fits() {
    for inner in INNERS {
        let (saved, loaded, taken) = changed(|vs| TchOptimizer::new(AnyConfig(inner), vs, 0.01));
        assert_taken(&taken);
        assert_continues(&saved, &loaded);
        assert_eq!(loaded.numbers, saved.numbers, "{inner:?}");
    }
    let (saved, loaded, taken) =
        changed(|vs| RuleOptimizer::new(RAdam::default().beta2(0.99), vs, 0.01));
    assert_taken(&taken);
    assert_continues(&saved, &loaded);
}

#[test]
fn slow_weights_of_new_variables_are_their_present_values() {
    let lookahead = |vs: &nn::VarStore| {
        Lookahead::builder(fused::Adam::default())
            .k(2)
            .momentum_policy(MomentumPolicy::Pullback)
            .outer_momentum(0.5)
            .build(vs, 0.01)
    };
    let nested = |vs: &nn::VarStore| Lookahead::around(lookahead(vs)?).k(4).build();
    let (saved, loaded, taken) = changed(nested);
    assert_taken(&taken);
    assert_continues(&saved, &loaded);
    for (name, value) in [("new", 5.0f32), ("other", 6.0)] {
        for level in ["", "inner/"] {
            let slow = &loaded.tensors[&format!("{level}slow/{name}")];
            assert_eq!(slow, &slow.full_like(f64::from(value)), "{level}slow/{name}");
        }
        let velocity = &loaded.tensors[&format!("inner/velocity/{name}")];
        assert_eq!(velocity, &velocity.zeros_like());
    }
    assert_eq!((loaded.integers["phase"], loaded.integers["inner/phase"]), (3, 1));
    assert_eq!(loaded.integers["inner/steps"], 3);
    let text = taken.to_string();
    assert!(text.starts_with("Variables that continue from the state: 1\n"), "{text}");
    assert!(
        text.contains("New, because the state's shape differs (1): `other` [2, 2], now [2, 3]")
    );
    assert!(text.contains("Only in the state (1): `gone` [3]"), "{text}");
}

/// φ is what the model has when the state is loaded, not when the optimizer was built.
#[test]
fn weights_loaded_after_the_build_count() {
    let old = Model::new(&OLD);
    let state =
        Lookahead::builder(fused::Sgd::default()).build(&old.vs, 0.1).unwrap().state().unwrap();
    let now = Model::new(&NOW);
    let mut opt = Lookahead::builder(fused::Sgd::default()).build(&now.vs, 0.1).unwrap();
    write(&now.variables[1], 7.0);
    opt.load_partial(&state).unwrap();
    let slow = &opt.state().unwrap().tensors["slow/new"];
    assert_eq!(slow.double_value(&[0]), 7.0);
}

/// Loaded into the same model it is `load_state`.
#[test]
fn a_whole_state_is_taken_whole() {
    let build = |vs: &nn::VarStore| {
        Lookahead::builder(fused::AdamW::default())
            .k(3)
            .alpha_of_group(0, 0.25)
            .momentum_policy(MomentumPolicy::Pullback)
            .build(vs, 0.01)
    };
    let first = Model::new(&OLD);
    let mut opt = build(&first.vs).unwrap();
    first.train(&mut opt, 4);
    opt.set_lr(0.02).unwrap();
    let saved = opt.state().unwrap();
    let mut second = Model::new(&OLD);
    second.vs.copy(&first.vs).unwrap();
    let mut other = build(&second.vs).unwrap();
    let taken = other.load_partial(&saved).unwrap();
    assert_eq!(names(&taken).map(|names| names.len()), [3, 0, 0, 0]);
    assert_eq!(taken.replaced[0].to_string(), "The state's learning rate 0.02 replaces 0.01.");
    first.train(&mut opt, 5);
    second.train(&mut other, 5);
    for (a, b) in first.variables.iter().zip(&second.variables) {
        assert!(bits(a) == bits(b));
    }
}

#[test]
fn a_renamed_layer_is_new_and_its_old_name_unknown() {
    let (old, now) = (
        Model::new(&[("a", &[2], 1.0), ("b", &[2], 1.0)]),
        Model::new(&[("a", &[2], 1.0), ("c", &[2], 1.0)]),
    );
    let mut opt = TchOptimizer::new(fused::Adam::default(), &old.vs, 0.1).unwrap();
    old.train(&mut opt, 2);
    let mut renamed = TchOptimizer::new(fused::Adam::default(), &now.vs, 0.1).unwrap();
    let taken = renamed.load_partial(&opt.state().unwrap()).unwrap();
    assert_eq!(names(&taken), [vec!["a"], vec!["c"], vec![], vec!["b"]]);
}

#[test]
fn of_another_kind_only_the_outer_part_is_taken() {
    let old = Model::new(&OLD);
    let mut opt =
        Lookahead::builder(fused::sgd(0.9, 0.0, 0.0, false)).k(4).build(&old.vs, 0.1).unwrap();
    old.train(&mut opt, 3);
    let saved = opt.state().unwrap();
    let same = Model::new(&OLD);
    let mut adam = Lookahead::builder(fused::Adam::default()).k(2).build(&same.vs, 0.01).unwrap();
    let taken = adam.load_partial(&saved).unwrap();
    assert_eq!(taken.variables.len(), 3);
    assert!(taken.ignored.contains("inner/sgd/momentum_buffer/kept"), "{taken}");
    assert!(taken.ignored.contains("inner/sgd/learning_rate/0"), "{taken}");
    assert_eq!((adam.phase(), adam.k()), (3, 4));
    assert_eq!(adam.inner().learning_rates().unwrap(), [0.01]);
    same.train(&mut adam, 5);

    let mut alone = TchOptimizer::new(fused::Adam::default(), &same.vs, 0.01).unwrap();
    let taken = alone.load_partial(&saved.part("inner")).unwrap();
    assert!(taken.variables.is_empty() && taken.new.len() == 3, "{taken}");
}

/// Pulled-back moments begin at the moments that a state without slow copies has.
#[test]
fn a_state_without_slow_moments_gives_them() {
    let (old, now) = (Model::new(&OLD), Model::new(&OLD));
    let mut opt = Lookahead::builder(fused::Adam::default()).k(3).build(&old.vs, 0.1).unwrap();
    old.train(&mut opt, 2);
    let builder = Lookahead::builder(fused::Adam::default()).k(3);
    let mut other = builder.momentum_policy(MomentumPolicy::Pullback).build(&now.vs, 0.1).unwrap();
    let saved = opt.state().unwrap();
    assert!(matches!(other.load_state(&saved), Err(Error::StateMissing { .. })));
    other.load_partial(&saved).unwrap();
    let state = other.state().unwrap();
    assert_eq!(state.tensors["slow_moment/exp_avg/kept"], state.tensors["inner/adam/exp_avg/kept"]);
}

#[test]
fn a_bad_entry_is_refused_and_changes_nothing() {
    let old = Model::new(&OLD);
    let build =
        |vs: &nn::VarStore| Lookahead::builder(fused::Adam::default()).build(vs, 0.1).unwrap();
    let mut opt = build(&old.vs);
    old.train(&mut opt, 2);
    for key in ["slow/kept", "inner/adam/exp_avg/kept"] {
        let mut state = opt.state().unwrap();
        let nan = state.tensors[key].full_like(f64::NAN);
        state.tensors.insert(key.to_owned(), nan);
        let now = Model::new(&NOW);
        let mut other = build(&now.vs);
        let before = format!("{:?}", other.state().unwrap().tensors["slow/kept"]);
        let refused = other.load_partial(&state).unwrap_err().to_string();
        assert!(refused.contains(key) && refused.contains("NaN"), "{refused}");
        assert_eq!(format!("{:?}", other.state().unwrap().tensors["slow/kept"]), before);
        assert_eq!(other.phase(), 0);
    }
}

#[test]
fn a_tied_variable_is_found_under_its_other_name() {
    let old = Model::new(&[("tied", &[2], 1.0)]);
    let mut opt = Lookahead::builder(fused::Adam::default()).build(&old.vs, 0.1).unwrap();
    old.train(&mut opt, 2);
    let now = Model::new(&[("a", &[2], 1.0)]);
    let _ = now.vs.root().add("tied", now.variables[0].shallow_clone(), true);
    let mut other = Lookahead::builder(fused::Adam::default()).build(&now.vs, 0.1).unwrap();
    let taken = other.load_partial(&opt.state().unwrap()).unwrap();
    assert_eq!(names(&taken), [vec!["a"], vec![], vec![], vec![]]);
    assert!(other.state().unwrap().tensors.contains_key("inner/adam/exp_avg/a"));
}
