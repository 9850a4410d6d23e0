//! Noticing that the fast weights were written to from outside, and that variables were frozen or thawed.

use std::collections::HashSet;

use lookahead_sys::tensor::{Fingerprint, fingerprints};
use tch::Tensor;

use crate::{Parameter, Result};

/// What the fast weights looked like when Lookahead or the inner optimizer last touched them.
#[derive(Debug, Default)]
pub(crate) struct MutationDetector {
    prints: Vec<Fingerprint>,
    /// Which are frozen: they are not watched, and no sync moves them.
    frozen: Vec<bool>,
    /// Aliases of the same storages. They copy nothing, and keep each storage's address from being
    /// given to its successor: two casts in a row would look like none otherwise.
    anchors: Vec<Tensor>,
    shares_memory: bool,
}

/// How the watched parameters differ from how they were left. Places are among the parameters.
#[derive(Debug)]
pub(crate) struct Differences {
    /// The first trained one that was written to from outside.
    pub(crate) written: Option<usize>,
    /// Those that are or were frozen and were written to, frozen or thawed.
    pub(crate) frozen: Vec<usize>,
}

impl MutationDetector {
    /// How many parameters are watched.
    pub(crate) fn len(&self) -> usize {
        self.prints.len()
    }

    /// Whether two of the parameters stand on one storage.
    pub(crate) fn shares_memory(&self) -> bool {
        self.shares_memory
    }

    /// Whether a parameter was frozen when that was last noticed.
    pub(crate) fn is_frozen(&self, place: usize) -> bool {
        self.frozen.get(place).copied().unwrap_or(false)
    }

    /// Takes the parameters as they are now; returns those whose slow weights are to follow them: frozen
    /// ones that were written to, and those of [`follow`](Self::follow).
    pub(crate) fn remember(&mut self, parameters: &[Parameter]) -> Result<Vec<usize>> {
        let now = fingerprints(parameters.iter().map(|parameter| &parameter.tensor))?;
        self.anchors.truncate(now.len());
        if self.frozen.len() < now.len() {
            let status = frozen(parameters);
            self.frozen.extend_from_slice(&status[self.frozen.len()..]);
        }
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
        let pairs = self.prints.iter().zip(&now).enumerate();
        let followed = pairs.filter(|(i, (left, now))| {
            left != now && (self.frozen[*i] || **left == Fingerprint::default())
        });
        let followed = followed.map(|(i, _)| i).collect();
        self.prints = now;
        Ok(followed)
    }

    /// Takes note of which are frozen now, where the slow weights of all are known to be right for it.
    pub(crate) fn start_over(&mut self, parameters: &[Parameter]) {
        self.frozen = frozen(parameters);
    }

    /// How the watched parameters differ from how they were left.
    pub(crate) fn differences(&self, parameters: &[Parameter]) -> Result<Differences> {
        let watched = &parameters[..self.len().min(parameters.len())];
        let now = fingerprints(watched.iter().map(|parameter| &parameter.tensor))?;
        let frozen = frozen(watched);
        let mut found = Differences { written: None, frozen: Vec::new() };
        for (i, (now, left)) in now.iter().zip(&self.prints).enumerate() {
            let (before, after, written) = (self.frozen[i], frozen[i], now != left);
            if before != after || (written && before) {
                found.frozen.push(i);
            } else if written && found.written.is_none() {
                found.written = Some(i);
            }
        }
        Ok(found)
    }

    /// Takes note of which are frozen now; `places` are those that [`differences`](Self::differences)
    /// found.
    pub(crate) fn notice_frozen(&mut self, parameters: &[Parameter], places: &[usize]) {
        self.follow(places);
        self.start_over(&parameters[..self.frozen.len().min(parameters.len())]);
    }

    /// Lets the next [`remember`](Self::remember) return these, whether or not a write to them shows.
    pub(crate) fn follow(&mut self, places: &[usize]) {
        for &place in places {
            self.prints[place] = Fingerprint::default();
        }
    }

    /// Whether a parameter has the element type, shape and device with which it was left.
    pub(crate) fn still_fits(&self, place: usize, parameters: &[Parameter]) -> bool {
        let (left, now) = (&self.anchors[place], &parameters[place].tensor);
        now.defined()
            && (left.kind(), left.device(), left.size()) == (now.kind(), now.device(), now.size())
    }
}

/// Which parameters are frozen. While all of several are, as for an evaluation, none counts as frozen:
/// nothing could be trained then, so it says nothing about the training.
pub(crate) fn frozen(parameters: &[Parameter]) -> Vec<bool> {
    let frozen: Vec<bool> = parameters.iter().map(|p| !p.tensor.requires_grad()).collect();
    match frozen.len() > 1 && frozen.iter().all(|frozen| *frozen) {
        true => vec![false; frozen.len()],
        false => frozen,
    }
}
