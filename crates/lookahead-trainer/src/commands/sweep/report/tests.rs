use super::*;

#[test]
fn a_line_has_the_number_done_and_the_time_left() {
    let mut progress = Progress { total: 20, finished: 6, ..Progress::default() };
    assert_eq!(summary(&progress), "6 of 20 runs are done, 0 running");
    progress.failed = 2;
    progress.left = Some(Duration::from_secs(150));
    assert_eq!(summary(&progress), "8 of 20 runs are done, 0 running, 2 failed, 3m left");
    progress.stopping = true;
    assert_eq!(summary(&progress), "8 of 20 runs are done, 0 running, 2 failed");
}
