//! Collective operations in flight.

use cxx::UniquePtr;
use tch::{Device, Kind, Tensor};

use super::error::Result;
use crate::ffi::distributed::bridge;
use crate::handle::cpp;

/// How the values of all ranks are combined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reduce {
    /// Their sum.
    Sum,
    /// Their maximum.
    Max,
}

/// Operations that were started and not yet awaited.
pub(super) struct Pending<'a> {
    pub(super) group: &'a bridge::ProcessGroup,
    pub(super) works: Vec<std::result::Result<UniquePtr<bridge::Work>, cxx::Exception>>,
}

impl Pending<'_> {
    /// For a tensor in row-major order.
    pub(super) fn all_reduce(&mut self, tensor: &Tensor, reduce: Reduce) {
        self.works.push(bridge::all_reduce(self.group, cpp(tensor), reduce == Reduce::Max));
    }

    pub(super) fn all_gather(&mut self, gathering: &Gathering) {
        let Gathering { own, all } = gathering;
        self.works.push(bridge::all_gather(self.group, cpp(all), cpp(own)));
    }
}

/// A few values of this rank, and room for those of all ranks.
pub(super) struct Gathering {
    own: Tensor,
    all: Tensor,
}

impl Gathering {
    pub(super) fn of(values: &[f64], ranks: usize) -> Result<Self> {
        let count = (ranks * values.len()) as i64;
        let all = Tensor::f_zeros([count], (Kind::Double, Device::Cpu))?;
        Ok(Gathering { own: Tensor::from_slice(values), all })
    }

    /// In rank order, once the operation has finished.
    pub(super) fn values(self) -> Result<Vec<Vec<f64>>> {
        let count = self.own.numel();
        Ok(Vec::<f64>::try_from(self.all)?.chunks(count).map(<[f64]>::to_vec).collect())
    }
}

/// Whether tensors on GPUs can use NCCL: if libtorch has CUDA, and this crate was built with the headers of
/// CUDA and of libtorch's version of NCCL.
pub fn has_nccl() -> bool {
    bridge::has_nccl()
}

pub(super) fn bytes_of(tensor: &Tensor, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    tensor.copy_data_u8(&mut bytes, length);
    bytes
}

/// Operations send the memory as it is.
pub(super) fn check_row_major(tensor: &Tensor) -> Result<()> {
    if tensor.is_contiguous() {
        return Ok(());
    }
    Err(crate::Error(format!(
        "A tensor of shape {:?} is not in row-major order, which other processes expect. Send its \
         `contiguous()`.",
        tensor.size()
    ))
    .into())
}
