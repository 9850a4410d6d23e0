//! Collective operations that are under way.

use cxx::UniquePtr;
use tch::{Device, Kind, Tensor};

use super::error::Result;
use crate::ffi::bridge;

/// What becomes of the values of all ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// Their sum.
    Sum,
    /// The largest of them.
    Largest,
}

/// What has been asked for and is under way.
pub(super) struct Asked<'a> {
    pub(super) group: &'a bridge::ProcessGroup,
    pub(super) works: Vec<std::result::Result<UniquePtr<bridge::Work>, cxx::Exception>>,
}

impl Asked<'_> {
    /// Of a tensor in row-major order.
    pub(super) fn all_reduce(&mut self, tensor: &Tensor, reduce: Reduce) {
        let largest = reduce == Reduce::Largest;
        // SAFETY: the pointer is a live at::Tensor for the length of the call, which makes a handle
        // of its own.
        let work = unsafe { bridge::all_reduce(self.group, tensor.as_ptr().cast(), largest) };
        self.works.push(work);
    }

    pub(super) fn all_gather(&mut self, gathering: &Gathering) {
        let Gathering { own, all } = gathering;
        // SAFETY: as in `all_reduce`.
        let work =
            unsafe { bridge::all_gather(self.group, all.as_ptr().cast(), own.as_ptr().cast()) };
        self.works.push(work);
    }
}

/// Few values of each rank, and room for those of all.
pub(super) struct Gathering {
    own: Tensor,
    all: Tensor,
}

impl Gathering {
    pub(super) fn of(values: &[f64], ranks: usize) -> Result<Self> {
        let count = (ranks * values.len()) as i64;
        let all = Tensor::f_zeros([count], (Kind::Double, Device::Cpu));
        Ok(Gathering { own: Tensor::from_slice(values), all: all.map_err(crate::Error::from)? })
    }

    /// In the order of ranks, when they are there.
    pub(super) fn values(self) -> Result<Vec<Vec<f64>>> {
        let count = self.own.numel();
        let all = Vec::<f64>::try_from(self.all).map_err(crate::Error::from)?;
        Ok(all.chunks(count).map(<[f64]>::to_vec).collect())
    }
}

/// Whether tensors on GPUs can go from one process to the others through NCCL: where libtorch has CUDA,
/// and the headers of CUDA and of its NCCL were there when this was built.
pub fn has_nccl() -> bool {
    bridge::has_nccl()
}

pub(super) fn bytes_of(tensor: &Tensor, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    tensor.copy_data_u8(&mut bytes, length);
    bytes
}

/// What is sent is the memory as it lies there.
pub(super) fn refuse_other_orders(tensor: &Tensor) -> Result<()> {
    match tensor.is_contiguous() {
        true => Ok(()),
        false => Err(crate::Error(format!(
            "A tensor of the shape {:?} does not lie in row-major order, as what is sent to other \
             processes must: send `contiguous()` of it.",
            tensor.size()
        ))
        .into()),
    }
}
