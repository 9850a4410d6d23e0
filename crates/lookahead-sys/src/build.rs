//! Which libtorch this is, and what it uses of the processor.

use crate::ffi::bridge;

/// Version of libtorch, such as `2.13.0`.
pub fn libtorch_version() -> String {
    bridge::libtorch_version()
}

/// Version of tch that the shim was written for and is pinned to.
pub const TCH_VERSION: &str = "0.26.0";

/// The vector instructions that ATen's CPU kernels use here, such as `AVX2` or `DEFAULT`.
///
/// Kernels of another capability may round differently, so two runs are bit-identical only where
/// this is the same. The environment variable `ATEN_CPU_CAPABILITY` lowers it.
pub fn cpu_capability() -> String {
    bridge::cpu_capability()
}
