//! The last inner cycles, to be overlaid.

use std::collections::{BTreeMap, VecDeque};

/// Most cycles that are kept.
const CYCLES: usize = 200;
/// Most values of all cycles: 512 kB. Of longer cycles fewer are kept.
const VALUES: usize = 1 << 15;
/// Most cycles that are drawn.
const DRAWN: usize = 100;
/// Most values of one cycle; a longer one is thinned out.
const LONGEST: usize = 512;

/// One cycle: k inner steps and the sync after them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cycle {
    pub(crate) last_step: u64,
    pub(crate) last_phase: u64,
    /// Phase and training loss. The loss of a step is at the weights before it, of phase − 1.
    pub(crate) losses: Vec<(u64, f64)>,
    /// Loss on the probe batch: fast after the last step, slow after the sync.
    pub(crate) probe: Option<(f64, f64)>,
    /// Inner steps, once the sync is done.
    pub(crate) k: u64,
}

#[derive(Debug, Clone, Default)]
pub(crate) struct Cycles {
    done: VecDeque<Cycle>,
    current: Cycle,
    values: usize,
}

impl Cycles {
    /// Adds an inner step, the `phase`-th of its cycle.
    pub(crate) fn step(&mut self, step: u64, phase: u64, loss: f64) {
        // A phase beyond all counting is a mistake in the log.
        if phase == 0 || phase >= 1 << 53 {
            return;
        }
        // A phase that goes back begins another cycle, even if the sync between is missing.
        if phase <= self.current.last_phase || self.current.k > 0 {
            self.finish();
        }
        self.current.last_step = step;
        self.current.last_phase = phase;
        if self.current.losses.len() >= LONGEST {
            // Drop every second one, and later ones that come too close.
            let mut index = 0;
            self.current.losses.retain(|_| {
                index += 1;
                index % 2 == 1
            });
        }
        let apart = match &self.current.losses[..] {
            [(first, _), (second, _), ..] => second - first,
            _ => 1,
        };
        if self.current.losses.last().is_none_or(|(last, _)| phase >= last.saturating_add(apart)) {
            self.current.losses.push((phase, loss));
        }
    }

    /// Adds the sync after a step.
    pub(crate) fn sync(&mut self, step: u64) {
        if self.current.last_step == step {
            self.current.k = self.current.last_phase;
        }
    }

    /// Adds the probe around that sync.
    pub(crate) fn probe(&mut self, step: u64, fast: f64, slow: f64) {
        if self.current.last_step == step {
            self.current.probe = Some((fast, slow));
        }
    }

    fn finish(&mut self) {
        let cycle = std::mem::take(&mut self.current);
        self.values += cycle.losses.len();
        self.done.push_back(cycle);
        while self.done.len() > CYCLES || self.values > VALUES {
            let Some(oldest) = self.done.pop_front() else { break };
            self.values -= oldest.losses.len();
        }
    }

    /// The complete cycles, oldest first.
    pub(crate) fn complete(&self) -> impl Iterator<Item = &Cycle> {
        let current = (self.current.k > 0).then_some(&self.current);
        self.done.iter().chain(current).filter(|cycle| cycle.k > 0)
    }

    /// The k of the newest complete cycle.
    pub(crate) fn k(&self) -> Option<u64> {
        self.complete().last().map(|cycle| cycle.k)
    }

    /// The newest complete cycles of `k` inner steps, to be drawn.
    pub(crate) fn newest(&self, k: u64) -> Vec<&Cycle> {
        let mut cycles: Vec<&Cycle> = self.complete().filter(|cycle| cycle.k == k).collect();
        cycles.drain(..cycles.len().saturating_sub(DRAWN));
        cycles
    }
}

#[derive(Debug, Default)]
pub(crate) struct MeanCycle {
    /// Loss by phase.
    pub(crate) losses: Vec<(u64, f64)>,
    /// Probe loss, fast and slow.
    pub(crate) probe: Option<(f64, f64)>,
    pub(crate) count: usize,
}

/// The mean of the cycles that have k inner steps.
pub(crate) fn mean_cycle<'a>(cycles: impl Iterator<Item = &'a Cycle>, k: u64) -> MeanCycle {
    let mut sums = BTreeMap::<u64, (f64, u32)>::new();
    let (mut fast, mut slow, mut probes, mut count) = (0.0, 0.0, 0_u32, 0);
    for cycle in cycles.filter(|cycle| cycle.k == k) {
        count += 1;
        for (phase, loss) in cycle.losses.iter().filter(|(_, loss)| loss.is_finite()) {
            let sum = sums.entry(*phase).or_default();
            *sum = (sum.0 + loss, sum.1 + 1);
        }
        if let Some(probe) = cycle.probe.filter(|p| p.0.is_finite() && p.1.is_finite()) {
            (fast, slow, probes) = (fast + probe.0, slow + probe.1, probes + 1);
        }
    }
    let mean = |(phase, (sum, count))| (phase, sum / f64::from(count));
    let probe = (fast / f64::from(probes), slow / f64::from(probes));
    MeanCycle {
        losses: sums.into_iter().map(mean).collect(),
        probe: (probes > 0).then_some(probe),
        count,
    }
}

#[cfg(test)]
mod tests;
