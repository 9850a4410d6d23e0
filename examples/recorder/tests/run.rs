use std::process::Command;

use lookahead_run::RunSummary;
use lookahead_run::event::Status;

#[test]
fn the_loop_learns_and_its_run_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_recorder"))
        .arg(folder.path())
        .arg("600")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(
        output.stdout.starts_with(b"y = 3") || output.stdout.starts_with(b"y = 2"),
        "{output:?}"
    );
    let run = RunSummary::read(&folder.path().join("line/events.jsonl")).unwrap();
    assert_eq!((run.step, run.ended().unwrap().status), (600, Status::Finished));
}
