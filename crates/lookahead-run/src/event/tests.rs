use super::*;
use proptest::prelude::*;
use serde_json::json;

/// An event as in the log.
fn written(event: &Event) -> serde_json::Value {
    let record = Record { time: 0.5, step: 7, event: event.clone() };
    serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap()
}

fn read(line: serde_json::Value) -> Event {
    serde_json::from_str::<Record>(&line.to_string()).unwrap().event
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

    /// Any line is read as serde reads it.
    #[test]
    fn lines_of_any_kind(
        line in prop::sample::select(&[
            r#"{"time":0.5,"step":7,"event":"step","epoch":1,"loss":0.1,"learning_rate":1e-300,"samples_per_second":"NaN","phase":2}"#,
            r#"{"phase":2,"loss":-0,"samples_per_second":1,"event":"step","step":7,"epoch":1,"learning_rate":2,"time":5,"later":[{}]}"#,
            r#"{"time":0.5,"step":7,"event":"sync","epoch":1,"loss":0.1,"sync":1,"alpha":0.5}"#,
            r#"{"time":0.5,"step":7,"event":"paused"}"#,
            r#"{"time":0.5,"step":7,"event":"scalars","values":{"a":1,"b, c":"NaN","":1e-300}}"#,
            r#"{"values":{"a":1,"a":2},"event":"scalars","later":0,"step":7,"time":5}"#,
            r#"[0.5,7,"step",1,0.1,0.1,9.0,2]"#,
            r#"{"time":0.5,"step":7,"event":"step","epoch":1,"loss":1,"learning_rate":1,"samples_per_second":1,"phase":2,"later":1e999}"#,
        ][..]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0u8..127), 0..3),
        twice in any::<[prop::sample::Index; 2]>(),
    ) {
        let same = |line: &[u8]| {
            let expected = serde_json::from_slice::<Record>(line).map_err(|e| e.to_string());
            let found = parse(line).map_err(|e| e.to_string());
            prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
            Ok(())
        };
        same(line.as_bytes())?;
        let mut changed = line.as_bytes().to_vec();
        for (at, byte) in changes {
            let at = at.index(changed.len());
            changed[at] = byte;
        }
        same(&changed)?;
        // A duplicate or missing field.
        let mut fields: Vec<_> = line.split(',').collect();
        let [to, from] = twice.map(|at| at.index(fields.len()));
        fields[to] = fields[from];
        same(fields.join(",").as_bytes())?;
    }
}

#[test]
fn measured_norms_are_in_the_log_even_if_they_are_not_finite() {
    let sync = |distance, gradient_norm| {
        Event::Sync(Sync { sync: 1, alpha: 0.5, distance, gradient_norm, last: false })
    };
    let head = json!({"time": 0.5, "step": 7, "event": "sync", "sync": 1, "alpha": 0.5});
    let with = |distance: serde_json::Value, gradient_norm: serde_json::Value| {
        let mut line = head.clone();
        line["distance"] = distance;
        line["gradient_norm"] = gradient_norm;
        line
    };
    assert_eq!(written(&sync(None, None)), head);
    assert_eq!(read(head.clone()), sync(None, None));
    assert_eq!(read(with(json!(null), json!(2))), sync(None, Some(2.0)));
    let infinite = sync(Some(f64::INFINITY), Some(f64::NEG_INFINITY));
    assert_eq!(written(&infinite), with("Infinity".into(), "-Infinity".into()));
    assert_eq!(read(written(&infinite)), infinite);
    let diverged = sync(Some(f64::NAN), Some(0.1 + 0.2));
    assert_eq!(written(&diverged), with("NaN".into(), json!(0.1 + 0.2)));
    let Event::Sync(found) = read(written(&diverged)) else { panic!() };
    assert!(found.distance.is_some_and(f64::is_nan));
    assert_eq!(found.gradient_norm, Some(0.1 + 0.2));
}

#[test]
fn layers_have_their_norms_in_order_even_if_they_are_not_finite() {
    let layers = Layers {
        sync: 3,
        names: vec!["out".into(), "conv".into()],
        distance: vec![1.5, f64::INFINITY],
        gradient_norm: vec![0.25, 2.0],
    };
    let line = written(&Event::Layers(layers.clone()));
    assert_eq!(line["names"], json!(["out", "conv"]));
    assert_eq!(line["distance"], json!([1.5, "Infinity"]));
    assert_eq!(read(line), Event::Layers(layers));
}

#[test]
fn changes_of_settings_have_their_values() {
    let changes = json!({"optimizer.lr": 0.01, "lookahead.k": 10, "later": {"a": [null]}});
    let changed = Event::Changed(Changed { changes: changes.as_object().unwrap().clone() });
    let line = json!({"time": 0.5, "step": 7, "event": "changed", "changes": changes});
    assert_eq!(written(&changed), line);
    assert_eq!(read(line), changed);
}

#[test]
fn a_timing_may_have_only_some_parts() {
    let timing = Event::Timing(Timing {
        steps: 100,
        seconds: 8.0,
        data: 1.0 / 3.0,
        forward_backward: 2.0,
        inner_step: f64::INFINITY,
        sync: 0.5,
        probe: 5e-324,
        evaluation: 0.125,
        checkpoint: 0.0625,
    });
    assert_eq!(written(&timing)["inner_step"], "Infinity");
    assert_eq!(read(written(&timing)), timing);
    let line = json!({"time": 0.5, "step": 7, "event": "timing", "steps": 3, "lunch": 1.0});
    assert_eq!(read(line), Event::Timing(Timing { steps: 3, ..Timing::default() }));
}

#[test]
fn a_machine_may_have_no_gpu() {
    let alone = Event::System(System { cpu: 1.5, memory: u64::MAX, gpu: None });
    let line = json!({"time": 0.5, "step": 7, "event": "system", "cpu": 1.5, "memory": u64::MAX});
    assert_eq!(written(&alone), line);
    assert_eq!(read(line), alone);
    let gpu = Gpu { utilization: 0.25, memory_used: 1 << 30, memory_total: 80 << 30 };
    let with = Event::System(System { cpu: f64::INFINITY, memory: 1, gpu: Some(gpu) });
    assert_eq!(written(&with)["cpu"], "Infinity");
    assert_eq!(read(written(&with)), with);
}

#[test]
fn an_evaluation_may_have_metrics_and_a_confusion_matrix() {
    let earlier = json!({"time": 0.5, "step": 7, "event": "evaluation", "weights": "slow", "split": "test",
        "loss": 0.5, "accuracy": 0.75, "samples": 4, "seconds": 1.0});
    let Event::Evaluation(mut found) = read(earlier.clone()) else { panic!() };
    assert_eq!(written(&Event::Evaluation(found.clone())), earlier);
    let values =
        |found: &Evaluation| ["loss", "accuracy", "macro_f1"].map(|name| found.value(name));
    assert_eq!(values(&found), [Some(0.5), Some(0.75), None]);
    // A model that diverged has metrics that are not finite.
    found.metrics = [("macro_f1".to_owned(), 0.7), ("r2".to_owned(), f64::NEG_INFINITY)].into();
    found.confusion_matrix = Some(vec![vec![2, 0], vec![1, 1]]);
    let line = written(&Event::Evaluation(found.clone()));
    assert_eq!(line["metrics"], json!({"macro_f1": 0.7, "r2": "-Infinity"}));
    assert_eq!(line["confusion_matrix"], json!([[2, 0], [1, 1]]));
    assert_eq!(read(line), Event::Evaluation(found.clone()));
    assert_eq!(values(&found), [Some(0.5), Some(0.75), Some(0.7)]);
    found.accuracy = f64::NAN;
    assert_eq!(values(&found), [Some(0.5), None, Some(0.7)]);
}

#[test]
fn a_log_names_its_metrics_and_those_of_earlier_versions_are_known() {
    let names = |task: &TaskInfo| -> Vec<String> {
        task.metrics().into_iter().map(|metric| metric.name).collect()
    };
    let read = |json: serde_json::Value| serde_json::from_value::<TaskInfo>(json).unwrap();
    for (earlier, expected) in [
        (json!({}), &["accuracy"][..]),
        (json!({"task": "language"}), &["perplexity", "accuracy"]),
        (json!({"task": "quadratic"}), &[]),
        (json!({"task": "of a later version"}), &[]),
    ] {
        assert_eq!(names(&read(earlier)), expected);
    }
    let r2 = json!({"name": "r2", "higher_is_better": true, "percent": false});
    let written = json!({"task": "regression", "metrics": [{"name": "mae"}, r2]});
    let task = read(written.clone());
    assert_eq!((task.kind, names(&task)), (Task::Regression, vec!["mae".into(), "r2".into()]));
    assert_eq!(serde_json::to_value(&task).unwrap()["metrics"][1], r2);
    assert!(!task.metric("mae").unwrap().is_better(2.0, 1.0));
    assert!(task.metric("r2").unwrap().is_better(0.9, 0.8));
    assert!(!task.metric("r2").unwrap().is_better(f64::NAN, 0.8));
    assert_eq!(task.metric("loss"), Some(MetricInfo::loss()));
    assert_eq!(task.metric("accuracy"), None);
}

/// As in earlier versions, where all of it was one struct.
#[test]
fn run_info_is_flat_in_json() {
    let text = concat!(
        r#"{"format":1,"run":"mnist","data":"mnist","task":"classification","model":"mlp","#,
        r#""optimizer":"sgd","device":"cpu","threads":2,"cpu_capability":"AVX2","parameters":10,"#,
        r#""total_steps":100,"steps_per_epoch":10,"train_samples":1000,"validation_samples":20,"#,
        r#""test_samples":3,"seed":18446744073709551615,"program":"this one","#,
        r#""versions":{"lookahead":"1","tch":"2","libtorch":"3"},"config":{"optimizer":{"lr":0.1}}}"#
    );
    let mut info = crate::testing::info();
    info.samples = Samples { train: 1000, validation: 20, test: 3 };
    info.software.program = Some("this one".into());
    assert_eq!(serde_json::to_string(&info).unwrap(), text);
    assert_eq!(serde_json::from_str::<RunInfo>(text).unwrap(), info);
    // Even earlier versions named no program.
    info.software.program = None;
    let earlier = text.replace(r#""program":"this one","#, "");
    assert_eq!(serde_json::to_string(&info).unwrap(), earlier);
    assert_eq!(serde_json::from_str::<RunInfo>(&earlier).unwrap(), info);
}
