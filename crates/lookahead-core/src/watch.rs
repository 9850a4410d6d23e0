//! Noticing that somebody else wrote to the fast weights.

use std::collections::HashSet;

use lookahead_sys::tensor::{Fingerprint, fingerprints};
use tch::Tensor;

use crate::{Parameter, Result};

/// What the fast weights looked like when Lookahead or the inner optimizer last touched them.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    prints: Vec<Fingerprint>,
    /// Aliases of the same storages. They copy nothing, and keep each storage's address from being
    /// given to its successor: two casts in a row would look like none otherwise.
    anchors: Vec<Tensor>,
    shares_memory: bool,
}

impl Watch {
    /// How many parameters are watched.
    pub(crate) fn len(&self) -> usize {
        self.prints.len()
    }

    /// Whether two of the parameters stand on one storage.
    pub(crate) fn shares_memory(&self) -> bool {
        self.shares_memory
    }

    /// Takes the parameters as they are now.
    pub(crate) fn remember(&mut self, parameters: &[Parameter]) -> Result<()> {
        let now = fingerprints(parameters.iter().map(|parameter| &parameter.tensor))?;
        self.anchors.truncate(now.len());
        let mut moved = now.len() != self.prints.len();
        for (i, parameter) in parameters.iter().enumerate() {
            // Only after a cast, a move or a replacement: a step writes to the same storage.
            match self.anchors.get_mut(i) {
                Some(anchor) if !now[i].same_place(&self.prints[i]) => {
                    *anchor = parameter.tensor.f_data()?;
                    moved = true;
                }
                Some(_) => {}
                None => self.anchors.push(parameter.tensor.f_data()?),
            }
        }
        if moved {
            let mut storages = HashSet::with_capacity(now.len());
            self.shares_memory = !now.iter().all(|print| storages.insert(print.storage()));
        }
        self.prints = now;
        Ok(())
    }

    /// The first watched parameter that is not as it was left.
    pub(crate) fn changed<'a>(&self, parameters: &'a [Parameter]) -> Result<Option<&'a Parameter>> {
        let watched = &parameters[..self.len().min(parameters.len())];
        let now = fingerprints(watched.iter().map(|parameter| &parameter.tensor))?;
        let differs = now.iter().zip(&self.prints).position(|(now, left)| now != left);
        Ok(differs.map(|i| &watched[i]))
    }
}
