//! The last inner cycles, to be laid over each other.

use std::collections::VecDeque;

/// Cycles that are kept at most.
const CYCLES: usize = 200;
/// Values of all of them at most: of longer cycles fewer are kept, 256 kB in all.
const VALUES: usize = 1 << 15;
/// Values of one cycle at most; a longer one is thinned out.
const LONGEST: usize = 512;

/// One way from φ through k inner steps and back to φ.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cycle {
    pub(crate) last_step: u64,
    pub(crate) last_phase: u64,
    /// Phase and training loss: that of the step before the phase is at the weights of phase − 1.
    pub(crate) losses: Vec<(u64, f64)>,
    /// Loss on the probe batch at θ after the last step, and at φ after the sync.
    pub(crate) probe: Option<(f64, f64)>,
    /// Inner steps, once the sync has come.
    pub(crate) k: u64,
}

/// The last cycles, oldest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cycles {
    done: VecDeque<Cycle>,
    current: Cycle,
    values: usize,
}

impl Cycles {
    /// An inner step was taken: the `phase`-th of its cycle.
    pub(crate) fn step(&mut self, step: u64, phase: u64, loss: f64) {
        // A phase beyond all counting is a mistake in the log.
        if phase == 0 || phase >= 1 << 53 {
            return;
        }
        // A phase that goes back begins another cycle, whatever became of the sync between.
        if phase <= self.current.last_phase || self.current.k > 0 {
            self.finish();
        }
        self.current.last_step = step;
        self.current.last_phase = phase;
        if self.current.losses.len() >= LONGEST {
            // Every second one goes, and later ones that come too close.
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

    /// The sync after the step.
    pub(crate) fn sync(&mut self, step: u64) {
        if self.current.last_step == step {
            self.current.k = self.current.last_phase;
        }
    }

    /// The probe around that sync.
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

    /// Those that are complete, oldest first.
    pub(crate) fn complete(&self) -> impl Iterator<Item = &Cycle> {
        let current = (self.current.k > 0).then_some(&self.current);
        self.done.iter().chain(current).filter(|cycle| cycle.k > 0)
    }

    /// The k of the newest complete one.
    pub(crate) fn k(&self) -> Option<u64> {
        self.complete().last().map(|cycle| cycle.k)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(steps: u64, k: u64) -> Cycles {
        let mut cycles = Cycles::default();
        for step in 1..=steps {
            let phase = (step - 1) % k + 1;
            cycles.step(step, phase, step as f64);
            if phase == k {
                cycles.sync(step);
                cycles.probe(step, 2.0, 1.0);
            }
        }
        cycles
    }

    #[test]
    fn each_cycle_has_its_losses_by_phase_and_its_probe() {
        let cycles = after(12, 5);
        let found: Vec<&Cycle> = cycles.complete().collect();
        assert_eq!(found.len(), 2, "the third is not complete");
        assert_eq!(found[1].losses, [(1, 6.0), (2, 7.0), (3, 8.0), (4, 9.0), (5, 10.0)]);
        assert_eq!(found[1].probe, Some((2.0, 1.0)));
        assert_eq!(cycles.k(), Some(5));
    }

    #[test]
    fn the_newest_is_there_before_the_next_begins() {
        assert_eq!(after(5, 5).complete().count(), 1);
    }

    #[test]
    fn memory_is_bounded_for_any_k() {
        for k in [1, 7, 600, 5000] {
            let cycles = after(40_000, k);
            assert!(cycles.done.len() <= CYCLES && cycles.values <= VALUES);
            let newest = cycles.complete().last().unwrap();
            assert!(newest.losses.len() <= LONGEST && newest.losses.len() as u64 >= k.min(200));
            assert!(newest.losses.windows(2).all(|pair| pair[0].0 < pair[1].0));
        }
    }

    #[test]
    fn without_lookahead_there_are_none() {
        let mut cycles = Cycles::default();
        (1..100).for_each(|step| cycles.step(step, 0, 1.0));
        assert_eq!(cycles.complete().count(), 0);
    }
}
