use super::*;
use tch::Tensor;

fn bf16() -> Autocast {
    Autocast::new(Device::Cpu, Kind::BFloat16).unwrap()
}

fn variable() -> Tensor {
    Tensor::ones([4, 4], (Kind::Float, Device::Cpu)).set_requires_grad(true)
}

fn product_kind() -> Kind {
    variable().matmul(&variable()).kind()
}

/// All that a region changes.
fn state() -> [bridge::AutocastState; 2] {
    [bridge::autocast_state(false), bridge::autocast_state(true)]
}

#[test]
fn it_lasts_as_long_as_the_region() {
    let before = state();
    assert_eq!(product_kind(), Kind::Float);
    {
        let _region = bf16().begin();
        assert!(is_enabled(Device::Cpu) && !is_enabled(Device::Cuda(0)));
        assert_eq!(product_kind(), Kind::BFloat16);
        {
            let _inner = Autocast::new(Device::Cpu, Kind::Half).unwrap().begin();
            assert_eq!(product_kind(), Kind::Half);
        }
        assert_eq!(product_kind(), Kind::BFloat16, "the outer region continues");
    }
    assert_eq!(product_kind(), Kind::Float);
    assert_eq!(state(), before);
    let region = Autocast::new(Device::Cuda(0), Kind::Half).unwrap().begin();
    assert!(is_enabled(Device::Cuda(0)) && !is_enabled(Device::Cpu));
    assert_eq!(product_kind(), Kind::Float);
    drop(region);
    assert_eq!(state(), before);
}

#[test]
fn it_can_be_suspended() {
    let before = state();
    let outer = bf16().begin();
    let inside = state();
    assert_eq!(current(Device::Cpu), Some(bf16()));
    {
        let _suspended = bf16().suspend();
        assert_eq!((current(Device::Cpu), product_kind()), (None, Kind::Float));
        let _inner = Autocast::new(Device::Cpu, Kind::Half).unwrap().begin();
        assert_eq!(product_kind(), Kind::Half);
    }
    assert_eq!((state(), product_kind()), (inside, Kind::BFloat16));
    drop(outer);
    assert_eq!(state(), before);
}

/// On any processor, whatever the caller's modes are, and without changing them.
#[test]
fn it_detects_whether_an_lstm_can_be_trained() {
    let (autocast, before) = (bf16(), state());
    let can = {
        let _inference = crate::inference::guard();
        autocast.computes_lstm()
    };
    assert_eq!(state(), before);
    let zeros = |shape: &[i64]| Tensor::zeros(shape, (Kind::Float, Device::Cpu));
    let weights = [zeros(&[12, 2]), zeros(&[12, 3]), zeros(&[12]), zeros(&[12])]
        .map(|weight| weight.set_requires_grad(true));
    let states = [zeros(&[1, 4, 3]), zeros(&[1, 4, 3])];
    let run = || {
        let x = zeros(&[4, 5, 2]);
        x.f_lstm(&states, &weights, true, 1, 0.0, true, false, true).map(|(output, _, _)| output)
    };
    let narrow = {
        let _region = autocast.begin();
        run()
    };
    assert_eq!(can, narrow.is_ok(), "{narrow:?}");
    let _region = autocast.begin();
    let _suspended = autocast.suspend();
    assert_eq!(run().unwrap().kind(), Kind::Float);
}

#[test]
fn a_panic_ends_it() {
    let before = state();
    let outcome = std::panic::catch_unwind(|| {
        let _region = bf16().begin();
        let _inner = Autocast::new(Device::Cpu, Kind::Half).unwrap().begin();
        panic!("on purpose");
    });
    assert!(outcome.is_err());
    assert_eq!((state(), product_kind()), (before, Kind::Float));
    gradients_after_a_pass_without();
}

#[test]
fn other_threads_are_not_in_it() {
    let _region = bf16().begin();
    assert_eq!(std::thread::spawn(product_kind).join().unwrap(), Kind::Float);
}

/// Inside one region the second pass would use the weight's cast from the first, without a gradient.
#[test]
fn gradients_after_a_pass_without() {
    let weight = variable();
    let pass = || {
        let _region = bf16().begin();
        variable().matmul(&weight).sum(Kind::Float)
    };
    {
        let _none = tch::no_grad_guard();
        let _ = pass();
    }
    {
        let _guard = crate::inference::guard();
        let _ = pass();
    }
    pass().backward();
    let gradient = weight.grad();
    assert_eq!((gradient.kind(), gradient.double_value(&[0, 0])), (Kind::Float, 4.0));
}

/// Each region casts the present weights.
#[test]
fn weights_that_change_between_two_regions_are_seen() {
    let mut weight = variable();
    let x = Tensor::ones([1, 4], (Kind::Float, Device::Cpu));
    let first = || {
        let _region = bf16().begin();
        x.matmul(&weight).double_value(&[0, 0])
    };
    assert_eq!(first(), 4.0);
    weight.set_data(&(weight.detach() * 2.0));
    let _region = bf16().begin();
    assert_eq!(x.matmul(&weight).double_value(&[0, 0]), 8.0);
}

#[test]
fn other_devices_and_types_are_refused() {
    let error = Autocast::new(Device::Mps, Kind::BFloat16).unwrap_err().to_string();
    assert!(error.contains("Mps") && error.contains("CUDA"), "{error}");
    let error = Autocast::new(Device::Cpu, Kind::Float).unwrap_err().to_string();
    assert!(error.contains("Float") && error.contains("BFloat16"), "{error}");
}
