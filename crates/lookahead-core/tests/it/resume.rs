//! A training saved to disk and loaded into fresh objects continues as if it had not stopped.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{INNERS, Inner, Net, assert_same_bits, devices};
use lookahead_core::tch_ext::generator;
use lookahead_core::{Lookahead, State};
use tch::{Device, Tensor};

const K: u64 = 3;
const STEPS: i64 = 13; // ends inside a cycle, where θ and φ differ

type Bits = Vec<(String, Tensor)>;

/// θ, φ and the inner optimizer's state by name, and all integers and numbers.
fn everything(net: &Net, opt: &mut Lookahead) -> (Bits, String) {
    let state = opt.state().unwrap();
    let numbers = format!("{:?} {:?}", state.integers, state.numbers);
    let mut tensors: Bits = net.weights();
    tensors.extend(state.tensors);
    (tensors, numbers)
}

fn train(net: &Net, opt: &mut Lookahead, steps: std::ops::Range<i64>) {
    for i in steps {
        opt.backward_step(&net.loss(i, true)).unwrap();
    }
}

/// Saves θ, the state and the generator's state.
fn save(folder: &Path, net: &Net, opt: &mut Lookahead) {
    net.vs.save(folder.join("theta.safetensors")).unwrap();
    let mut state = opt.state().unwrap();
    let random = generator::state(net.vs.device()).unwrap();
    state.tensors.insert("generator".to_owned(), random);
    state.save(folder.join("state.safetensors")).unwrap();
}

fn load(folder: &Path, device: Device, inner: Inner, with_inner_state: bool) -> (Net, Lookahead) {
    let mut net = Net::new(999, device); // other weights: all must come from the disk
    net.vs.load(folder.join("theta.safetensors")).unwrap();
    let mut opt = net.lookahead(inner, 7, 0.9); // other settings, likewise
    let mut state = State::load(folder.join("state.safetensors")).unwrap();
    let random = state.tensors.remove("generator").unwrap();
    if !with_inner_state {
        state.tensors.retain(|key, _| !key.starts_with("inner/"));
        state.integers.retain(|key, _| !key.starts_with("inner/"));
    }
    opt.load_state(&state).unwrap();
    generator::set_state(device, &random).unwrap();
    (net, opt)
}

#[test]
fn at_every_phase_for_every_inner_optimizer() {
    for device in devices() {
        for inner in INNERS {
            at_every_phase(device, inner);
        }
    }
}

fn at_every_phase(device: Device, inner: Inner) {
    let net = Net::new(4, device);
    let mut opt = net.lookahead(inner, K, 0.5);
    train(&net, &mut opt, 0..STEPS);
    let (whole, numbers) = everything(&net, &mut opt);

    for stop in 1..=(2 * K as i64) {
        let folder = tempfile::tempdir().unwrap();
        let net = Net::new(4, device);
        let mut opt = net.lookahead(inner, K, 0.5);
        train(&net, &mut opt, 0..stop);
        save(folder.path(), &net, &mut opt);
        drop((net, opt));

        let (net, mut opt) = load(folder.path(), device, inner, true);
        train(&net, &mut opt, stop..STEPS);
        let (resumed, resumed_numbers) = everything(&net, &mut opt);
        assert_same_bits(&resumed, &whole, &format!("{inner:?} on {device:?} from step {stop}"));
        assert_eq!(resumed_numbers, numbers, "{inner:?} on {device:?} from step {stop}");
    }
}

/// A resume without the inner optimizer's state must differ, or the test above would show nothing.
#[test]
fn without_the_inner_state_it_differs() {
    for inner in INNERS {
        let net = Net::new(4, Device::Cpu);
        let mut opt = net.lookahead(inner, K, 0.5);
        train(&net, &mut opt, 0..STEPS);
        let whole = net.weights();

        let folder = tempfile::tempdir().unwrap();
        let net = Net::new(4, Device::Cpu);
        let mut opt = net.lookahead(inner, K, 0.5);
        train(&net, &mut opt, 0..4);
        save(folder.path(), &net, &mut opt);
        let (net, mut opt) = load(folder.path(), Device::Cpu, inner, false);
        train(&net, &mut opt, 4..STEPS);
        let differs = net.weights().iter().zip(&whole).any(|(a, b)| a.1 != b.1);
        assert!(differs, "{inner:?}");
    }
}

/// Between the k-th inner step and its sync.
#[test]
fn with_a_sync_pending() {
    let net = Net::new(4, Device::Cpu);
    let mut opt = net.lookahead(Inner::Sgd, 1, 0.5);
    opt.zero_grad().unwrap();
    net.loss(0, false).backward();
    opt.inner_step().unwrap();
    let state = opt.state().unwrap();
    let fast = net.weights();

    let fresh = Net::new(5, Device::Cpu);
    tch::no_grad(|| {
        for (name, values) in &fast {
            fresh.vs.variables()[name].shallow_clone().copy_(values);
        }
    });
    let mut other = fresh.lookahead(Inner::Sgd, 1, 0.5);
    other.load_state(&state).unwrap();
    assert!(opt.sync_if_due().unwrap() && other.sync_if_due().unwrap());
    assert_same_bits(&net.weights(), &fresh.weights(), "synced");
}

#[test]
fn a_state_shares_no_memory_with_the_optimizer() {
    let net = Net::new(4, Device::Cpu);
    let mut opt = net.lookahead(Inner::Sgd, 1, 0.5);
    train(&net, &mut opt, 0..2);
    let state = opt.state().unwrap();
    let before: Bits =
        state.tensors.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect();
    train(&net, &mut opt, 2..4);
    let after: Bits = state.tensors.into_iter().collect();
    assert_same_bits(&before, &after, "after more training");
}

/// And equals a new one.
#[test]
fn a_state_reuses_an_earlier_ones_memory() {
    for device in devices() {
        for inner in INNERS {
            let net = Net::new(4, device);
            let inner_level = net.lookahead(inner, 2, 0.5);
            let mut opt = Lookahead::around(inner_level).k(2).alpha(0.5).build().unwrap();
            let mut kept = State::default();
            opt.state_into(&mut kept).unwrap();
            // On the CPU, as when it is saved.
            for tensor in kept.tensors.values_mut() {
                *tensor = tensor.to_device(Device::Cpu);
            }
            let memory = |state: &State| -> BTreeMap<String, *mut std::ffi::c_void> {
                state.tensors.iter().map(|(name, t)| (name.clone(), t.data_ptr())).collect()
            };
            for step in 0..5 {
                let before = memory(&kept);
                opt.backward_step(&net.loss(step, true)).unwrap();
                opt.state_into(&mut kept).unwrap();
                let new = opt.state().unwrap();
                assert_eq!(kept.integers, new.integers, "{inner:?}");
                assert_eq!(kept.numbers, new.numbers, "{inner:?}");
                let all = |state: State| -> Bits { state.tensors.into_iter().collect() };
                let after = memory(&kept);
                // The inner optimizer's state begins with the first step.
                let same = before.iter().filter(|(name, at)| after[*name] == **at).count();
                assert_eq!(same, before.len(), "{inner:?} after step {step}");
                let copies = kept.tensors.iter().map(|(n, t)| (n.clone(), t.shallow_clone()));
                let copies = State { tensors: copies.collect(), ..State::default() };
                assert_same_bits(&all(copies), &all(new), "in an earlier one's memory");
                assert!(kept.tensors.keys().any(|name| name.starts_with("inner/inner/")));
            }
        }
    }
}

#[test]
fn entries_of_an_earlier_state_are_removed() {
    let net = Net::new(4, Device::Cpu);
    let mut opt = net.lookahead(Inner::Sgd, 1, 0.5);
    let mut kept = State::default();
    kept.tensors.insert("slow/other".to_owned(), Tensor::from_slice(&[1.0]));
    kept.tensors.insert("inner/other".to_owned(), Tensor::from_slice(&[1.0]));
    kept.tensors.insert("slow/first.bias".to_owned(), Tensor::from_slice(&[1.0f32]));
    kept.integers.insert("other".to_owned(), 1);
    kept.numbers.insert("other".to_owned(), 1.0);
    opt.state_into(&mut kept).unwrap();
    let new = opt.state().unwrap();
    assert_eq!(kept.tensors.keys().collect::<Vec<_>>(), new.tensors.keys().collect::<Vec<_>>());
    assert_eq!(kept.tensors["slow/first.bias"], new.tensors["slow/first.bias"]);
    assert_eq!((kept.integers, kept.numbers), (new.integers, new.numbers));
}

/// Those of all groups, and of later groups.
#[test]
fn settings_changed_during_training_are_saved() {
    let store = || {
        let vs = tch::nn::VarStore::new(Device::Cpu);
        let w = vs.root().ones("w", &[2]);
        let _ = vs.root().set_group(1).ones("second", &[1]);
        (vs, w)
    };
    let build = |vs: &tch::nn::VarStore| {
        Lookahead::builder(tch::nn::sgd(0.9, 0.0, 0.0, false)).k(2).build(vs, 0.1).unwrap()
    };
    let (vs, w) = store();
    let mut opt = build(&vs);
    opt.backward_step(&w.square().sum(tch::Kind::Float)).unwrap();
    opt.set_lr(0.01).unwrap();
    opt.set_lr_group(1, 0.02).unwrap();
    opt.set_momentum(0.0).unwrap(); // the buffer stays, but is no longer required
    opt.set_weight_decay(0.5).unwrap();
    let state = opt.state().unwrap();

    let (other_vs, v) = store();
    tch::no_grad(|| v.shallow_clone().copy_(&w));
    let mut other = build(&other_vs);
    other.load_state(&state).unwrap();
    for vs in [&vs, &other_vs] {
        let _ = vs.root().set_group(2).ones("late", &[1]);
    }
    for _ in 0..3 {
        for (opt, vs) in [(&mut opt, &vs), (&mut other, &other_vs)] {
            let variables = vs.variables();
            let product = &variables["w"] * &variables["late"] * &variables["second"];
            let loss = product.square().sum(tch::Kind::Float);
            opt.backward_step(&loss).unwrap();
        }
    }
    use lookahead_core::InnerOptimizer;
    assert_eq!(other.inner().learning_rates().unwrap(), [0.01, 0.02, 0.01]);
    for name in ["w", "second", "late"] {
        assert_eq!(vs.variables()[name], other_vs.variables()[name], "{name}");
    }
}

/// If two layers share a variable, its state always uses the same one of its names.
#[test]
fn tied_weights_have_one_name() {
    for _ in 0..20 {
        let vs = tch::nn::VarStore::new(Device::Cpu);
        let w = vs.root().ones("w", &[2]);
        let _ = vs.root().add("tied", w.shallow_clone(), true);
        let mut opt = Lookahead::builder(tch::nn::Sgd::default()).build(&vs, 0.1).unwrap();
        let keys: Vec<String> = opt.state().unwrap().tensors.into_keys().collect();
        assert_eq!(keys, ["slow/tied"]);
    }
}
