use super::*;
use crate::tensor::fingerprints;
use tch::{Device, Kind};

fn variable() -> Tensor {
    Tensor::from_slice(&[1.0f32, 2.0]).set_requires_grad(true)
}

fn gradient_flows() -> bool {
    (variable() * 2.0).requires_grad()
}

#[test]
fn it_lasts_as_long_as_the_guard() {
    assert!(!is_enabled() && gradient_flows());
    {
        let _guard = guard();
        assert!(is_enabled() && !gradient_flows());
        assert!(is_inference(&(variable() * 2.0)));
        // Another guard inside does not end it.
        drop(tch::no_grad_guard());
        assert!(is_enabled() && !gradient_flows());
    }
    assert!(!is_enabled() && gradient_flows());
    let _none = tch::no_grad_guard();
    drop(guard());
    assert!(!is_enabled() && !gradient_flows(), "the earlier mode is restored");
}

#[test]
fn guards_end_in_any_order() {
    let (first, second) = (guard(), guard());
    drop(first);
    assert!(is_enabled());
    drop(second);
    assert!(!is_enabled() && gradient_flows());
}

#[test]
fn a_panic_ends_it() {
    let outcome = std::panic::catch_unwind(|| {
        let _guard = guard();
        let _inner = guard();
        panic!("on purpose");
    });
    assert!(outcome.is_err());
    assert!(!is_enabled() && gradient_flows());
}

#[test]
fn other_threads_are_not_in_it() {
    let _guard = guard();
    let elsewhere = std::thread::spawn(|| !is_enabled() && gradient_flows());
    assert!(elsewhere.join().unwrap());
}

/// So a result must not be kept for training, but weights may be written to.
#[test]
fn what_is_made_inside_is_for_use_inside() {
    let weight = variable();
    let before = fingerprints([&weight]).unwrap();
    let mut made = {
        let _guard = guard();
        let _ = weight.shallow_clone().fill_(3.0);
        let mut made = Tensor::ones([2], (Kind::Float, Device::Cpu));
        let _ = made.f_add_(&made.copy()).unwrap();
        made
    };
    let after = fingerprints([&weight]).unwrap();
    assert_ne!(before, after, "a write to an older tensor is counted");
    assert!(fingerprints([&made]).is_err());
    assert!(weight.f_mul(&made).is_err(), "it can't be saved for a backward pass");
    assert!(made.f_add_(&variable().detach()).is_err(), "nor written to");
}
