//! `data.kind = "csv"`, by the whole program.

use crate::common::{Sandbox, copy_folder, failed, sets, succeeded};
use lookahead_run::RunFolder;

const CONFIG: &str = r#"
[data]
kind = "csv"
file = "table.csv"
test_file = "test.csv"
target = "sold"
ignore = ["id"]
missing = "mean"
delimiter = ";"
batch_size = 8

[model]
kind = "mlp"
hidden = [8]

[train]
max_steps = 6
threads = 1

[checkpoint]
every_steps = 3
"#;

/// A table with numbers, texts and missing cells.
fn table(rows: usize) -> String {
    let row = |i: usize| {
        let price = if i % 7 == 3 { String::new() } else { format!("{}.5", i * 37 % 50) };
        let city = ["Bonn", "Rome", "\"Frankfurt; Main\""][i % 3];
        format!("{i};{price};{city};{}\r\n", ["yes", "no"][i * 37 % 50 / 25])
    };
    format!("\u{feff}id;price;city;sold\r\n{}", (0..rows).map(row).collect::<String>())
}

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(CONFIG);
    std::fs::write(sandbox.path().join("table.csv"), table(60)).unwrap();
    std::fs::write(sandbox.path().join("test.csv"), table(10)).unwrap();
    sandbox
}

#[test]
fn a_run_resumes_from_another_folder_and_with_moved_files() {
    let sandbox = sandbox();
    sandbox.train("whole", &[]);
    copy_folder(&sandbox.run_folder("whole"), &sandbox.run_folder("moved"));
    let folder = RunFolder::open(&sandbox.run_folder("whole")).unwrap();
    let manifest = folder.checkpoints().list().unwrap()[0].verify().unwrap();
    let signature = serde_json::to_value(&manifest.metadata.signature).unwrap();
    assert_eq!(signature["table"]["inputs"][0]["name"], "price");
    assert_eq!(
        signature["table"]["inputs"][1]["categories"],
        serde_json::json!(["Bonn", "Frankfurt; Main", "Rome"])
    );
    assert_eq!(signature["classes"], serde_json::json!(["no", "yes"]));
    assert_eq!(signature["inputs"]["shape"], serde_json::json!([4]));

    // The paths were anchored, so that the working directory does not matter.
    let elsewhere = tempfile::tempdir().unwrap();
    let path = sandbox.run_folder("whole");
    let resume = ["resume", path.to_str().unwrap(), "--from", "3"];
    succeeded(sandbox.command(&resume).current_dir(elsewhere.path()).output().unwrap());

    for (name, key) in [("table.csv", "file"), ("test.csv", "test_file")] {
        std::fs::rename(sandbox.path().join(name), elsewhere.path().join(name)).unwrap();
        let missing = sandbox.lookahead(&["resume", "runs/moved", "--from", "3"]);
        failed(&missing, 2, &[name, &format!("`data.{key}`"), "can't be read"]);
        std::fs::copy(elsewhere.path().join(name), sandbox.path().join(name)).unwrap();
    }
    for name in ["table.csv", "test.csv"] {
        std::fs::remove_file(sandbox.path().join(name)).unwrap();
    }
    let [file, test] = [("file", "table.csv"), ("test_file", "test.csv")]
        .map(|(key, name)| format!("data.{key}={}", elsewhere.path().join(name).display()));
    sandbox.resume("moved", &[&["--from", "3"][..], &sets(&[&file, &test])].concat());
    for run in ["whole", "moved"] {
        assert_eq!(sandbox.losses(run).len(), 6);
    }
    assert_eq!(sandbox.losses("moved"), sandbox.losses("whole"));
    assert!(sandbox.tensors("moved", 6) == sandbox.tensors("whole", 6));

    // Other rows are not what the run was trained on.
    let other = table(60).replace(";Rome;", ";Bonn;");
    std::fs::write(elsewhere.path().join("table.csv"), other).unwrap();
    let changed = sandbox.lookahead(&["resume", "runs/moved", "--from", "3"]);
    failed(&changed, 2, &["contents have changed"]);
}

#[test]
fn a_bad_table_is_named_with_line_and_column() {
    let sandbox = sandbox();
    let refused = |set: &[&str], words: &[&str]| {
        let train = [&["train", "test.toml", "--out", "runs"][..], &sets(set)].concat();
        failed(&sandbox.lookahead(&train), 2, words);
        assert!(!sandbox.path().join("runs").exists());
    };
    refused(&["data.target=solt"], &["`solt`", "Did you mean `sold`?", "`id`, `price`, `city`"]);
    refused(&["data.missing=error"], &["table.csv", "Line 5, column `price`", "is empty"]);
    refused(&["data.test_fraction=0.5"], &["`data.test_fraction` and `data.test_file`"]);
    refused(&["data.delimiter=,"], &["`data.delimiter = ';'`"]);
    refused(&["model.kind=cnn"], &["This model reads images", "[4]"]);
    std::fs::write(sandbox.path().join("test.csv"), "price;city;sold\n1;Bonn;maybe\n").unwrap();
    refused(&[], &["test.csv of `data.test_file`", "Line 2, column `sold`", "\"maybe\""]);
}

#[test]
fn a_number_is_predicted_in_its_own_units() {
    let config = CONFIG
        .replace("test_file = \"test.csv\"\n", "")
        .replace("target = \"sold\"", "target = \"price\"")
        .replace("missing = \"mean\"\ndelimiter = \";\"\n", "")
        .replace("ignore = [\"id\"]\n", "")
        .replace("max_steps = 6", "max_steps = 200");
    let sandbox = Sandbox::new(&config);
    let rows: String =
        (0..80).map(|i| format!("{i},{}\n", 5000.25 + 100.0 * f64::from(i))).collect();
    std::fs::write(sandbox.path().join("table.csv"), format!("size,price\n{rows}")).unwrap();
    sandbox.train("run", &["--set", "train.evaluate_every_epochs=0"]);
    let report = succeeded(sandbox.lookahead(&["eval", "runs/run", "--json"])).stdout;
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let metrics = &report["metrics"];
    assert!(metrics["r2"].as_f64().unwrap() > 0.9, "{report}");
    // The deviation of the prices is 2,309, and that of standardized ones 1.
    let error = metrics["mae"].as_f64().unwrap();
    assert!((1.0..600.0).contains(&error), "{report}");
}
