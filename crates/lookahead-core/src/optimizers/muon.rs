//! Muon.

use tch::Tensor;

use lookahead_sys::muon as kernel;

use crate::range::{check_momentum, require};
use crate::{Error, Parameter, ParameterStep, Result, Step, StepRule};

/// Muon (K. Jordan et al., [2024](https://kellerjordan.github.io/posts/muon/)): momentum whose matrices are
/// orthogonalized, so that every direction of a step has about the same length. The rule is `torch.optim.Muon`'s.
///
/// With θ the weights, an r × c matrix, g the gradient, γ the learning rate, λ the weight decay and μ the momentum:
///
/// ```text
/// m ← m + (1 − μ)(g − m)                  m starts at 0
/// u = g + μ (m − g)                       not Nesterov: m
/// X = u / max(‖u‖, ε)                     then 5 times: A = X Xᵀ;  X ← aX + (bA + cA²) X
/// θ ← (1 − γλ) θ − γ s X                  s = √max(1, r/c), or 0.2 √max(r, c)
/// ```
///
/// The iteration, with a 3.4445, b −4.7750 and c 2.0315, brings all singular values of u between about 0.7 and 1.2. A tall matrix
/// goes through it transposed.
///
/// It moves matrices. A tensor of more dimensions, for example the kernel of a convolution, is the matrix of its slices
/// along the first, flattened, as in timm; [`flatten`](Self::flatten) off refuses it, as torch does. Vectors and
/// numbers are refused: select the matrices with [`Variables::partition`](crate::Variables::partition), and give the
/// rest, and usually embeddings and the output layer too, to an optimizer like AdamW.
///
/// The iteration computes in bfloat16, as torch's does: its result is coarse, about 2 % from that in single precision, and in these digits
/// it differs between kinds of processors. A processor without products in bfloat16 takes those of
/// single precision and rounds them, which is the same up to the order of sums and faster there.
/// [`Precision::Full`] differs in the last digits only.
///
/// ```
/// use lookahead_core::optimizers::Muon;
/// use lookahead_core::{InnerOptimizer, Lookahead, RuleOptimizer, Variables};
/// # use tch::{Device, Kind, nn};
/// # let vs = nn::VarStore::new(Device::Cpu);
/// let w = vs.root().ones("w", &[3, 2]);
/// let matrices = Variables::new(&vs).matching(|parameter| parameter.tensor.dim() >= 2);
/// let mut muon = RuleOptimizer::new(Muon::default(), matrices, 0.02)?;
/// muon.set_weight_decay(0.1)?;
/// let mut opt = Lookahead::around(muon).build()?;
/// opt.backward_step(&w.square().sum(Kind::Float))?;
/// assert!(w.double_value(&[0, 0]) < 0.995);
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(default, deny_unknown_fields))]
#[non_exhaustive]
pub struct Muon {
    /// Momentum μ: 0.95.
    pub momentum: f64,
    /// Nesterov's form of the momentum: on.
    pub nesterov: bool,
    /// The coefficients a, b and c of the iteration: 3.4445, −4.7750, 2.0315.
    pub coefficients: [f64; 3],
    /// Steps of the iteration, below 100: 5.
    pub steps: u32,
    /// The least norm to divide by: 1e-7.
    pub eps: f64,
    /// What the iteration computes in: bfloat16.
    pub precision: Precision,
    /// The factor of the learning rate: [`ScaleLearningRate::Original`].
    pub scale_learning_rate: ScaleLearningRate,
    /// Whether tensors of more than two dimensions are flattened to matrices instead of refused: on.
    pub flatten: bool,
}

impl Default for Muon {
    fn default() -> Self {
        Muon {
            momentum: 0.95,
            nesterov: true,
            coefficients: [3.4445, -4.7750, 2.0315],
            steps: 5,
            eps: 1e-7,
            precision: Precision::default(),
            scale_learning_rate: ScaleLearningRate::default(),
            flatten: true,
        }
    }
}

/// What [`Muon`]'s iteration computes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Precision {
    /// bfloat16, as in torch.
    #[default]
    #[cfg_attr(feature = "serde", serde(rename = "bf16"))]
    BFloat16,
    /// Single precision, or double for double weights.
    Full,
}

/// The factor s by which [`Muon`] scales the learning rate of a matrix with r rows and c columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum ScaleLearningRate {
    /// √max(1, r/c), of Muon's author: torch's default.
    #[default]
    Original,
    /// 0.2 √max(r, c): updates as large as AdamW's, whose learning rate and weight decay then fit (J. Liu et al., *Muon is
    /// Scalable for LLM Training*, 2025, arXiv 2502.16982).
    MatchRmsAdamw,
}

impl Muon {
    /// With another momentum.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Muon { momentum, ..self }
    }

    /// With or without Nesterov's form of the momentum.
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        Muon { nesterov, ..self }
    }

    /// With other coefficients of the iteration.
    #[must_use]
    pub fn coefficients(self, coefficients: [f64; 3]) -> Self {
        Muon { coefficients, ..self }
    }

    /// With another number of steps of the iteration.
    #[must_use]
    pub fn steps(self, steps: u32) -> Self {
        Muon { steps, ..self }
    }

    /// With another least norm.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Muon { eps, ..self }
    }

    /// With an iteration in another precision.
    #[must_use]
    pub fn precision(self, precision: Precision) -> Self {
        Muon { precision, ..self }
    }

    /// With another factor of the learning rate.
    #[must_use]
    pub fn scale_learning_rate(self, scale_learning_rate: ScaleLearningRate) -> Self {
        Muon { scale_learning_rate, ..self }
    }

    /// With or without tensors of more than two dimensions.
    #[must_use]
    pub fn flatten(self, flatten: bool) -> Self {
        Muon { flatten, ..self }
    }

    fn kernel(&self) -> kernel::Rule {
        let [a, b, c] = self.coefficients;
        kernel::Rule {
            momentum: self.momentum,
            nesterov: self.nesterov,
            a,
            b,
            c,
            steps: self.steps,
            eps: self.eps,
            full_precision: self.precision == Precision::Full,
            match_rms: self.scale_learning_rate == ScaleLearningRate::MatchRmsAdamw,
        }
    }
}

impl StepRule for Muon {
    fn name(&self) -> &'static str {
        "muon"
    }

    fn slots(&self) -> Vec<&'static str> {
        vec!["momentum_buffer"]
    }

    fn check(&self) -> Result<()> {
        check_momentum(self.momentum)?;
        require(self.steps < 100, "steps", self.steps, "below 100: steps of the iteration")?;
        require(
            self.eps > 0.0 && self.eps.is_finite(),
            "eps",
            self.eps,
            "a finite number above 0",
        )?;
        self.coefficients.into_iter().try_for_each(|coefficient| {
            require(coefficient.is_finite(), "coefficients", coefficient, "a finite number")
        })
    }

    fn check_parameter(&self, parameter: &Parameter) -> Result<()> {
        let shape = parameter.tensor.size();
        if shape.len() == 2 || (shape.len() > 2 && self.flatten) {
            return Ok(());
        }
        Err(Error::NotAMatrix { name: parameter.name.clone(), shape })
    }

    fn step(
        &self,
        weights: &mut Tensor,
        gradient: &Tensor,
        slots: &mut [Tensor],
        step: Step,
    ) -> Result<()> {
        Ok(kernel::step([part(weights, gradient, slots, step)], self.kernel())?)
    }

    fn step_all(&self, parameters: &mut [ParameterStep<'_>]) -> Result<()> {
        let parts = parameters.iter().map(|parameter| {
            let ParameterStep { weights, gradient, slots, step } = parameter;
            part(weights, gradient, slots, *step)
        });
        Ok(kernel::step(parts, self.kernel())?)
    }
}

fn part<'a>(
    weights: &'a Tensor,
    gradient: &'a Tensor,
    slots: &'a [Tensor],
    step: Step,
) -> kernel::Part<'a> {
    let [momentum] = slots else { unreachable!("one slot") };
    let Step { learning_rate, weight_decay, .. } = step;
    kernel::Part { weights, gradient, momentum, learning_rate, weight_decay }
}
