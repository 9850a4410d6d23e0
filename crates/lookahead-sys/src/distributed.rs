//! Process groups: the same program in several processes, on one machine or many, that add up and pass
//! on tensors.
//!
//! | module | what is in it |
//! |---|---|
//! | `rendezvous` | where the processes meet, from the environment |
//! | `store` | where they find each other |
//! | `group` | a process's place among them, and what they do together |
//! | `operations` | collective operations under way |
//! | `bucket` | many tensors together, averaged as few flat ones |
//! | `error` | what can go wrong, in full sentences |
//!
//! This is PyTorch's c10d without Python: its store, over TCP, and its Gloo backend; for tensors on GPUs
//! its NCCL backend, where that is compiled in (see [`has_nccl`]). Whatever starts
//! PyTorch's programs starts these: torchrun, or anything that sets four environment variables (see
//! [`Rendezvous::from_env`]).
//!
//! All processes must ask for the same operations in the same order: each waits for the others in
//! each, and the longest for the group's timeout.

mod bucket;
mod error;
mod group;
mod operations;
mod rendezvous;
mod store;

pub use bucket::{Buckets, Differences, bits};
pub use error::{Error, Result};
pub use group::ProcessGroup;
pub use operations::{Reduce, has_nccl};
pub use rendezvous::{Rendezvous, TIMEOUT};
