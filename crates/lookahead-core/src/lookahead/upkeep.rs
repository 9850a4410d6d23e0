//! What must hold between two calls: θ in its place and written to by nobody else, and a slow copy
//! for every parameter.

use super::{Lookahead, slow_copy};
use crate::{Error, InnerOptimizer, Result};

impl<O: InnerOptimizer> Lookahead<O> {
    /// What must hold before θ or φ is used: θ in its place, written to by nobody else, and a slow
    /// copy for every parameter.
    pub(super) fn ready(&mut self) -> Result<()> {
        self.put_fast_weights_back()?;
        self.refuse_spoiled()?;
        let (known, now) = (self.slow.len(), self.inner.parameters().len());
        if now < known {
            return Err(Error::ParametersGone { known, now });
        }
        if let Some(parameter) = self.watch.changed(self.inner.parameters())? {
            return Err(Error::FastWeightsChanged { name: parameter.name.clone() });
        }
        InnerOptimizer::join_new_parameters(self)
    }

    pub(super) fn refuse_spoiled(&self) -> Result<()> {
        match &self.spoiled {
            Some(name) => Err(Error::SlowWeightsChanged { name: name.clone() }),
            None => Ok(()),
        }
    }

    /// Takes θ as it is now for what Lookahead left, after giving parameters that have joined
    /// their slow copies.
    pub(super) fn remember_fast_weights(&mut self) -> Result<()> {
        for parameter in &self.inner.parameters()[self.slow.len()..] {
            self.slow.push(slow_copy(parameter)?);
        }
        if self.settings.outer.momentum > 0.0 {
            for slow in &self.slow[self.velocity.len()..] {
                self.velocity.push(slow.f_zeros_like()?);
            }
        }
        self.watch.remember(self.inner.parameters())
    }
}
