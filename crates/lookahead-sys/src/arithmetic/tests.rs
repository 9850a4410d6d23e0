use super::*;
use tch::{Device, Kind};

const PATHS: [Path; 2] = [Path::Auto, Path::Foreach];
const KINDS: [Kind; 4] = [Kind::Float, Kind::Double, Kind::BFloat16, Kind::Half];

#[test]
fn one_bad_value_is_found_anywhere() {
    let size = 100_003;
    for path in PATHS {
        for kind in KINDS {
            let small = Tensor::ones([3], (kind, Device::Cpu));
            let nothing = Tensor::zeros([0], (kind, Device::Cpu));
            let large = Tensor::full([size], -6e4, (kind, Device::Cpu));
            let all = [&small, &nothing, &large];
            assert!(all_finite(all, path).unwrap(), "{kind:?}, {path:?}");
            for (place, value) in
                [(0, f64::NAN), (70_001, f64::INFINITY), (size - 1, f64::NEG_INFINITY)]
            {
                let _ = large.get(place).fill_(value);
                assert!(!all_finite(all, path).unwrap(), "{value} at {place}, {kind:?}");
                let _ = large.get(place).fill_(1.0);
            }
            let strided = large.slice(0, 0, size, 2);
            let _ = large.get(1).fill_(f64::NAN);
            assert!(all_finite([&strided], path).unwrap(), "gaps are not checked");
        }
    }
    assert!(all_finite([&Tensor::new()], Path::Auto).unwrap(), "undefined");
}

#[test]
fn gradients_are_checked_if_there_are_any() {
    for path in PATHS {
        let a = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        let b = Tensor::ones([2], (Kind::Float, Device::Cpu)).set_requires_grad(true);
        assert!(gradients_finite([&a, &b], path).unwrap());
        (&a * f64::INFINITY).sum(Kind::Float).backward();
        assert!(!gradients_finite([&b, &a], path).unwrap());
    }
}

#[test]
fn a_refusal_is_an_error() {
    let mut whole = Tensor::zeros([2], (Kind::Float, Device::Cpu));
    let other = Tensor::zeros([3], (Kind::Float, Device::Cpu));
    assert!(lerp(&mut whole, &other, 0.5).is_err());
    let mut leaf = Tensor::from_slice(&[1i64, 2]);
    assert!(scale(&mut leaf, 0.5).is_err(), "whole numbers");
    assert!(fill(&mut Tensor::new(), 1.0).is_err(), "undefined");
    fill(&mut whole, 2.0).unwrap();
    scale(&mut whole, 1.5).unwrap();
    lerp(&mut whole, &Tensor::from_slice(&[5.0f32, 3.0]), 0.25).unwrap();
    assert_eq!(whole, Tensor::from_slice(&[3.5f32, 3.0]));
}
