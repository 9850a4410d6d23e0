use super::*;
use crate::ops;
use crate::tensor::fingerprints;
use tch::{Device, Kind};

const PLAIN: Rule = Rule {
    momentum: 0.0,
    nesterov: false,
    alpha_inside: false,
    restart: true,
    differences: false,
    foreach: false,
};

fn pair<'a>(slow: &'a Tensor, fast: &'a Tensor, alpha: f64) -> Pair<'a> {
    Pair { slow, fast, velocity: None, mean: None, alpha }
}

fn random(shape: &[i64], kind: Kind) -> Tensor {
    Tensor::randn(shape, (Kind::Double, Device::Cpu)).to_kind(kind)
}

/// φ and θ after a sync, from the definition in f64.
fn expected(slow: &Tensor, fast: &Tensor, alpha: f64) -> Tensor {
    let (slow, fast) = (slow.to_kind(Kind::Double), fast.to_kind(Kind::Double));
    &slow + (fast - &slow) * alpha
}

#[test]
fn every_type_layout_and_size_follows_the_definition() {
    tch::manual_seed(1);
    type Layout = (&'static str, fn(Tensor) -> Tensor);
    let layouts: [Layout; 4] = [
        ("contiguous", |t| t),
        ("transposed", |t| t.transpose(0, 1)),
        ("strided", |t| t.slice(0, 0, i64::MAX, 2)),
        ("channels last", |t| t.view([2, 4, -1, 1]).contiguous_memory_format()),
    ];
    let kinds = [
        (Kind::Float, Kind::Float, 1e-6),
        (Kind::Double, Kind::Double, 1e-15),
        (Kind::Float, Kind::BFloat16, 1e-6),
        (Kind::Float, Kind::Half, 1e-6),
    ];
    for foreach in [false, true] {
        for (layout, arrange) in layouts {
            for (slow_kind, fast_kind, tolerance) in kinds {
                for alpha in [0.1, 0.5, 0.8, 1.0, 1.5, 3.0] {
                    for width in [1, 17, 4200] {
                        let slow = arrange(random(&[8, width], slow_kind));
                        let fast = arrange(random(&[8, width], fast_kind));
                        let wanted = expected(&slow, &fast, alpha);
                        let pair = pair(&slow, &fast, alpha);
                        sync([pair], Rule { foreach, ..PLAIN }).unwrap();
                        let what = format!("{layout}, {slow_kind:?}/{fast_kind:?}, α {alpha}");
                        let got = slow.to_kind(Kind::Double);
                        assert!(got.allclose(&wanted, tolerance, tolerance, false), "{what}");
                        assert_eq!(fast, slow.to_kind(fast_kind), "θ ← φ: {what}");
                    }
                }
            }
        }
    }
}

trait ChannelsLast {
    fn contiguous_memory_format(&self) -> Tensor;
}

impl ChannelsLast for Tensor {
    /// Channels last: dense, in another order.
    fn contiguous_memory_format(&self) -> Tensor {
        self.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
    }
}

/// To the bit, and in one pass.
#[test]
fn channels_last_is_synced_as_the_usual_order_is() {
    use crate::memory_format::channels_last;
    tch::manual_seed(6);
    for shape in [[8, 4, 3, 3], [16, 1, 3, 3], [6, 5, 1, 1]] {
        for velocity in [false, true] {
            let [slow, fast, momentum] = [0; 3].map(|_| random(&shape, Kind::Float));
            let [slow2, fast2, momentum2] =
                [&slow, &fast, &momentum].map(|t| channels_last(&t.copy()).unwrap());
            let run = |slow: &Tensor, fast: &Tensor, v: &Tensor| {
                let velocity = velocity.then_some(v);
                sync(
                    [Pair { slow, fast, velocity, mean: None, alpha: 0.3 }],
                    Rule { momentum: 0.9, ..PLAIN },
                )
            };
            run(&slow, &fast, &momentum).unwrap();
            let (result, ops) = ops::record(|| run(&slow2, &fast2, &momentum2));
            result.unwrap();
            assert!(ops.is_empty(), "{shape:?}: {ops:?}");
            assert_eq!([&slow, &fast, &momentum], [&slow2, &fast2, &momentum2], "{shape:?}");
            // With different orders too, in several passes.
            let other = fast.contiguous().copy();
            run(&slow, &other, &momentum).unwrap();
            run(&slow2, &fast.copy(), &momentum2).unwrap();
            assert!(slow.allclose(&slow2, 1e-6, 1e-6, false), "{shape:?}");
        }
    }
}

#[test]
fn many_small_tensors_and_empty_ones_are_each_synced_once() {
    let tensors: Vec<(Tensor, Tensor)> = (0..3000)
        .map(|i| {
            let shape = [i64::from(i % 7)];
            let options = (Kind::Float, Device::Cpu);
            (Tensor::zeros(shape, options), Tensor::full(shape, f64::from(i), options))
        })
        .collect();
    let pairs = tensors.iter().map(|(slow, fast)| pair(slow, fast, 0.5));
    sync(pairs, PLAIN).unwrap();
    for (i, (slow, fast)) in tensors.iter().enumerate() {
        let half = Tensor::full(slow.size(), i as f64 / 2.0, (Kind::Float, Device::Cpu));
        assert!(*slow == half && *fast == half, "tensor {i}");
    }
}

/// By hand: φ 1, θ 0. Momentum ½ and α ½: d = 1, v = 1, φ = ½. Then θ is 0 again: d = ½,
/// v = ½ + ½ = 1, φ = 0. In Nesterov's form u = 1 + ½ and φ = ¼ first; then d = ¼, v = ½ + ¼,
/// u = ¼ + ⅜, φ = ¼ − 5⁄16.
#[test]
fn momentum_on_the_difference_follows_its_formula() {
    for foreach in [false, true] {
        for (nesterov, expected) in [(false, [0.5, 0.0]), (true, [0.25, -0.0625])] {
            let slow = Tensor::from_slice(&[1.0f64]);
            let velocity = Tensor::from_slice(&[0.0f64]);
            for wanted in expected {
                let fast = Tensor::from_slice(&[0.0f64]);
                let pair = Pair { velocity: Some(&velocity), ..pair(&slow, &fast, 0.5) };
                sync([pair], Rule { momentum: 0.5, nesterov, foreach, ..PLAIN }).unwrap();
                assert_eq!(slow.double_value(&[0]), wanted, "{nesterov}, foreach {foreach}");
                assert_eq!(fast.double_value(&[0]), wanted);
            }
        }
    }
}

/// By hand, with α inside the velocity, and 1, ½ and ¼ in turn: φ 1, and θ always φ − 1, so that d = α. Heavy ball:
/// v 1, then ½ + ½, then ½ + ¼, which φ loses. Nesterov's form: u = d + v/2 is 3⁄2, then ½ + ½, then ¼ + ⅜.
#[test]
fn alpha_inside_the_velocity_follows_its_formula() {
    for foreach in [false, true] {
        for (nesterov, expected) in [(false, [0.0, -1.0, -1.75]), (true, [-0.5, -1.5, -2.125])] {
            let slow = Tensor::from_slice(&[1.0f64]);
            let velocity = Tensor::from_slice(&[0.0f64]);
            for (wanted, alpha) in expected.into_iter().zip([1.0, 0.5, 0.25]) {
                let fast = &slow - 1.0;
                let pair = Pair { velocity: Some(&velocity), ..pair(&slow, &fast, alpha) };
                let rule = Rule { momentum: 0.5, nesterov, alpha_inside: true, foreach, ..PLAIN };
                sync([pair], rule).unwrap();
                assert_eq!(slow.double_value(&[0]), wanted, "{nesterov}, foreach {foreach}");
                assert_eq!(fast.double_value(&[0]), wanted);
            }
        }
    }
}

/// A sync with a mean equals one with a θ that has the mean's values, in φ's type.
#[test]
fn a_mean_replaces_the_fast_weights() {
    tch::manual_seed(3);
    let kinds = [
        (Kind::Float, Kind::Float),
        (Kind::Double, Kind::Double),
        (Kind::Float, Kind::BFloat16),
        (Kind::Float, Kind::Half),
    ];
    // More than a block; several threads; one element.
    let sizes = [515, 70_001, 1];
    for foreach in [false, true] {
        for (slow_kind, fast_kind) in kinds {
            for (momentum, alpha) in [(0.0, 0.3), (0.0, 0.8), (0.0, 1.0), (0.5, 0.7)] {
                for (differences, restart) in
                    [(false, true), (true, true), (false, false), (true, false)]
                {
                    let start = sizes.map(|n| random(&[n], slow_kind));
                    let fast = sizes.map(|n| random(&[n], fast_kind));
                    let mean = sizes.map(|n| {
                        let mean = random(&[n], slow_kind);
                        if differences { (mean * 0.1).to_kind(Kind::BFloat16) } else { mean }
                    });
                    let target: Vec<Tensor> = (0..sizes.len())
                        .map(|i| {
                            let mean = mean[i].to_kind(slow_kind);
                            if differences { &start[i] + mean } else { mean }
                        })
                        .collect();
                    let rule = Rule { momentum, restart, differences, foreach, ..PLAIN };
                    let run = |fast: &[Tensor], means: &[Tensor]| {
                        let slow = start.each_ref().map(Tensor::copy);
                        let velocity = start.each_ref().map(Tensor::ones_like);
                        let pairs = (0..sizes.len()).map(|i| Pair {
                            slow: &slow[i],
                            fast: &fast[i],
                            velocity: (momentum > 0.0).then_some(&velocity[i]),
                            mean: means.get(i),
                            alpha,
                        });
                        let apart = sync(pairs, rule).unwrap();
                        (slow, velocity, apart)
                    };
                    let what = format!("{slow_kind:?}/{fast_kind:?}, α {alpha}, {rule:?}");
                    let before = fast.each_ref().map(Tensor::copy);
                    let (slow, velocity, apart) = run(&fast, &mean);
                    let copies: Vec<Tensor> = target.iter().map(Tensor::copy).collect();
                    let (slow2, velocity2, none) = run(&copies, &[]);
                    assert_eq!(none, 0.0);
                    assert_eq!((&slow, &velocity), (&slow2, &velocity2), "{what}");
                    let after = if restart { &slow } else { &before };
                    for (fast, expected) in fast.iter().zip(after) {
                        assert_eq!(*fast, expected.to_kind(fast_kind), "{what}");
                    }
                    let squares = before.iter().zip(&target).map(|(fast, target)| {
                        let apart = fast.to_kind(Kind::Double) - target.to_kind(Kind::Double);
                        apart.square().sum(Kind::Double).double_value(&[])
                    });
                    let squares: f64 = squares.sum();
                    assert!((apart / squares - 1.0).abs() < 1e-4, "{apart} {squares}: {what}");
                }
            }
        }
    }
}

#[test]
fn a_graph_of_the_values_before_is_refused_after() {
    for foreach in [false, true] {
        let slow = Tensor::from_slice(&[1.0f32]);
        let fast = Tensor::from_slice(&[2.0f32]).set_requires_grad(true);
        let before = fingerprints([&slow, &fast]).unwrap();
        let loss = (&fast * &fast).sum(Kind::Float);
        sync([pair(&slow, &fast, 0.5)], Rule { foreach, ..PLAIN }).unwrap();
        assert_ne!(before, fingerprints([&slow, &fast]).unwrap(), "foreach {foreach}");
        let error = loss.f_backward().unwrap_err().to_string();
        assert!(error.contains("modified by an inplace operation"), "{error}");
    }
}

/// The one pass writes through pointers of φ's type, so other velocities take the other path.
#[test]
fn a_velocity_of_another_type_or_layout_is_not_overrun() {
    let options = (Kind::Float, Device::Cpu);
    let block = Tensor::zeros([4000], (Kind::Half, Device::Cpu));
    let half = block.narrow(0, 0, 2000);
    let strided = Tensor::zeros([4000], options).slice(0, 0, 4000, 2);
    for velocity in [&half, &strided] {
        let (slow, fast) = (Tensor::ones([2000], options), Tensor::zeros([2000], options));
        let pair = Pair { velocity: Some(velocity), ..pair(&slow, &fast, 0.5) };
        let _ = sync([pair], Rule { momentum: 0.5, ..PLAIN });
    }
    assert_eq!(block.narrow(0, 2000, 2000).abs().sum(Kind::Double).double_value(&[]), 0.0);
}

/// At momentum 0, within one unit in the last place.
#[test]
fn with_a_velocity_and_no_momentum_it_is_plain_interpolation() {
    tch::manual_seed(2);
    for nesterov in [false, true] {
        for alpha in [0.2, 0.5, 0.8, 1.0] {
            let (start, theta) = (random(&[500], Kind::Float), random(&[500], Kind::Float));
            let after = |velocity: Option<&Tensor>| {
                let (slow, fast) = (start.copy(), theta.copy());
                let pair = Pair { velocity, ..pair(&slow, &fast, alpha) };
                sync([pair], Rule { nesterov, ..PLAIN }).unwrap();
                slow
            };
            let zeros = start.zeros_like();
            let (plain, outer) = (after(None), after(Some(&zeros)));
            // Of the largest number involved.
            let largest = start.abs().maximum(&theta.abs());
            let beyond = (&plain - &outer).abs() - largest * f64::from(f32::EPSILON) * 2.0;
            assert!(f64::try_from(beyond.max()).unwrap() <= 0.0, "α {alpha}, {nesterov}");
        }
    }
}

/// The squares, and even the difference, overflow single precision.
#[test]
fn the_distance_from_a_far_mean_does_not_overflow() {
    let full = |value: f64| Tensor::full([1000], value, (Kind::Float, Device::Cpu));
    for foreach in [false, true] {
        for (theta, mean) in [(1e20, -1e20), (3e38, -3e38), (3e-25, 1e-25)] {
            let (slow, fast, mean) = (full(0.0), full(theta), full(mean));
            let pair = Pair { mean: Some(&mean), ..pair(&slow, &fast, 0.5) };
            let expected = (theta - mean.double_value(&[0])).abs() * 1000f64.sqrt();
            let apart = sync([pair], Rule { foreach, ..PLAIN }).unwrap().sqrt();
            assert!(
                (apart / expected - 1.0).abs() < 1e-5,
                "{apart}, not {expected}: foreach {foreach}"
            );
        }
    }
}

#[test]
fn shapes_that_differ_are_refused() {
    for foreach in [false, true] {
        let slow = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
        let fast = Tensor::zeros([4], (Kind::Float, Device::Cpu));
        let pair = pair(&slow, &fast, 0.5);
        assert!(sync([pair], Rule { foreach, ..PLAIN }).is_err(), "foreach {foreach}");
    }
}

fn ops_of(count: i64, mixed: bool, rule: Rule, velocity: bool) -> Vec<String> {
    let options = (Kind::Float, Device::Cpu);
    let slow: Vec<Tensor> = (0..count).map(|_| Tensor::zeros([5], options)).collect();
    let velocities: Vec<Tensor> = (0..count).map(|_| Tensor::zeros([5], options)).collect();
    let kind = if mixed { Kind::BFloat16 } else { Kind::Float };
    let fast: Vec<Tensor> = (0..count).map(|_| Tensor::ones([5], (kind, Device::Cpu))).collect();
    let pairs = || {
        slow.iter().zip(&fast).zip(&velocities).map(|((slow, fast), v)| Pair {
            slow,
            fast,
            velocity: velocity.then_some(v),
            mean: None,
            alpha: 0.5,
        })
    };
    let (result, ops) = ops::record(|| sync(pairs(), rule));
    result.unwrap();
    // Allocations don't count.
    let counted = ops.into_iter().filter(|op| op.depth == 0 && op.name != "aten::empty_like");
    counted.map(|op| op.name).collect()
}

/// As on a GPU: two operations for the whole model.
#[test]
fn by_foreach_the_number_of_operations_is_that_of_one_tensor() {
    let foreach = Rule { foreach: true, ..PLAIN };
    let momentum = Rule { momentum: 0.9, nesterov: true, ..foreach };
    for (mixed, rule, velocity, expected) in [
        (false, foreach, false, vec!["aten::_foreach_lerp_", "aten::_foreach_copy_"]),
        (
            true,
            foreach,
            false,
            vec!["aten::_foreach_copy_", "aten::_foreach_lerp_", "aten::_foreach_copy_"],
        ),
        (
            false,
            momentum,
            true,
            vec![
                "aten::_foreach_sub",
                "aten::_foreach_mul_",
                "aten::_foreach_add_",
                "aten::_foreach_add_",
                "aten::_foreach_add_",
                "aten::_foreach_copy_",
            ],
        ),
    ] {
        for count in [10, 1000] {
            assert_eq!(ops_of(count, mixed, rule, velocity), expected, "{count} tensors");
        }
    }
}

#[test]
fn the_one_pass_sync_calls_no_aten_operation() {
    for velocity in [false, true] {
        for mixed in [false, true] {
            assert_eq!(ops_of(100, mixed, PLAIN, velocity), [""; 0]);
        }
    }
}

/// On tensors without memory, reading a value back or mixing devices fails.
#[test]
fn by_foreach_no_value_is_read_back() {
    let zeros = |kind| Tensor::zeros([3], (kind, Device::Cpu));
    let meta = |kind| ops::to_meta(&zeros(kind)).unwrap();
    for kind in [Kind::Float, Kind::BFloat16] {
        for momentum in [None, Some(0.9)] {
            let (slow, velocity) = (meta(Kind::Float), meta(Kind::Float));
            let fast = ops::to_meta(&zeros(kind).set_requires_grad(true)).unwrap();
            let velocity = momentum.map(|_| &velocity);
            let pair = Pair { velocity, ..pair(&slow, &fast, 0.5) };
            sync([pair], Rule { momentum: momentum.unwrap_or(0.0), ..PLAIN }).unwrap();
        }
    }
    let nowhere = meta(Kind::Float);
    let error = crate::arithmetic::all_finite([&nowhere], Path::Auto).unwrap_err().to_string();
    assert!(error.to_lowercase().contains("meta"), "the check for NaN does: {error}");
    let here = zeros(Kind::Float);
    let mixed = pair(&here, &nowhere, 0.5);
    assert!(sync([mixed], PLAIN).is_err(), "a mix of devices");
}

#[test]
fn the_adaptive_step_follows_its_formula() {
    // L = ½ Σ aᵢ (xᵢ − cᵢ)²: with A exact, α is the minimum along the line.
    let a = Tensor::from_slice(&[1.0f64, 4.0]);
    let centre = Tensor::from_slice(&[0.5f64, -0.25]);
    let slow = Tensor::from_slice(&[2.0f64, 1.0]);
    let fast = Tensor::from_slice(&[-1.0f64, -1.5]).set_requires_grad(true);
    let loss = |x: &Tensor| (&a * (x - &centre).square()).sum(Kind::Double) * 0.5;
    loss(&fast).backward();
    let second_moment = &(&a * 0.5);
    let term = Term { slow: &slow, fast: &fast, mean: None, second_moment, scale: 2.0 };
    let alpha = adaptive_slow_step_size([term], false).unwrap();
    let at = |alpha: f64| {
        let point = &slow + (fast.detach() - &slow) * alpha;
        loss(&point).double_value(&[])
    };
    assert!(at(alpha) < at(alpha + 1e-4) && at(alpha) < at(alpha - 1e-4), "{alpha}");
    // By hand: d = (3, 2.5), g = (−1.5, −5): 1 − (4.5 + 12.5) / (9 + 25) = ½.
    assert!((alpha - 0.5).abs() < 1e-12, "{alpha}");
    // Of a mean (1, 0.5): d = (1, 0.5), 1 − (1.5 + 2.5) / (1 + 1).
    for (mean, differences) in [([1.0, 0.5], false), ([-1.0, -0.5], true)] {
        let mean = Tensor::from_slice(&mean);
        let term = Term { mean: Some(&mean), ..term };
        let alpha = adaptive_slow_step_size([term], differences).unwrap();
        assert!((alpha + 1.0).abs() < 1e-12, "{alpha}");
    }
}

/// NaN stays NaN, and every other number rounds as libtorch rounds it: also ties, denormal numbers and overflow.
#[test]
fn half_precision_is_rounded_as_by_libtorch() {
    // Every sign, exponent and upper half of a fraction, with lower halves around the ties.
    let lower = [0u32, 1, 0x0fff, 0x1000, 0x1001, 0x2000, 0x3000, 0x7fff, 0x8000, 0x8001, 0xffff];
    let bits = (0..=u16::MAX).flat_map(|upper| lower.map(|low| u32::from(upper) << 16 | low));
    let all: Vec<f32> = bits.map(f32::from_bits).collect();
    for kind in [Kind::BFloat16, Kind::Half] {
        let slow = Tensor::from_slice(&all);
        let fast = slow.zeros_like().to_kind(kind);
        // At α = 0 φ stays, except that infinity becomes NaN.
        sync([pair(&slow, &fast, 0.0)], PLAIN).unwrap();
        let wanted = slow.to_kind(kind);
        let differs = fast
            .ne_tensor(&wanted)
            .logical_and(&fast.isnan().logical_and(&wanted.isnan()).logical_not());
        assert!(!bool::try_from(differs.any()).unwrap(), "{kind:?}");
        assert!(slow.isfinite().sum(Kind::Int64).int64_value(&[]) > 700_000);
    }
}
