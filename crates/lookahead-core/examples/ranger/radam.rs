//! RAdam on tensors: how to write an inner optimizer that tch does not have.
//!
//! Reference: L. Liu, H. Jiang, P. He, W. Chen, X. Liu, J. Gao, J. Han, *On the Variance of the
//! Adaptive Learning Rate and Beyond*, ICLR 2020, Algorithm 2.

use lookahead_core::tch_ext::arithmetic::{lerp, scale};
use lookahead_core::{
    Curvature, Error, InnerOptimizer, Moment, Parameter, Result, State, Variables,
    check_learning_rate,
};
use tch::{Tensor, nn};

/// RAdam on the trainable variables of a store.
#[derive(Debug)]
pub(crate) struct RAdam {
    variables: Variables,
    parameters: Vec<Parameter>,
    /// Of each parameter; `None` before its first gradient.
    moments: Vec<Option<Moments>>,
    /// Of each parameter group.
    learning_rates: Vec<f64>,
    beta1: f64,
    beta2: f64,
    eps: f64,
}

#[derive(Debug)]
struct Moments {
    step: i64,
    exp_avg: Tensor,
    exp_avg_sq: Tensor,
}

impl RAdam {
    /// Uses the paper's decays, 0.9 and 0.999.
    pub(crate) fn new(vs: &nn::VarStore, learning_rate: f64) -> Result<Self> {
        let mut radam = RAdam {
            variables: Variables::new(vs),
            parameters: Vec::new(),
            moments: Vec::new(),
            learning_rates: vec![learning_rate],
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
        };
        radam.join_new_parameters()?;
        Ok(radam)
    }

    /// Sets the decays of the first and the second moment.
    pub(crate) fn betas(mut self, beta1: f64, beta2: f64) -> Self {
        (self.beta1, self.beta2) = (beta1, beta2);
        self
    }

    fn step_parameter(&mut self, i: usize) -> Result<()> {
        let Parameter { tensor, group, .. } = &self.parameters[i];
        let gradient = tensor.grad();
        if !gradient.defined() || !tensor.requires_grad() {
            return Ok(());
        }
        let Moments { step, exp_avg, exp_avg_sq } = match &mut self.moments[i] {
            Some(moments) => moments,
            none => none.insert(Moments {
                step: 0,
                exp_avg: tensor.f_zeros_like()?,
                exp_avg_sq: tensor.f_zeros_like()?,
            }),
        };
        let (beta1, beta2) = (self.beta1, self.beta2);
        *step += 1;
        lerp(exp_avg, &gradient, 1.0 - beta1)?;
        lerp(exp_avg_sq, &gradient.f_square()?, 1.0 - beta2)?;

        let (t, decayed) = (*step as f64, beta2.powf(*step as f64));
        let first_moment = exp_avg.f_div(&Tensor::from(1.0 - beta1.powf(t)))?;
        // ρ is the present length of the second moment's average, ρ∞ its limit. Up to ρ = 5 its variance is
        // undefined, and the step does not use it.
        let rho_inf = 2.0 / (1.0 - beta2) - 1.0;
        let rho = rho_inf - 2.0 * t * decayed / (1.0 - decayed);
        let mut update = if rho > 5.0 {
            let rectified =
                ((rho - 4.0) * (rho - 2.0) * rho_inf) / ((rho_inf - 4.0) * (rho_inf - 2.0) * rho);
            let factor = (rectified * (1.0 - decayed)).sqrt();
            let denominator = exp_avg_sq.f_sqrt()?.f_add(&Tensor::from(self.eps))?;
            let mut rectified = first_moment.f_div(&denominator)?;
            scale(&mut rectified, factor)?;
            rectified
        } else {
            first_moment
        };
        let learning_rate = self.learning_rates[*group];
        scale(&mut update, learning_rate)?;
        let _ = tensor.shallow_clone().f_sub_(&update)?;
        Ok(())
    }
}

impl InnerOptimizer for RAdam {
    fn step(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        let _guard = tch::no_grad_guard();
        (0..self.parameters.len()).try_for_each(|i| self.step_parameter(i))
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        for parameter in self.variables.take_new() {
            let newest = *self.learning_rates.last().expect("there is always one");
            let groups = self.learning_rates.len().max(parameter.group + 1);
            self.learning_rates.resize(groups, newest);
            self.parameters.push(parameter);
            self.moments.push(None);
        }
        Ok(())
    }

    fn parameters_recast(&mut self) -> Result<()> {
        for (parameter, moments) in self.parameters.iter().zip(&mut self.moments) {
            let Some(moments) = moments else { continue };
            for moment in [&mut moments.exp_avg, &mut moments.exp_avg_sq] {
                *moment = moment.f_to_device(parameter.tensor.device())?;
                *moment = moment.f_to_kind(parameter.tensor.kind())?;
            }
        }
        Ok(())
    }

    fn moment_names(&self) -> Option<Vec<&'static str>> {
        Some(vec!["exp_avg", "exp_avg_sq"])
    }

    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        let Some(kept) = &self.moments[parameter] else { return Ok(Vec::new()) };
        Ok(vec![
            Moment { name: "exp_avg", tensor: kept.exp_avg.shallow_clone() },
            Moment { name: "exp_avg_sq", tensor: kept.exp_avg_sq.shallow_clone() },
        ])
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        self.moments[parameter] = None;
        Ok(())
    }

    fn has_curvature(&self) -> bool {
        true
    }

    fn curvature(&mut self, parameter: usize) -> Result<Option<Curvature>> {
        Ok(self.moments[parameter].as_ref().map(|kept| Curvature {
            second_moment: kept.exp_avg_sq.shallow_clone(),
            scale: 1.0 / (1.0 - self.beta2.powf(kept.step as f64)),
        }))
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        Ok(self.learning_rates.clone())
    }

    fn set_learning_rate_group(&mut self, group: usize, learning_rate: f64) -> Result<()> {
        let count = self.learning_rates.len();
        if group >= count {
            return Err(Error::Group { group, count });
        }
        check_learning_rate(learning_rate)?;
        self.learning_rates[group] = learning_rate;
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        for (Parameter { name, .. }, kept) in self.parameters.iter().zip(&self.moments) {
            let Some(Moments { step, exp_avg, exp_avg_sq }) = kept else { continue };
            state.integers.insert(format!("radam/step/{name}"), *step);
            state.tensors.insert(format!("radam/exp_avg/{name}"), exp_avg.copy());
            state.tensors.insert(format!("radam/exp_avg_sq/{name}"), exp_avg_sq.copy());
        }
        for (group, rate) in self.learning_rates.iter().enumerate() {
            state.numbers.insert(format!("radam/learning_rate/{group}"), *rate);
        }
        Ok(state)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        // Read everything before changing anything, so that an error changes nothing.
        let mut loaded = Vec::with_capacity(self.parameters.len());
        for Parameter { name, tensor, .. } in &self.parameters {
            let Some(&step) = state.integers.get(&format!("radam/step/{name}")) else {
                loaded.push(None);
                continue;
            };
            let read = |moment: &str| -> Result<Tensor> {
                let key = format!("radam/{moment}/{name}");
                let Some(saved) = state.tensors.get(&key) else {
                    return Err(Error::StateMissing { key });
                };
                if (saved.size(), saved.kind()) != (tensor.size(), tensor.kind()) {
                    let describe = |t: &Tensor| format!("{:?} of shape {:?}", t.kind(), t.size());
                    let (found, expected) = (describe(saved), describe(tensor));
                    return Err(Error::StateMismatch { key, found, expected });
                }
                Ok(saved.f_to_device(tensor.device())?.copy())
            };
            let (exp_avg, exp_avg_sq) = (read("exp_avg")?, read("exp_avg_sq")?);
            loaded.push(Some(Moments { step, exp_avg, exp_avg_sq }));
        }
        let rate = |group| {
            let key = format!("radam/learning_rate/{group}");
            state.numbers.get(&key).copied().ok_or(Error::StateMissing { key })
        };
        let rates = (0..self.learning_rates.len()).map(rate).collect::<Result<_>>()?;
        (self.moments, self.learning_rates) = (loaded, rates);
        Ok(())
    }
}
