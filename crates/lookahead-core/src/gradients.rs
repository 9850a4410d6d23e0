//! Clipping of gradients, by value and by norm.

use tch::Tensor;

use crate::{Parameter, Result};

/// The gradients that exist. libtorch gives an undefined tensor where there is none.
fn defined(parameters: &[Parameter]) -> Result<Vec<Tensor>> {
    let mut gradients = Vec::with_capacity(parameters.len());
    for parameter in parameters {
        let gradient = parameter.tensor.f_grad()?;
        if gradient.defined() {
            gradients.push(gradient);
        }
    }
    Ok(gradients)
}

pub(crate) fn clip_value(parameters: &[Parameter], max: f64) -> Result<()> {
    let _guard = tch::no_grad_guard();
    for mut gradient in defined(parameters)? {
        let _ = gradient.f_clamp_(-max, max)?;
    }
    Ok(())
}

/// Returns the norm before clipping.
pub(crate) fn clip_norm(parameters: &[Parameter], max: f64) -> Result<f64> {
    let _guard = tch::no_grad_guard();
    let gradients = defined(parameters)?;
    if gradients.is_empty() {
        return Ok(0.0);
    }
    let norms = gradients.iter().map(Tensor::f_norm).collect::<Result<Vec<_>, _>>()?;
    // The one value that is read back from the device.
    let norm = f64::try_from(Tensor::f_stack(&norms, 0)?.f_norm()?)?;
    // PyTorch's clip_grad_norm_ keeps the quotient finite by the same small number.
    let scale = max / (norm + 1e-6);
    if norm.is_finite() && scale < 1.0 {
        for mut gradient in gradients {
            let _ = gradient.f_mul_scalar_(scale)?;
        }
    }
    Ok(norm)
}
