//! A mean of the weights beside the training, which never goes back into it.

mod in_model;

use std::collections::BTreeMap;

use lookahead_sys::arithmetic::{assign, lerp};
use lookahead_sys::average::{Averaged, Rule, average};
use tch::Tensor;

use crate::averaging_rule::{AveragingRule, Begins, Part, Slot};
use crate::range::{MOST_STEPS, check_decay};
use crate::state::{copy_like, in_range};
use crate::{AveragedOptimizer, Error, InnerOptimizer, Result, State, SyncPath};

/// A mean of the weights over the last steps of any inner optimizer, as the result of the training. The training
/// itself is that of the inner optimizer, to the bit.
///
/// Averaging over about 1 % of the run is best over many tasks, together with a decay of the learning rate, not
/// instead of it (N. Ajroldi, A. Orvieto, J. Geiping, *When, Where and Why to Average Weights?*, arXiv 2502.06761,
/// ICML 2025): [`TailMean::of_run`].
///
/// ```
/// use lookahead_core::{InnerOptimizer, TailAverage, TailMean, TchOptimizer, fused};
/// use tch::{Kind, nn};
///
/// let vs = nn::VarStore::new(tch::Device::Cpu);
/// let w = vs.root().ones("w", &[1]);
/// let sgd = TchOptimizer::new(fused::Sgd::default(), &vs, 0.25)?;
/// let mut opt = TailAverage::new(sgd, TailMean::exponential(0.5))?;
/// for _ in 0..2 {
///     opt.backward_step(&w.sum(Kind::Float))?; // 0.75, 0.5
/// }
/// assert_eq!(opt.with_result(|| w.double_value(&[0]))?, 0.625);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
pub type TailAverage<O> = AveragedOptimizer<O, Tail>;

impl<O: InnerOptimizer> AveragedOptimizer<O, Tail> {
    /// Around this inner optimizer.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for a decay that is out of range.
    pub fn new(inner: O, mean: TailMean) -> Result<Self> {
        mean.check()?;
        AveragedOptimizer::from_parts(inner, Tail { mean, count: 0 })
    }
}

/// Which mean of the weights, and from which step on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TailMean {
    /// The decay of an exponential moving average, from 0 to below 1; `None` for the plain mean (Polyak's).
    pub decay: Option<f64>,
    /// Steps at the start that are not averaged; until then the mean is the weights.
    pub start_step: u64,
}

impl TailMean {
    /// An exponential moving average over all steps.
    pub fn exponential(decay: f64) -> Self {
        TailMean { decay: Some(decay), start_step: 0 }
    }

    /// The mean of all steps.
    pub fn uniform() -> Self {
        TailMean { decay: None, start_step: 0 }
    }

    /// An exponential moving average over the last 1 % of a run of `steps` steps.
    ///
    /// ```
    /// use lookahead_core::TailMean;
    /// assert_eq!(TailMean::of_run(20_000).decay, Some(0.995));
    /// ```
    pub fn of_run(steps: u64) -> Self {
        let horizon = (steps as f64 / 100.0).max(1.0);
        TailMean::exponential(1.0 - 1.0 / horizon)
    }

    /// Checks the decay.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) if it is out of range.
    pub fn check(&self) -> Result<()> {
        let allowed = "at least 0 and below 1, in single precision too";
        self.decay.map_or(Ok(()), |decay| check_decay("decay", decay, allowed))
    }

    /// The weight of the newest of `count` values.
    fn weight(&self, count: u64) -> f64 {
        match (self.decay, count) {
            // The first one is the mean: the weights at the start are not in it.
            (_, 0 | 1) => 1.0,
            (None, count) => 1.0 / count as f64,
            (Some(decay), _) => 1.0 - decay,
        }
    }
}

/// Moves a mean towards `value`.
fn update(mean: &mut Tensor, value: &Tensor, weight: f64) -> Result<()> {
    if weight < 1.0 {
        if mean.kind() == value.kind() {
            return Ok(lerp(mean, value, weight)?);
        }
        return Ok(lerp(mean, &value.f_to_kind(mean.kind())?, weight)?);
    }
    Ok(assign(mean, value)?)
}

/// A mean of weights that a program gives itself, by name: of θ after each step, or of φ after each sync. Inside an
/// optimizer it is a [`TailAverage`].
///
/// ```
/// use lookahead_core::{TailMean, WeightAverage};
/// use tch::Tensor;
///
/// let weights = |value: f32| [("w".to_owned(), Tensor::from_slice(&[value]))];
/// let mut average = WeightAverage::new(TailMean::uniform(), weights(0.0))?;
/// average.update(1, weights(1.0))?;
/// average.update(2, weights(2.0))?;
/// assert_eq!(average.tensors()["w"], Tensor::from_slice(&[1.5f32]));
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug)]
pub struct WeightAverage {
    settings: TailMean,
    count: u64,
    mean: BTreeMap<String, Tensor>,
    /// How often the mean has changed.
    updates: u32,
}

impl WeightAverage {
    /// The mean of none, which is the weights.
    ///
    /// # Errors
    /// [`Setting`](Error::Setting) for a decay that is out of range.
    pub fn new(
        settings: TailMean,
        weights: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Result<Self> {
        settings.check()?;
        let _guard = tch::no_grad_guard();
        let copy = |(name, tensor): (String, Tensor)| Ok((name, copy_like(&tensor, &tensor)?));
        let mean = weights.into_iter().map(copy).collect::<Result<_>>()?;
        Ok(WeightAverage { settings, count: 0, mean, updates: 0 })
    }

    /// Adds the weights after step `step`, counted from 1. Those of other names than at the start are left out.
    pub fn update(
        &mut self,
        step: u64,
        weights: impl IntoIterator<Item = (String, Tensor)>,
    ) -> Result<()> {
        let _guard = tch::no_grad_guard();
        self.count += u64::from(step > self.settings.start_step);
        self.updates = self.updates.wrapping_add(1);
        let weight = self.settings.weight(self.count);
        for (name, value) in weights {
            if let Some(mean) = self.mean.get_mut(&name) {
                update(mean, &value, weight)?;
            }
        }
        Ok(())
    }

    /// Values that are in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean of each tensor.
    pub fn tensors(&self) -> &BTreeMap<String, Tensor> {
        &self.mean
    }

    /// The first name whose tensor in `saved` is missing or has another shape or element type.
    pub fn first_misfit(&self, saved: &BTreeMap<String, Tensor>) -> Option<&str> {
        let fits = |name: &str, mean: &Tensor| {
            saved.get(name).is_some_and(|t| t.size() == mean.size() && t.kind() == mean.kind())
        };
        self.mean.iter().find(|(name, mean)| !fits(name, mean)).map(|(name, _)| name.as_str())
    }

    /// Continues from a saved mean of `count` values.
    ///
    /// # Errors
    /// [`StateMissing`](Error::StateMissing) if a tensor does not fit; nothing has changed then.
    pub fn load(&mut self, count: u64, saved: &BTreeMap<String, Tensor>) -> Result<()> {
        if let Some(key) = self.first_misfit(saved) {
            return Err(Error::StateMissing { key: key.to_owned() });
        }
        let _guard = tch::no_grad_guard();
        for (name, mean) in &mut self.mean {
            assign(mean, &saved[name])?;
        }
        self.count = count;
        self.updates = self.updates.wrapping_add(1);
        Ok(())
    }
}

/// The rule of [`TailAverage`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tail {
    mean: TailMean,
    count: u64,
}

impl Tail {
    /// The settings.
    pub fn mean(&self) -> TailMean {
        self.mean
    }

    /// Steps that are in the mean.
    pub fn count(&self) -> u64 {
        self.count
    }
}

const COUNT: &str = "averaged";

#[allow(private_interfaces)]
impl AveragingRule for Tail {
    const SLOTS: &'static [Slot] =
        &[Slot { key: "average", wide: true, begins: Begins::FirstWeights }];
    const RESULT: usize = 0;
    const INNER_POINT: Option<usize> = None;

    fn begin(&mut self, step: u64, _: &[f64]) {
        self.count += u64::from(step > self.mean.start_step);
    }

    fn average(&self, parts: &[Part<'_>], path: SyncPath) -> Result<bool> {
        let weight = self.mean.weight(self.count);
        let all = parts.iter().map(|part| Averaged {
            mean: &part.slots[0],
            point: part.model,
            model: part.model,
            weight,
            ahead: 0.0,
        });
        Ok(average(all, Rule::Mean, path)?)
    }

    fn model(&self, _: &[Tensor]) -> Result<Option<Tensor>> {
        Ok(None)
    }

    fn save(&self, state: &mut State) {
        let count = i64::try_from(self.count).unwrap_or(MOST_STEPS);
        state.integers.insert(COUNT.to_owned(), count);
    }

    fn loaded(&self, state: &State) -> Result<Self> {
        Ok(Tail { count: in_range(state, COUNT, 0, MOST_STEPS)?, ..*self })
    }

    fn has_entry(&self, key: &str) -> bool {
        key == COUNT
    }
}
