//! Optimizers on chosen variables of a store, and groups of their own.

use crate::common::{Net, assert_same_bits, bits};
use lookahead_core::{
    InnerOptimizer, Lookahead, Parameter, RuleOptimizer, State, TchOptimizer, Variables, fused,
};
use tch::{Device, Kind, Tensor, nn};

fn names(parameters: &[Parameter]) -> Vec<&str> {
    parameters.iter().map(|parameter| parameter.name.as_str()).collect()
}

fn is_matrix(parameter: &Parameter) -> bool {
    parameter.tensor.dim() >= 2
}

/// Lookahead around AdamW on a part of a net's variables.
fn adamw(variables: impl Into<Variables>) -> Lookahead {
    Lookahead::builder(fused::AdamW::default()).k(3).alpha(0.4).build(variables, 0.01).unwrap()
}

fn step_both(net: &Net, opts: &mut (Lookahead, Lookahead), batch: i64) {
    opts.0.zero_grad().unwrap();
    opts.1.zero_grad().unwrap();
    net.loss(batch, false).backward();
    let synced = (opts.0.step().unwrap(), opts.1.step().unwrap());
    assert_eq!(synced.0, synced.1);
}

#[test]
fn a_selection_and_groups_hold_for_late_variables() {
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let _ = (root.ones("a_weight", &[2, 2]), root.ones("a_bias", &[2]));
    let variables = Variables::new(&vs)
        .matching(|parameter| !parameter.name.contains("skip"))
        .group_by(|parameter| usize::from(parameter.name.ends_with("bias")));
    let mut opt = TchOptimizer::new(fused::Sgd::default(), variables, 0.5).unwrap();
    opt.set_learning_rate_group(1, 0.25).unwrap();
    let late = [root.ones("b_bias", &[1]), root.ones("skip_bias", &[1]), root.ones("b_w", &[1])];
    late.iter().map(|w| w.sum(Kind::Float)).sum::<Tensor>().backward();
    opt.step().unwrap();
    assert_eq!(names(opt.parameters()), ["a_weight", "a_bias", "b_bias", "b_w"]);
    let values = late.map(|w| w.double_value(&[0]));
    assert_eq!(values, [0.75, 1.0, 0.5]);
}

#[test]
fn rules_apply_in_their_order() {
    let vs = nn::VarStore::new(Device::Cpu);
    let root = vs.root();
    let _ = (root.set_group(2).ones("a", &[1]), root.ones("b", &[1]));
    let stored = Variables::new(&vs).matching(|p| p.group == 2).group_by(|_| 0).take_new();
    assert_eq!((names(&stored), stored[0].group), (vec!["a"], 0));
    let own =
        Variables::new(&vs).group_by(|p| usize::from(p.name == "b")).matching(|p| p.group == 1);
    assert_eq!(names(&own.clone().take_new()), ["b"]);
}

#[test]
fn two_optimizers_on_two_parts_train_as_one_and_resume() {
    let whole = Net::new(3, Device::Cpu);
    let mut one = adamw(&whole.vs);
    for batch in 0..10 {
        one.backward_step(&whole.loss(batch, false)).unwrap();
    }
    let both = |net: &Net| {
        let (matrices, rest) = Variables::new(&net.vs).partition(is_matrix);
        (adamw(matrices), adamw(rest))
    };
    let net = Net::new(3, Device::Cpu);
    let mut opts = both(&net);
    (0..5).for_each(|batch| step_both(&net, &mut opts, batch));
    let states = (opts.0.state().unwrap(), opts.1.state().unwrap());
    let slow = |state: &State| -> Vec<String> {
        state.tensors.keys().filter(|key| key.starts_with("slow/")).cloned().collect()
    };
    assert_eq!(slow(&states.0), ["slow/first.weight", "slow/second.weight"]);
    assert_eq!(slow(&states.1), ["slow/first.bias", "slow/second.bias"]);

    let mut resumed = Net::new(8, Device::Cpu);
    resumed.vs.copy(&net.vs).unwrap();
    let mut opts = both(&resumed);
    opts.0.load_state(&states.0).unwrap();
    opts.1.load_state(&states.1).unwrap();
    assert!(opts.0.load_state(&states.1).is_err());
    (5..10).for_each(|batch| step_both(&resumed, &mut opts, batch));
    assert_same_bits(&resumed.weights(), &whole.weights(), "two parts");
}

#[test]
fn slow_weights_of_one_part_leave_the_other_at_its_fast_weights() {
    let net = Net::new(3, Device::Cpu);
    let (matrices, rest) = Variables::new(&net.vs).partition(is_matrix);
    let mut opts = (adamw(matrices), adamw(rest));
    let first = net.weights();
    (0..2).for_each(|batch| step_both(&net, &mut opts, batch));
    let fast = net.weights();
    let mixed = opts.0.with_slow_weights(|| net.weights()).unwrap();
    for (((name, mixed), (_, first)), (_, fast)) in mixed.iter().zip(first).zip(fast) {
        let expected = if mixed.dim() >= 2 { first } else { fast };
        assert!(bits(mixed) == bits(&expected), "{name}");
    }
}

#[test]
fn a_variable_in_no_selection_keeps_its_value() {
    let net = Net::new(3, Device::Cpu);
    let before = net.weights();
    let mut opt = adamw(Variables::new(&net.vs).matching(|p| p.name.starts_with("second")));
    for batch in 0..4 {
        opt.backward_step(&net.loss(batch, false)).unwrap();
    }
    for ((name, before), (_, after)) in before.iter().zip(net.weights()) {
        assert_eq!(bits(before) != bits(&after), name.starts_with("second"), "{name}");
    }
    let state = opt.state().unwrap();
    assert!(state.tensors.keys().all(|key| !key.contains("first")), "{:?}", state.tensors.keys());
    // A write to one is not a change of the fast weights.
    let first = net.vs.variables()["first.weight"].shallow_clone();
    let _ = tch::no_grad(|| first.shallow_clone().fill_(0.5));
    opt.step().unwrap();
}

#[test]
fn tied_weights_are_in_one_part() {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().ones("decoder", &[2]);
    let _ = vs.root().add("embedding", w, true);
    let (mut first, mut rest) =
        Variables::new(&vs).partition(|parameter| parameter.name == "embedding");
    // The alphabetically first name counts.
    assert_eq!((first.take_new().len(), names(&rest.take_new()).len()), (0, 1));
    let parameters = Variables::new(&vs).take_new();
    assert_eq!(rest.other_names(&parameters), [("embedding".to_owned(), 0)]);
}

#[test]
fn a_rule_moves_chosen_variables() {
    let net = Net::new(3, Device::Cpu);
    let biases = Variables::new(&net.vs).matching(|parameter| !is_matrix(parameter));
    let radam = lookahead_core::optimizers::RAdam::default();
    let opt = RuleOptimizer::new(radam, biases, 0.1).unwrap();
    assert_eq!(names(opt.parameters()), ["first.bias", "second.bias"]);
}
