use std::process::Command;

use lookahead_run::RunSummary;
use lookahead_run::event::Status;

#[test]
fn the_loop_learns_and_its_run_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_candle-rings"))
        .arg(folder.path())
        .arg("300")
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let run = RunSummary::read(&folder.path().join("rings/events.jsonl")).unwrap();
    assert_eq!((run.step, run.ended().unwrap().status), (300, Status::Finished));
    let log = std::fs::read_to_string(folder.path().join("rings/events.jsonl")).unwrap();
    let accuracy = |line: &str| {
        let line: f64 =
            line.split_once("\"accuracy\":")?.1.split(['}', ',']).next()?.parse().ok()?;
        Some(line)
    };
    let last = log.lines().filter_map(accuracy).last().unwrap();
    assert!(last > 0.9, "{last}");
}
