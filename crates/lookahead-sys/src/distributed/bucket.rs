//! Many tensors together, averaged as few flat ones.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::error::Result;
use super::group::{ProcessGroup, Reduce};
use crate::arithmetic::refs;
use crate::ffi::bridge;

/// Bytes after which a flat tensor is full: so large that the time goes to the bytes and not to the
/// operations, so small that one is on its way while the next is filled.
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
}

#[derive(Debug)]
struct Flat {
    values: Tensor,
    /// The places of the tensors in it.
    places: Range<usize>,
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

    /// Averages the tensors over all ranks; they stay as they are, and [`means`](Self::means) has the
    /// outcome, to the bit the same on all ranks. Of a type of floating-point numbers, and on all ranks
    /// of the same shapes in the same order.
    ///
    /// # Errors
    /// As [`ProcessGroup::all_reduce`].
    pub fn mean(&mut self, group: &ProcessGroup, tensors: &[&Tensor]) -> Result<()> {
        self.fit(tensors)?;
        let flats: Vec<Tensor> =
            self.flats.iter().map(|flat| flat.values.shallow_clone()).collect();
        let share = 1.0 / group.size() as f64;
        group.all_reduce_each(&flats, Reduce::Sum, |i| {
            let places = self.flats[i].places.clone();
            copy_scaled(&self.views[places.clone()], &tensors[places], share)
        })
    }

    /// As [`mean`](Self::mean), by way of the differences from `from`, which is the same on all ranks:
    /// only these are sent, in the type `wire`. They are small, so that a type of few digits loses
    /// little: with bfloat16 half the bytes of `f32`.
    ///
    /// # Errors
    /// As [`mean`](Self::mean).
    pub fn mean_by_difference(
        &mut self,
        group: &ProcessGroup,
        tensors: &[&Tensor],
        from: &[&Tensor],
        wire: Kind,
    ) -> Result<()> {
        let _guard = tch::no_grad_guard();
        let torch = crate::Error::from;
        self.fit(tensors)?;
        let mut sent = Vec::with_capacity(self.flats.len());
        for flat in &self.flats {
            sent.push(flat.values.f_to_kind(wire).map_err(torch)?);
        }
        let subtract = |i: usize, sign: f64| -> Result<()> {
            for place in self.flats[i].places.clone() {
                let base = from[place].f_multiply_scalar(sign).map_err(torch)?;
                let _ = self.views[place].shallow_clone().f_sub_(&base).map_err(torch)?;
            }
            Ok(())
        };
        group.all_reduce_each(&sent, Reduce::Sum, |i| {
            let places = self.flats[i].places.clone();
            copy_scaled(&self.views[places.clone()], &tensors[places], 1.0)?;
            subtract(i, 1.0)?;
            crate::arithmetic::assign(&mut sent[i].shallow_clone(), &self.flats[i].values)?;
            Ok(())
        })?;
        for (i, sent) in sent.iter().enumerate() {
            let flat = std::slice::from_ref(&self.flats[i].values);
            let sum = sent.f_to_kind(flat[0].kind()).map_err(torch)?;
            copy_scaled(flat, &[&sum], 1.0 / group.size() as f64)?;
            subtract(i, -1.0)?;
        }
        Ok(())
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
        self.fit(tensors)?;
        for flat in &self.flats {
            let places = flat.places.clone();
            copy_scaled(&self.views[places.clone()], &tensors[places], 1.0)?;
            group.broadcast(&flat.values, root)?;
        }
        self.put_into(tensors)
    }

    /// Puts the means, or what was broadcast, in the place of the tensors' own values.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn put_into(&self, tensors: &[&Tensor]) -> Result<()> {
        let sources: Vec<&Tensor> = self.views.iter().collect();
        let targets = refs(tensors.iter().copied());
        Ok(bridge::copy_all_scaled(&targets, &refs(sources), 1.0).map_err(crate::Error::from)?)
    }

    /// Makes room for tensors of these shapes, where it is not there already.
    fn fit(&mut self, tensors: &[&Tensor]) -> Result<()> {
        let of_kind = |(tensor, view): (&&Tensor, &Tensor)| mean_kind(tensor.kind()) == view.kind();
        let (now, before) = (refs(tensors.iter().copied()), refs(&self.views));
        if bridge::same_layout(&now, &before) && tensors.iter().zip(&self.views).all(of_kind) {
            return Ok(());
        }
        let torch = crate::Error::from;
        self.flats.clear();
        self.views.clear();
        let key =
            |i: usize| -> (Kind, Device) { (mean_kind(tensors[i].kind()), tensors[i].device()) };
        let mut start = 0;
        while start < tensors.len() {
            let (kind, device) = key(start);
            let (mut end, mut count) = (start, 0);
            while end < tensors.len() && key(end) == (kind, device) {
                let more = tensors[end].numel();
                if count > 0 && (count + more) * kind.elt_size_in_bytes() > LARGEST {
                    break;
                }
                count += more;
                end += 1;
            }
            let values = Tensor::f_zeros([count as i64], (kind, device)).map_err(torch)?;
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
            self.flats.push(Flat { values, places: start..end });
            start = end;
        }
        Ok(())
    }
}

fn copy_scaled(targets: &[Tensor], sources: &[&Tensor], scale: f64) -> Result<()> {
    let (targets, sources) = (refs(targets), refs(sources.iter().copied()));
    Ok(bridge::copy_all_scaled(&targets, &sources, scale).map_err(crate::Error::from)?)
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
