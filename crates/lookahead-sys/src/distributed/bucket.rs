//! Many tensors averaged as a few flat ones.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::error::Result;
use super::group::ProcessGroup;
use super::operations::{Gathering, Reduce};
use crate::ffi::distributed::bridge;
use crate::handle::{cpp, refs};

/// Bytes in the first flat tensor. Small, because nothing is sent while it is filled.
const FIRST: usize = 1 << 20;
/// Each flat tensor is twice as large as the one before, since one is sent while the next is filled, up to
/// this size, where the cost per operation no longer matters.
const LARGEST: usize = 25 << 20;

/// Flat tensors through which many others are averaged over the ranks of a group. They are reused while the
/// tensors keep their shapes.
///
/// The mean of each tensor is a view of a flat one, in the tensor's own layout; in `f32` for half-precision
/// tensors.
#[derive(Debug, Default)]
pub struct Buckets {
    flats: Vec<Flat>,
    /// Each tensor's part of them, by its index.
    views: Vec<Tensor>,
    finite: bool,
}

#[derive(Debug)]
struct Flat {
    values: Tensor,
    /// Its last element, which belongs to no tensor: 0 if all values are known to be finite, otherwise NaN.
    flag: Tensor,
    /// The indices of the tensors in it.
    indices: Range<usize>,
}

/// The differences of tensors from others that are equal on all ranks.
#[derive(Debug, Clone, Copy)]
pub struct Differences<'a> {
    /// The tensors to subtract, by index.
    pub from: &'a [&'a Tensor],
    /// The type in which differences are sent and averaged: bfloat16 halves the bytes of `f32`. Differences
    /// are small, so a type of few digits loses little.
    pub kind: Kind,
}

/// The type in which means of this type are computed.
fn mean_kind(kind: Kind) -> Kind {
    match kind {
        Kind::Half | Kind::BFloat16 => Kind::Float,
        other => other,
    }
}

impl Buckets {
    /// The means of the last call, by the tensors' indices.
    pub fn means(&self) -> &[Tensor] {
        &self.views
    }

    /// Whether all values of all ranks are known to have been finite in the last call. If not, for example
    /// on a GPU, check the means.
    pub fn known_finite(&self) -> bool {
        self.finite
    }

    /// Averages the tensors over all ranks into [`means`](Self::means), which are identical to the bit on all
    /// ranks; the tensors stay as they are. They are of floating-point type, with the same shapes in the same
    /// order on all ranks. `weight` is this rank's weight in the mean; 1 if all count the same.
    ///
    /// # Errors
    /// As [`ProcessGroup::all_reduce`].
    pub fn mean(&mut self, group: &ProcessGroup, tensors: &[&Tensor], weight: f64) -> Result<()> {
        self.average(group, tensors, None, weight, || Ok(Vec::new())).map(drop)
    }

    /// [`mean`](Self::mean) of the tensors or of their differences from others, which also gathers a few
    /// values of all ranks, as [`ProcessGroup::all_gather`] does. They are computed and sent while the
    /// tensors are in flight.
    ///
    /// # Errors
    /// As [`mean`](Self::mean).
    pub fn mean_and_gather(
        &mut self,
        group: &ProcessGroup,
        tensors: &[&Tensor],
        differences: Option<Differences<'_>>,
        values: impl FnOnce() -> Result<Vec<f64>>,
    ) -> Result<Vec<Vec<f64>>> {
        self.average(group, tensors, differences, 1.0, values)
    }

    fn average(
        &mut self,
        group: &ProcessGroup,
        tensors: &[&Tensor],
        differences: Option<Differences<'_>>,
        weight: f64,
        values: impl FnOnce() -> Result<Vec<f64>>,
    ) -> Result<Vec<Vec<f64>>> {
        self.fit(tensors, differences.map(|differences| differences.kind))?;
        // Scaled before they are added, so that no sum of finite numbers overflows.
        let scale = weight / group.size() as f64;
        let mut finite = true;
        let mut fill = |flat: &Flat| -> Result<()> {
            let indices = flat.indices.clone();
            let from = differences.map_or(&[][..], |d| &d.from[indices.clone()]);
            let known = copy(&self.views[indices.clone()], &tensors[indices], from, scale)?;
            finite &= known;
            set(&flat.flag, if known { 0.0 } else { f64::NAN })
        };
        if group.is_single() {
            self.flats.iter().try_for_each(&mut fill)?;
            self.finite = finite && self.flags_are_clear();
            return Ok(vec![values()?]);
        }
        let mut gathering = None;
        group.run_all("averaging", |pending| {
            let mut outcome = Ok(());
            for flat in &self.flats {
                outcome = outcome.and_then(|()| fill(flat));
                if outcome.is_err() {
                    // The other ranks wait for these values, and must not use them.
                    set(&flat.values, f64::NAN)?;
                }
                pending.all_reduce(&flat.values, Reduce::Sum);
            }
            let values = outcome.and_then(|()| values())?;
            if !values.is_empty() {
                pending.all_gather(gathering.insert(Gathering::of(&values, group.size())?));
            }
            Ok(())
        })?;
        self.finite = finite && self.flags_are_clear();
        gathering.map_or_else(|| Ok(Vec::new()), Gathering::values)
    }

    fn flags_are_clear(&self) -> bool {
        self.flats.iter().all(|flat| flat.flag.double_value(&[0]) == 0.0)
    }

    /// Replaces all tensors with the values of rank `root`.
    ///
    /// # Errors
    /// As [`mean`](Self::mean).
    pub fn broadcast(
        &mut self,
        group: &ProcessGroup,
        tensors: &[&Tensor],
        root: usize,
    ) -> Result<()> {
        if group.is_single() {
            return Ok(());
        }
        self.fit(tensors, None)?;
        for flat in &self.flats {
            let indices = flat.indices.clone();
            copy(&self.views[indices.clone()], &tensors[indices], &[], 1.0)?;
            group.broadcast(&flat.values, root)?;
        }
        self.copy_to(tensors)
    }

    /// Copies the means, or the values of the broadcast, into the tensors.
    pub fn copy_to(&self, tensors: &[&Tensor]) -> Result<()> {
        let (targets, sources) = (refs(tensors.iter().copied()), refs(&self.views));
        bridge::copy_all_scaled(&targets, &sources, &[], 1.0)?;
        Ok(())
    }

    /// Allocates the flat tensors, unless they fit already. `kind` is their type, by default that of the
    /// means.
    fn fit(&mut self, tensors: &[&Tensor], kind: Option<Kind>) -> Result<()> {
        let kind_of = |tensor: &Tensor| kind.unwrap_or_else(|| mean_kind(tensor.kind()));
        let of_kind = |(tensor, view): (&&Tensor, &Tensor)| kind_of(tensor) == view.kind();
        let (now, before) = (refs(tensors.iter().copied()), refs(&self.views));
        if bridge::same_layout(&now, &before) && tensors.iter().zip(&self.views).all(of_kind) {
            return Ok(());
        }
        self.flats.clear();
        self.views.clear();
        let key = |i: usize| -> (Kind, Device) { (kind_of(tensors[i]), tensors[i].device()) };
        let mut start = 0;
        while start < tensors.len() {
            let (kind, device) = key(start);
            let (mut end, mut count) = (start, 0);
            let largest = (FIRST << self.flats.len().min(5)).min(LARGEST);
            while end < tensors.len() && key(end) == (kind, device) {
                let more = tensors[end].numel();
                if count > 0 && (count + more) * kind.elt_size_in_bytes() > largest {
                    break;
                }
                count += more;
                end += 1;
            }
            let count = count as i64;
            let values = Tensor::f_zeros([count + 1], (kind, device))?;
            let flag = values.f_narrow(0, count, 1)?;
            let mut offset = 0;
            for tensor in &tensors[start..end] {
                let size = tensor.size();
                self.views.push(if bridge::fills_its_memory(cpp(tensor)) {
                    values.f_as_strided(&size, tensor.stride(), offset)?
                } else {
                    values.f_narrow(0, offset, tensor.numel() as i64)?.f_view(&size[..])?
                });
                offset += tensor.numel() as i64;
            }
            self.flats.push(Flat { values, flag, indices: start..end });
            start = end;
        }
        Ok(())
    }
}

fn set(tensor: &Tensor, value: f64) -> Result<()> {
    Ok(crate::arithmetic::fill(&mut tensor.shallow_clone(), value)?)
}

/// target ← (source − from) · scale. Returns whether all results are known to be finite: on a GPU and in
/// tensors with gaps they are not checked.
fn copy(targets: &[Tensor], sources: &[&Tensor], from: &[&Tensor], scale: f64) -> Result<bool> {
    let (targets, sources) = (refs(targets), refs(sources.iter().copied()));
    let from = refs(from.iter().copied());
    Ok(bridge::copy_all_scaled(&targets, &sources, &from, scale)?)
}

/// A hash of the bits of all tensors, or of one of `shares` shares of their blocks of 16,384 elements;
/// `share`, below `shares`, is which. Different tensors have equal hashes with a probability of 2⁻⁶⁴.
pub fn bits<'a>(
    tensors: impl IntoIterator<Item = &'a Tensor>,
    share: u64,
    shares: u64,
) -> crate::Result<u64> {
    Ok(bridge::bits_of(&refs(tensors), share, shares.max(1))?)
}

#[cfg(test)]
mod tests;
