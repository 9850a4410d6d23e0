//! The inner optimizer of a configuration with `[[optimizer.group]]`.

use lookahead_core::{Composite, Error, InnerOptimizer, Parameter, Variables};
use tch::{Tensor, nn};

use crate::config::groups::GroupConfig;
use crate::config::optimizer::OptimizerConfig;
use crate::models::freeze::matches;
use crate::nearest::suggestion;
use crate::usage::UsageError;

/// Builds an inner optimizer of one kind for all variables of a store.
pub(crate) type BuildAlone<'a> =
    dyn Fn(&OptimizerConfig, &nn::VarStore) -> anyhow::Result<Box<dyn InnerOptimizer>> + 'a;

/// The inner optimizer for the trainable variables of `vs`: a [`Composite`] of the optimizer of `config` and those of the
/// groups with a kind of their own. A parameter is in the first group that matches it. Groups are numbered from 1; 0 is
/// what no group matches.
///
/// # Errors
/// A usage error if a group matches nothing, or needs what the kind doesn't have.
pub(crate) fn build(
    alone: &BuildAlone<'_>,
    config: &OptimizerConfig,
    groups: &[GroupConfig],
    vs: &nn::VarStore,
) -> anyhow::Result<Box<dyn InnerOptimizer>> {
    let mut variables = Variables::new(vs);
    let parameters = variables.take_new();
    let other_names = variables.other_names(&parameters);
    let names = |i: usize| {
        let others = other_names.iter().filter(move |(_, of)| *of == i);
        std::iter::once(parameters[i].name.as_str()).chain(others.map(|(name, _)| name.as_str()))
    };
    let names: Vec<Vec<&str>> = (0..parameters.len()).map(|i| names(i).collect()).collect();
    let group_of = assign(groups, &parameters, &names)?;
    let store_of = |fits: &dyn Fn(usize) -> bool| {
        let own = (0..parameters.len()).filter(|&i| fits(group_of[i]));
        store(vs, own.map(|i| (&parameters[i].tensor, names[i].as_slice(), group_of[i])))
    };
    let has_kind = |group: usize| group > 0 && groups[group - 1].kind.is_some();

    let mut builder = Composite::builder(vs);
    if group_of.iter().any(|group| !has_kind(*group)) {
        let own = OptimizerConfig { group: Vec::new(), ..config.clone() };
        builder = builder.part("rest", alone(&own, &store_of(&|group| !has_kind(group)))?);
    }
    for (i, group) in groups.iter().enumerate() {
        let number = i + 1;
        if let Some((kind, options)) = &group.kind {
            let (kind, options) = (kind.clone(), options.clone());
            let (lr, weight_decay) = (config.lr, group.weight_decay);
            let own = OptimizerConfig { kind, lr, weight_decay, options, group: Vec::new() };
            let part = alone(&own, &store_of(&|group| group == number))?;
            builder = builder.part(&format!("group{number}"), part);
        }
        if group.lr_scale != 1.0 {
            builder = builder.learning_rate_scale(number, group.lr_scale);
        }
        if let Some(weight_decay) = group.weight_decay {
            builder = builder.weight_decay_of_group(number, weight_decay);
        }
    }
    let built = builder.build().map_err(|error| match error {
        Error::Group { .. } | Error::FixedWeightDecay => anyhow::Error::new(UsageError::new(
            "An optimizer of this config has one learning rate and one weight decay for all its parameters, so \
             `lr_scale` and `weight_decay` of an `[[optimizer.group]]` can't differ. Remove them, or choose another kind.",
        )),
        error => error.into(),
    })?;
    Ok(Box::new(built))
}

/// The group of each parameter. `names` are all that each has.
fn assign(
    groups: &[GroupConfig],
    parameters: &[Parameter],
    names: &[Vec<&str>],
) -> Result<Vec<usize>, UsageError> {
    let is_named = |pattern: &str, i: usize| names[i].iter().any(|name| matches(pattern, name));
    let is_in = |group: &GroupConfig, i: usize| {
        let patterns = &group.patterns;
        (patterns.is_empty() || patterns.iter().any(|pattern| is_named(pattern, i)))
            && (group.dims.is_empty() || group.dims.contains(&parameters[i].tensor.dim()))
    };
    let all = 0..parameters.len();
    let first = |i| groups.iter().position(|group| is_in(group, i)).map_or(0, |place| place + 1);
    let group_of: Vec<usize> = all.clone().map(first).collect();
    for (i, group) in groups.iter().enumerate() {
        let unmatched = |pattern: &&String| !all.clone().any(|i| is_named(pattern, i));
        if let Some(pattern) = group.patterns.iter().find(unmatched) {
            let names = names.iter().flatten().copied();
            return Err(UsageError::new(format!(
                "`optimizer.group.match` has the pattern `{pattern}`, which matches no trained parameter of the model. {} \
                 `*` is any characters, and all other characters are themselves.",
                suggestion(pattern, names)
            )));
        }
        if !group_of.contains(&(i + 1)) {
            let number = i + 1;
            let why = if all.clone().any(|i| is_in(group, i)) {
                "all parameters that it matches are in earlier groups. A parameter belongs to the first group that \
                 matches it: change their order, or remove the group."
                    .to_owned()
            } else {
                format!(
                    "no parameter that it matches has {:?} dimensions. Change its `dims`.",
                    group.dims
                )
            };
            return Err(UsageError::new(format!(
                "Group {number} of `[[optimizer.group]]` is empty: {why}"
            )));
        }
    }
    Ok(group_of)
}

/// A store of some of the variables of `vs`, which shares them, each in its group: an optimizer that is built for it is an
/// optimizer for these.
fn store<'a>(
    vs: &nn::VarStore,
    own: impl Iterator<Item = (&'a Tensor, &'a [&'a str], usize)>,
) -> nn::VarStore {
    let part = nn::VarStore::new(vs.device());
    for (tensor, names, group) in own {
        for name in names {
            let (folders, last) = name.rsplit_once('.').unwrap_or(("", name));
            let folders = folders.split('.').filter(|folder| !folder.is_empty());
            let path = folders.fold(part.root(), |path, folder| path / folder);
            let _ = path.set_group(group).add(last, tensor.shallow_clone(), true);
        }
    }
    part
}

#[cfg(test)]
mod tests;
