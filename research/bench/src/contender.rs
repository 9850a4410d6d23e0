//! What one of this project's contenders does on command.

use std::path::Path;

use anyhow::bail;

/// What takes commands.
pub(crate) trait Contender {
    /// One step, or sync.
    fn step(&mut self) -> anyhow::Result<()>;

    /// The losses of that many steps.
    fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>>;

    /// Loss on the test set at φ.
    fn evaluate(&mut self) -> anyhow::Result<f64> {
        bail!("This contender evaluates nothing.")
    }

    /// Writes first weights and order, and all samples if there is a path for them.
    fn export(
        &self,
        _initial: &Path,
        _order: &Path,
        _samples: Option<&Path>,
    ) -> anyhow::Result<()> {
        bail!("This contender exports nothing.")
    }
}
