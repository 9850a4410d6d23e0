use serde_json::json;

use super::super::message::Value;
use super::Points;
use crate::event::{
    Changed, Evaluation, Event, Gpu, Layers, Rank, Ranks, Split, Sync, System, Timing, Weights,
};
use crate::testing::{info, resumed};

fn scalars(event: Event) -> Vec<(String, f64)> {
    let all = Points::default().points(&event).into_iter();
    all.map(|(tag, value)| match value {
        Value::Scalar(number) => (tag.into_owned(), number),
        Value::Text(text) => panic!("{tag}: {text}"),
    })
    .collect()
}

fn named(pairs: &[(&str, f64)]) -> Vec<(String, f64)> {
    pairs.iter().map(|&(tag, value)| (tag.to_owned(), value)).collect()
}

#[test]
fn an_evaluation_has_its_loss_and_every_metric() {
    let mut evaluation = Evaluation::new(Weights::Fast, Split::Test);
    evaluation.loss = 0.5;
    evaluation.metrics = [("macro_f1".to_owned(), 0.25), ("accuracy".to_owned(), 0.75)].into();
    let expected =
        [("test/loss/fast", 0.5), ("test/accuracy/fast", 0.75), ("test/macro_f1/fast", 0.25)];
    assert_eq!(scalars(Event::Evaluation(evaluation.clone())), named(&expected));
    // Earlier versions recorded only the accuracy, where something is classified.
    evaluation.metrics.clear();
    assert_eq!(scalars(Event::Evaluation(evaluation.clone())), named(&expected[..1]));
    evaluation.accuracy = 0.75;
    assert_eq!(scalars(Event::Evaluation(evaluation)), named(&expected[..2]));
}

#[test]
fn each_layer_has_its_norms() {
    let names = ["conv1", "head.fc"].map(str::to_owned).into();
    let layers = Layers {
        sync: 3,
        names,
        distance: vec![0.5, 1.5],
        gradient_norm: vec![2.0, f64::INFINITY],
    };
    let expected = [
        ("layers/distance/conv1", 0.5),
        ("layers/distance/head.fc", 1.5),
        ("layers/gradient_norm/conv1", 2.0),
        ("layers/gradient_norm/head.fc", f64::INFINITY),
    ];
    assert_eq!(scalars(Event::Layers(layers)), named(&expected));
}

#[test]
fn times_are_shares_and_what_was_not_measured_is_absent() {
    let timing = Timing { steps: 4, seconds: 2.0, data: 0.5, sync: 1.0, ..Timing::default() };
    let found = scalars(Event::Timing(timing));
    assert!(found.contains(&("time/data".to_owned(), 0.25)), "{found:?}");
    assert!(found.contains(&("time/sync".to_owned(), 0.5)), "{found:?}");

    let sync = Sync { sync: 1, alpha: 0.5, distance: None, gradient_norm: None, last: true };
    assert_eq!(scalars(Event::Sync(sync)), named(&[("lookahead/alpha", 0.5)]));

    let gpu = Gpu { utilization: 0.5, memory_used: 8, memory_total: 9 };
    let system = System { cpu: 1.5, memory: 7, gpu: Some(gpu) };
    let pairs = [
        ("machine/cpu", 1.5),
        ("machine/memory", 7.0),
        ("machine/gpu", 0.5),
        ("machine/gpu_memory", 8.0),
    ];
    assert_eq!(scalars(Event::System(system.clone())), named(&pairs));
    assert_eq!(scalars(Event::System(System { gpu: None, ..system })), named(&pairs[..2]));

    let rank = Rank { loss: 1.0, step_seconds: 2.0, wait_seconds: 3.0, distance: None };
    let ranks = vec![rank, Rank { distance: Some(4.0), ..rank }];
    let found = scalars(Event::Ranks(Ranks { ranks }));
    assert_eq!((found.len(), &found[6]), (7, &("ranks/distance/1".to_owned(), 4.0)));
}

#[test]
fn settings_are_tables_that_no_value_can_break() {
    let texts = |event: Event| Points::default().points(&event);
    let mut begun = info();
    begun.config = json!({"data": {"file": "a|b`c\nd"}, "optimizer": {"lr": 0.1}});
    let [(_, run), (_, config)] = &texts(Event::RunStarted(begun))[..] else { panic!() };
    let table = "| key | value |\n| --- | --- |\n\
                 | `data.file` | `a¦b'c d` |\n| `optimizer.lr` | `0.1` |\n";
    assert_eq!(*config, Value::Text(table.to_owned()));
    let Value::Text(run) = run else { panic!() };
    assert!(run.contains("| `model` | `mlp` |") && !run.contains("config"), "{run}");

    let changes =
        Value::Text("| key | value |\n| --- | --- |\n| `optimizer.lr` | `0.2` |\n".into());
    let found = texts(resumed(3).event);
    assert_eq!(found.last(), Some(&("changes".into(), changes.clone())));
    let map = serde_json::Map::from_iter([("optimizer.lr".into(), 0.2.into())]);
    assert_eq!(texts(Event::Changed(Changed { changes: map })), [("changes".into(), changes)]);
}
