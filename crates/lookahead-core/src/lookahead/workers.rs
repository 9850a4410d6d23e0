//! Training in several processes, each on its own data: their θ are averaged before each sync.

use std::time::Instant;

use lookahead_sys::distributed::{self, Buckets, Differences, Reduce, bits};
use tch::{Device, Kind, Tensor};

use super::Lookahead;
use super::non_finite::first_non_finite;
use crate::settings::Workers;
use crate::{Error, InnerOptimizer, NonFinite, Result, TransferDtype};

/// One of these shares of φ is compared at each sync: a sixteenth of the bytes, and all of φ in sixteen syncs.
const SHARES: u64 = 16;

impl<O: InnerOptimizer> Lookahead<O> {
    /// Seconds that the last sync spent averaging over the workers, including the wait for the slowest; 0 for
    /// a single process.
    pub fn last_all_reduce_seconds(&self) -> f64 {
        self.averaging.seconds
    }

    /// How far this process's θ was from the mean over the workers at the last sync: ‖θ − mean‖₂ over all
    /// trained variables together. `None` before the first sync and for a single process.
    pub fn distance_from_mean(&self) -> Option<f64> {
        self.averaging.distance
    }

    pub(super) fn set_distance_from_mean(&mut self, squared: f64) {
        if self.has_others() {
            self.averaging.distance = Some(squared.sqrt());
        }
    }

    /// The workers, if there are several.
    fn others(&self) -> Option<&Workers> {
        self.settings.workers.as_ref().filter(|workers| !workers.group.is_single())
    }

    /// Whether θ is averaged over several processes.
    pub(super) fn has_others(&self) -> bool {
        self.others().is_some()
    }

    /// θ ← θ of rank 0.
    pub(super) fn broadcast_fast_weights(&mut self) -> Result<()> {
        let Some(Workers { group, .. }) = self.others().cloned() else { return Ok(()) };
        for parameter in self.inner.parameters() {
            let name = || parameter.name.clone();
            if !parameter.tensor.defined() {
                return Err(Error::Undefined { name: name() });
            }
            if parameter.is_complex() {
                let what = "several processes can only average real ones".to_owned();
                return Err(Error::ComplexVariable { name: name(), what });
            }
        }
        let tensors: Vec<&Tensor> = self.inner.parameters().iter().map(|p| &p.tensor).collect();
        group.agree_on_gpus(tensors.first().map_or(Device::Cpu, |tensor| tensor.device()))?;
        Buckets::default().broadcast(&group, &tensors, 0)?;
        Ok(())
    }

    /// Whether `condition` holds on all processes.
    pub(super) fn all_agree(&self, condition: bool) -> Result<bool> {
        let Some(Workers { group, .. }) = self.others() else { return Ok(condition) };
        let against = Tensor::from_slice(&[f32::from(u8::from(!condition))]);
        group.all_reduce(&against, Reduce::Max)?;
        Ok(f32::try_from(against)? == 0.0)
    }

    /// The smallest of all processes' numbers, if any has one.
    pub(super) fn first_of_all(&self, own: Option<usize>) -> Result<Option<usize>> {
        let Some(Workers { group, .. }) = self.others() else { return Ok(own) };
        let all = group.all_gather(&[own.map_or(f64::INFINITY, |number| number as f64)])?;
        let first = all.iter().map(|values| values[0]).fold(f64::INFINITY, f64::min);
        Ok(first.is_finite().then_some(first as usize))
    }

    /// The mean of the α that all processes chose, each from its own gradients.
    pub(super) fn common_alpha(&self, own: f64) -> Result<f64> {
        let Some(Workers { group, .. }) = self.others() else { return Ok(own) };
        let all = group.all_gather(&[own])?;
        Ok(all.iter().map(|values| values[0]).sum::<f64>() / group.size() as f64)
    }

    /// Averages θ over the processes, after checking that they are at the same sync with the same φ. Changes
    /// neither θ nor φ.
    pub(super) fn average(&mut self) -> Result<()> {
        let Some(Workers { group, dtype }) = self.others().cloned() else { return Ok(()) };
        let started = Instant::now();
        let parameters = self.inner.parameters();
        let fast: Vec<&Tensor> = self.trained().map(|i| &parameters[i].tensor).collect();
        let slow: Vec<&Tensor> = self.trained().map(|i| &self.slow[i]).collect();
        let differences = (dtype == TransferDtype::BFloat16)
            .then_some(Differences { from: &slow, kind: Kind::BFloat16 });
        // Frozen variables may differ between processes, for example a teacher that follows θ.
        let velocity: Vec<&Tensor> = self.trained().filter_map(|i| self.velocity.get(i)).collect();
        let own = || -> Result<Vec<f64>, distributed::Error> {
            let all = slow.iter().chain(&velocity).copied();
            let hash = bits(all, self.cycle.syncs % SHARES, SHARES)?;
            // In halves, which are exact as floating-point numbers.
            let [high, low] = [hash >> 32, hash & u64::from(u32::MAX)].map(|half| half as f64);
            let [steps, syncs, k] =
                [self.cycle.steps, self.cycle.syncs, self.cycle.k].map(|count| count as f64);
            Ok(vec![steps, syncs, k, high, low])
        };
        let all = self.averaging.buckets.mean_and_gather(&group, &fast, differences, own)?;
        self.averaging.seconds = started.elapsed().as_secs_f64();
        self.refuse_divergence(&all)
    }

    /// The means that replace θ in a sync, of all trained variables in order, empty for a single process; and
    /// whether they are means of θ − φ instead of θ.
    pub(super) fn means(&self) -> (&[Tensor], bool) {
        match self.others() {
            Some(workers) => {
                (self.averaging.buckets.means(), workers.dtype == TransferDtype::BFloat16)
            }
            None => (&[], false),
        }
    }

    /// The first variable whose mean holds NaN or infinity. All processes find the same one, because they have
    /// the same means.
    pub(super) fn find_non_finite_mean(&self) -> Result<Option<String>> {
        if self.settings.config.non_finite == NonFinite::Unchecked
            || self.averaging.buckets.known_finite()
        {
            return Ok(None);
        }
        let means = self.trained().zip(self.averaging.buckets.means());
        let found = first_non_finite(means, self.settings.path)?;
        Ok(found.map(|i| self.inner.parameters()[i].name.clone()))
    }

    /// An error if another process is at another step or has another φ.
    fn refuse_divergence(&self, all: &[Vec<f64>]) -> Result<()> {
        let names = ["inner steps taken", "syncs made", "period k"];
        let Some(rank) = all.iter().position(|values| *values != all[0]) else { return Ok(()) };
        let what = match (0..names.len()).find(|&i| all[rank][i] != all[0][i]) {
            Some(i) => format!("{} {} and not {}", all[rank][i], names[i], all[0][i]),
            None => "other slow weights".to_owned(),
        };
        Err(Error::Diverged { rank, what, sync: self.cycle.syncs + 1 })
    }
}
