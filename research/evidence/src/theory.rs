//! What theory predicts for SGD and Lookahead on quadratic functions, in numbers.
//!
//! Directions don't mix, so each is one line of arithmetic. On the noisy quadratic model a step with
//! learning rate γ in a direction of curvature a takes x to r·x + γa·c with r = 1 − γa, where c is drawn
//! with mean 0 and variance σ². Zhang, Lucas, Hinton, Ba, *Lookahead Optimizer: k steps forward, 1 step
//! back*, NeurIPS 2019, section 3.

/// An optimizer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stepper {
    /// Learning rate γ.
    pub learning_rate: f64,
    /// Lookahead's k and α around it; `None` for SGD alone.
    pub lookahead: Option<(u32, f64)>,
}

/// One direction of the noisy quadratic model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Direction {
    /// Its curvature a.
    pub curvature: f64,
    /// The variance of c.
    pub variance: f64,
}

/// The directions of the trainer's noisy quadratic model: curvatures 1/i, and variances s²/aᵢ.
pub fn harmonic(dimensions: u32, noise: f64) -> Vec<Direction> {
    let direction = |i: u32| {
        let i = f64::from(i);
        Direction { curvature: 1.0 / i, variance: noise * noise * i }
    };
    (1..=dimensions).map(direction).collect()
}

/// Mean and variance of x in one direction after some steps.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Moments {
    mean: f64,
    variance: f64,
}

impl Stepper {
    /// Whether the inner steps shrink every direction. (If they don't, Lookahead still may.)
    pub fn is_stable(&self, directions: &[Direction]) -> bool {
        directions.iter().all(|direction| self.contraction(direction).abs() < 1.0)
    }

    /// The length of a period in steps: k with Lookahead, otherwise 1.
    pub fn period(&self) -> u32 {
        self.lookahead.map_or(1, |(k, _)| k)
    }

    /// What the mean is multiplied by in a period.
    fn contraction(&self, direction: &Direction) -> f64 {
        let r = 1.0 - self.learning_rate * direction.curvature;
        match self.lookahead {
            None => r,
            Some((k, alpha)) => 1.0 - alpha + alpha * r.powi(k as i32),
        }
    }

    /// The variance that a period adds.
    fn added(&self, direction: &Direction) -> f64 {
        let r = 1.0 - self.learning_rate * direction.curvature;
        let once = (1.0 - r).powi(2) * direction.variance;
        match self.lookahead {
            None => once,
            Some((k, alpha)) => {
                let steps: f64 = (0..k).map(|i| r.powi(2 * i as i32)).sum();
                alpha * alpha * once * steps
            }
        }
    }

    /// The expected loss above the least one, ½ Σ aᵢ times the mean of xᵢ², at the start, where every xᵢ is 1, and
    /// after each of the periods.
    pub fn expected_risk(&self, directions: &[Direction], periods: usize) -> Vec<f64> {
        let mut all = vec![0.0; periods + 1];
        for direction in directions {
            let (contraction, added) = (self.contraction(direction), self.added(direction));
            let mut now = Moments { mean: 1.0, variance: 0.0 };
            for risk in &mut all {
                *risk += 0.5 * direction.curvature * (now.mean * now.mean + now.variance);
                now.mean *= contraction;
                now.variance = contraction * contraction * now.variance + added;
            }
        }
        all
    }

    /// The same after the last of the periods alone.
    pub fn expected_risk_after(&self, directions: &[Direction], periods: u32) -> f64 {
        let of = |direction: &Direction| {
            let square = self.contraction(direction).powi(2);
            let shrunk = square.powi(periods as i32);
            let grown = if (1.0 - square).abs() < 1e-12 {
                f64::from(periods)
            } else {
                (1.0 - shrunk) / (1.0 - square)
            };
            0.5 * direction.curvature * (shrunk + self.added(direction) * grown)
        };
        directions.iter().map(of).sum()
    }

    /// The steady-state variance in one direction; infinite if there is none.
    pub fn steady_variance(&self, direction: &Direction) -> f64 {
        let square = self.contraction(direction).powi(2);
        if square >= 1.0 {
            return f64::INFINITY;
        }
        self.added(direction) / (1.0 - square)
    }

    /// The steady-state expected loss above the minimum.
    pub fn steady_risk(&self, directions: &[Direction]) -> f64 {
        let of = |direction: &Direction| direction.curvature * self.steady_variance(direction);
        0.5 * directions.iter().map(of).sum::<f64>()
    }
}

/// The curvatures of the trainer's deterministic quadratic: from 1 to 1/κ in equal ratios.
pub fn geometric(dimensions: u32, condition: f64) -> Vec<f64> {
    let last = f64::from(dimensions.max(2) - 1);
    (0..dimensions).map(|i| condition.powf(-f64::from(i) / last)).collect()
}

/// Classical momentum on a quadratic function without noise, alone or inside Lookahead, whose velocity
/// is kept at a sync.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Momentum {
    /// Learning rate γ.
    pub learning_rate: f64,
    /// Momentum β.
    pub momentum: f64,
    /// Lookahead's k and α around it.
    pub lookahead: Option<(u32, f64)>,
}

type Matrix = [[f64; 2]; 2];

impl Momentum {
    /// The factor by which a step shrinks the distance to the minimum in the long run, in the direction
    /// in which it shrinks least: at 1 or more, the optimizer doesn't converge.
    pub fn rate(&self, curvatures: &[f64]) -> f64 {
        curvatures.iter().map(|&curvature| self.rate_at(curvature)).fold(0.0, f64::max)
    }

    /// The spectral radius of a period's map of (x, v), to the power of one over its steps.
    fn rate_at(&self, curvature: f64) -> f64 {
        let (pull, beta) = (self.learning_rate * curvature, self.momentum);
        let step: Matrix = [[1.0 - pull, beta], [-pull, beta]];
        match self.lookahead {
            None => spectral_radius(step),
            Some((k, alpha)) => {
                let mut cycle: Matrix = [[1.0, 0.0], [0.0, 1.0]];
                for _ in 0..k {
                    cycle = product(step, cycle);
                }
                let [[xx, xv], [vx, vv]] = cycle;
                let synced = [[1.0 - alpha + alpha * xx, alpha * xv], [vx, vv]];
                spectral_radius(synced).powf(1.0 / f64::from(k))
            }
        }
    }

    /// The loss ½ Σ aᵢxᵢ² after each step, from every xᵢ = 1 at rest; at a sync it is that at φ.
    pub fn losses(&self, curvatures: &[f64], steps: usize) -> Vec<f64> {
        let mut losses = vec![0.0; steps + 1];
        for &curvature in curvatures {
            let (mut x, mut v, mut slow) = (1.0f64, 0.0, 1.0);
            losses[0] += 0.5 * curvature;
            for (step, loss) in (1u64..).zip(&mut losses[1..]) {
                v = self.momentum * v - self.learning_rate * curvature * x;
                x += v;
                if let Some((k, alpha)) = self.lookahead
                    && step.is_multiple_of(u64::from(k))
                {
                    slow += alpha * (x - slow);
                    x = slow;
                }
                *loss += 0.5 * curvature * x * x;
            }
        }
        losses
    }

    /// The best rate that any learning rate reaches, and that learning rate: by a fine grid in equal
    /// ratios and a finer one around its best.
    pub fn at_its_best(self, curvatures: &[f64]) -> (f64, f64) {
        let rate = |learning_rate: f64| Momentum { learning_rate, ..self }.rate(curvatures);
        let best = |from: f64, to: f64, count: u32| {
            let all = (0..=count).map(|i| from * (to / from).powf(f64::from(i) / f64::from(count)));
            all.map(|lr| (rate(lr), lr))
                .fold((f64::INFINITY, 0.0), |a, b| if b.0 < a.0 { b } else { a })
        };
        let largest = curvatures.iter().copied().fold(f64::MIN_POSITIVE, f64::max);
        let smallest = curvatures.iter().copied().fold(f64::INFINITY, f64::min);
        let coarse = best(1e-4 / largest, 4.0 / largest.min(1.0).max(smallest), 400);
        let fine = best(coarse.1 / 1.06, coarse.1 * 1.06, 200);
        if fine.0 < coarse.0 { fine } else { coarse }
    }
}

fn product(a: Matrix, b: Matrix) -> Matrix {
    let entry = |row: usize, column: usize| a[row][0] * b[0][column] + a[row][1] * b[1][column];
    [[entry(0, 0), entry(0, 1)], [entry(1, 0), entry(1, 1)]]
}

fn spectral_radius([[a, b], [c, d]]: Matrix) -> f64 {
    let (half, determinant) = ((a + d) / 2.0, a * d - b * c);
    let discriminant = half * half - determinant;
    if discriminant < 0.0 {
        // Two conjugate eigenvalues: the determinant is the square of their size.
        determinant.sqrt()
    } else {
        half.abs() + discriminant.sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: f64, expected: f64, within: f64) {
        assert!((found / expected - 1.0).abs() < within, "{found} for {expected}");
    }

    /// The closed form of the paper's proposition 2, against values computed from it elsewhere.
    #[test]
    fn steady_variance_has_the_ratio_of_the_closed_form() {
        for (curvature, learning_rate, k, alpha, ratio) in [
            (1.0, 0.5, 5, 0.5, 0.340_206_19),
            (1.0, 1.5, 5, 0.5, 0.326_315_79),
            (0.1, 0.5, 5, 0.5, 0.470_027_53),
            (1.0, 0.1, 10, 0.8, 0.729_536_52),
            (0.01, 1.0, 20, 0.2, 0.185_162_37),
            (1.0, 1.0, 5, 0.5, 1.0 / 3.0),
        ] {
            let direction = Direction { curvature, variance: 2.0 };
            let sgd = Stepper { learning_rate, lookahead: None };
            let lookahead = Stepper { lookahead: Some((k, alpha)), ..sgd };
            let found = lookahead.steady_variance(&direction) / sgd.steady_variance(&direction);
            near(found, ratio, 1e-7);
        }
    }

    #[test]
    fn risk_after_some_periods_is_the_end_of_the_course_and_comes_to_the_steady_one() {
        let directions = harmonic(10, 0.7);
        for lookahead in [None, Some((5, 0.5)), Some((1, 1.0))] {
            let stepper = Stepper { learning_rate: 0.4, lookahead };
            let course = stepper.expected_risk(&directions, 50);
            near(course[50], stepper.expected_risk_after(&directions, 50), 1e-12);
            near(course[0], 0.5 * directions.iter().map(|d| d.curvature).sum::<f64>(), 1e-12);
            let late = stepper.expected_risk_after(&directions, 100_000);
            near(late, stepper.steady_risk(&directions), 1e-9);
        }
        let sgd = Stepper { learning_rate: 0.4, lookahead: None };
        let whole = Stepper { learning_rate: 0.4, lookahead: Some((1, 1.0)) };
        assert_eq!(sgd.expected_risk(&directions, 9), whole.expected_risk(&directions, 9));
        let wild = Stepper { learning_rate: 2.5, lookahead: None };
        assert!(!wild.is_stable(&directions) && wild.steady_risk(&directions).is_infinite());
    }

    /// A step by hand: x = 1, a = 1, γ = ½, σ² = 4: mean ½, variance ¼·4.
    #[test]
    fn one_step_by_hand() {
        let direction = [Direction { curvature: 1.0, variance: 4.0 }];
        let sgd = Stepper { learning_rate: 0.5, lookahead: None };
        assert_eq!(sgd.expected_risk(&direction, 1), [0.5, 0.5 * (0.25 + 1.0)]);
        // Half of the way after one step: mean ¾, variance ¼.
        let half = Stepper { lookahead: Some((1, 0.5)), ..sgd };
        assert_eq!(half.expected_risk(&direction, 1), [0.5, 0.5 * (0.5625 + 0.25)]);
    }

    /// Without Lookahead the rate at the best β is known: (√κ − 1)/(√κ + 1) (Polyak, 1964).
    #[test]
    fn the_rate_of_momentum_is_polyaks() {
        let condition: f64 = 100.0;
        let beta = ((condition.sqrt() - 1.0) / (condition.sqrt() + 1.0)).powi(2);
        let rate = Momentum {
            learning_rate: (2.0 / (1.0 + condition.recip().sqrt())).powi(2),
            momentum: beta,
            lookahead: None,
        }
        .rate(&[1.0, 1.0 / condition]);
        near(rate, 9.0 / 11.0, 1e-6);
    }

    /// Against the same product multiplied out on (x, v) for many cycles.
    #[test]
    fn the_rate_is_that_of_steps_taken() {
        for lookahead in [None, Some((20, 0.5)), Some((3, 0.8))] {
            let optimizer = Momentum { learning_rate: 0.3, momentum: 0.9, lookahead };
            let (mut x, mut v, mut slow, curvature) = (1.0f64, 0.0, 1.0, 0.05);
            let mut log = Vec::new();
            for step in 1..=60_000u32 {
                v = 0.9 * v - 0.3 * curvature * x;
                x += v;
                if let Some((k, alpha)) = lookahead
                    && step % k == 0
                {
                    slow += alpha * (x - slow);
                    x = slow;
                }
                if step % 60 == 0 {
                    log.push((x * x + v * v).sqrt().ln());
                    // Far from overflow and underflow.
                    let size = (x * x + v * v).sqrt();
                    (x, v, slow) = (x / size, v / size, slow / size);
                }
            }
            let mean = log[20..].iter().sum::<f64>() / (log.len() - 20) as f64 / 60.0;
            near(optimizer.rate(&[curvature]), mean.exp(), 2e-4);
        }
    }

    /// k = 2, α = ½, γ = ½, β = ½, a = 1: v = −½, x = ½; v = −½, x = 0, φ = ½; v = −½, x = 0.
    #[test]
    fn losses_by_hand() {
        let optimizer = Momentum { learning_rate: 0.5, momentum: 0.5, lookahead: Some((2, 0.5)) };
        assert_eq!(optimizer.losses(&[1.0], 3), [0.5, 0.125, 0.125, 0.0]);
    }

    #[test]
    fn the_best_learning_rate_is_no_worse_than_its_neighbours() {
        let curvatures = geometric(50, 1000.0);
        assert_eq!((curvatures[0], curvatures[49]), (1.0, 1e-3));
        for lookahead in [None, Some((20, 0.5))] {
            let any = Momentum { learning_rate: 0.0, momentum: 0.99, lookahead };
            let (rate, learning_rate) = any.at_its_best(&curvatures);
            for factor in [0.5, 0.9, 1.1, 2.0] {
                let other = Momentum { learning_rate: learning_rate * factor, ..any };
                assert!(other.rate(&curvatures) >= rate - 1e-9, "{factor}");
            }
            assert!(rate < 1.0);
        }
    }
}
