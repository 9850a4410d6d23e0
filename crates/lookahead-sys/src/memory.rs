//! What the C library's allocator does with freed memory.

use crate::ffi::bridge;

/// Makes the allocator keep up to 512 MiB of freed memory instead of returning it to the system at once.
/// Returns whether the allocator has such a setting, as glibc's does.
///
/// A training step allocates and frees the same few tensors each time. glibc returns the large ones, gets
/// them again page by page in the next step, and the system zeroes each page: 4,000 pages a step for a
/// small convolutional net at 128 images. A program calls this once at its start, and trains in its main
/// thread: glibc gives other threads heaps of 64 MiB, and returns one that is empty. It affects all of the
/// program's memory, so a library should not call it.
pub fn keep_freed() -> bool {
    bridge::keep_freed_memory()
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests;
