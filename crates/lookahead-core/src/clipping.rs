//! Clipping the gradients of any optimizer's parameters.

use lookahead_sys::{arithmetic, norm};

use crate::inner::group_count;
use crate::range::check_limit;
use crate::{Error, Parameter, Result};

/// As [`InnerOptimizer::clip_grad_norm`](crate::InnerOptimizer::clip_grad_norm), for one group or all together.
pub(crate) fn clip_norm(parameters: &[Parameter], group: Option<usize>, max: f64) -> Result<f64> {
    check_limit(max)?;
    if let Some(group) = group {
        let count = group_count(parameters);
        if group >= count {
            return Err(Error::Group { group, count });
        }
    }
    let chosen = parameters.iter().filter(|own| group.is_none_or(|group| own.group == group));
    let trained = chosen.filter(|parameter| parameter.is_trained());
    Ok(norm::clip_norm(trained.map(|parameter| &parameter.tensor), max)?)
}

/// As [`InnerOptimizer::clip_grad_value`](crate::InnerOptimizer::clip_grad_value).
pub(crate) fn clip_value(parameters: &[Parameter], max: f64) -> Result<()> {
    check_limit(max)?;
    Ok(arithmetic::clip_value(parameters.iter().map(|parameter| &parameter.tensor), max)?)
}
