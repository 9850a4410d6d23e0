//! The program as it is used.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

fn run(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_my-task"));
    let output = command.current_dir(folder).args(arguments).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn it_learns() {
    let folder = TempDir::new().unwrap();
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("my-task.toml");
    let config = config.to_str().unwrap();
    run(folder.path(), &["train", config, "--name", "test", "--no-tui", "--quiet"]);
    let report = run(folder.path(), &["eval", "test", "--json"]);
    let accuracy = report.split("\"accuracy\":").nth(1).unwrap().split([',', '}']).next().unwrap();
    assert!(accuracy.parse::<f64>().unwrap() > 0.95, "{report}");
}
