//! Theory of the outer momentum on quadratics, compared with the real optimizer.
//!
//! Along an eigenvector with eigenvalue a, SGD leaves r = (1 − γa)ᵏ of φ in θ after k steps, so that with s = 1 − r the
//! difference φ − θ is sφ. Nesterov's form of the outer step, b ← μb + sφ and φ ← φ − α (sφ + μb), is then
//! (φ, b) ← M (φ, b) with
//!
//! ```text
//! M = [ 1 − αs (1 + μ)   −αμ² ]
//!     [ s                  μ  ]
//! ```
//!
//! and the error shrinks by ρ(M)^(1/k) in each inner step. Noise ξ in θ adds (α (1 + μ), −1) ξ, and the variance in the
//! steady state is that of P = M P Mᵀ + σ_ξ² v vᵀ. With α inside the velocity u = αb it is the same.

use lookahead_core::{AlphaPlacement, Builder, FromConfig, Lookahead};
use tch::nn;
use tch::{Device, Kind, Tensor};

type Matrix = [[f64; 2]; 2];

/// Plain interpolation with μ = 0.
#[derive(Debug, Clone, Copy)]
struct Outer {
    alpha: f64,
    momentum: f64,
}

const GD: Outer = Outer { alpha: 1.0, momentum: 0.0 };
const HALF: Outer = Outer { alpha: 0.5, momentum: 0.0 };
const AUTHORS: Outer = Outer { alpha: 0.8, momentum: 0.0 };
const BEYOND: Outer = Outer { alpha: 1.5, momentum: 0.0 };
const SNOO: Outer = Outer { alpha: 0.8, momentum: 0.75 };
const RECORD: Outer = Outer { alpha: 0.68, momentum: 0.37 };
const DILOCO: Outer = Outer { alpha: 0.7, momentum: 0.9 };
const MULOCO: Outer = Outer { alpha: 0.7, momentum: 0.6 };

const PLACEMENTS: [AlphaPlacement; 2] = [AlphaPlacement::Outside, AlphaPlacement::Inside];

impl Outer {
    fn matrix(self, s: f64) -> Matrix {
        let Outer { alpha, momentum } = self;
        [[1.0 - alpha * s * (1.0 + momentum), -alpha * momentum.powi(2)], [s, momentum]]
    }

    fn builder(self) -> Builder<FromConfig<nn::Sgd>> {
        let builder = Lookahead::builder(nn::Sgd::default()).alpha(self.alpha).extrapolate(true);
        builder.outer_momentum(self.momentum).outer_nesterov(true)
    }

    /// 1 − ρ(M)^(1/k) of the slowest of 60 eigenvalues from 1/κ to 1, k 5, at the best γ of a grid.
    fn best_speed(self, condition: f64) -> f64 {
        let eigenvalues: Vec<f64> =
            (0..60).map(|i| condition.powf(f64::from(i) / 59.0 - 1.0)).collect();
        let slowest = |learning_rate: f64| {
            let radius =
                |a: &f64| spectral_radius(self.matrix(1.0 - (1.0 - learning_rate * a).powi(5)));
            eigenvalues.iter().map(radius).fold(0.0, f64::max)
        };
        let best = (5..=195).map(|i| slowest(f64::from(i) / 100.0)).fold(f64::INFINITY, f64::min);
        1.0 - best.powf(0.2)
    }
}

/// The largest modulus of the two eigenvalues.
fn spectral_radius(m: Matrix) -> f64 {
    let half_trace = (m[0][0] + m[1][1]) / 2.0;
    let discriminant = ((m[0][0] - m[1][1]) / 2.0).powi(2) + m[0][1] * m[1][0];
    if discriminant >= 0.0 {
        half_trace.abs() + discriminant.sqrt()
    } else {
        (half_trace.powi(2) - discriminant).sqrt()
    }
}

/// 1 − ρ for condition numbers 10, 100, 1e3 and 1e4. Each momentum has the condition number that it is good for.
#[test]
fn the_outer_steps_converge_at_the_golden_rates() {
    for (outer, golden) in [
        (GD, [".181", ".0195", ".00195", ".00019"]),
        (HALF, [".0772", ".0096", ".00097", ".00010"]),
        (AUTHORS, [".140", ".0155", ".00156", ".00016"]),
        (SNOO, [".0963", ".0358", ".00678", ".00063"]),
        (RECORD, [".147", ".0217", ".00211", ".00021"]),
        (DILOCO, [".0699", ".0172", ".01116", ".00146"]),
        (MULOCO, [".107", ".0562", ".00348", ".00034"]),
        (BEYOND, [".130", ".0267", ".00269", ".00027"]),
    ] {
        for (power, golden) in (1..).zip(golden) {
            let speed = outer.best_speed(10f64.powi(power));
            let digits = golden.len() as i32 - 1;
            let off = (speed - golden.parse::<f64>().unwrap()).abs();
            assert!(off <= 0.51 * 10f64.powi(-digits), "{outer:?}, 1e{power}: {speed:.6}");
        }
    }
}

/// The φ of four syncs in a row determine the two coefficients of φ_{n+2} = t φ_{n+1} − d φ_n, of which the eigenvalues
/// of M are the roots.
#[test]
fn runs_converge_at_the_rate_of_the_matrix() {
    let (k, learning_rate) = (5, 0.4);
    let eigenvalues = [1.0, 0.4, 0.1, 0.03];
    for outer in [SNOO, RECORD, DILOCO, MULOCO, Outer { alpha: 1.2, momentum: 0.5 }] {
        for placement in PLACEMENTS {
            let vs = nn::VarStore::new(Device::Cpu);
            let start = Tensor::ones([4], (Kind::Double, Device::Cpu));
            let x = vs.root().add("x", start, true);
            let builder = outer.builder().k(k).alpha_placement(placement);
            let mut opt = builder.build(&vs, learning_rate).unwrap();
            let mut slow = vec![Vec::<f64>::try_from(x.detach()).unwrap()];
            for _ in 0..3 {
                for _ in 0..k {
                    let loss = (x.square() * Tensor::from_slice(&eigenvalues)).sum(Kind::Double);
                    opt.backward_step(&(loss * 0.5)).unwrap();
                }
                slow.push(Vec::try_from(x.detach()).unwrap());
            }
            for (i, a) in eigenvalues.iter().enumerate() {
                let [p, q, r, z] = [0, 1, 2, 3].map(|sync: usize| slow[sync][i]);
                let below = q * q - p * r;
                let (t, d) = ((q * r - p * z) / below, (r * r - q * z) / below);
                let measured = spectral_radius([[t, -d], [1.0, 0.0]]);
                let s = 1.0 - (1.0 - learning_rate * a).powi(k as i32);
                let expected = spectral_radius(outer.matrix(s));
                let error = (measured / expected).powf(1.0 / k as f64) - 1.0;
                assert!(
                    error.abs() < 1e-9,
                    "{outer:?}, {placement:?}, a {a}: {measured}, {expected}"
                );
            }
        }
    }
}

/// A quadratic whose minimum is drawn from N(0, 1) at each step.
#[derive(Debug, Clone, Copy)]
struct Noisy {
    a: f64,
    learning_rate: f64,
    k: u64,
    outer: Outer,
}

/// Each with the variance of φ in the steady state.
fn noisy_quadratics() -> Vec<(Noisy, f64)> {
    let at_one = |outer| Noisy { a: 1.0, learning_rate: 0.5, k: 5, outer };
    vec![
        (at_one(HALF), 0.11340206),
        (at_one(SNOO), 0.67819549),
        (at_one(RECORD), 0.30115569),
        (at_one(MULOCO), 0.43561933),
        (at_one(DILOCO), 0.64301914),
        (Noisy { a: 0.1, ..at_one(SNOO) }, 0.06466876),
        (Noisy { a: 0.01, learning_rate: 1.0, k: 20, outer: SNOO }, 0.01312443),
    ]
}

impl Noisy {
    fn matrix(&self) -> Matrix {
        self.outer.matrix(1.0 - (1.0 - self.learning_rate * self.a).powf(self.k as f64))
    }

    /// P₁₁ of P = M P Mᵀ + σ_ξ² v vᵀ with v = (α (1 + μ), −1).
    fn variance(&self) -> f64 {
        let q = 1.0 - self.learning_rate * self.a;
        let inner = (1.0 - q.powf(2.0 * self.k as f64)) / (1.0 - q.powi(2));
        let noise = (self.learning_rate * self.a).powi(2) * inner;
        let v = [self.outer.alpha * (1.0 + self.outer.momentum), -1.0];
        let m = self.matrix();
        let mut p = [[0.0; 2]; 2];
        for _ in 0..1000 {
            let entry = |i: usize, j: usize| {
                let carried: f64 =
                    (0..4).map(|n| m[i][n / 2] * p[n / 2][n % 2] * m[j][n % 2]).sum();
                carried + noise * v[i] * v[j]
            };
            p = [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]];
        }
        p[0][0]
    }

    /// The sample variance of φ over independent chains, in the steady state.
    fn simulate(&self, chains: i64, placement: AlphaPlacement) -> f64 {
        tch::set_num_threads(1);
        let vs = nn::VarStore::new(Device::Cpu);
        let x = vs.root().zeros("x", &[chains]);
        let builder = self.outer.builder().k(self.k).alpha_placement(placement);
        let mut opt = builder.build(&vs, self.learning_rate).unwrap();
        // What is left of the start's variance is a millionth.
        let cycles = (1e-6f64.ln() / spectral_radius(self.matrix()).powi(2).ln()).ceil() as u64;
        for _ in 0..cycles.max(3) * self.k {
            let c = Tensor::randn([chains], (Kind::Float, Device::Cpu));
            let loss = (&x - c).square().sum(Kind::Float) * (0.5 * self.a);
            opt.backward_step(&loss).unwrap();
        }
        let variance = opt.with_slow_weights(|| x.to_kind(Kind::Double).var(true)).unwrap();
        f64::try_from(variance).unwrap()
    }
}

#[test]
fn the_steady_state_variance_has_the_golden_values() {
    for (case, golden) in noisy_quadratics() {
        let variance = case.variance();
        assert!((variance - golden).abs() < 6e-9, "{case:?}: {variance:.9}");
    }
}

#[test]
fn noise_moves_the_slow_weights_as_the_theory_says() {
    tch::manual_seed(3);
    for (case, golden) in noisy_quadratics() {
        for placement in PLACEMENTS {
            let chains = 100_000;
            let measured = case.simulate(chains, placement);
            let sigmas = (measured / golden - 1.0) / (2.0 / (chains - 1) as f64).sqrt();
            println!("{case:?}, {placement:?}: {measured:.6}, expected {golden}, {sigmas:.2} sd");
            assert!(sigmas.abs() < 5.0, "{case:?}, {placement:?}: {measured}, not {golden}");
        }
    }
}
