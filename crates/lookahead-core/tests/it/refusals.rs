//! What is refused, and the messages.

use crate::common::{Inner, Net, assert_same_bits, ones, write};
use lookahead_core::{Error, InnerOptimizer, Lookahead, State, TchOptimizer};
use tch::{Device, Kind, Tensor, nn};

fn store() -> nn::VarStore {
    ones(4).0
}

fn built(k: u64, alpha: f64, learning_rate: f64) -> Result<Lookahead, Error> {
    Lookahead::builder(nn::Sgd::default()).k(k).alpha(alpha).build(&store(), learning_rate)
}

#[test]
fn settings_out_of_range() {
    let message = built(0, 0.5, 0.1).unwrap_err().to_string();
    assert!(message.contains("`k` is 0") && message.contains("at least 1"), "{message}");
    for alpha in [0.0, 1.5, -0.1, f64::NAN, f64::INFINITY] {
        let message = built(5, alpha, 0.1).unwrap_err().to_string();
        assert!(message.contains(&format!("`alpha` is {alpha}")), "{message}");
        assert!(message.contains("more than 0 and at most 1"), "{message}");
    }
    for learning_rate in [-0.1, f64::NAN, f64::INFINITY] {
        let message = built(5, 0.5, learning_rate).unwrap_err().to_string();
        assert!(message.contains(&format!("`learning_rate` is {learning_rate}")), "{message}");
    }
    built(1, 1.0, 0.0).expect("the ends of the ranges are allowed");

    let mut opt = built(5, 0.5, 0.1).unwrap();
    assert!(opt.set_lr(-1.0).is_err());
    assert!(opt.set_alpha(0.0).is_err());
    assert!(opt.set_k(0).is_err());
    let message = opt.set_lr_group(3, 0.1).unwrap_err().to_string();
    assert!(message.contains("no parameter group 3") && message.contains("has 1"), "{message}");
    assert_eq!(opt.inner().learning_rates().unwrap(), [0.1], "nothing was changed");
}

#[test]
fn the_inner_optimizers_own_refusals_come_through() {
    let config = nn::Adam::default().beta1(1.5);
    let message = TchOptimizer::new(config, &store(), 0.1).unwrap_err().to_string();
    assert!(message.contains("Invalid beta parameter at index 0: 1.5"), "{message}");
    assert!(!message.contains("Exception raised"), "{message}");
}

#[test]
fn a_k_set_inside_a_cycle_takes_effect_with_the_next() {
    let mut opt = built(2, 0.5, 0.1).unwrap();
    opt.set_k(3).unwrap();
    assert_eq!((opt.k(), opt.pending_k()), (3, None));
    opt.step().unwrap();
    opt.set_k(2).unwrap();
    assert_eq!((opt.k(), opt.pending_k()), (3, Some(2)));
    // A state holds both, and so does the optimizer that loads it.
    let mut resumed = built(5, 0.5, 0.1).unwrap();
    resumed.load_state(&opt.state().unwrap()).unwrap();
    for mut opt in [opt, resumed] {
        let synced: Vec<bool> = (0..4).map(|_| opt.step().unwrap()).collect();
        assert_eq!(synced, [false, true, false, true]);
        assert_eq!((opt.k(), opt.pending_k()), (2, None));
    }
}

#[test]
fn an_inner_step_past_a_due_sync() {
    let mut opt = built(1, 0.5, 0.1).unwrap();
    opt.inner_step().unwrap();
    assert!(opt.sync_is_due());
    assert!(opt.inner_step().unwrap_err().to_string().contains("sync_if_due()"));
    assert!(opt.sync_if_due().unwrap());
    assert!(!opt.sync_if_due().unwrap());
    opt.inner_step().unwrap();
}

/// In every way.
#[test]
fn theta_changed_from_outside() {
    type Change = (&'static str, fn(&mut nn::VarStore));
    let changes: [Change; 8] = [
        ("load", |vs| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("weights.safetensors");
            store().save(&file).unwrap();
            vs.load(&file).unwrap();
        }),
        ("load of another type", |vs| {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("weights.safetensors");
            let mut other = store();
            other.double();
            other.save(&file).unwrap();
            vs.load(&file).unwrap();
        }),
        ("copy", |vs| vs.copy(&store()).unwrap()),
        ("cast", |vs| vs.bfloat16()),
        // The second replacement may get the address that the first one freed.
        ("cast there and back", |vs| {
            vs.bfloat16();
            vs.float();
        }),
        ("set_data twice", |vs| {
            for value in [5.0, 7.0] {
                let data = Tensor::full([4], value, (Kind::Float, Device::Cpu));
                vs.variables()["w"].shallow_clone().set_data(&data);
            }
        }),
        ("write", |vs| write(&vs.variables()["w"], 3.0)),
        ("set_data", |vs| {
            let zeros = Tensor::zeros([4], (Kind::Float, Device::Cpu));
            vs.variables()["w"].shallow_clone().set_data(&zeros)
        }),
    ];
    for (what, change) in changes {
        let mut vs = store();
        let w = vs.variables()["w"].shallow_clone();
        let sgd = nn::sgd(0.9, 0.0, 0.0, false);
        let mut opt = Lookahead::builder(sgd).k(2).build(&vs, 0.1).unwrap();
        opt.backward_step(&w.sum(Kind::Float)).unwrap();
        opt.zero_grad().unwrap();
        change(&mut vs);
        for attempt in [
            opt.inner_step().map(drop),
            opt.finish().map(drop),
            opt.discard_cycle(),
            opt.with_slow_weights(|| ()),
            opt.state().map(drop),
        ] {
            let message = attempt.expect_err(what).to_string();
            assert!(
                message.contains("`w`") && message.contains("reset_slow_weights()"),
                "{message}"
            );
            assert!(message.contains("accept_fast_weights()"), "both remedies: {message}");
        }
        opt.reset_slow_weights().unwrap();
        let changed = w.detach().copy();
        opt.step().unwrap();
        opt.step().unwrap();
        assert_eq!(w, changed, "{what}: φ is the new θ, so the sync changes nothing");
        // A cast converts the momentum too: the training continues, and the state still fits.
        opt.backward_step(&w.sum(w.kind())).unwrap();
        let state = opt.state().unwrap();
        opt.load_state(&state).unwrap();
    }
}

#[test]
fn a_move_to_another_device_is_noticed() {
    if !tch::Cuda::is_available() {
        eprintln!("skipped: there is no GPU");
        return;
    }
    let mut vs = store();
    let mut opt = Lookahead::builder(nn::Sgd::default()).build(&vs, 0.1).unwrap();
    vs.set_device(Device::Cuda(0));
    assert!(matches!(opt.step(), Err(Error::FastWeightsChanged { .. })));
    opt.reset_slow_weights().unwrap();
    opt.step().unwrap();
}

#[test]
fn states_that_do_not_fit() {
    let net = Net::new(1, Device::Cpu);
    let mut opt = net.lookahead(Inner::Adam, 3, 0.5);
    for i in 0..4 {
        opt.backward_step(&net.loss(i, true)).unwrap();
    }
    let weights = net.weights();
    let wrong = || Tensor::zeros([2, 2], (Kind::Double, Device::Cpu));
    let moment = "inner/adam/exp_avg/first.weight";
    type Case<'a> = (&'a dyn Fn(&mut State) -> bool, &'a str);
    let cases: [Case<'_>; 9] = [
        (&|s| s.tensors.remove("slow/first.weight").is_some(), "no entry `slow/first.weight`"),
        (&|s| s.tensors.remove(moment).is_some(), "no entry `inner/adam/exp_avg/first.weight`"),
        (&|s| s.integers.remove("phase").is_some(), "no entry `phase`"),
        (
            &|s| s.integers.insert("phase".into(), 9).is_some(),
            "`phase` is 9, and it must be from 0 to 3",
        ),
        (&|s| s.integers.insert("k".into(), 0).is_some(), "`k` is 0, and it must be at least 1"),
        (
            &|s| s.numbers.insert("alpha".into(), 2.0).is_some(),
            "`alpha` is 2, and it must be more than 0 and at most 1",
        ),
        (
            &|s| s.integers.insert("what".into(), 0).is_some(),
            "`what` that this optimizer does not know",
        ),
        (&|s| s.tensors.insert(moment.into(), wrong()).is_some(), "Double of shape [2, 2]"),
        (
            &|s| s.tensors.insert("slow/first.bias".into(), wrong()).is_some(),
            "needs Float of shape [16]",
        ),
    ];
    for (damage, words) in cases {
        let mut state = opt.state().unwrap();
        damage(&mut state);
        let message = opt.load_state(&state).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    }
    assert_same_bits(&net.weights(), &weights, "refused states change nothing");
    assert_eq!((opt.phase(), opt.k()), (1, 3));

    let mut adamw = net.lookahead(Inner::AdamW, 3, 0.5);
    let message = adamw.load_state(&opt.state().unwrap()).unwrap_err().to_string();
    assert!(message.contains("`inner/adamw/learning_rate/0`"), "{message}");
    let mut plain = Lookahead::builder(nn::Adam::default()).build(&net.vs, 0.1).unwrap();
    let message = plain.load_state(&opt.state().unwrap()).unwrap_err().to_string();
    assert!(message.contains("max_exp_avg_sq"), "amsgrad's maximum: {message}");
}

#[test]
fn a_loss_that_is_not_a_scalar() {
    let (vs, w) = ones(4);
    let mut opt = Lookahead::builder(nn::Sgd::default()).build(&vs, 0.1).unwrap();
    let message = opt.backward_step(&(&w * 2.0)).unwrap_err().to_string();
    assert!(
        message.contains("grad can be implicitly created only for scalar outputs"),
        "{message}"
    );
}

#[test]
fn an_optimizer_of_another_store() {
    use tch::nn::OptimizerConfig;
    let (one, other) = (store(), store());
    let sgd = nn::Sgd::default().build(&one, 0.1).unwrap();
    let message = Lookahead::wrap(sgd, &other).unwrap_err().to_string();
    assert!(message.contains("another variable store"), "{message}");

    let sgd = nn::Sgd::default().build(&one, 0.1).unwrap();
    let mut wrapped = Lookahead::wrap(sgd, &one).unwrap().build().unwrap();
    let message = wrapped.set_lr_group(3, 0.1).unwrap_err().to_string();
    assert!(message.contains("no parameter group 3"), "{message}");
    let message = wrapped.inner().learning_rates().unwrap_err().to_string();
    assert!(message.contains("The learning rate of a tch optimizer"), "{message}");
}

#[test]
fn limits_out_of_range() {
    let mut opt = built(5, 0.5, 0.1).unwrap();
    for max in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(opt.clip_grad_norm(max), Err(Error::Setting { key: "max", .. })), "{max}");
        assert!(
            matches!(opt.clip_grad_value(max), Err(Error::Setting { key: "max", .. })),
            "{max}"
        );
    }
    for momentum in [-0.1, 1.0, f64::NAN] {
        assert!(matches!(opt.set_momentum(momentum), Err(Error::Setting { key: "momentum", .. })));
    }
    assert!(matches!(
        opt.set_weight_decay(f64::NAN),
        Err(Error::Setting { key: "weight_decay", .. })
    ));
}

/// It is an error; tch panics.
#[test]
fn sparse_gradients_are_not_clipped_by_value() {
    let vs = nn::VarStore::new(Device::Cpu);
    let config = nn::EmbeddingConfig { sparse: true, ..Default::default() };
    let embedding = nn::embedding(vs.root(), 4, 2, config);
    let mut opt = Lookahead::builder(nn::Sgd::default()).build(&vs, 0.1).unwrap();
    let loss = nn::Module::forward(&embedding, &Tensor::from_slice(&[1i64, 2]));
    loss.sum(Kind::Float).backward();
    assert!(matches!(opt.clip_grad_value(1.0), Err(Error::Libtorch(_))));
}

#[test]
fn parameters_that_are_gone() {
    let two = nn::VarStore::new(Device::Cpu);
    let _ = (two.root().ones("a", &[1]), two.root().ones("b", &[1]));
    let inner = TchOptimizer::new(nn::Sgd::default(), &two, 0.1).unwrap();
    let mut opt = Lookahead::around(inner).build().unwrap();
    *opt.inner_mut() = TchOptimizer::new(nn::Sgd::default(), &store(), 0.1).unwrap();
    let message = opt.step().unwrap_err().to_string();
    assert!(message.contains("had 2 parameters and now has 1"), "{message}");
}

/// In range in f64, but not in the weights' own type.
#[test]
fn settings_that_single_precision_rounds_out_of_range() {
    let nearly_one = 1.0 - 1e-12;
    let sgd = Lookahead::builder(nn::Sgd::default()).outer_momentum(nearly_one);
    assert!(matches!(sgd.build(&store(), 0.1), Err(Error::Setting { key: "outer_momentum", .. })));
    let mut opt = built(5, 0.5, 0.1).unwrap();
    assert!(matches!(opt.set_momentum(nearly_one), Err(Error::Setting { key: "momentum", .. })));
    opt.set_momentum(0.999_999).unwrap();
    assert!(matches!(opt.set_lr(1e39), Err(Error::Setting { key: "learning_rate", .. })));
    assert!(matches!(opt.set_weight_decay(1e39), Err(Error::Setting { key: "weight_decay", .. })));
    assert!(matches!(built(5, 1e-50, 0.1), Err(Error::Setting { key: "alpha", .. })));
    assert!(matches!(built(5, 0.5, 1e39), Err(Error::Setting { key: "learning_rate", .. })));
}

#[test]
fn a_weight_decay_that_an_optimizer_can_not_change() {
    let vs = nn::VarStore::new(Device::Cpu);
    let _ = vs.root().ones("w", &[1]);
    let inner: Box<dyn InnerOptimizer> =
        Box::new(TchOptimizer::new(nn::Sgd::default(), &vs, 0.1).unwrap());
    let mut nested = Lookahead::around(Lookahead::around(inner).build().unwrap()).build().unwrap();
    nested.set_weight_decay(0.5).unwrap();
    let numbers = nested.state().unwrap().numbers;
    let set: Vec<&f64> = numbers
        .iter()
        .filter(|(key, _)| key.contains("/weight_decay/"))
        .map(|(_, value)| value)
        .collect();
    assert_eq!(set, [&0.5, &0.5], "of the group, and of later ones");

    let sgd = nn::OptimizerConfig::build(nn::Sgd::default(), &vs, 0.1).unwrap();
    let mut wrapped = Lookahead::wrap(sgd, &vs).unwrap().build().unwrap();
    let refused = wrapped.set_weight_decay(0.5).unwrap_err();
    assert!(matches!(refused, Error::FixedWeightDecay), "{refused}");
}
