//! What a loaded state has replaced.

use std::collections::BTreeSet;
use std::fmt;

use crate::settings::Settings;

/// A setting that [`load_state`](crate::Lookahead::load_state) has replaced: the optimizer was built with one value, and
/// continues with that of the state.
///
/// ```
/// # use lookahead_core::Lookahead;
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let _ = vs.root().ones("w", &[1]);
/// let build = |k| Lookahead::builder(tch::nn::Sgd::default()).k(k).build(&vs, 0.1);
/// let state = build(10)?.state()?;
/// let mut opt = build(5)?;
/// let replaced = opt.load_state(&state)?;
/// assert_eq!(replaced[0].to_string(), "The state's k 10 replaces 5.");
/// opt.set_k(5)?; // if the state's is not what you want
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Replaced {
    /// `k`, `alpha`, `alpha of group N`, `k schedule`, `alpha schedule` or `learning rate`.
    pub setting: String,
    /// Its value before.
    pub before: String,
    /// The state's value, which holds now.
    pub after: String,
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The state's {} {} replaces {}.", self.setting, self.after, self.before)
    }
}

/// The settings that differ, and the learning rates of the parameter groups.
pub(crate) fn replaced(
    (before, rates_before): (&Settings, &[f64]),
    (after, rates_after): (&Settings, &[f64]),
) -> Vec<Replaced> {
    let groups = [before, after].into_iter().flat_map(|settings| &settings.alpha_of_groups);
    let groups: BTreeSet<usize> = groups.map(|(group, _)| *group).collect();
    let [before, after] = [(before, rates_before), (after, rates_after)]
        .map(|(settings, rates)| values(settings, rates, &groups));
    let pairs = before.into_iter().zip(after).filter(|(before, after)| before != after);
    pairs.map(|((setting, before), (_, after))| Replaced { setting, before, after }).collect()
}

/// The settings as text, in the same order for the same groups.
fn values(settings: &Settings, rates: &[f64], groups: &BTreeSet<usize>) -> Vec<(String, String)> {
    let mut values = vec![
        ("k".to_owned(), settings.config.k.to_string()),
        ("k schedule".to_owned(), format!("{:?}", settings.k_schedule)),
        ("alpha".to_owned(), settings.config.alpha.to_string()),
        ("alpha schedule".to_owned(), format!("{:?}", settings.alpha_schedule)),
    ];
    let first = rates.first().copied().unwrap_or(f64::NAN);
    let rates = if rates.iter().all(|rate| *rate == first) {
        first.to_string()
    } else {
        format!("{rates:?}")
    };
    values.push(("learning rate".to_owned(), rates));
    values.extend(
        groups.iter().map(|group| {
            (format!("alpha of group {group}"), settings.base_alpha(*group).to_string())
        }),
    );
    values
}
