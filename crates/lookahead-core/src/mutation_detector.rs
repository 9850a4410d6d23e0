//! Detects that other code wrote to the fast weights, and that variables were frozen or thawed.

use std::collections::HashSet;

use lookahead_sys::tensor::{Fingerprint, fingerprints};
use tch::Tensor;

use crate::{Parameter, Result};

/// What the fast weights looked like when Lookahead or the inner optimizer last changed them.
#[derive(Debug, Default)]
pub(crate) struct MutationDetector {
    prints: Vec<Fingerprint>,
    /// Which are frozen: writes to them are allowed, and no sync moves them.
    frozen: Vec<bool>,
    /// Aliases of the same storages. They copy nothing, and keep a storage's address from being reused:
    /// otherwise two casts in a row could look like none.
    anchors: Vec<Tensor>,
    shares_memory: bool,
    /// Whether the step after which this was remembered saw that all trained ones are finite.
    pub(crate) known_finite: bool,
}

/// How the parameters differ from what was remembered, by index.
#[derive(Debug)]
pub(crate) struct Differences {
    /// The first trained one that other code wrote to.
    pub(crate) written: Option<usize>,
    /// Those that were frozen, thawed, or written to while frozen.
    pub(crate) frozen: Vec<usize>,
}

impl MutationDetector {
    /// The number of known parameters.
    pub(crate) fn len(&self) -> usize {
        self.prints.len()
    }

    /// Whether two of the parameters share a storage.
    pub(crate) fn shares_memory(&self) -> bool {
        self.shares_memory
    }

    /// Whether a parameter was frozen at the last check.
    pub(crate) fn is_frozen(&self, index: usize) -> bool {
        self.frozen.get(index).copied().unwrap_or(false)
    }

    /// Remembers the parameters as they are now. Returns those whose slow weights must be set to them: frozen
    /// ones that were written to, and those of [`follow`](Self::follow).
    pub(crate) fn remember(&mut self, parameters: &[Parameter]) -> Result<Vec<usize>> {
        self.known_finite = false;
        let now = fingerprints(parameters.iter().map(|parameter| &parameter.tensor))?;
        self.anchors.truncate(now.len());
        if self.frozen.len() < now.len() {
            let status = frozen(parameters);
            self.frozen.extend_from_slice(&status[self.frozen.len()..]);
        }
        let mut moved = now.len() != self.prints.len();
        for (i, parameter) in parameters.iter().enumerate() {
            // A step keeps the storage; a cast, a move or a replacement does not.
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
            self.shares_memory = !now.iter().all(|print| storages.insert(print.storage));
        }
        let pairs = self.prints.iter().zip(&now).enumerate();
        let followed = pairs.filter(|(i, (before, now))| {
            before != now && (self.frozen[*i] || **before == Fingerprint::default())
        });
        let followed = followed.map(|(i, _)| i).collect();
        self.prints = now;
        Ok(followed)
    }

    /// Remembers which are frozen now, if the slow weights of all are known to fit that.
    pub(crate) fn start_over(&mut self, parameters: &[Parameter]) {
        self.frozen = frozen(parameters);
    }

    /// How the known parameters differ from what was remembered.
    pub(crate) fn differences(&self, parameters: &[Parameter]) -> Result<Differences> {
        let known = &parameters[..self.len().min(parameters.len())];
        let now = fingerprints(known.iter().map(|parameter| &parameter.tensor))?;
        let frozen = frozen(known);
        let mut found = Differences { written: None, frozen: Vec::new() };
        for (i, (now, before)) in now.iter().zip(&self.prints).enumerate() {
            let (was_frozen, written) = (self.frozen[i], now != before);
            if was_frozen != frozen[i] || (written && was_frozen) {
                found.frozen.push(i);
            } else if written && found.written.is_none() {
                found.written = Some(i);
            }
        }
        Ok(found)
    }

    /// Those that were written to since [`remember`](Self::remember).
    pub(crate) fn written(&self, parameters: &[Parameter]) -> Result<Vec<usize>> {
        let known = &parameters[..self.len().min(parameters.len())];
        let now = fingerprints(known.iter().map(|parameter| &parameter.tensor))?;
        let pairs = now.iter().zip(&self.prints).enumerate();
        Ok(pairs.filter(|(_, (now, before))| now != before).map(|(i, _)| i).collect())
    }

    /// Remembers which are frozen now; `indices` are those that [`differences`](Self::differences) found.
    pub(crate) fn notice_frozen(&mut self, parameters: &[Parameter], indices: &[usize]) {
        self.follow(indices);
        self.start_over(&parameters[..self.frozen.len().min(parameters.len())]);
    }

    /// Makes the next [`remember`](Self::remember) return these, even if no write to them shows.
    pub(crate) fn follow(&mut self, indices: &[usize]) {
        for &i in indices {
            self.prints[i] = Fingerprint::default();
        }
    }

    /// Whether a parameter still has the remembered element type, shape and device.
    pub(crate) fn still_fits(&self, index: usize, parameters: &[Parameter]) -> bool {
        let (before, now) = (&self.anchors[index], &parameters[index].tensor);
        let layout = |tensor: &Tensor| (tensor.kind(), tensor.device(), tensor.size());
        now.defined() && layout(before) == layout(now)
    }
}

/// Which parameters are frozen. If all of several are, for example during an evaluation, none counts as
/// frozen: nothing could be trained, so that says nothing about the training.
pub(crate) fn frozen(parameters: &[Parameter]) -> Vec<bool> {
    let frozen: Vec<bool> = parameters.iter().map(|p| !p.tensor.requires_grad()).collect();
    if frozen.len() > 1 && frozen.iter().all(|frozen| *frozen) {
        return vec![false; frozen.len()];
    }
    frozen
}
