//! EMA-Nesterov: each step begins ahead of the weights, along an average of their movement.

use lookahead_sys::average::{Averaged, Rule, average};
use tch::Tensor;

use crate::averaging_rule::{AveragingRule, Begins, Part, Slot};
use crate::range::{check_decay, require};
use crate::state::copy_like;
use crate::{AveragedOptimizer, Error, InnerOptimizer, Result, State, SyncPath};

/// EMA-Nesterov around any inner optimizer A: it steps from a point ahead of the weights θ, along a moving average m
/// of how θ has moved.
///
/// ```text
/// y = θ + β m                                the model: the gradient is computed here
/// θ' = A(y)                                  the inner optimizer's step from y
/// m ← γ m + (1 − γ) (θ' − θ)
/// θ ← θ'                                     the result of the training
/// ```
///
/// β is 0 in the first `start_step` steps, which only fill m, and from `end_step` on. With β = 0 it is the inner
/// optimizer, to the bit. After each step the model holds y for the next one already, so nothing must be called
/// before the forward pass; evaluate θ with [`with_result`](Self::with_result). m is in single precision for weights
/// in half precision.
///
/// Source: C.-Y. Yau et al., *EMA-Nesterov*, arXiv 2605.25395, 2026.
///
/// ```
/// use lookahead_core::{EmaNesterov, Extrapolation, TchOptimizer, fused};
/// use tch::{Kind, nn};
///
/// let vs = nn::VarStore::new(tch::Device::Cpu);
/// let w = vs.root().ones("w", &[1]);
/// let sgd = TchOptimizer::new(fused::Sgd::default(), &vs, 0.1)?;
/// let mut opt = EmaNesterov::new(sgd, Extrapolation { beta: 0.5, gamma: 0.9, ..Default::default() })?;
/// opt.backward_step(&w.sum(Kind::Float))?;
/// // θ = 0.9 and m = −0.01, so the model is at 0.895.
/// assert!((opt.with_result(|| w.double_value(&[0]))? - 0.9).abs() < 1e-6);
/// assert!((w.double_value(&[0]) - 0.895).abs() < 1e-6);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
pub type EmaNesterov<O> = AveragedOptimizer<O, Nesterov>;

impl<O: InnerOptimizer> AveragedOptimizer<O, Nesterov> {
    /// Around this inner optimizer, with θ at the present weights and m = 0.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for settings that are out of range.
    pub fn new(inner: O, settings: Extrapolation) -> Result<Self> {
        settings.check()?;
        AveragedOptimizer::from_parts(inner, Nesterov { settings, ahead: 0.0 })
    }

    /// Sets β from the next step on: the authors let it fall with the learning rate.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) if it is out of range.
    pub fn set_beta(&mut self, beta: f64) -> Result<()> {
        let settings = Extrapolation { beta, ..self.rule().settings };
        settings.check()?;
        self.rule_mut().settings = settings;
        Ok(())
    }
}

/// The settings of an [`EmaNesterov`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extrapolation {
    /// How far ahead the gradient is computed: β ≥ 0, 0.3 by default.
    pub beta: f64,
    /// The decay of the average movement, 0 ≤ γ < 1, 0.99 by default.
    pub gamma: f64,
    /// Steps at the start with β = 0; none by default.
    pub start_step: u64,
    /// The number of steps after which β is 0 again, for the end of a training; never by default.
    pub end_step: Option<u64>,
}

impl Default for Extrapolation {
    fn default() -> Self {
        Extrapolation { beta: 0.3, gamma: 0.99, start_step: 0, end_step: None }
    }
}

impl Extrapolation {
    /// Checks all ranges.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for the first value out of range.
    pub fn check(&self) -> Result<()> {
        let allowed = "a finite number of at least 0, which is the inner optimizer";
        let fits = self.beta >= 0.0 && (self.beta as f32).is_finite();
        require(fits, "beta", self.beta, allowed)?;
        let allowed = "at least 0, which averages nothing, and below 1, in single precision too";
        check_decay("gamma", self.gamma, allowed)
    }

    /// β after `steps` steps.
    fn beta_after(&self, steps: u64) -> f64 {
        let on = steps >= self.start_step && self.end_step.is_none_or(|end| steps < end);
        if on { self.beta } else { 0.0 }
    }
}

/// The rule of [`EmaNesterov`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nesterov {
    settings: Extrapolation,
    /// The β of the point that the model holds.
    ahead: f64,
}

impl Nesterov {
    /// The settings.
    pub fn settings(&self) -> Extrapolation {
        self.settings
    }
}

const M: usize = 0;
const THETA: usize = 1;
const AHEAD: &str = "ahead";

#[allow(private_interfaces)]
impl AveragingRule for Nesterov {
    const SLOTS: &'static [Slot] = &[
        Slot { key: "movement", wide: true, begins: Begins::Zero },
        Slot { key: "iterate", wide: false, begins: Begins::Weights },
    ];
    const RESULT: usize = THETA;
    const INNER_POINT: Option<usize> = None;
    const ENDS_INNER: bool = true;

    fn begin(&mut self, step: u64, _: &[f64]) {
        self.ahead = self.settings.beta_after(step);
    }

    fn average(&self, parts: &[Part<'_>], path: SyncPath) -> Result<bool> {
        let all = parts.iter().map(|part| Averaged {
            mean: &part.slots[M],
            point: &part.slots[THETA],
            model: part.model,
            weight: 1.0 - self.settings.gamma,
            ahead: self.ahead,
        });
        Ok(average(all, Rule::Nesterov, path)?)
    }

    fn moves_model(&self) -> bool {
        self.ahead != 0.0
    }

    fn model(&self, slots: &[Tensor]) -> Result<Option<Tensor>> {
        let (m, theta) = (&slots[M], &slots[THETA]);
        if self.ahead == 0.0 {
            return Ok(Some(theta.shallow_clone()));
        }
        let mut ahead = copy_like(m, m)?;
        lookahead_sys::arithmetic::scale(&mut ahead, self.ahead)?;
        let y = theta.f_to_kind(m.kind())?.f_add(&ahead)?;
        Ok(Some(y.f_to_kind(theta.kind())?))
    }

    fn restart(&mut self) {
        self.ahead = 0.0;
    }

    fn save(&self, state: &mut State) {
        state.numbers.insert(AHEAD.to_owned(), self.ahead);
    }

    fn loaded(&self, state: &State) -> Result<Self> {
        let ahead = state.number(AHEAD)?;
        if ahead >= 0.0 && ahead.is_finite() {
            return Ok(Nesterov { ahead, ..*self });
        }
        let allowed = "finite and at least 0".to_owned();
        Err(Error::StateRange { key: AHEAD.to_owned(), found: ahead.to_string(), allowed })
    }

    fn has_entry(&self, key: &str) -> bool {
        key == AHEAD
    }
}
