//! How the C library's allocator deals with what is freed.

use crate::ffi::bridge;

/// Has the allocator keep what is freed, up to 512 MiB, in place of giving it back to the system at once;
/// returns whether the allocator has such a setting, as glibc's does.
///
/// Each step of a training allocates and frees the same few tensors. glibc gives the large ones back, gets
/// them again in the next step, page by page, and the system fills each page with zeros first: of a small
/// convolutional net at 128 images 4,000 pages a step. A program calls this once, at its start; it
/// concerns all of its memory, so that no library should.
pub fn keep_freed() -> bool {
    bridge::keep_freed_memory()
}

#[cfg(all(test, target_os = "linux", target_env = "gnu"))]
mod tests {
    use super::*;

    /// Pages that this thread touched for the first time.
    fn faults() -> u64 {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        // The name may hold anything, so the fields are counted from its end; `minflt` is the tenth.
        let (_, fields) = stat.rsplit_once(')').unwrap();
        fields.split_whitespace().nth(7).unwrap().parse().unwrap()
    }

    #[test]
    fn what_is_freed_is_there_for_the_next_step() {
        // Memory that earlier tests freed would change the counts, so this runs in a process of its own.
        if std::env::var_os("LOOKAHEAD_TEST_CHILD").is_none() {
            let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
            alone.args(["--exact", "memory::tests::what_is_freed_is_there_for_the_next_step"]);
            let output = alone.env("LOOKAHEAD_TEST_CHILD", "").output().unwrap();
            let shown = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && shown.contains("1 passed"), "{shown}");
            return;
        }
        // 16 MiB at once, three times beside each other: more than glibc would keep.
        let step = || {
            for _ in 0..3 {
                let tensors: Vec<tch::Tensor> = (0..3)
                    .map(|_| tch::Tensor::ones([4 << 20], (tch::Kind::Float, tch::Device::Cpu)))
                    .collect();
                drop(tensors);
            }
        };
        tch::set_num_threads(1);
        let faults_of_a_step = || {
            step();
            let before = faults();
            step();
            faults() - before
        };
        let given_back = faults_of_a_step();
        assert!(given_back > 1000, "{given_back}");
        assert!(keep_freed());
        let kept = faults_of_a_step();
        assert!(kept < given_back / 20, "{kept}, and {given_back} before");
    }
}
