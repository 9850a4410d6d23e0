use super::*;
use tch::{Device, Kind};

use crate::ops;

const RULE: Rule = Rule {
    momentum: 0.95,
    nesterov: true,
    a: 3.4445,
    b: -4.7750,
    c: 2.0315,
    steps: 5,
    eps: 1e-7,
    full_precision: false,
    match_rms: false,
};
const FULL: Rule = Rule { full_precision: true, ..RULE };

/// Like noise: of full rank, because the iteration amplifies rounding errors where a singular value is 0.
fn noise(shape: &[i64], seed: i64) -> Tensor {
    let count: i64 = shape.iter().product();
    let values = Tensor::arange(count, (Kind::Double, Device::Cpu)) + seed;
    (values.square() * 0.7).sin().reshape(shape)
}

fn distance(found: &Tensor, expected: &Tensor) -> f64 {
    let (found, expected) = (found.to_kind(Kind::Double), expected.to_kind(Kind::Double));
    ((found - &expected).norm() / expected.norm()).double_value(&[])
}

/// PyTorch 2.13: `torch.optim._muon._zeropower_via_newtonschulz` of each matrix. The 2 × 2 matrix is that of keras'
/// `muon_test`.
#[test]
fn orthogonalizes_as_pytorch() {
    let square = Tensor::from_slice(&[0.2499f32, 0.9105, 0.2655, 0.8824]).reshape([2, 2]);
    let expected = Tensor::from_slice(&[-0.4277f32, 0.6406, 0.7109, 0.3008]).reshape([2, 2]);
    let found = orthogonalized(&square, RULE).unwrap();
    assert!(found.allclose(&expected, 0.0, 1e-4, false), "{found}");

    let tall = Tensor::from_slice(&[0.1f32, 0.2, 0.3, 0.4, 0.5, 0.6]).reshape([3, 2]);
    let expected = [-0.4551f32, 0.5703, 0.0801, 0.3984, 0.5938, 0.2500];
    let expected = Tensor::from_slice(&expected).reshape([3, 2]);
    let found = orthogonalized(&tall, RULE).unwrap();
    assert!(found.allclose(&expected, 0.0, 1e-4, false), "{found}");
}

/// The iteration keeps the singular vectors, and maps each singular value by a polynomial.
#[test]
fn the_singular_values_go_through_the_polynomial() {
    for shape in [[7, 4], [4, 7], [5, 5], [1, 3], [3, 1]] {
        let matrix = noise(&shape, 1);
        let (u, s, v) = matrix.svd(true, true);
        let mut values = &s / matrix.norm();
        for _ in 0..RULE.steps {
            let cubes = values.pow_tensor_scalar(3.0) * RULE.b;
            let fifths = values.pow_tensor_scalar(5.0) * RULE.c;
            values = values * RULE.a + cubes + fifths;
        }
        let expected = u.matmul(&values.diag(0)).matmul(&v.tr());
        let found = orthogonalized(&matrix, FULL).unwrap();
        assert!(distance(&found, &expected) < 1e-9, "{shape:?}");
        let coarse = orthogonalized(&matrix, RULE).unwrap();
        assert!(distance(&coarse, &expected) < 0.05, "{shape:?}: {}", distance(&coarse, &expected));
        let single = orthogonalized(&matrix.to_kind(Kind::Float), FULL).unwrap();
        assert!(distance(&single, &expected) < 1e-5, "{shape:?}");
    }
}

#[test]
fn a_matrix_of_zeros_stays_so_and_an_empty_one_is_skipped() {
    for rule in [RULE, FULL] {
        let zeros = Tensor::zeros([3, 2], (Kind::Float, Device::Cpu));
        assert_eq!(orthogonalized(&zeros, rule).unwrap(), zeros);
        let empty = Tensor::zeros([0, 2], (Kind::Float, Device::Cpu));
        assert_eq!(orthogonalized(&empty, rule).unwrap().size(), [0, 2]);
        step_one(&empty, &empty, &empty, rule);
    }
}

fn step_one(weights: &Tensor, gradient: &Tensor, momentum: &Tensor, rule: Rule) {
    let part = Part { weights, gradient, momentum, learning_rate: 0.1, weight_decay: 0.5 };
    step([part], rule).unwrap();
}

/// In another order in memory, with more dimensions, alone or among others, in passes or by foreach.
#[test]
fn every_path_takes_the_same_step() {
    for (kind, rule, tolerance) in [
        (Kind::Double, FULL, 1e-13),
        (Kind::Float, FULL, 2e-6),
        (Kind::Float, RULE, 0.02),
        (Kind::BFloat16, RULE, 0.02),
        (Kind::BFloat16, FULL, 0.02),
    ] {
        for (shape, match_rms, nesterov) in [
            ([6i64, 4, 2, 1], true, true),
            ([4, 3, 2, 2], false, true),
            ([8, 2, 1, 1], false, false),
        ] {
            let rule = Rule { match_rms, nesterov, ..rule };
            let (weights, gradient) = (noise(&shape, 2), noise(&shape, 3));
            let momentum = noise(&shape, 4) * 0.1;
            // By hand.
            let mean = &momentum * 0.95 + &gradient * 0.05;
            let update = if nesterov { &gradient * 0.05 + &mean * 0.95 } else { mean.copy() };
            let (rows, columns) = (shape[0], shape[1] * shape[2] * shape[3]);
            let flat = update.reshape([rows, columns]);
            let scale = match match_rms {
                true => 0.2 * (rows.max(columns) as f64).sqrt(),
                false => (rows as f64 / columns as f64).max(1.0).sqrt(),
            };
            let update = orthogonalized(&flat, FULL).unwrap().reshape(shape);
            let expected = &weights * (1.0 - 0.1 * 0.5) - update * (0.1 * scale);

            let copy = |tensor: &Tensor| tensor.copy().to_kind(kind);
            let transposed = |tensor: &Tensor| {
                let swapped = tensor.to_kind(kind).transpose(0, 1).contiguous();
                swapped.transpose(0, 1)
            };
            let last = |tensor: &Tensor| {
                let last = tensor.to_kind(kind).permute([0, 2, 3, 1]).contiguous();
                last.permute([0, 3, 1, 2])
            };
            let orders: [&dyn Fn(&Tensor) -> Tensor; 3] = [&copy, &transposed, &last];
            for (order, lay) in orders.iter().enumerate() {
                let (w, g, m) = (lay(&weights), copy(&gradient), lay(&momentum));
                let version = crate::tensor::fingerprints([&w, &m]).unwrap();
                step_one(&w, &g, &m, rule);
                let what = format!("{kind:?}, {shape:?}, order {order}, {rule:?}");
                assert!(distance(&w, &expected) < tolerance, "{what}: {}", distance(&w, &expected));
                assert!(distance(&m, &mean) < tolerance.max(1e-7), "{what}: momentum");
                let after = crate::tensor::fingerprints([&w, &m]).unwrap();
                assert!(version[0] != after[0] && version[1] != after[1], "{what}: unseen");
            }
        }
    }
}

/// Enough matrices for several batches, in two groups.
#[test]
fn many_matrices_step_as_each_alone() {
    for rule in [RULE, FULL] {
        let all: Vec<[Tensor; 3]> = (0..70)
            .map(|i| [0, 1, 2].map(|j| noise(&[64, 80], i * 3 + j).to_kind(Kind::Float)))
            .collect();
        let alone: Vec<[Tensor; 3]> =
            all.iter().map(|tensors| tensors.each_ref().map(Tensor::copy)).collect();
        let rate = |i: usize| if i.is_multiple_of(3) { 0.1 } else { 0.2 };
        let part = |(i, tensors): (usize, &'static [Tensor; 3])| -> Part<'static> {
            let [weights, gradient, momentum] = tensors;
            Part { weights, gradient, momentum, learning_rate: rate(i), weight_decay: 0.1 }
        };
        let (all, alone) = (Box::leak(Box::new(all)), Box::leak(Box::new(alone)));
        step(all.iter().enumerate().map(part), rule).unwrap();
        for (i, tensors) in alone.iter().enumerate() {
            step([part((i, tensors))], rule).unwrap();
            assert!(distance(&all[i][0], &tensors[0]) < 2e-4, "matrix {i}");
            assert_eq!(all[i][2], tensors[2], "momentum {i}");
        }
    }
}

/// On a device other than the CPU it reads nothing back and takes a few calls for any number of matrices.
#[test]
fn elsewhere_it_is_a_few_operations() {
    let on_meta = |i: i64| ops::to_meta(&noise(&[3, 2], i).to_kind(Kind::Float)).unwrap();
    let tensors: Vec<[Tensor; 3]> = (0..50).map(|i| [0, 1, 2].map(|j| on_meta(i + j))).collect();
    let parts: Vec<Part<'_>> = tensors
        .iter()
        .map(|[weights, gradient, momentum]| Part {
            weights,
            gradient,
            momentum,
            learning_rate: 0.1,
            weight_decay: 0.1,
        })
        .collect();
    let (result, ops) = ops::record(|| step(parts, RULE));
    result.unwrap();
    let products = ops.iter().filter(|op| op.depth == 0 && op.name.contains("bmm")).count();
    assert_eq!(products, 15, "{ops:?}");
}

#[test]
fn a_vector_is_refused() {
    let vector = noise(&[4], 1);
    let refused = orthogonalized(&vector, RULE).unwrap_err().to_string();
    assert!(refused.contains("Muon moves matrices, and a tensor of the shape [4]"), "{refused}");
}
