//! Named settings of the outer step.

use crate::{AlphaPlacement, LookaheadConfig};

/// A member of Lookahead's family by name, as a [`LookaheadConfig`] with its source's values. What it does not name has
/// its default.
///
/// | preset | k | α | outer momentum μ | source |
/// |---|---|---|---|---|
/// | `Lookahead` | 5 | 0.5 | none | Zhang et al., 2019 |
/// | `Snoo` | 100 | 0.8 | 0.75, Nesterov | Kallusky et al., 2025, for 125 million parameters |
/// | `Diloco` | 500 | 0.7 | 0.9, Nesterov | Douillard et al., 2023 |
/// | `Muloco` | 30 | 0.7 | 0.6, Nesterov, α inside the velocity | Thérien et al., 2025, one worker with Muon |
/// | `Ranger` | 6 | 0.5 | none | L. Wright, 2019, around [`RAdam::RANGER`](crate::optimizers::RAdam::RANGER) |
///
/// ```
/// use lookahead_core::{Lookahead, LookaheadConfig, Preset, fused};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// # let _ = vs.root().ones("w", &[1]);
/// let config = LookaheadConfig { k: 20, ..Preset::Snoo.config() };
/// let opt = Lookahead::builder(fused::AdamW::default()).config(config).build(&vs, 1e-3)?;
/// assert_eq!((opt.k(), opt.alpha(), opt.config().outer_momentum), (20, 0.8, 0.75));
/// # Ok::<(), lookahead_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum Preset {
    /// The original: plain interpolation.
    Lookahead,
    /// Step-K Nesterov outer optimizer.
    Snoo,
    /// Distributed low-communication training.
    Diloco,
    /// DiLoCo with Muon inside.
    Muloco,
    /// Around RAdam: [`ranger`](crate::optimizers::ranger) has both.
    Ranger,
}

impl Preset {
    /// Its settings.
    pub fn config(self) -> LookaheadConfig {
        let nesterov = |k, alpha, outer_momentum| LookaheadConfig {
            k,
            alpha,
            outer_momentum,
            outer_nesterov: true,
            ..LookaheadConfig::default()
        };
        match self {
            Preset::Lookahead => LookaheadConfig::default(),
            Preset::Ranger => LookaheadConfig { k: 6, alpha: 0.5, ..LookaheadConfig::default() },
            Preset::Snoo => nesterov(100, 0.8, 0.75),
            Preset::Diloco => nesterov(500, 0.7, 0.9),
            Preset::Muloco => LookaheadConfig {
                alpha_placement: AlphaPlacement::Inside,
                ..nesterov(30, 0.7, 0.6)
            },
        }
    }
}
