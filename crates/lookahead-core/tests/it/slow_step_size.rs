//! k and α: per parameter group, with schedules, chosen adaptively, set during training.

use crate::common::{Net, close, descend, ones};
use lookahead_core::{
    Builder, Curvature, Error, FromConfig, InnerOptimizer, Lookahead, Schedule, fused,
};
use tch::{Device, Kind, Tensor, nn};

/// Two groups of one weight each, at a constant gradient of 1.
fn two_groups() -> (nn::VarStore, Tensor, Tensor) {
    let vs = nn::VarStore::new(Device::Cpu);
    let a = vs.root().ones("a", &[1]);
    let b = vs.root().set_group(1).ones("b", &[1]);
    (vs, a, b)
}

#[test]
fn groups_have_their_own_alpha() {
    let (vs, a, b) = two_groups();
    let builder = Lookahead::builder(fused::Sgd::default()).k(2).alpha(0.5).alpha_of_group(1, 0.25);
    let mut opt = builder.build(&vs, 0.1).unwrap();
    let cycle = |opt: &mut Lookahead| {
        for _ in 0..2 {
            opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap();
        }
        (a.double_value(&[0]), b.double_value(&[0]))
    };
    let (at_a, at_b) = cycle(&mut opt);
    assert!(close(at_a, 0.9) && close(at_b, 0.95), "{at_a} {at_b}");
    assert_eq!((opt.alpha_of_group(0), opt.alpha_of_group(1)), (0.5, 0.25));

    opt.set_alpha_of_group(0, 1.0).unwrap();
    let (at_a, at_b) = cycle(&mut opt);
    assert!(close(at_a, 0.7) && close(at_b, 0.9), "{at_a} {at_b}");
    assert_eq!(opt.alpha_used(), Some(1.0));

    // The state has both; setting α for all groups overrides them.
    let state = opt.state().unwrap();
    assert_eq!((state.numbers["alpha/0"], state.numbers["alpha/1"]), (1.0, 0.25));
    opt.set_alpha(0.5).unwrap();
    assert_eq!(opt.alpha_of_group(1), 0.5);
    let replaced = opt.load_state(&state).unwrap();
    let replaced: Vec<String> = replaced.iter().map(ToString::to_string).collect();
    assert_eq!(
        replaced,
        [
            "The state's alpha of group 0 1 replaces 0.5.",
            "The state's alpha of group 1 0.25 replaces 0.5."
        ]
    );
    assert_eq!((opt.alpha(), opt.alpha_of_group(0), opt.alpha_of_group(1)), (0.5, 1.0, 0.25));
}

#[test]
fn alpha_follows_its_schedule_at_each_sync() {
    let (vs, a, b) = two_groups();
    let schedule = Schedule::Linear { to: 1.0, steps: 8 };
    let mut opt = Lookahead::builder(fused::Sgd::default())
        .k(2)
        .alpha(0.5)
        .alpha_of_group(1, 0.6)
        .alpha_schedule(schedule)
        .build(&vs, 0.1)
        .unwrap();
    let mut used = Vec::new();
    for _ in 0..10 {
        if opt.backward_step(&(&a + &b).sum(Kind::Float)).unwrap() {
            used.push(opt.alpha_used().unwrap());
        }
    }
    assert_eq!(used, [0.625, 0.75, 0.875, 1.0, 1.0]);
    // Each group starts from its own α. By hand: a cycle subtracts 0.2 from θ, and α of that from φ.
    let expected_a = 1.0 - 0.2 * (0.625 + 0.75 + 0.875 + 1.0 + 1.0);
    let expected_b = 1.0 - 0.2 * (0.7 + 0.8 + 0.9 + 1.0 + 1.0);
    assert!(close(a.double_value(&[0]), expected_a), "{}", a.double_value(&[0]));
    assert!(close(b.double_value(&[0]), expected_b), "{}", b.double_value(&[0]));
}

#[test]
fn k_changes_only_when_a_cycle_begins() {
    let (vs, a, _b) = two_groups();
    let mut opt = Lookahead::builder(fused::Sgd::default())
        .k(2)
        .k_schedule(Schedule::Linear { to: 6.0, steps: 10 })
        .build(&vs, 0.1)
        .unwrap();
    let syncs: Vec<i64> =
        (1..=20).filter(|_| opt.backward_step(&a.sum(Kind::Float)).unwrap()).collect();
    // k at the beginning of each cycle: 2 at step 0, 2.8 → 3 at 2, 4 at 5, 5.6 → 6 at 9, 6 at 15.
    assert_eq!(syncs, [2, 5, 9, 15]);
    assert_eq!((opt.k(), opt.phase()), (6, 5));

    // The schedule continues from a state.
    let state = opt.state().unwrap();
    let (other_vs, other, _) = two_groups();
    tch::no_grad(|| other.shallow_clone().copy_(&a));
    let mut resumed = Lookahead::builder(fused::Sgd::default()).build(&other_vs, 0.1).unwrap();
    resumed.load_state(&state).unwrap();
    assert_eq!((resumed.k(), resumed.phase(), resumed.steps()), (6, 5, 20));
    assert!(resumed.backward_step(&other.sum(Kind::Float)).unwrap());
    resumed.set_k(1).unwrap();
    assert!(resumed.backward_step(&other.sum(Kind::Float)).unwrap(), "a k that was set stays");
    assert!(resumed.backward_step(&other.sum(Kind::Float)).unwrap());
}

#[test]
fn schedules_can_begin_during_training() {
    let (vs, a, _b) = two_groups();
    let mut opt = Lookahead::builder(fused::Sgd::default()).k(1).build(&vs, 0.1).unwrap();
    descend(&mut opt, &a, 4);
    opt.set_alpha_schedule(Schedule::Step { factor: 0.5, every: 2 }).unwrap();
    assert_eq!(opt.alpha(), 0.125, "counted from the first step");
    opt.set_k_schedule(Schedule::Step { factor: 2.0, every: 2 }).unwrap();
    assert_eq!(opt.k(), 4);
    opt.set_alpha(0.3).unwrap();
    assert_eq!(opt.alpha(), 0.3, "setting α ends the schedule");
}

#[test]
fn settings_out_of_range_or_in_conflict() {
    let (vs, ..) = two_groups();
    let build = || Lookahead::builder(fused::Adam::default());
    let refused = |builder: Builder<FromConfig<fused::Adam>>, words: &str| {
        let message = builder.build(&vs, 0.1).unwrap_err().to_string();
        assert!(message.contains(words), "{message}");
    };
    refused(build().alpha_of_group(1, 1.5), "`alpha` is 1.5");
    refused(build().alpha_of_group(7, 0.5), "no parameter group 7: the optimizer has 2");
    refused(build().alpha_schedule(Schedule::Linear { to: 0.0, steps: 5 }), "`alpha` is 0");
    refused(build().alpha_schedule(Schedule::Step { factor: 1.1, every: 5 }), "`factor` is 1.1");
    refused(build().k_schedule(Schedule::Cosine { to: 0.2, steps: 5 }), "`to` is 0.2");
    refused(build().k_schedule(Schedule::Step { factor: 2.0, every: 0 }), "`every` is 0");
    refused(build().adaptive_alpha(1.5), "`adaptive_alpha` is 1.5");
    refused(build().adaptive_alpha(f64::NAN), "`adaptive_alpha` is NaN");
    refused(build().adaptive_alpha(0.2).alpha_of_group(1, 0.5), "α per parameter group");
    let schedule = Schedule::Linear { to: 1.0, steps: 5 };
    refused(build().adaptive_alpha(0.2).alpha_schedule(schedule), "an α schedule");
    refused(build().adaptive_alpha(0.2).outer_momentum(0.9), "outer momentum");
    for momentum in [-0.1, 1.0, f64::NAN] {
        refused(build().outer_momentum(momentum), &format!("`outer_momentum` is {momentum}"));
    }
    let sgd = Lookahead::builder(fused::sgd(0.9, 0.0, 0.0, false)).adaptive_alpha(0.2);
    assert!(matches!(sgd.build(&vs, 0.1), Err(Error::NoCurvature)));

    let mut opt = build().build(&vs, 0.1).unwrap();
    assert!(matches!(opt.set_alpha_of_group(2, 0.5), Err(Error::Group { group: 2, count: 2 })));
    assert!(opt.set_alpha_schedule(Schedule::Linear { to: 2.0, steps: 1 }).is_err());
    assert!(opt.set_k_schedule(Schedule::Linear { to: 0.0, steps: 1 }).is_err());
    let mut adaptive = build().adaptive_alpha(0.2).build(&vs, 0.1).unwrap();
    assert!(adaptive.set_alpha_of_group(0, 0.5).is_err());
    assert!(adaptive.set_alpha_schedule(schedule).is_err());
}

/// A quadratic ½ Σ aᵢ (xᵢ − cᵢ)² whose gradient has noise of variance aᵢ, like that of a log-likelihood at its
/// maximum, where the second moment is the curvature.
struct LogLikelihood {
    curvature: Tensor,
    centre: Tensor,
    w: Tensor,
    vs: nn::VarStore,
}

const SIZE: i64 = 2000;

impl LogLikelihood {
    fn new() -> LogLikelihood {
        let vs = nn::VarStore::new(Device::Cpu);
        let options = (Kind::Float, Device::Cpu);
        let spread = Tensor::linspace(-2.0, 1.0, SIZE, options);
        let curvature = Tensor::full([SIZE], 10.0, options).pow(&spread);
        let centre = Tensor::zeros([SIZE], options);
        let w = vs.root().var_copy("w", &centre);
        LogLikelihood { curvature, centre, w, vs }
    }

    fn loss(&self, noisy: bool) -> Tensor {
        let noise = if noisy {
            Tensor::randn([SIZE], (Kind::Float, Device::Cpu)) / self.curvature.sqrt()
        } else {
            self.centre.zeros_like()
        };
        (&self.curvature * (&self.w - &self.centre - noise).square()).sum(Kind::Float) * 0.5
    }

    /// The best α between two points, from the true curvature (Zhang et al., proposition 1).
    fn best(&self, slow: &Tensor, fast: &Tensor) -> f64 {
        let (d, away) = (slow - fast, slow - &self.centre);
        let (above, below) = (
            (&self.curvature * away * &d).sum(Kind::Double),
            (&self.curvature * &d * &d).sum(Kind::Double),
        );
        f64::try_from(above / below).unwrap()
    }
}

/// With the second moment as Â the adaptive α is the best one; with its square root, by which Adam divides, it is
/// not.
#[test]
fn the_second_moment_estimates_the_curvature_of_a_log_likelihood() {
    tch::manual_seed(4);
    let problem = LogLikelihood::new();
    let config = fused::adam(0.0, 0.999, 0.0);
    let mut opt =
        Lookahead::builder(config).k(5).adaptive_alpha(1e-3).build(&problem.vs, 1e-4).unwrap();
    // Until the second moments average many gradients near the centre.
    for _ in 0..5000 {
        opt.backward_step(&problem.loss(true)).unwrap();
    }
    let step = |opt: &mut Lookahead| {
        opt.zero_grad().unwrap();
        problem.loss(false).backward();
        opt.inner_step().unwrap();
    };
    // Cycles from nearby starts, in which the steepest coordinates overshoot more and more.
    for (lr, inside) in [(0.2, false), (0.64, true), (0.68, true), (0.8, true)] {
        let signs = Tensor::randn([SIZE], (Kind::Float, Device::Cpu)).sign();
        let start = &problem.centre + signs * 0.02;
        tch::no_grad(|| problem.w.shallow_clone().copy_(&start));
        opt.reset_slow_weights().unwrap();
        opt.set_lr(lr).unwrap();
        for _ in 0..5 {
            step(&mut opt);
        }
        let fast = problem.w.detach().copy();
        let best = problem.best(&start, &fast);
        assert_eq!(best > 0.05 && best < 1.0, inside, "lr {lr}: {best}");
        let Curvature { second_moment, scale } = opt.inner_mut().curvature(0).unwrap().unwrap();
        opt.sync_with(|| problem.loss(false)).unwrap();
        let error = (opt.alpha_used().unwrap() - best.min(1.0)).abs();

        let d = &start - &fast;
        let gradient = &problem.curvature * (&fast - &problem.centre);
        let root = (second_moment * scale).sqrt();
        let quotient = (gradient * &d).sum(Kind::Double) / (root * &d * &d).sum(Kind::Double);
        let with_root = (1.0 + f64::try_from(quotient).unwrap()).clamp(1e-3, 1.0);
        let error_with_root = (with_root - best.min(1.0)).abs();
        assert!(error < 0.05, "lr {lr}: α* {best}, off by {error}");
        assert!(!inside || error_with_root > 0.15, "lr {lr}: α* {best}, off by {error_with_root}");
    }
}

#[test]
fn the_adaptive_alpha_is_clipped_reported_and_interpolated_with() {
    for (lr, gradient_sign, expected) in [(0.5, 1.0, 1.0), (0.5, -1.0, 0.3)] {
        let vs = nn::VarStore::new(Device::Cpu);
        let w = vs.root().var_copy("w", &Tensor::from_slice(&[1.0f32, 1.0]));
        let mut opt = Lookahead::builder(fused::Adam::default())
            .k(2)
            .adaptive_alpha(0.3)
            .build(&vs, lr)
            .unwrap();
        for _ in 0..2 {
            opt.zero_grad().unwrap();
            w.sum(Kind::Float).backward();
            opt.inner_step().unwrap();
        }
        let fast = w.detach().copy();
        assert_eq!(opt.alpha_used(), None);
        // Downhill all the way the best α is above 1; uphill it is below `low`.
        opt.sync_with(|| (&w * gradient_sign * 100.0).sum(Kind::Float)).unwrap();
        assert_eq!(opt.alpha_used(), Some(expected));
        let wanted = (&fast - 1.0) * expected + 1.0;
        assert!(w.allclose(&wanted, 1e-6, 1e-6, false));
        assert!(!w.grad().defined(), "the fresh gradient is cleared");
        let kept = opt.state().unwrap().numbers["alpha_used"];
        assert_eq!(kept, expected);
    }
}

/// Without a closure it uses the last step's gradient.
#[test]
fn the_last_gradient_is_the_documented_approximation() {
    let vs = nn::VarStore::new(Device::Cpu);
    let w = vs.root().var_copy("w", &Tensor::from_slice(&[1.0f64, -2.0]));
    let mut opt = Lookahead::builder(fused::Adam::default())
        .k(3)
        .adaptive_alpha(1e-6)
        .build(&vs, 0.4)
        .unwrap();
    for _ in 0..3 {
        opt.zero_grad().unwrap();
        w.square().sum(Kind::Double).backward();
        opt.inner_step().unwrap();
    }
    let d = Tensor::from_slice(&[1.0f64, -2.0]) - w.detach();
    let v = opt.inner_mut().curvature(0).unwrap().unwrap();
    let slope = f64::try_from((w.grad() * &d).sum(Kind::Double)).unwrap();
    let curved = f64::try_from((v.second_moment * v.scale * &d * &d).sum(Kind::Double)).unwrap();
    opt.sync_if_due().unwrap();
    let expected = (1.0 + slope / curved).clamp(1e-6, 1.0);
    assert!((opt.alpha_used().unwrap() - expected).abs() < 1e-9);
    // Without information the smallest step is safe.
    assert!(opt.set_alpha(0.5).is_err(), "adaptive, so it can't be set");
    for _ in 0..3 {
        opt.zero_grad().unwrap();
        w.square().sum(Kind::Double).backward();
        opt.inner_step().unwrap();
    }
    opt.zero_grad().unwrap();
    opt.sync_if_due().unwrap();
    assert_eq!(opt.alpha_used(), Some(1e-6), "no gradient");
    // If θ did not move, every α is equally good.
    let net = Net::new(1, Device::Cpu);
    let still = Lookahead::builder(fused::Adam::default()).k(1).adaptive_alpha(0.5);
    let mut still = still.build(&net.vs, 0.1).unwrap();
    assert!(still.step().unwrap());
}

/// It is not the same as a missing gradient, for which α is `low`.
#[test]
fn a_nan_or_infinite_gradient_chooses_no_alpha() {
    for value in [f64::NAN, f64::INFINITY] {
        let (vs, w) = ones(2);
        let builder = Lookahead::builder(fused::Adam::default()).k(1).adaptive_alpha(0.2);
        let mut opt = builder.build(&vs, 0.1).unwrap();
        w.square().sum(Kind::Float).backward();
        opt.inner_step().unwrap();
        let refused = opt.sync_with(|| (&w * value).sum(Kind::Float));
        assert!(matches!(&refused, Err(Error::NonFiniteGradient { name, .. }) if name == "w"));
        assert!(opt.sync_is_due(), "still");
        assert!(opt.sync_if_due().unwrap(), "without a gradient, with `low`");
        assert_eq!(opt.alpha_used(), Some(0.2));
    }
}
