//! The norms of each layer over time, in bounded memory.

use std::collections::HashMap;

use lookahead_run::event::Layers;

/// Most layers, and most pairs of norms: 4 MiB. If there are more, neighbouring syncs are taken together.
const LAYERS: usize = 1 << 14;
const CAPACITY: usize = 1 << 19;

/// A norm of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Norm {
    /// ‖θ − φ‖ just before a sync.
    Distance,
    /// That of the last gradient before it.
    Gradient,
}

/// The norms of all layers at some neighbouring syncs.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Moment {
    pub(crate) first_step: u64,
    last_step: u64,
    syncs: u32,
    /// Their means, by layer; NaN if a layer was not measured or a norm was not finite.
    means: Vec<[f32; 2]>,
}

impl Moment {
    /// The mean norm of a layer; NaN if it was not measured.
    pub(crate) fn mean(&self, layer: usize, norm: Norm) -> f64 {
        let means = self.means.get(layer).copied().unwrap_or([f32::NAN; 2]);
        f64::from(means[norm as usize])
    }

    fn absorb(&mut self, later: &Moment) {
        let (own, other) = (f64::from(self.syncs), f64::from(later.syncs));
        self.means.resize(self.means.len().max(later.means.len()), [f32::NAN; 2]);
        for (mean, later) in self.means.iter_mut().zip(&later.means) {
            for (mean, later) in mean.iter_mut().zip(later) {
                let sum = f64::from(*mean) * own + f64::from(*later) * other;
                *mean = (sum / (own + other)) as f32;
            }
        }
        self.last_step = later.last_step;
        self.syncs = self.syncs.saturating_add(later.syncs);
    }
}

/// The norms of the layers of a run.
#[derive(Debug, Default)]
pub(crate) struct LayerSeries {
    /// The layers in the order of the model.
    names: Vec<String>,
    indices: HashMap<String, usize>,
    moments: Vec<Moment>,
    /// Syncs of each moment but the last.
    width: u32,
}

impl LayerSeries {
    pub(super) fn push(&mut self, step: u64, layers: Layers) {
        if self.moments.last().is_some_and(|last| step < last.last_step) {
            return;
        }
        let Layers { names, distance, gradient_norm, .. } = layers;
        let mut means = vec![[f32::NAN; 2]; self.names.len()];
        for (name, norms) in names.into_iter().zip(distance.into_iter().zip(gradient_norm)) {
            let Some(index) = self.index_of(name) else { continue };
            means.resize(self.names.len(), [f32::NAN; 2]);
            means[index] = [norms.0 as f32, norms.1 as f32];
        }
        let moment = Moment { first_step: step, last_step: step, syncs: 1, means };
        match self.moments.last_mut().filter(|last| last.syncs < self.width) {
            Some(last) => last.absorb(&moment),
            None => self.moments.push(moment),
        }
        let most = (CAPACITY / self.names.len().max(1)).max(2);
        if self.moments.len() > most {
            let join = |pair: &[Moment]| {
                let mut joined = pair[0].clone();
                pair[1..].iter().for_each(|later| joined.absorb(later));
                joined
            };
            self.moments = self.moments.chunks(2).map(join).collect();
            self.width = self.width.max(1).saturating_mul(2);
        }
    }

    /// The index of a layer, which is new or known; none if there are too many.
    fn index_of(&mut self, name: String) -> Option<usize> {
        if let Some(index) = self.indices.get(&name) {
            return Some(*index);
        }
        let index = Some(self.names.len()).filter(|index| *index < LAYERS)?;
        self.indices.insert(name.clone(), index);
        self.names.push(name);
        Some(index)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.moments.is_empty()
    }

    pub(crate) fn names(&self) -> &[String] {
        &self.names
    }

    pub(crate) fn moments(&self) -> &[Moment] {
        &self.moments
    }

    /// The moment of a step, or the last one before it.
    pub(crate) fn at(&self, step: u64) -> Option<&Moment> {
        let count = self.moments.partition_point(|moment| moment.first_step <= step);
        self.moments.get(count.checked_sub(1)?)
    }
}

#[cfg(test)]
mod tests;
