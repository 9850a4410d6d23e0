use super::*;
use crate::ops;
use tch::{Device, Kind};

/// A parameter with this gradient.
fn with_gradient(gradient: &Tensor) -> Tensor {
    let parameter = gradient.zeros_like().set_requires_grad(true);
    crate::tensor::set_gradient(&parameter, gradient).unwrap();
    parameter
}

fn close(found: f64, expected: f64) -> bool {
    (found / expected - 1.0).abs() < 1e-6
}

#[test]
fn norms_are_taken_in_single_precision_at_least() {
    let a = Tensor::from_slice(&[0.0f32]).to_kind(Kind::Half).set_requires_grad(true);
    let b = Tensor::from_slice(&[0.0f32]).to_kind(Kind::Half).set_requires_grad(true);
    ((&a + &b) * 60000.0).sum(Kind::Float).backward();
    let norm = clip_norm([&a, &b], 1.0, Path::Auto).unwrap();
    assert!((norm - 60000.0 * 2f64.sqrt()).abs() < 50.0, "{norm}");
    assert!(a.grad().double_value(&[0]) < 0.71);
}

/// For every power of ten of the type, whether the sum of squares overflows or not.
#[test]
fn norms_of_finite_values_are_right_at_every_magnitude() {
    for (kind, range) in [(Kind::Float, -37..=38), (Kind::Double, -307..=305)] {
        for exponent in range {
            let size = 10f64.powi(exponent);
            let values = Tensor::from_slice(&[size, -size, 0.0, size, size]).to_kind(kind);
            let expected = 2.0 * size;
            assert!(close(norm([&values]).unwrap(), expected), "{kind:?}, 1e{exponent}");
            let zeros = values.zeros_like();
            let apart = distance([(&zeros, &values)]).unwrap();
            assert!(close(apart, expected), "{kind:?}, 1e{exponent}: {apart}");
            // With a tensor of another magnitude, which is negligible or dominates.
            let one = Tensor::from_slice(&[1.0f32]);
            let both = norm([&one, &values]).unwrap();
            let expected = if exponent > 100 { expected } else { expected.hypot(1.0) };
            assert!(close(both, expected), "{kind:?}, 1e{exponent}: {both}");
        }
    }
}

#[test]
fn a_difference_that_overflows_is_taken_in_double_precision() {
    let ends = [Tensor::from_slice(&[f32::MAX]), Tensor::from_slice(&[f32::MIN])];
    let apart = distance([(&ends[0], &ends[1])]).unwrap();
    assert!(close(apart, 2.0 * f64::from(f32::MAX)), "{apart}");
}

#[test]
fn nan_and_infinity_are_the_norm() {
    for (value, other) in [(f32::NAN, f32::INFINITY), (f32::NAN, 1e30), (f32::NAN, 1.0)] {
        let tensors = [Tensor::from_slice(&[other]), Tensor::from_slice(&[1.0, value])];
        assert!(norm(&tensors).unwrap().is_nan(), "{other}");
        let tensors = [Tensor::from_slice(&[1.0, value]), Tensor::from_slice(&[other])];
        assert!(norm(&tensors).unwrap().is_nan(), "{other}");
    }
    let infinite = Tensor::from_slice(&[f32::NEG_INFINITY, 1.0]);
    assert_eq!(norm([&infinite]).unwrap(), f64::INFINITY);
    assert_eq!(norm([&Tensor::from_slice(&[0.0f32; 3])]).unwrap(), 0.0);
    assert_eq!(norm([&Tensor::zeros([0], (Kind::Float, Device::Cpu))]).unwrap(), 0.0);
    assert_eq!(norm([]).unwrap(), 0.0);
}

/// Even if the factor underflows the gradients' type, or the norm overflows f64.
#[test]
fn gradients_of_every_magnitude_are_clipped() {
    let float =
        |size: f32, count: i64| Tensor::full([count], f64::from(size), (Kind::Float, Device::Cpu));
    for path in [Path::Auto, Path::Foreach] {
        for gradient in
            [float(1e19, 100), float(1e18, 1_000_000), float(3e38, 10_000), float(-2.0, 7)]
        {
            let parameter = with_gradient(&gradient);
            clip_norm([&parameter], 1.0, path).unwrap();
            // In f64, because torch's sum of a million squares in f32 is off in the fourth digit.
            let after = norm([&parameter.grad().to_kind(Kind::Double)]).unwrap();
            assert!((after - 1.0).abs() < 1e-5, "{after}");
            let expected = gradient.double_value(&[0]).signum() / (gradient.numel() as f64).sqrt();
            assert!(close(parameter.grad().double_value(&[3]), expected));
        }
        let parameter = with_gradient(&Tensor::from_slice(&[1e308; 10_000]));
        assert_eq!(clip_norm([&parameter], 2.0, path).unwrap(), f64::INFINITY, "overflows f64");
        assert!(close(parameter.grad().double_value(&[0]), 0.02));

        let parameter = with_gradient(&Tensor::from_slice(&[f32::INFINITY, 3.0]));
        assert_eq!(clip_norm([&parameter], 1.0, path).unwrap(), f64::INFINITY);
        assert_eq!(parameter.grad().double_value(&[1]), 3.0, "unchanged");

        let parameter = with_gradient(&float(3e38, 10_000));
        clip_norm([&parameter], 1e-300, path).unwrap();
        assert_eq!(norm([&parameter.grad()]).unwrap(), 0.0, "the factor underflows f64");
    }
}

/// As on a GPU: the number of operations is that of the element types, and the CPU's own pass finds the same.
#[test]
fn foreach_operations_clip_all_gradients_together() {
    tch::manual_seed(5);
    let kinds = [Kind::Float, Kind::BFloat16, Kind::Double];
    let parameters = |count: i64| -> Vec<Tensor> {
        let random = |i: i64| Tensor::randn([i % 5, 3], (Kind::Double, Device::Cpu));
        (0..count).map(|i| with_gradient(&random(i).to_kind(kinds[i as usize % 3]))).collect()
    };
    let gradients = |all: &[Tensor]| all.iter().map(|p| p.grad().copy()).collect::<Vec<_>>();
    let recorded = |count: i64| {
        let all = parameters(count);
        let before = gradients(&all);
        let (norm, mut ops) = ops::record(|| clip_norm(&all, 1.0, Path::Foreach).unwrap());
        let (clipped, more) =
            ops::record(|| crate::arithmetic::clip_value(&all, 0.01, Path::Foreach));
        clipped.unwrap();
        let own: Vec<Tensor> = before.iter().map(with_gradient).collect();
        assert!(close(norm, clip_norm(&own, 1.0, Path::Auto).unwrap()));
        crate::arithmetic::clip_value(&own, 0.01, Path::Auto).unwrap();
        for (a, b) in gradients(&all).iter().zip(gradients(&own)) {
            assert!(a.allclose(&b, 1e-2, 1e-6, false), "{a} {b}");
        }
        ops.extend(more);
        let top = ops.into_iter().filter(|op| op.depth == 0).map(|op| op.name);
        top.collect::<Vec<_>>()
    };
    let few = recorded(6);
    let count = |name: &str| few.iter().filter(|op| *op == name).count();
    for name in [
        "aten::_foreach_norm",
        "aten::_foreach_mul_",
        "aten::_foreach_clamp_min_",
        "aten::_foreach_clamp_max_",
    ] {
        assert_eq!(count(name), kinds.len(), "{name}: {few:?}");
    }
    assert_eq!(recorded(300), few);

    let parameter = with_gradient(&Tensor::from_slice(&[f32::NAN, 3.0, f32::NEG_INFINITY]));
    crate::arithmetic::clip_value([&parameter], 2.0, Path::Foreach).unwrap();
    let found: Vec<f32> = Vec::try_from(parameter.grad()).unwrap();
    assert!(found[0].is_nan() && found[1..] == [2.0, -2.0], "{found:?}");
}

/// Unless squares overflow or underflow.
#[test]
fn an_ordinary_norm_is_torch_s_to_the_bit() {
    tch::manual_seed(3);
    let random = |kind, size: i64| Tensor::randn([size], (Kind::Double, Device::Cpu)).to_kind(kind);
    let tensors = [random(Kind::Float, 70_001), random(Kind::Half, 33), random(Kind::Double, 9)];
    let own = |tensor: &Tensor| {
        let wide = if tensor.kind() == Kind::Double { Kind::Double } else { Kind::Float };
        tensor.norm_scalaropt_dtype(2, wide).to_kind(Kind::Double)
    };
    let expected = Tensor::stack(&tensors.each_ref().map(own), 0).norm().double_value(&[]);
    assert_eq!(norm(&tensors).unwrap().to_bits(), expected.to_bits());
}

#[test]
fn sparse_and_complex_values_count_as_what_they_are() {
    let (rows, columns) = (Tensor::from_slice(&[1i64, 1, 3]), [4i64]);
    let values = Tensor::from_slice(&[1.0f32, 2.0, 4.0]);
    let sparse = Tensor::sparse_coo_tensor_indices_size(
        &rows.view([1, 3]),
        &values,
        columns,
        (Kind::Float, Device::Cpu),
        false,
    );
    // Row 1 is listed twice: 3 and 4.
    assert_eq!(norm([&sparse]).unwrap(), 5.0);
    let table = Tensor::zeros([4, 1], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    (Tensor::embedding(&table, &Tensor::from_slice(&[1i64, 1, 3]), -1, false, true)
        * Tensor::from_slice(&[1.0f32, 2.0, 4.0]).view([3, 1]))
    .sum(Kind::Float)
    .backward();
    assert_eq!(clip_norm([&table], 1.0, Path::Auto).unwrap(), 5.0);

    let complex =
        Tensor::complex(&Tensor::from_slice(&[3.0f32, 0.0]), &Tensor::from_slice(&[0.0f32, 4.0]));
    assert_eq!(norm([&complex]).unwrap(), 5.0);
    // Finite, although the magnitude overflows.
    let large = Tensor::from_slice(&[3e38f32]);
    let corner = Tensor::complex(&large, &large);
    assert!(close(norm([&corner]).unwrap(), 3e38 * 2f64.sqrt()));
    for path in [crate::sync::Path::Auto, crate::sync::Path::Foreach] {
        assert!(crate::arithmetic::all_finite([&corner], path).unwrap());
    }
}

#[test]
fn each_norm_alone_is_that_of_its_tensor() {
    // Of several types, one that overflows, one that is zero, and none at all.
    let huge = Tensor::from_slice(&[3e30f32, 4e30]);
    let zero = Tensor::from_slice(&[0.0f64]);
    let small = Tensor::from_slice(&[1.0f64, 2.0, 2.0]);
    let found = norms([&huge, &small, &zero]).unwrap();
    assert!(close(found[0], 5e30) && found[1..] == [3.0, 0.0], "{found:?}");
    let one = Tensor::from_slice(&[1.0f64, 2.0, 0.0]);
    assert_eq!(distances([(&small, &one), (&zero, &zero)]).unwrap(), [2.0, 0.0]);
    assert!(norms([]).unwrap().is_empty());
    assert!(norms([&Tensor::from_slice(&[f32::NAN])]).unwrap()[0].is_nan());
    assert!(distances([(&small, &zero.view([1, 1]).repeat([2, 2]))]).is_err());
}
