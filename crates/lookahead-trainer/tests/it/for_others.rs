//! What other programs rely on: the event log and the model file.

use crate::common::{SMALL, Sandbox, root};
use lookahead_run::event::{Changed, Event, Gpu, Ranks, Record, System, Timing};
use lookahead_trainer::registry::Registry;
use serde_json::Value;

/// The table in `checkpoints/README.md` names the events and every field that a run writes.
#[test]
fn every_event_and_field_is_documented() {
    let readme = std::fs::read_to_string(root().join("checkpoints/README.md")).unwrap();
    let rows: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    let row = |event: &str| {
        let named = |row: &&&str| row.split('|').nth(1).unwrap().contains(&format!("`{event}`"));
        rows.iter().find(named).unwrap_or_else(|| panic!("`{event}` is not documented"))
    };

    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=8"]);
    sandbox.resume("run", &["--set", "train.max_steps=14"]);
    let log = std::fs::read_to_string(sandbox.run_folder("run").join("events.jsonl")).unwrap();
    // Events that a short run without commands does not have.
    let gpu = Gpu { utilization: 0.5, memory_used: 1, memory_total: 2 };
    let seldom = [
        Event::Changed(Changed { changes: serde_json::Map::new() }),
        Event::Timing(Timing::default()),
        Event::System(System { cpu: 1.0, memory: 1, gpu: Some(gpu) }),
        Event::Ranks(Ranks { ranks: Vec::new() }),
    ];
    let seldom = seldom.map(|event| serde_json::to_string(&Record::now(1, event)).unwrap());
    let mut seen = std::collections::BTreeSet::new();
    let lines = log.lines().chain(seldom.iter().map(String::as_str));
    for line in lines {
        let object: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
        let event = object["event"].as_str().unwrap();
        assert!(object["step"].is_u64() && object["time"].as_f64().unwrap() > 1.7e9, "{line}");
        let documented = row(event);
        for field in object.keys().filter(|key| !["event", "step", "time"].contains(&key.as_str()))
        {
            let started = event == "resumed" && row("run_started").contains(&format!("`{field}`"));
            assert!(
                started || documented.contains(&format!("`{field}`")),
                "`{field}` of `{event}` is not documented"
            );
        }
        seen.insert(event.to_owned());
    }
    let expected = [
        "changed",
        "checkpoint",
        "evaluation",
        "probe",
        "ranks",
        "resumed",
        "run_ended",
        "run_started",
        "step",
        "sync",
        "system",
        "timing",
    ];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

/// `model.safetensors` is φ under the names of the model's own variables: tch's own loader takes it.
#[test]
fn the_model_file_loads_in_tch_and_is_phi() {
    use lookahead_run::event::{Split, Weights};
    use lookahead_trainer::{config::Config, train::evaluation::evaluate};

    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let config = Config::load(Registry::builtin().kinds(), &sandbox.config(), &[]).unwrap().config;
    let data = Registry::builtin().load_data(&config.data).unwrap();
    tch::manual_seed(99);
    let mut model =
        Registry::builtin().build_model(&config.model, &data.spec, tch::Device::Cpu).unwrap();
    let file = sandbox.run_folder("run").join("step-00000014/model.safetensors");
    model.vs.load(&file).unwrap();
    let objective =
        Registry::builtin().build_objective(&config, &data.spec, tch::Device::Cpu).unwrap();
    let loaded = evaluate(&objective, &model, &*data.test, Split::Test, Weights::Slow, || false)
        .unwrap()
        .unwrap();
    let records = sandbox.records("run");
    let recorded = records.iter().find_map(|record| match &record.event {
        Event::Evaluation(e) if e.weights == Weights::Slow && e.split == Split::Test => Some(e),
        _ => None,
    });
    assert_eq!(loaded.accuracy, recorded.unwrap().accuracy);
    assert!((loaded.loss - recorded.unwrap().loss).abs() < 1e-6);

    let names: Vec<String> =
        lookahead_trainer::tensor_file::read(&file).unwrap().into_keys().collect();
    assert!(names.contains(&"fc1.weight".to_owned()), "{names:?}");
    assert!(names.contains(&"fc_bn1.running_mean".to_owned()), "{names:?}");
}

/// Losses repeat to the bit only at an equal number of threads, so `eval` takes the run's.
#[test]
fn eval_uses_the_threads_of_the_run() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.threads=3", "--set", "train.max_steps=2"]);
    let run = sandbox.run_folder("run");
    let arguments =
        lookahead_trainer::cli::Eval { run: Some(run), from: None, weights: None, json: false };
    lookahead_trainer::commands::eval(&Registry::builtin(), &arguments).unwrap();
    assert_eq!(tch::get_num_threads(), 3);
}

/// A run of another program in the same format can be watched; what only that program can do is refused by name.
#[test]
fn a_run_of_another_program_is_named() {
    use crate::common::{failed, succeeded};
    use lookahead_run::control::ControlServer;
    use lookahead_run::event::{RunInfo, Software, Step};
    use lookahead_run::status::Status;
    use lookahead_run::{RunFolder, TrainingMetadata};

    let sandbox = Sandbox::new(SMALL);
    let run = RunFolder::create(&sandbox.path().join("runs"), "run").unwrap();
    let lock = run.lock().unwrap();
    let run = lock.folder();
    run.write_config("strokes = 12\n").unwrap();
    let info: RunInfo = serde_json::from_value(serde_json::json!({
        "format": 1, "run": "run", "data": "sketches", "model": "pen", "optimizer": "sgd",
        "lookahead": {"k": 5, "alpha": 0.5}, "device": "cpu", "threads": 1, "cpu_capability": "AVX2",
        "parameters": 3, "total_steps": 10, "steps_per_epoch": 5, "train_samples": 5,
        "validation_samples": 0, "test_samples": 0, "seed": 1, "program": "sketcher",
        "versions": {"lookahead": "", "tch": "", "libtorch": ""}, "config": {},
    }))
    .unwrap();
    let mut events = run.open_log().unwrap();
    events.append(&Record::now(0, Event::RunStarted(info))).unwrap();
    for step in 1..=10 {
        let taken =
            Step { epoch: 0, loss: 0.5, learning_rate: 0.1, samples_per_second: 9.0, phase: 1 };
        events.append(&Record::now(step, Event::Step(taken))).unwrap();
    }
    let metadata = TrainingMetadata {
        step: 10,
        software: Software { program: Some("sketcher".into()), ..Software::default() },
        ..TrainingMetadata::default()
    };
    let file = |writer: &mut lookahead_run::CheckpointWriter| {
        Ok(writer.create_file("lines.bin")?.finish()?)
    };
    run.checkpoints().publish(metadata, file).unwrap();

    let status = || Status { run: "run".into(), step: 10, total_steps: 10, ..Status::default() };
    let server = ControlServer::start(run, |_| Ok(None), status).unwrap();
    let told = succeeded(sandbox.lookahead(&["ctl", "runs/run", "status"]));
    let told = String::from_utf8(told.stdout).unwrap();
    assert!(told.contains("`set` can't change anything in this run"), "{told}");
    assert!(!told.contains("several processes"), "{told}");
    drop(server);
    drop(lock);

    for log in ["with a log", "without a log"] {
        for command in [
            &["resume", "runs/run"][..],
            &["train", "test.toml", "--out", "runs", "--name", "run", "--auto-resume"],
            &["eval", "runs/run"],
            &["export", "runs/run", "--output", "model.safetensors"],
        ] {
            let output = sandbox.lookahead(command);
            failed(&output, 2, &["`sketcher` wrote the run runs/run", "`plot` and `inspect` work"]);
        }
        assert!(!sandbox.path().join("model.safetensors").exists());
        if log == "with a log" {
            succeeded(sandbox.lookahead(&["inspect", "runs/run"]));
            succeeded(sandbox.lookahead(&["plot", "runs/run", "--output", "run.svg"]));
            let left = succeeded(sandbox.lookahead(&["ctl", "runs/run", "status"]));
            let left = String::from_utf8(left.stdout).unwrap();
            assert!(left.contains("`sketcher` wrote it and can resume it"), "{left}");
            std::fs::remove_file(sandbox.run_folder("run").join("events.jsonl")).unwrap();
        }
    }
}
