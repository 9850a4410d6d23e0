//! Which libtorch this is, and which vector instructions it uses.

use std::path::PathBuf;

use crate::ffi::bridge;

/// Version of libtorch, for example `2.13.0`.
pub fn libtorch_version() -> String {
    bridge::libtorch_version()
}

/// The folder from which this process loaded libtorch. `None` where the system has no `/proc/self/maps`.
pub fn libtorch_folder() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    // The path is the last column, and may have spaces.
    let mut paths = maps.lines().filter_map(|line| Some(PathBuf::from(&line[line.find('/')?..])));
    let library =
        paths.find(|path| path.file_name().is_some_and(|name| name == "libtorch_cpu.so"))?;
    library.parent().map(Into::into)
}

/// Version of tch that the shim is written for.
pub const TCH_VERSION: &str = "0.26.0";

/// The vector instructions that ATen's CPU kernels use on this machine, for example `AVX2` or `DEFAULT`.
///
/// Kernels for other instructions may round differently, so two runs are bit-identical only if this
/// agrees. The environment variable `ATEN_CPU_CAPABILITY` lowers it.
pub fn cpu_capability() -> String {
    bridge::cpu_capability()
}

#[cfg(test)]
mod kept_shim;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod version;
