//! What a loaded state has replaced.

use std::fmt;

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
