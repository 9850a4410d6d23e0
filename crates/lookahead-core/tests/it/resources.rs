//! What Lookahead costs in operations, as a GPU would run them, and in memory.

use crate::common::Inner;
use lookahead_core::{
    InnerOptimizer, Lookahead, Moment, NonFinite, Parameter, Result, State, SyncPath, fused,
};
use lookahead_sys::ops;
use tch::{Device, Kind, Tensor, nn};

/// An inner optimizer that adds a half to each parameter with one ATen operation, so it works on every device.
#[derive(Debug)]
struct Adds(Vec<Parameter>);

impl Adds {
    fn new(tensors: Vec<Tensor>) -> Adds {
        let named = |(i, tensor)| Parameter { name: format!("w{i}"), group: 0, tensor };
        Adds(tensors.into_iter().enumerate().map(named).collect())
    }
}

impl InnerOptimizer for Adds {
    fn step(&mut self) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for parameter in &self.0 {
            let _ = parameter.tensor.shallow_clone().f_add_scalar_(0.5)?;
        }
        Ok(())
    }
    fn parameters(&self) -> &[Parameter] {
        &self.0
    }
    fn moment_names(&self) -> Option<Vec<&'static str>> {
        Some(Vec::new())
    }
    fn moments(&mut self, _: usize) -> Result<Vec<Moment>> {
        Ok(Vec::new())
    }
    stateless!();
}

fn leaves(count: usize, kind: Kind) -> Vec<Tensor> {
    let leaf = || Tensor::zeros([3], (kind, Device::Cpu)).set_requires_grad(true);
    (0..count).map(|_| leaf()).collect()
}

/// The outermost ATen operations of a sync.
fn ops_of_a_sync(count: usize, path: SyncPath, policy: NonFinite) -> Vec<String> {
    let adds = Adds::new(leaves(count, Kind::Float));
    let builder = Lookahead::around(adds).k(1).sync_path(path).non_finite(policy);
    let mut opt = builder.build().unwrap();
    opt.inner_step().unwrap();
    let (synced, ops) = ops::record(|| opt.sync_if_due());
    assert!(synced.unwrap());
    ops.into_iter().filter(|op| op.depth == 0).map(|op| op.name).collect()
}

#[test]
fn on_the_cpu_a_sync_calls_no_aten_operation() {
    for policy in [NonFinite::Unchecked, NonFinite::Error, NonFinite::RollBack] {
        assert_eq!(ops_of_a_sync(100, SyncPath::Auto, policy), [""; 0], "{policy:?}");
    }
}

/// As on a GPU: two operations for the sync of the whole model, and a few to check θ.
#[test]
fn by_foreach_the_operations_do_not_grow_with_the_number_of_tensors() {
    let sync = ["aten::_foreach_lerp_", "aten::_foreach_copy_"];
    for count in [10, 1000] {
        assert_eq!(ops_of_a_sync(count, SyncPath::Foreach, NonFinite::Unchecked), sync);
    }
    let checked = |count| ops_of_a_sync(count, SyncPath::Foreach, NonFinite::Error);
    let few = checked(10);
    assert_eq!(few, checked(1000));
    assert!(few.len() <= 8, "{few:?}");
    let read_back = few.iter().filter(|name| *name == "aten::item").count();
    assert_eq!(read_back, 1, "one value: {few:?}");
}

/// A whole step is a few operations, whatever the number of tensors.
#[test]
fn a_step_around_a_fused_optimizer_is_the_optimizers_own_operations() {
    let ops_of = |count: usize, lookahead: bool| {
        let vs = nn::VarStore::new(Device::Cpu);
        for i in 0..count {
            let _ = vs.root().zeros(&format!("w{i}"), &[3]);
        }
        let all = vs.trainable_variables();
        let sgd = fused::sgd(0.9, 0.0, 0.0, false);
        let mut bare = lookahead_core::TchOptimizer::new(sgd, &vs, 0.1).unwrap();
        let mut opt = Lookahead::builder(sgd).k(2).build(&vs, 0.1).unwrap();
        let mut step = || if lookahead { opt.step().map(drop) } else { bare.step() };
        for w in &all {
            w.sum(Kind::Float).backward();
        }
        step().unwrap();
        let (stepped, ops) = ops::record(step);
        stepped.unwrap();
        ops.into_iter().filter(|op| op.depth == 0).map(|op| op.name).collect::<Vec<_>>()
    };
    assert_eq!(ops_of(10, true), ops_of(10, false), "with its sync, and bare");
    assert_eq!(ops_of(10, true), ops_of(1000, true));
}

/// On tensors without memory, reading a value back to the host or mixing devices fails.
#[test]
fn unchecked_syncs_read_nothing_back() {
    for kind in [Kind::Float, Kind::BFloat16] {
        let meta = leaves(20, kind).iter().map(|leaf| ops::to_meta(leaf).unwrap()).collect();
        let builder = Lookahead::around(Adds::new(meta)).k(2).non_finite(NonFinite::Unchecked);
        let mut opt = builder.build().unwrap();
        let synced: Vec<bool> = (0..4).map(|_| opt.step().unwrap()).collect();
        assert_eq!(synced, [false, true, false, true]);
        opt.with_slow_weights(|| ()).unwrap();
        opt.roll_back().unwrap();
        opt.finish().unwrap();
    }
    // The check for NaN does read back.
    let meta = leaves(2, Kind::Float).iter().map(|leaf| ops::to_meta(leaf).unwrap()).collect();
    let mut opt = Lookahead::around(Adds::new(meta)).k(1).build().unwrap();
    opt.inner_step().unwrap();
    assert!(opt.sync_if_due().is_err());
}

/// An outer sync sets the inner level's φ in place.
#[test]
fn a_nested_sync_allocates_no_tensor() {
    let inner = Lookahead::around(Adds::new(leaves(10, Kind::Float))).k(2).build().unwrap();
    let mut outer = Lookahead::around(inner).k(2).build().unwrap();
    outer.step().unwrap();
    outer.inner_step().unwrap();
    let (synced, ops) = ops::record(|| outer.sync_if_due());
    assert!(synced.unwrap());
    let made: Vec<&ops::Op> = ops.iter().filter(|op| op.name != "aten::copy_").collect();
    assert!(made.is_empty(), "{made:?}");
}

/// It swaps storages, without copying or allocating.
#[test]
fn an_evaluation_at_phi_copies_nothing() {
    let net = crate::common::Net::new(1, Device::Cpu);
    let mut opt = net.lookahead(Inner::Adam, 5, 0.5);
    opt.backward_step(&net.loss(0, false)).unwrap();
    let (entered, ops) = ops::record(|| opt.with_slow_weights(|| ()));
    entered.unwrap();
    let moves = |name: &str| {
        let made = ["aten::copy_", "aten::clone", "aten::_to_copy"].contains(&name);
        made || name.starts_with("aten::empty")
    };
    let found: Vec<&ops::Op> = ops.iter().filter(|op| moves(&op.name)).collect();
    assert!(found.is_empty(), "{found:?}");
}

/// This process's memory without pages of files (its code), in bytes.
fn resident() -> i64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    let kilobytes: i64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kilobytes * 1024
}

/// A training costs nothing else.
#[test]
fn phi_costs_one_copy_of_the_parameters() {
    const COUNT: i64 = 50_000_000;
    let copy = 4 * COUNT;
    let vs = nn::VarStore::new(Device::Cpu);
    let parts: Vec<Tensor> =
        (0..50).map(|i| vs.root().ones(&format!("w{i}"), &[COUNT / 50])).collect();
    let _buffer = vs.root().ones_no_train("statistics", &[COUNT / 10]);
    let inner = Adds::new(parts.iter().map(Tensor::shallow_clone).collect());
    let before = resident();
    let mut opt = Lookahead::around(inner).k(1).build().unwrap();
    let built = resident() - before;
    for _ in 0..3 {
        assert!(opt.step().unwrap());
        opt.with_slow_weights(|| ()).unwrap();
    }
    let used = resident() - before;
    // For pages of the allocator.
    let slack = copy / 50;
    assert!((copy - slack..copy + slack).contains(&built), "{built} bytes for a copy of {copy}");
    assert!(used < copy + slack, "{used} bytes for a copy of {copy}");
}
