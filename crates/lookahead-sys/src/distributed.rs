//! Process groups: the same program in several processes, on one machine or many, that combine tensors.
//!
//! | module | what is in it |
//! |---|---|
//! | `rendezvous` | where the processes meet, from the environment |
//! | `store` | the key-value store in which they find each other |
//! | `group` | a process's rank, and the collective operations |
//! | `operations` | collective operations in flight |
//! | `bucket` | many tensors averaged as a few flat ones |
//! | `error` | what can go wrong |
//!
//! This is PyTorch's c10d without Python: its TCP store, its Gloo backend and, for tensors on GPUs, its NCCL
//! backend if that is compiled in (see [`has_nccl`]). Whatever starts PyTorch's programs starts these:
//! torchrun, or anything that sets four environment variables (see [`Rendezvous::from_env`]).
//!
//! All processes must call the same operations in the same order. Each operation waits for the other
//! processes, at most for the group's timeout.

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
