//! Which libtorch this is, and which vector instructions it uses.

use crate::ffi::bridge;

/// Version of libtorch, for example `2.13.0`.
pub fn libtorch_version() -> String {
    bridge::libtorch_version()
}

/// Version of tch that the shim is written for and pinned to.
pub const TCH_VERSION: &str = "0.26.0";

/// The vector instructions that ATen's CPU kernels use on this machine, for example `AVX2` or `DEFAULT`.
///
/// Kernels for other instructions may round differently, so two runs are bit-identical only if this
/// agrees. The environment variable `ATEN_CPU_CAPABILITY` lowers it.
pub fn cpu_capability() -> String {
    bridge::cpu_capability()
}
