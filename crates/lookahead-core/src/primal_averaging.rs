//! Primal averaging: GPA and Schedule-Free.

use lookahead_sys::arithmetic::lerp;
use lookahead_sys::average::{Averaged, Rule, average};
use tch::Tensor;

use crate::averaging_rule::{AveragingRule, Begins, Part, Slot};
use crate::range::require;
use crate::state::copy_like;
use crate::{AveragedOptimizer, Error, InnerOptimizer, Result, State, SyncPath};

/// Primal averaging around any inner optimizer A, with three points for each parameter:
///
/// ```text
/// y = μ_y x + (1 − μ_y) z                    the model: the gradient is computed here
/// z ← z + A(∇L(y))                           the inner optimizer's own point
/// x ← (1 − c) x + c z                        the mean, the result of the training
/// ```
///
/// | [`PrimalMean`] | c at step t | source |
/// |---|---|---|
/// | `Exponential` | 1 − μ_x | GPA: A. Defazio et al., *Generalized Primal Averaging*, arXiv 2512.17131 |
/// | `ScheduleFree` | w_t / Σ w, w_t = t^r · (largest learning rate so far)^p | A. Defazio et al., *The Road Less Scheduled*, arXiv 2405.15682 |
///
/// Where Lookahead averages every k steps, this averages at each: μ_x = 0.9^(1/k) forgets at the rate of a k of
/// Lookahead with α = 0.1. μ_x = 0 is the inner optimizer, to the bit. Around plain SGD with learning rate γ, μ_x =
/// μ_y = μ is Nesterov's momentum with learning rate (1 − μ) γ, and μ_y = 1 heavy-ball momentum.
///
/// The inner optimizer steps with z in the variables, so weight decay, decoupled or not, acts on z, as in the
/// authors' GPA. (Their Schedule-Free decays y.) With Schedule-Free turn off the inner optimizer's momentum, since μ_y
/// is in its place, and keep the learning rate constant after its warm-up.
///
/// x is in single precision for weights in half precision. z and y have the model's type.
///
/// ```
/// use lookahead_core::{Primal, PrimalAveraging, TchOptimizer, fused};
/// use tch::{Kind, nn};
///
/// let vs = nn::VarStore::new(tch::Device::Cpu);
/// let w = vs.root().ones("w", &[1]);
/// let inner = TchOptimizer::new(fused::AdamW::default().wd(0.1), &vs, 1e-3)?;
/// let mut opt = PrimalAveraging::new(inner, Primal::exponential(0.9967, 0.7))?;
/// for _ in 0..10 {
///     opt.backward_step(&w.square().sum(Kind::Float))?; // the gradient at y
/// }
/// let at_x = opt.with_result(|| w.double_value(&[0]))?;
/// opt.finish()?; // `vs` now holds x
/// assert_eq!(w.double_value(&[0]), at_x);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
pub type PrimalAveraging<O> = AveragedOptimizer<O, Primal>;

impl<O: InnerOptimizer> AveragedOptimizer<O, Primal> {
    /// Around this inner optimizer, with x and z at the present weights.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for settings that are out of range.
    pub fn new(inner: O, settings: Primal) -> Result<Self> {
        settings.check()?;
        AveragedOptimizer::from_parts(inner, settings)
    }
}

/// The settings of a [`PrimalAveraging`].
#[derive(Debug, Clone, PartialEq)]
pub struct Primal {
    mean: PrimalMean,
    mu_y: f64,
    /// Of each parameter group, with Schedule-Free's weights.
    groups: Vec<Weights>,
    /// c of each parameter group at this step.
    newest: Vec<f64>,
}

/// How the mean x of primal averaging weighs the steps.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum PrimalMean {
    /// An exponential moving average with the decay μ_x.
    Exponential {
        /// The decay, 0 ≤ μ_x < 1.
        mu_x: f64,
    },
    /// A mean of all steps, weighted by the largest learning rate so far, so that those of the warm-up count less.
    ScheduleFree {
        /// The power r of the step's number; 0 weighs all steps alike.
        r: f64,
        /// The power p of the largest learning rate so far.
        weight_lr_power: f64,
    },
}

/// What Schedule-Free keeps for a parameter group.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Weights {
    largest_learning_rate: f64,
    sum: f64,
}

impl Default for Primal {
    /// GPA with the authors' μ_x = 0.9967 and μ_y = 0.7.
    fn default() -> Self {
        Primal::exponential(0.9967, 0.7)
    }
}

impl Primal {
    /// GPA: an exponential moving average.
    pub fn exponential(mu_x: f64, mu_y: f64) -> Self {
        Primal::new(PrimalMean::Exponential { mu_x }, mu_y)
    }

    /// Schedule-Free with the authors' r = 0 and p = 2; `beta`, which is μ_y, is 0.9 by default there.
    pub fn schedule_free(beta: f64) -> Self {
        Primal::new(PrimalMean::ScheduleFree { r: 0.0, weight_lr_power: 2.0 }, beta)
    }

    /// With this mean x, and its part μ_y in y.
    pub fn new(mean: PrimalMean, mu_y: f64) -> Self {
        Primal { mean, mu_y, groups: Vec::new(), newest: Vec::new() }
    }

    /// How x weighs the steps.
    pub fn mean(&self) -> PrimalMean {
        self.mean
    }

    /// The part of x in y.
    pub fn mu_y(&self) -> f64 {
        self.mu_y
    }

    /// Checks all ranges.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for the first value out of range.
    pub fn check(&self) -> Result<()> {
        let allowed =
            "from 0, where the model is the inner optimizer's point, to 1, where it is the mean";
        require((0.0..=1.0).contains(&self.mu_y), "mu_y", self.mu_y, allowed)?;
        match self.mean {
            PrimalMean::Exponential { mu_x } => {
                let allowed = "at least 0, which is the inner optimizer, and below 1, in single precision too";
                require(mu_x >= 0.0 && (mu_x as f32) < 1.0, "mu_x", mu_x, allowed)
            }
            PrimalMean::ScheduleFree { r, weight_lr_power } => {
                let allowed = "from 0, which weighs all steps alike, to 100";
                require((0.0..=100.0).contains(&r), "r", r, allowed)?;
                let allowed = "from 0, which ignores the learning rate, to 100";
                let fits = (0.0..=100.0).contains(&weight_lr_power);
                require(fits, "weight_lr_power", weight_lr_power, allowed)
            }
        }
    }

    /// The weight of the newest z in x, of a parameter group.
    fn weight(&self, group: usize) -> f64 {
        match self.mean {
            PrimalMean::Exponential { mu_x } => 1.0 - mu_x,
            PrimalMean::ScheduleFree { .. } => self.newest.get(group).copied().unwrap_or(0.0),
        }
    }
}

const X: usize = 0;
const Z: usize = 1;
const SUM: &str = "weight_sum";
const LARGEST: &str = "largest_learning_rate";

#[allow(private_interfaces)]
impl AveragingRule for Primal {
    const SLOTS: &'static [Slot] = &[
        Slot { key: "average", wide: true, begins: Begins::Weights },
        Slot { key: "iterate", wide: false, begins: Begins::Weights },
    ];
    const RESULT: usize = X;
    const INNER_POINT: Option<usize> = Some(Z);

    fn needs_learning_rates(&self) -> bool {
        matches!(self.mean, PrimalMean::ScheduleFree { weight_lr_power, .. } if weight_lr_power > 0.0)
    }

    fn begin(&mut self, step: u64, learning_rates: &[f64]) {
        let PrimalMean::ScheduleFree { r, weight_lr_power } = self.mean else { return };
        // Without learning rates all groups weigh alike.
        let rates = if learning_rates.is_empty() { &[1.0] } else { learning_rates };
        self.groups.resize(rates.len().max(self.groups.len()), Weights::default());
        self.newest.clear();
        for (group, rate) in self.groups.iter_mut().zip(rates) {
            group.largest_learning_rate = group.largest_learning_rate.max(*rate);
            let weight = (step as f64).powf(r) * group.largest_learning_rate.powf(weight_lr_power);
            group.sum += weight;
            // A warm-up may begin at a learning rate of 0.
            self.newest.push(if group.sum > 0.0 { weight / group.sum } else { 0.0 });
        }
    }

    fn average(&self, parts: &[Part<'_>], path: SyncPath) -> Result<bool> {
        let one_group = self.newest.len() == 1;
        let all = parts.iter().map(|part| Averaged {
            mean: &part.slots[X],
            point: &part.slots[Z],
            model: part.model,
            weight: self.weight(if one_group { 0 } else { part.group }),
            ahead: self.mu_y,
        });
        Ok(average(all, Rule::Primal, path)?)
    }

    fn model(&self, slots: &[Tensor]) -> Result<Option<Tensor>> {
        let (x, z) = (&slots[X], &slots[Z]);
        if self.mu_y == 1.0 {
            return Ok(Some(x.f_to_kind(z.kind())?));
        }
        let mut y = copy_like(x, z)?;
        lerp(&mut y, x, self.mu_y)?;
        Ok(Some(y.f_to_kind(z.kind())?))
    }

    fn restart(&mut self) {
        self.groups.iter_mut().for_each(|group| group.sum = 0.0);
    }

    fn save(&self, state: &mut State) {
        for (group, weights) in self.groups.iter().enumerate() {
            state.numbers.insert(format!("{SUM}/{group}"), weights.sum);
            state.numbers.insert(format!("{LARGEST}/{group}"), weights.largest_learning_rate);
        }
    }

    fn loaded(&self, state: &State) -> Result<Self> {
        let mut loaded = Primal { groups: Vec::new(), newest: Vec::new(), ..self.clone() };
        if !matches!(self.mean, PrimalMean::ScheduleFree { .. }) {
            return Ok(loaded);
        }
        let read = |key: String| -> Result<f64> {
            let found = state.number(&key)?;
            if found >= 0.0 && found.is_finite() {
                return Ok(found);
            }
            let allowed = "finite and at least 0".to_owned();
            Err(Error::StateRange { key, found: found.to_string(), allowed })
        };
        let mut group = 0;
        while state.numbers.contains_key(&format!("{SUM}/{group}")) {
            let sum = read(format!("{SUM}/{group}"))?;
            let largest_learning_rate = read(format!("{LARGEST}/{group}"))?;
            loaded.groups.push(Weights { largest_learning_rate, sum });
            group += 1;
        }
        // Before the first step there are none.
        if group == 0 && state.integer("steps")? > 0 {
            return Err(Error::StateMissing { key: format!("{SUM}/0") });
        }
        Ok(loaded)
    }

    fn has_entry(&self, key: &str) -> bool {
        let known = |(part, group): (&str, &str)| {
            let group: Option<usize> = group.parse().ok();
            [SUM, LARGEST].contains(&part) && group.is_some_and(|g| g < self.groups.len())
        };
        key.split_once('/').is_some_and(known)
    }
}
