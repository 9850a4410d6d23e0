//! Event files, as TensorBoard itself reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use lookahead_run::event::{Evaluation, Event, Record, Split, Weights};
use lookahead_run::{EventLog, RunFolder, tensorboard};

use crate::common::{SMALL, Sandbox, python_with, root, sets, stderr, succeeded};
use crate::crashes::{MAIN, child};

const ON: [&str; 2] = ["--set", "log.tensorboard=true"];

/// What TensorBoard's own reader prints; none without it.
fn reader(arguments: &[&Path]) -> Option<String> {
    let Some(python) = python_with(&["tensorboard"]) else {
        eprintln!("Skipped: no Python with tensorboard; `just python` makes one.");
        return None;
    };
    let script = root().join("crates/lookahead-trainer/tests/python/tensorboard_reader.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    Some(String::from_utf8(succeeded(output).stdout).unwrap())
}

/// The values of each tag: step, and value as `f32`.
type Series = BTreeMap<String, Vec<(u64, f32)>>;

fn series(line: &str) -> (Series, serde_json::Value) {
    let found: serde_json::Value = serde_json::from_str(line).unwrap();
    let point = |point: &serde_json::Value| {
        let value: f64 = point[1].as_str().unwrap().parse().unwrap();
        (point[0].as_u64().unwrap(), value as f32)
    };
    let scalars =
        found["scalars"].as_object().unwrap().iter().map(|(tag, points)| {
            (tag.clone(), points.as_array().unwrap().iter().map(point).collect())
        });
    (scalars.collect(), found["texts"].clone())
}

/// Those that don't depend on the time.
fn fixed(mut series: Series) -> Series {
    let varies = ["time/", "machine/", "train/samples_per_second"];
    series.retain(|tag, _| !varies.iter().any(|start| tag.starts_with(start)));
    series
}

/// What a run's log has for some of the tags.
fn logged(records: &[Record]) -> Series {
    let mut series = Series::new();
    let mut add = |tag: &str, step: u64, value: f64| {
        let points = series.entry(tag.to_owned()).or_default();
        points.retain(|(other, _)| *other != step);
        points.push((step, value as f32));
    };
    for Record { step, event, .. } in records {
        match event {
            Event::Step(found) => {
                add("train/loss", *step, found.loss);
                add("train/learning_rate", *step, found.learning_rate);
                add("train/samples_per_second", *step, found.samples_per_second);
            }
            Event::Sync(found) => {
                add("lookahead/alpha", *step, found.alpha);
                add("lookahead/distance", *step, found.distance.unwrap());
                add("train/gradient_norm", *step, found.gradient_norm.unwrap());
            }
            Event::Probe(found) => {
                add("probe/loss/fast", *step, found.fast_loss);
                add("probe/loss/slow", *step, found.slow_loss);
            }
            Event::Layers(found) => {
                for (index, name) in found.names.iter().enumerate() {
                    add(&format!("layers/distance/{name}"), *step, found.distance[index]);
                    add(&format!("layers/gradient_norm/{name}"), *step, found.gradient_norm[index]);
                }
            }
            Event::Evaluation(found) => {
                let (split, weights) = (found.split.name(), found.weights.name());
                add(&format!("{split}/loss/{weights}"), *step, found.loss);
                for (name, value) in &found.metrics {
                    add(&format!("{split}/{name}/{weights}"), *step, *value);
                }
            }
            _ => {}
        }
    }
    series
}

fn file_of(run: &Path) -> PathBuf {
    let mut files = tensorboard::files(run).unwrap();
    let file = files.pop().unwrap_or_else(|| panic!("none in {}", run.display()));
    assert!(files.iter().all(|before| before.metadata().unwrap().len() == 0), "{files:?}");
    file
}

#[test]
fn observing_changes_nothing_and_live_and_exported_files_are_equal() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("without", &[]);
    sandbox.train("with", &[&ON[..], &["--set", "probe.layers=true"]].concat());
    assert_eq!(sandbox.losses("with"), sandbox.losses("without"));
    assert!(sandbox.tensors("with", 14) == sandbox.tensors("without", 14));
    let config = |run: &str| std::fs::read_to_string(sandbox.run_folder(run).join("config.toml"));
    assert!(!config("without").unwrap().contains("[log]"));
    assert!(tensorboard::files(&sandbox.run_folder("without")).unwrap().is_empty());

    let export = ["export", "runs/with", "--tensorboard", "board"];
    let said = stderr(&succeeded(sandbox.lookahead(&export)));
    assert!(said.contains("board/with/events.out.tfevents."), "{said}");
    assert!(said.contains("tensorboard --logdir board"), "{said}");
    let [live, exported] =
        [sandbox.run_folder("with"), sandbox.path().join("board/with")].map(|run| file_of(&run));
    assert!(std::fs::read(&live).unwrap() == std::fs::read(&exported).unwrap());

    let Some(lines) = reader(&[&exported]) else { return };
    let (found, texts) = series(&lines);
    for (tag, points) in logged(&sandbox.records("with")) {
        assert_eq!(found[&tag], points, "{tag}");
    }
    assert_eq!(found["lookahead/k"], [(3, 3.0), (6, 3.0), (9, 3.0), (12, 3.0)]);
    for tag in ["validation/accuracy/slow", "layers/distance/fc1", "layers/gradient_norm/fc1"] {
        assert!(found.contains_key(tag), "{tag}: {:?}", found.keys());
    }
    let config = texts["config"][0][1].as_str().unwrap();
    assert!(config.contains("| `optimizer.lr` | `0.05` |"), "{config}");
    assert!(texts["run"][0][1].as_str().unwrap().contains("| `data` | `digits` |"));
    let events: usize = reader(&[Path::new("--cut"), &live]).unwrap().trim().parse().unwrap();
    assert!(events > 20, "{events} events");
}

/// A run that goes back, and one that is watched while it does.
#[test]
fn a_resumed_run_has_each_step_once_in_tensorboard() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("whole", &ON);
    sandbox.train("run", &[&ON[..], &["--set", "train.max_steps=10"]].concat());
    let run = sandbox.run_folder("run");
    let before = sandbox.path().join(file_of(&run).file_name().unwrap());
    std::fs::copy(file_of(&run), &before).unwrap();
    sandbox.resume("run", &["--from", "5", "--set", "train.max_steps=14"]);
    let after = file_of(&run);
    assert!(after.file_name() > before.file_name(), "{after:?}, {before:?}");
    let Some(lines) = reader(&[&sandbox.run_folder("whole"), &run]) else { return };
    let [whole, resumed] = &lines.lines().map(series).collect::<Vec<_>>()[..] else { panic!() };
    assert_eq!(fixed(whole.0.clone()), fixed(resumed.0.clone()));
    assert_eq!(resumed.0["train/samples_per_second"].len(), 14);
    let config = resumed.1["config"].as_array().unwrap();
    assert_eq!(config.iter().map(|text| text[0].as_u64().unwrap()).collect::<Vec<_>>(), [0, 5]);
    assert!(resumed.1["changes"][0][1].as_str().unwrap().contains("| `train.max_steps` | `14` |"));
    // A TensorBoard that has the old file open.
    let watched = reader(&[Path::new("--replace"), &before, &after]).unwrap();
    assert_eq!(series(&watched).0, resumed.0);
}

/// Killed after calls of the training thread, which writes the file. What is there is the beginning of a whole run's.
#[test]
fn a_killed_run_has_the_beginning_of_its_values() {
    let sandbox = Sandbox::new(SMALL);
    let more = [&ON[..], &sets(&["checkpoint.keep=1", "train.max_steps=4"])].concat();
    sandbox.train("whole", &more);
    let train = ["train", "test.toml", "--out", "runs", "--name"];
    let (mut killed, mut resumed) = (Vec::new(), Vec::new());
    for at in (1..).step_by(2) {
        let run = format!("run-{at}");
        let mut output = child(&sandbox, "kill", MAIN, at, &[&train[..], &[&run], &more].concat());
        let said = stderr(&output.output().unwrap());
        if !said.contains("kill after ") {
            break;
        }
        let folder = sandbox.run_folder(&run);
        if tensorboard::files(&folder).unwrap().is_empty() {
            continue;
        }
        // What TensorBoard would have seen at that moment.
        let seen = sandbox.path().join("seen").join(&run);
        std::fs::create_dir_all(&seen).unwrap();
        for file in tensorboard::files(&folder).unwrap() {
            std::fs::copy(&file, seen.join(file.file_name().unwrap())).unwrap();
        }
        killed.push(seen);
        if !sandbox.checkpoints(&run).is_empty() && resumed.len() < 4 {
            sandbox.resume(&run, &[]);
            assert_eq!(sandbox.losses(&run), sandbox.losses("whole"));
            file_of(&folder);
            resumed.push(folder);
        }
    }
    assert!(killed.len() > 8 && resumed.len() == 4, "{killed:?}, {resumed:?}");
    let whole = sandbox.run_folder("whole");
    let all = [&[whole][..], &killed, &resumed].concat();
    let Some(lines) = reader(&all.iter().map(PathBuf::as_path).collect::<Vec<_>>()) else { return };
    let found: Vec<Series> = lines.lines().map(|line| fixed(series(line).0)).collect();
    let mut steps = Vec::new();
    for (folder, found_there) in all.iter().zip(&found).skip(1) {
        for (tag, points) in found_there {
            assert!(found[0][tag].starts_with(points), "{}: {tag}", folder.display());
        }
        steps.push(found_there.get("train/loss").map_or(0, Vec::len));
    }
    assert!((0..=3).all(|step| steps.contains(&step)), "{steps:?}");
    let last = found.len() - resumed.len();
    assert!(found[last..].iter().all(|series| *series == found[0]));
}

/// A file that can't be made, and one that can't grow: a warning each, and the training is what it would have been.
#[test]
fn a_full_disk_does_not_end_the_training() {
    let sandbox = Sandbox::new(SMALL);
    let first = sets(&["train.max_steps=5", "checkpoint.every_steps=0"]);
    let last = &sets(&["train.max_steps=60", "checkpoint.every_steps=0"])[..];
    sandbox.train("whole", last);
    for (run, room, warning) in [
        ("no-file", 24 << 10, "The file for TensorBoard is not written any more"),
        ("no-growth", 0, "The file for TensorBoard can't be written"),
    ] {
        sandbox.train(run, &first);
        let folder = RunFolder::open(&sandbox.run_folder(run)).unwrap();
        // An event that takes more room in the event file than in the log, which must fit.
        let mut many = Evaluation::new(Weights::Fast, Split::Validation);
        many.metrics = (0..2000).map(|number| (format!("m{number}"), 0.5)).collect();
        let mut records = sandbox.records(run);
        let later = records.iter().position(|record| record.step == 5).unwrap();
        records.insert(later, Record::now(4, Event::Evaluation(many)));
        std::fs::remove_file(folder.events_path()).unwrap();
        let mut log = EventLog::open(&folder.events_path()).unwrap();
        records.iter().for_each(|record| log.append(record).unwrap());
        let size = |path: &Path| path.metadata().unwrap().len();
        let exported = tensorboard::export(&folder, &sandbox.path().join(run)).unwrap();
        let (logged, exported) = (size(&folder.events_path()), size(&exported));
        assert!(exported > logged + (26 << 10), "{exported}, {logged}");
        // The description of a resumed run takes some 5 KB.
        let limit = if room > 0 { logged + room } else { exported + (7 << 10) };
        let path = format!("runs/{run}");
        let resume = [&["resume", &path], last, &ON[..]].concat();
        let said = stderr(&succeeded(sandbox.with_file_limit((limit >> 9) as u32, &resume)));
        assert_eq!(said.matches(warning).count(), 1, "{said}");
        assert!(
            said.contains("Training continues")
                && said.contains(&format!("export {path} --tensorboard DIR")),
            "{said}"
        );
        assert!(!said.contains("EVENT LOG"), "{said}");
        assert_eq!(sandbox.losses(run), sandbox.losses("whole"));
        assert!(sandbox.tensors(run, 60) == sandbox.tensors("whole", 60));
        let warnings = sandbox.records(run).into_iter().filter(
            |record| matches!(&record.event, Event::Warning(w) if w.message.contains("TensorBoard")),
        );
        assert_eq!(warnings.count(), 1);
        assert!(!sandbox.run_folder(run).join(".tensorboard.tmp").exists());
    }
}
