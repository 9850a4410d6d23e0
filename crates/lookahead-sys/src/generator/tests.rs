use super::*;
use tch::Kind;

#[test]
fn seeding_equals_tchs() {
    let draw = || Tensor::rand([4], (Kind::Float, Device::Cpu));
    tch::manual_seed(-7);
    let expected = draw();
    seed((-7i64).cast_unsigned()).unwrap();
    assert_eq!(draw(), expected);
}

#[test]
fn dropout_repeats_from_a_restored_state() {
    tch::manual_seed(3);
    let ones = Tensor::ones([1000], (Kind::Float, Device::Cpu));
    let _ = ones.dropout(0.5, true);
    let saved = state(Device::Cpu).unwrap();
    let first = ones.dropout(0.5, true);
    let second = ones.dropout(0.5, true);
    assert_ne!(first, second);
    set_state(Device::Cpu, &saved).unwrap();
    assert_eq!(first, ones.dropout(0.5, true));
    assert_eq!(second, ones.dropout(0.5, true));
}

#[test]
fn other_devices_are_refused() {
    assert!(state(Device::Mps).unwrap_err().to_string().contains("Mps"));
    let none = Device::Cuda(tch::Cuda::device_count().max(0) as usize);
    assert!(state(none).is_err());
}

#[test]
fn a_state_of_the_wrong_size_is_refused_in_a_sentence() {
    let error = set_state(Device::Cpu, &Tensor::zeros([3], (Kind::Uint8, Device::Cpu)))
        .unwrap_err()
        .to_string();
    assert!(error.contains("mt19937") || error.contains("size"), "{error}");
    assert!(!error.contains("Exception raised from"), "{error}");
}
