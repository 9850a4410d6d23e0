//! Theory of Lookahead on quadratics, compared with the real optimizer.
//!
//! On a quadratic every step is linear, so the effect of noise, the best α and the speed of convergence can be
//! computed: Zhang, Lucas, Hinton, Ba, *Lookahead Optimizer: k steps forward, 1 step back*, NeurIPS 2019.

use lookahead_core::Lookahead;
use tch::nn::{self, OptimizerConfig};
use tch::{Device, Kind, Tensor};

/// A store with one variable of these values, in their own precision, and the variable.
fn variable(values: &Tensor) -> (nn::VarStore, Tensor) {
    let vs = nn::VarStore::new(Device::Cpu);
    let x = vs.root().add("x", values.copy(), true);
    (vs, x)
}

// First: how far noise moves the weights.

/// The standard deviation of the noise.
const SIGMA: f64 = 0.7;

/// A quadratic whose minimum c ~ N(0, σ²) is drawn at each step, so that the gradient is a (x − c), and Lookahead
/// around SGD on it.
#[derive(Debug, Clone, Copy)]
struct NoisyQuadratic {
    a: f64,
    learning_rate: f64,
    k: u64,
    alpha: f64,
}

/// Each with V_LA / V_SGD.
const NOISY_QUADRATICS: [(NoisyQuadratic, f64); 6] = [
    (NoisyQuadratic { a: 1.0, learning_rate: 0.5, k: 5, alpha: 0.5 }, 0.34020619),
    (NoisyQuadratic { a: 1.0, learning_rate: 1.5, k: 5, alpha: 0.5 }, 0.32631579),
    (NoisyQuadratic { a: 0.1, learning_rate: 0.5, k: 5, alpha: 0.5 }, 0.47002753),
    (NoisyQuadratic { a: 1.0, learning_rate: 0.1, k: 10, alpha: 0.8 }, 0.72953652),
    (NoisyQuadratic { a: 0.01, learning_rate: 1.0, k: 20, alpha: 0.2 }, 0.18516237),
    (NoisyQuadratic { a: 1.0, learning_rate: 1.0, k: 5, alpha: 0.5 }, 1.0 / 3.0),
];

impl NoisyQuadratic {
    /// The same inner optimizer without Lookahead.
    fn sgd(self) -> Self {
        Self { alpha: 1.0, ..self }
    }

    /// What an inner step leaves of θ: θ ← r θ + γ a c.
    fn r(&self) -> f64 {
        1.0 - self.learning_rate * self.a
    }

    /// What the noise of one inner step adds to the variance of θ.
    fn kick(&self) -> f64 {
        (self.learning_rate * self.a * SIGMA).powi(2)
    }

    /// What a cycle leaves of φ: θ_k = r^k φ + noise and φ ← (1 − α) φ + α θ_k.
    fn m(&self) -> f64 {
        1.0 - self.alpha + self.alpha * self.r().powf(self.k as f64)
    }

    /// The steady-state variance of φ.
    ///
    /// After k inner steps the noise in θ_k has the variance V_SGD (1 − r²ᵏ), where
    /// V_SGD = γ² a² σ² / (1 − r²). The steady state of the cycle is then
    /// V = m² V + α² V_SGD (1 − r²ᵏ), and 1 − m² = α² (1 − r²ᵏ) + 2 α (1 − α) (1 − rᵏ).
    fn variance(&self) -> f64 {
        let (alpha, r) = (self.alpha, self.r());
        let sgd = self.kick() / (1.0 - r.powi(2));
        let r_k = r.powf(self.k as f64);
        let noise = alpha.powi(2) * (1.0 - r_k.powi(2));
        sgd * noise / (noise + 2.0 * alpha * (1.0 - alpha) * (1.0 - r_k))
    }

    /// The variance of φ after this number of cycles from a fixed start, computed step by step.
    fn variance_after(&self, cycles: u64) -> f64 {
        let (alpha, r) = (self.alpha, self.r());
        let mut slow = 0.0;
        for _ in 0..cycles {
            let (mut fast, mut covariance) = (slow, slow); // θ restarts from φ
            for _ in 0..self.k {
                fast = r.powi(2) * fast + self.kick();
                covariance *= r;
            }
            slow = (1.0 - alpha).powi(2) * slow
                + alpha.powi(2) * fast
                + 2.0 * alpha * (1.0 - alpha) * covariance;
        }
        slow
    }

    /// The cycles after which the variance is within 10⁻⁶ of the steady state's: from a fixed start it is
    /// (1 − m²ⁿ) of it after n cycles.
    fn cycles(&self) -> u64 {
        (1e-6f64.ln() / self.m().powi(2).ln()).ceil().max(1.0) as u64
    }

    /// The sample variance of φ over independent chains, in the steady state. A sync acts on each element
    /// separately, so one tensor holds all chains.
    fn simulate(&self, chains: i64) -> f64 {
        // More threads gain little here, and lose much if tests share the cores.
        tch::set_num_threads(1);
        let (vs, x) = variable(&Tensor::full([chains], 5.0, (Kind::Float, Device::Cpu)));
        let mut opt = Lookahead::builder(nn::Sgd::default())
            .k(self.k)
            .alpha(self.alpha)
            .build(&vs, self.learning_rate)
            .unwrap();
        for _ in 0..self.cycles() {
            for _ in 0..self.k {
                let c = Tensor::randn([chains], (Kind::Float, Device::Cpu)) * SIGMA;
                let loss = (&x - c).square().sum(Kind::Float) * (0.5 * self.a);
                opt.backward_step(&loss).unwrap();
            }
        }
        let variance = opt.with_slow_weights(|| x.to_kind(Kind::Double).var(true)).unwrap();
        f64::try_from(variance).unwrap()
    }

    fn assert_simulation_agrees(&self, chains: i64) {
        let (measured, expected) = (self.simulate(chains), self.variance());
        // The sample variance of n independent normal values has the relative standard deviation
        // √(2 / (n − 1)).
        let sigmas = (measured / expected - 1.0) / (2.0 / (chains - 1) as f64).sqrt();
        println!("{self:?}: {measured:.6}, expected {expected:.6}, off by {sigmas:.2} sd");
        assert!(sigmas.abs() < 5.0, "{self:?}: {measured}, expected {expected}: {sigmas:.1} sd");
    }
}

#[test]
fn the_formula_of_the_steady_state_variance_gives_the_golden_ratios() {
    for (case, golden) in NOISY_QUADRATICS {
        let ratio = case.variance() / case.sgd().variance();
        assert!((ratio - golden).abs() < 5e-9, "{case:?}: {ratio:.10}");
    }
}

#[test]
fn the_exact_recursion_converges_to_the_steady_state_formula() {
    for (case, _) in NOISY_QUADRATICS {
        for case in [case, case.sgd()] {
            let (end, formula) = (case.variance_after(10_000), case.variance());
            assert!((end / formula - 1.0).abs() < 1e-11, "{case:?}: {end}, formula {formula}");
        }
    }
}

#[test]
fn noise_moves_the_slow_weights_as_the_formula_says() {
    tch::manual_seed(1);
    for (case, _) in NOISY_QUADRATICS {
        // One case takes 3,740 steps, the others 290 at most.
        case.assert_simulation_agrees(if case.a == 0.01 { 100_000 } else { 400_000 });
    }
}

#[test]
fn noise_moves_the_weights_at_alpha_one_as_it_moves_those_of_sgd() {
    tch::manual_seed(2);
    for (case, _) in NOISY_QUADRATICS {
        case.sgd().assert_simulation_agrees(400_000);
    }
}

// Second: the best α of a single sync.

/// L(x) = ½ xᵀAx − bᵀx with A_ij = 2^−|i−j|, which is positive definite: its eigenvalues lie
/// between 1/3 and 3.
struct Quadratic {
    a: Tensor,
    minimum: Tensor,
    start: Tensor,
}

impl Quadratic {
    fn new() -> Self {
        let i = Tensor::arange(8, (Kind::Double, Device::Cpu));
        let a = (-(i.unsqueeze(0) - i.unsqueeze(1)).abs()).exp2();
        Self { a, minimum: i.sin(), start: (&i * 2.0).cos() * 2.0 + 1.0 }
    }

    fn loss(&self, x: &Tensor) -> Tensor {
        let b = self.a.mv(&self.minimum);
        x.dot(&self.a.mv(x)) * 0.5 - b.dot(x)
    }

    /// θ after k steps of tch's own SGD.
    fn fast_weights_after(&self, k: u64, learning_rate: f64) -> Tensor {
        let (vs, x) = variable(&self.start);
        let mut sgd = nn::Sgd::default().build(&vs, learning_rate).unwrap();
        for _ in 0..k {
            sgd.backward_step(&self.loss(&x));
        }
        x.detach()
    }

    /// The loss at φ after the first sync.
    fn loss_after_sync(&self, k: u64, alpha: f64, learning_rate: f64) -> f64 {
        let (vs, x) = variable(&self.start);
        let mut opt = Lookahead::builder(nn::Sgd::default())
            .k(k)
            .alpha(alpha)
            .build(&vs, learning_rate)
            .unwrap();
        for _ in 0..k {
            opt.backward_step(&self.loss(&x)).unwrap();
        }
        let loss = opt.with_slow_weights(|| self.loss(&x)).unwrap();
        f64::try_from(loss).unwrap()
    }

    /// The minimum of the loss on the line from θ₀ to θ_k:
    /// α* = (θ₀ − θ*)ᵀ A (θ₀ − θ_k) / (θ₀ − θ_k)ᵀ A (θ₀ − θ_k).
    fn best_alpha(&self, k: u64, learning_rate: f64) -> f64 {
        let way = &self.start - self.fast_weights_after(k, learning_rate);
        let a_way = self.a.mv(&way);
        f64::try_from((&self.start - &self.minimum).dot(&a_way) / way.dot(&a_way)).unwrap()
    }
}

/// The grid of α in steps of 1 / `ALPHAS` up to 1.
const ALPHAS: u32 = 500;

/// The α of the grid with the least loss after a sync, and α*.
fn measured_and_best_alpha(k: u64, learning_rate: f64) -> (f64, f64) {
    let quadratic = Quadratic::new();
    let measured = (1..=ALPHAS)
        .map(|i| i as f64 / ALPHAS as f64)
        .map(|alpha| (quadratic.loss_after_sync(k, alpha, learning_rate), alpha))
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap()
        .1;
    let best = quadratic.best_alpha(k, learning_rate);
    println!("k {k}, learning rate {learning_rate}: best on the grid {measured}, α* {best}");
    (measured, best)
}

#[test]
fn if_the_inner_steps_overshoot_the_best_alpha_is_alpha_star() {
    // Along the steepest direction an inner step multiplies by 1 − 0.72 λ, below −0.8.
    for (k, learning_rate) in [(1, 0.72), (3, 0.72), (5, 0.72)] {
        let (measured, best) = measured_and_best_alpha(k, learning_rate);
        assert!(best > 0.1 && best < 0.9, "α* {best} shows nothing");
        assert!((measured - best).abs() <= 1.0 / ALPHAS as f64, "{measured}, α* {best}");
    }
}

#[test]
fn if_the_inner_steps_fall_short_alpha_star_is_above_one_and_the_best_alpha_is_one() {
    for (k, learning_rate) in [(1, 0.02), (5, 0.02), (5, 0.1)] {
        let (measured, best) = measured_and_best_alpha(k, learning_rate);
        assert!(best > 1.0, "α* {best} shows nothing");
        assert_eq!(measured, 1.0, "α* {best}");
    }
}

// Third: how fast it converges with momentum that is kept across syncs.

const K: u64 = 20;
const ALPHA: f64 = 0.5;
const MOMENTUM: f64 = 0.99;

type Matrix = [[f64; 2]; 2];

fn product(a: Matrix, b: Matrix) -> Matrix {
    let entry = |i: usize, j: usize| a[i][0] * b[0][j] + a[i][1] * b[1][j];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

/// What one cycle does to (θ, u) along an eigenvector, where the step s = γa is the learning rate
/// times the eigenvalue, and u = −γv is the momentum buffer v in units of θ.
///
/// SGD does v ← βv + aθ, then θ ← θ − γv. So u ← βu − sθ and θ ← θ + u, which is
/// H = [[1 − s, β], [−s, β]]. The sync mixes θ with the θ of the cycle's start and keeps u:
/// M = diag(1 − α, 0) + diag(α, 1) Hᵏ.
fn cycle(s: f64, alpha: f64) -> Matrix {
    let h = [[1.0 - s, MOMENTUM], [-s, MOMENTUM]];
    let h_k = (1..K).fold(h, |power, _| product(h, power));
    [[1.0 - alpha + alpha * h_k[0][0], alpha * h_k[0][1]], h_k[1]]
}

/// The largest modulus of the two eigenvalues, t/2 ± √(t²/4 − d) with trace t and determinant d.
fn spectral_radius(m: Matrix) -> f64 {
    let half_trace = (m[0][0] + m[1][1]) / 2.0;
    // t²/4 − d, in the form that does not cancel.
    let discriminant = ((m[0][0] - m[1][1]) / 2.0).powi(2) + m[0][1] * m[1][0];
    if discriminant >= 0.0 {
        half_trace.abs() + discriminant.sqrt()
    } else {
        // A complex pair: each has the modulus √d.
        (half_trace.powi(2) - discriminant).sqrt()
    }
}

/// The factor per inner step by which the error shrinks in the long run.
fn rate(s: f64, alpha: f64) -> f64 {
    spectral_radius(cycle(s, alpha)).powf(1.0 / K as f64)
}

#[test]
fn with_momentum_kept_every_cycle_is_the_matrix_m() {
    let eigenvalues = [1e-5, 1e-3, 0.1, 0.3, 0.7, 1.0];
    let mut largest_error: f64 = 0.0;
    for learning_rate in [0.02, 0.5, 2.0] {
        let (vs, x) = variable(&Tensor::ones([6], (Kind::Double, Device::Cpu)));
        let mut opt = Lookahead::builder(nn::sgd(MOMENTUM, 0.0, 0.0, false))
            .k(K)
            .alpha(ALPHA)
            .build(&vs, learning_rate)
            .unwrap();
        let mut expected = [[1.0, 0.0]; 6]; // (θ, u): no momentum yet
        for number in 1..=6 {
            for _ in 0..K {
                let loss = (x.square() * Tensor::from_slice(&eigenvalues)).sum(Kind::Double) * 0.5;
                opt.backward_step(&loss).unwrap();
            }
            let measured = Vec::<f64>::try_from(x.detach()).unwrap();
            for ((a, state), measured) in eigenvalues.iter().zip(&mut expected).zip(measured) {
                let m = cycle(learning_rate * a, ALPHA);
                *state = m.map(|row| row[0] * state[0] + row[1] * state[1]);
                let error = (measured / state[0] - 1.0).abs();
                largest_error = error.max(largest_error);
                assert!(
                    error < 1e-9,
                    "learning rate {learning_rate}, eigenvalue {a}, cycle {number}: \
                     {measured}, not {}",
                    state[0]
                );
            }
        }
    }
    println!("largest relative error {largest_error:.1e}");
}

/// 1 − ρ at the best learning rate of a fine grid. Momentum is stable up to γ = 2 (1 + β) = 3.98,
/// where the largest eigenvalue is 1.
fn best_speed(eigenvalues: &[f64], alpha: f64) -> f64 {
    let points = 40_000;
    let mut best = f64::INFINITY;
    for i in 0..=points {
        let learning_rate = 1e-3 * 4e3f64.powf(i as f64 / points as f64);
        let mut worst: f64 = 0.0;
        for a in eigenvalues {
            worst = worst.max(rate(learning_rate * a, alpha));
            if worst >= best {
                break;
            }
        }
        best = best.min(worst);
    }
    1.0 - best
}

fn assert_to_four_digits(speed: f64, golden: f64, what: &str) {
    println!("{what}: {speed:.6}");
    assert!((speed - golden).abs() <= 5e-5, "{what}: {speed:.6}, not {golden}");
}

/// 1 − ρ(M)^(1/k) at the best learning rate of each: Lookahead is twice as fast as momentum alone on
/// well-conditioned problems, and much slower on ill-conditioned ones.
///
/// At a large condition number κ Lookahead's numbers depend on the eigenvalues between 1/κ and 1: if they are few,
/// there is a learning rate at which every γa misses the values that converge slowly. These numbers are for 19
/// evenly spaced ones.
#[test]
fn momentum_and_lookahead_converge_at_the_golden_rates() {
    for (condition, momentum, lookahead) in
        [(10.0, 0.0050, 0.0103), (1e3, 0.0050, 0.0052), (1e5, 0.0050, 0.0013)]
    {
        let smallest: f64 = 1.0 / condition;
        let eigenvalues: Vec<f64> =
            (0..19).map(|i| smallest + (1.0 - smallest) * i as f64 / 18.0).collect();
        let what = format!("condition number {condition}");
        assert_to_four_digits(best_speed(&eigenvalues, 1.0), momentum, &what);
        assert_to_four_digits(best_speed(&eigenvalues, ALPHA), lookahead, &what);
    }
}

/// The same if every eigenvalue between 1/κ and 1 occurs. A grid of four million points gives Lookahead .010297,
/// .004984 and .000723, momentum 1 − √β.
#[test]
fn with_all_eigenvalues_lookahead_is_faster_than_momentum_only_at_a_small_condition_number() {
    // On a logarithmic scale the steps s = γa of a spectrum are a window of width ln κ, which the learning rate
    // moves.
    let (least, points) = (1e-6f64, 40_000);
    let step = (4.0 / least).ln() / points as f64;
    for alpha in [1.0, ALPHA] {
        let rates: Vec<f64> =
            (0..=points).map(|i| rate(least * (step * i as f64).exp(), alpha)).collect();
        for (condition, momentum, lookahead) in
            [(10.0f64, 0.0050, 0.0103), (1e3, 0.0050, 0.0050), (1e5, 0.0050, 0.0007)]
        {
            let width = (condition.ln() / step).ceil() as usize + 1;
            // The worst of each window, from those of windows half as wide.
            let (mut worst, mut span) = (rates.clone(), 1);
            while span < width {
                let shift = span.min(width - span);
                worst = worst.iter().zip(&worst[shift..]).map(|(a, b)| a.max(*b)).collect();
                span += shift;
            }
            let best = worst.into_iter().fold(f64::INFINITY, f64::min);
            let golden = if alpha == 1.0 { momentum } else { lookahead };
            let what = format!("α {alpha}, condition number {condition}");
            assert_to_four_digits(1.0 - best, golden, &what);
        }
    }
}
