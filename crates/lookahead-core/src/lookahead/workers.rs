//! The same training in several processes, each on data of its own: their θ are averaged before a
//! sync, and nowhere else.

use std::time::{Duration, Instant};

use lookahead_sys::distributed::{self, Buckets, Differences, Reduce, bits};
use tch::{Device, Kind, Tensor};

use super::Lookahead;
use super::non_finite::first_non_finite;
use crate::settings::Workers;
use crate::{Error, InnerOptimizer, NonFinite, Result, TransferDtype};

/// Shares of φ, of which one is compared at a sync: a sixteenth of the bytes, and all of φ in as many
/// syncs.
const SHARES: u64 = 16;

impl<O: InnerOptimizer> Lookahead<O> {
    /// How long the last sync's averaging over the workers took, the wait for the slowest of them
    /// counted in; zero for one alone.
    pub fn averaging_took(&self) -> Duration {
        self.averaging.took
    }

    /// The processes that train together, where there are others.
    fn others(&self) -> Option<&Workers> {
        self.settings.workers.as_ref().filter(|workers| !workers.group.is_alone())
    }

    /// Whether θ is averaged over several processes.
    pub(super) fn has_others(&self) -> bool {
        self.others().is_some()
    }

    /// All processes start from rank 0's θ.
    pub(super) fn start_together(&mut self) -> Result<()> {
        let Some(Workers { group, .. }) = self.others().cloned() else { return Ok(()) };
        let tensors: Vec<&Tensor> = self.inner.parameters().iter().map(|p| &p.tensor).collect();
        if let Some(parameter) = self.inner.parameters().iter().find(|p| !p.tensor.defined()) {
            return Err(Error::Undefined { name: parameter.name.clone() });
        }
        if let Some(parameter) = self.inner.parameters().iter().find(|p| p.is_complex()) {
            let what = "several processes can average only real ones".to_owned();
            return Err(Error::ComplexVariable { name: parameter.name.clone(), what });
        }
        group.agree_on_gpus(tensors.first().map_or(Device::Cpu, |tensor| tensor.device()))?;
        Buckets::default().broadcast(&group, &tensors, 0)?;
        Ok(())
    }

    /// Whether all processes say so: they all get the same answer.
    pub(super) fn all_agree(&self, so: bool) -> Result<bool> {
        let Some(Workers { group, .. }) = self.others() else { return Ok(so) };
        let against = Tensor::from_slice(&[f32::from(u8::from(!so))]);
        group.all_reduce(&against, Reduce::Largest)?;
        Ok(f32::try_from(against).map_err(Error::from)? == 0.0)
    }

    /// The smallest of all processes' numbers, as far as they have any: they all get the same answer.
    pub(super) fn first_of_all(&self, own: Option<usize>) -> Result<Option<usize>> {
        let Some(Workers { group, .. }) = self.others() else { return Ok(own) };
        let all = group.all_gather(&[own.map_or(f64::INFINITY, |number| number as f64)])?;
        let first = all.iter().map(|values| values[0]).fold(f64::INFINITY, f64::min);
        Ok(first.is_finite().then_some(first as usize))
    }

    /// The mean of all processes' α, chosen by each from gradients of its own.
    pub(super) fn common_alpha(&self, own: f64) -> Result<f64> {
        let Some(Workers { group, .. }) = self.others() else { return Ok(own) };
        let all = group.all_gather(&[own])?;
        Ok(all.iter().map(|values| values[0]).sum::<f64>() / group.size() as f64)
    }

    /// How far this process's θ was from the mean over the workers in the last sync, ‖θ − mean‖₂ over
    /// all trainable variables together; `None` before the first, and for one alone.
    pub fn distance_from_mean(&self) -> Option<f64> {
        self.averaging.distance
    }

    pub(super) fn set_distance_from_mean(&mut self, squared: f64) {
        if self.has_others() {
            self.averaging.distance = Some(squared.sqrt());
        }
    }

    /// Makes sure that all processes stand at the same sync with the same φ, and averages their θ.
    /// Nothing is changed yet.
    pub(super) fn average(&mut self) -> Result<()> {
        let Some(Workers { group, dtype }) = self.others().cloned() else { return Ok(()) };
        let started = Instant::now();
        let parameters = self.inner.parameters();
        let fast: Vec<&Tensor> = self.trained().map(|i| &parameters[i].tensor).collect();
        let slow: Vec<&Tensor> = self.trained().map(|i| &self.slow[i]).collect();
        let differences = (dtype == TransferDtype::BFloat16)
            .then_some(Differences { from: &slow, wire: Kind::BFloat16 });
        // Frozen variables may be each process's own, as a teacher that follows its θ is.
        let velocity: Vec<&Tensor> = self.trained().filter_map(|i| self.velocity.get(i)).collect();
        let own = || -> Result<Vec<f64>, distributed::Error> {
            let all = slow.iter().chain(&velocity).copied();
            let print = bits(all, self.cycle.syncs % SHARES, SHARES)?;
            // In halves, which are exact as floating-point numbers.
            let halves = [print >> 32, print & u64::from(u32::MAX)].map(|half| half as f64);
            Ok(vec![
                self.cycle.steps as f64,
                self.cycle.syncs as f64,
                self.cycle.k as f64,
                halves[0],
                halves[1],
            ])
        };
        let all = self.averaging.buckets.mean_and_gather(&group, &fast, differences, own)?;
        self.averaging.took = started.elapsed();
        self.refuse_divergence(&all)
    }

    /// What a sync goes by in the place of each trained variable's θ, in their order; nothing for one
    /// process alone. Whether it is the mean of θ itself or of θ − φ is the other value.
    pub(super) fn means(&self) -> (&[Tensor], bool) {
        match self.others() {
            Some(workers) => {
                (self.averaging.buckets.means(), workers.dtype == TransferDtype::BFloat16)
            }
            None => (&[], false),
        }
    }

    /// The first variable whose mean over the processes holds NaN or infinity. All of them
    /// find the same, since they have the same means.
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

    /// An error if another process is at another step, or has another φ: a sixteenth of it is compared,
    /// another one each time.
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
