use super::*;
use tch::{Device, Kind};

#[test]
fn calls_inside_operations_are_deeper() {
    let x = Tensor::ones([4], (Kind::Float, Device::Cpu));
    let (_, ops) = record(|| x.to_kind(Kind::Double));
    assert_eq!(ops.iter().filter(|op| op.depth == 0).count(), 1, "{ops:?}");
    assert!(ops.iter().any(|op| op.depth > 0 && op.name == "aten::copy_"), "{ops:?}");
    let (_, none) = record(|| ());
    assert!(none.is_empty());
}

#[test]
fn a_panic_ends_the_recording() {
    let panicked = std::panic::catch_unwind(|| record(|| panic!("inside")));
    assert!(panicked.is_err());
    record(|| ());
}
