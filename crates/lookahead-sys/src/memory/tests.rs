use super::*;

/// Minor page faults of this thread.
fn faults() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    // The name may contain anything, so count fields from its end; `minflt` is the tenth.
    let (_, fields) = stat.rsplit_once(')').unwrap();
    fields.split_whitespace().nth(7).unwrap().parse().unwrap()
}

#[test]
fn freed_memory_is_reused_in_the_next_step() {
    // Memory that earlier tests freed would change the counts, so this runs in its own process.
    if std::env::var_os("LOOKAHEAD_TEST_CHILD").is_none() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "memory::tests::freed_memory_is_reused_in_the_next_step"]);
        let output = child.env("LOOKAHEAD_TEST_CHILD", "").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    // Eight tensors of 4 MiB each: more than glibc keeps by default, and less than the 64 MiB of a heap of a thread that
    // is not the main one. A second heap is returned whenever it is empty.
    let step = || {
        for _ in 0..3 {
            let tensors: Vec<tch::Tensor> = (0..8)
                .map(|_| tch::Tensor::ones([1 << 20], (tch::Kind::Float, tch::Device::Cpu)))
                .collect();
            drop(tensors);
        }
    };
    tch::set_num_threads(1);
    let faults_of_a_step = || {
        // The heap grows in the first steps, and glibc adapts what it keeps.
        (0..6).for_each(|_| step());
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
