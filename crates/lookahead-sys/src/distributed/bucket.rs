//! Many tensors together, averaged as few flat ones.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::error::Result;
use super::group::ProcessGroup;
use super::operations::{Gathering, Reduce};
use crate::arithmetic::refs;
use crate::ffi::bridge;

/// Bytes after which the first flat tensor is full: what fills it is time in which nothing travels.
const FIRST: usize = 1 << 20;
/// Each is twice as large as the one before, for one is on its way while the next is filled, up to this:
/// so large that the time goes to the bytes and not to the operations.
const LARGEST: usize = 25 << 20;

/// Flat tensors through which many others are averaged over the ranks of a group. They are made once
/// and used again, as long as the tensors have the same shapes.
///
/// Each tensor has its mean in a view of a flat one, in the layout of its own; half-precision ones
/// have it in `f32`.
#[derive(Debug, Default)]
pub struct Buckets {
    flats: Vec<Flat>,
    /// Where each tensor's values are in them, by its place.
    views: Vec<Tensor>,
    finite: bool,
}

#[derive(Debug)]
struct Flat {
    values: Tensor,
    /// Its last element belongs to no tensor: 0, or NaN where it is not known that all its values are finite
    /// numbers.
    flag: Tensor,
    /// The places of the tensors in it.
    places: Range<usize>,
}

/// The differences of tensors from others, which are the same on all ranks.
#[derive(Debug, Clone, Copy)]
pub struct Differences<'a> {
    /// What the tensors differ from, by their places.
    pub from: &'a [&'a Tensor],
    /// In which type the differences are sent and averaged: bfloat16 halves the bytes of `f32`. They
    /// are small, so that a type of few digits loses little.
    pub wire: Kind,
}

/// The type that a mean of values of this one is computed in.
fn mean_kind(kind: Kind) -> Kind {
    match kind {
        Kind::Half | Kind::BFloat16 => Kind::Float,
        other => other,
    }
}

impl Buckets {
    /// The means of the last call, by the tensors' places.
    pub fn means(&self) -> &[Tensor] {
        &self.views
    }

    /// Whether it is known that all values of all ranks were finite numbers in the last call; where it
    /// is not known, for example on a GPU, the means show it.
    pub fn known_finite(&self) -> bool {
        self.finite
    }

    /// Averages the tensors over all ranks; they stay as they are, and [`means`](Self::means) has the
    /// outcome, to the bit the same on all ranks. Of a type of floating-point numbers, and on all ranks
    /// of the same shapes in the same order. `weight` is what this rank's values count, 1 where all
    /// count the same.
    ///
    /// # Errors
    /// As [`ProcessGroup::all_reduce`].
    pub fn mean(&mut self, group: &ProcessGroup, tensors: &[&Tensor], weight: f64) -> Result<()> {
        self.average(group, tensors, None, weight, || Ok(Vec::new())).map(drop)
    }

    /// As [`mean`](Self::mean), of the tensors or of their differences from others, and gathers few
    /// values of all ranks as [`ProcessGroup::all_gather`] does. They are computed and travel while the
    /// tensors are on their way.
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
        self.fit(tensors, differences.map(|differences| differences.wire))?;
        // Scaled before they are added, so that no sum of finite numbers is beyond the largest.
        let scale = weight / group.size() as f64;
        let mut finite = true;
        let mut fill = |flat: &Flat| -> Result<()> {
            let places = flat.places.clone();
            let from = differences.map_or(&[][..], |d| &d.from[places.clone()]);
            let known = copy(&self.views[places.clone()], &tensors[places], from, scale)?;
            finite &= known;
            set(&flat.flag, if known { 0.0 } else { f64::NAN })
        };
        if group.is_alone() {
            self.flats.iter().try_for_each(&mut fill)?;
            self.finite = finite && self.flags_are_clear();
            return Ok(vec![values()?]);
        }
        let mut gathering = None;
        group.together("averaging", |asked| {
            let mut outcome = Ok(());
            for flat in &self.flats {
                outcome = outcome.and_then(|()| fill(flat));
                if outcome.is_err() {
                    // The others wait for this rank's part, and must not take it for one.
                    set(&flat.values, f64::NAN)?;
                }
                asked.all_reduce(&flat.values, Reduce::Sum);
            }
            let values = outcome.and_then(|()| values())?;
            if !values.is_empty() {
                asked.all_gather(gathering.insert(Gathering::of(&values, group.size())?));
            }
            Ok(())
        })?;
        self.finite = finite && self.flags_are_clear();
        gathering.map_or_else(|| Ok(Vec::new()), Gathering::values)
    }

    fn flags_are_clear(&self) -> bool {
        self.flats.iter().all(|flat| flat.flag.double_value(&[0]) == 0.0)
    }

    /// Puts the rank `root`'s values of all tensors in their place.
    ///
    /// # Errors
    /// As [`mean`](Self::mean).
    pub fn broadcast(
        &mut self,
        group: &ProcessGroup,
        tensors: &[&Tensor],
        root: usize,
    ) -> Result<()> {
        if group.is_alone() {
            return Ok(());
        }
        self.fit(tensors, None)?;
        for flat in &self.flats {
            let places = flat.places.clone();
            copy(&self.views[places.clone()], &tensors[places], &[], 1.0)?;
            group.broadcast(&flat.values, root)?;
        }
        self.put_into(tensors)
    }

    /// Puts the means, or what was broadcast, in the place of the tensors' own values.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn put_into(&self, tensors: &[&Tensor]) -> Result<()> {
        let (targets, sources) = (refs(tensors.iter().copied()), refs(&self.views));
        bridge::copy_all_scaled(&targets, &sources, &[], 1.0).map_err(crate::Error::from)?;
        Ok(())
    }

    /// Makes room for tensors of these shapes, where it is not there already, in the type `wire` or
    /// that of their mean.
    fn fit(&mut self, tensors: &[&Tensor], wire: Option<Kind>) -> Result<()> {
        let kind_of = |tensor: &Tensor| wire.unwrap_or_else(|| mean_kind(tensor.kind()));
        let of_kind = |(tensor, view): (&&Tensor, &Tensor)| kind_of(tensor) == view.kind();
        let (now, before) = (refs(tensors.iter().copied()), refs(&self.views));
        if bridge::same_layout(&now, &before) && tensors.iter().zip(&self.views).all(of_kind) {
            return Ok(());
        }
        let torch = crate::Error::from;
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
            let values = Tensor::f_zeros([count + 1], (kind, device)).map_err(torch)?;
            let flag = values.f_narrow(0, count, 1).map_err(torch)?;
            let mut offset = 0;
            for tensor in &tensors[start..end] {
                let size = tensor.size();
                // SAFETY: the pointer is a live at::Tensor for the length of the call.
                let view = match unsafe { bridge::fills_its_memory(tensor.as_ptr().cast()) } {
                    true => values.f_as_strided(&size, tensor.stride(), offset),
                    false => values
                        .f_narrow(0, offset, tensor.numel() as i64)
                        .and_then(|part| part.f_view(&size[..])),
                };
                self.views.push(view.map_err(torch)?);
                offset += tensor.numel() as i64;
            }
            self.flats.push(Flat { values, flag, places: start..end });
            start = end;
        }
        Ok(())
    }
}

fn set(tensor: &Tensor, value: f64) -> Result<()> {
    Ok(crate::arithmetic::fill(&mut tensor.shallow_clone(), value)?)
}

/// target ← (source − from) · scale. Returns whether all of it is known to be finite: on a
/// GPU, and in tensors with gaps, nothing is looked at in passing.
fn copy(targets: &[Tensor], sources: &[&Tensor], from: &[&Tensor], scale: f64) -> Result<bool> {
    let (targets, sources) = (refs(targets), refs(sources.iter().copied()));
    let from = refs(from.iter().copied());
    let copied = bridge::copy_all_scaled(&targets, &sources, &from, scale);
    Ok(copied.map_err(crate::Error::from)?)
}

/// A number that the bits of all tensors decide, or one of `shares` shares of them: a share is a part
/// of the blocks of 16,384 elements, and `share`, below `shares`, is which. Equal tensors have equal
/// numbers; different ones have different numbers, but for a chance of one in 2⁶⁴.
///
/// # Errors
/// What libtorch says.
pub fn bits<'a>(
    tensors: impl IntoIterator<Item = &'a Tensor>,
    share: u64,
    shares: u64,
) -> crate::Result<u64> {
    Ok(bridge::bits_of(&refs(tensors), share, shares.max(1))?)
}

#[cfg(test)]
mod tests;
