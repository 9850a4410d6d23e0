use lookahead_run::event::{Event, Sync};

use super::*;
use crate::fixture;

fn names(panel: &Panel) -> Vec<&str> {
    let named = panel.lines.iter().filter(|line| line.in_legend);
    named.map(|line| line.name.as_str()).collect()
}

#[test]
fn a_figure_has_the_lines_that_the_dashboard_shows() {
    let mut model = fixture::run(true, 1000);
    let figure = of(&model);
    assert_eq!((figure.title.as_str(), figure.panels.len()), ("digits-mlp", 1));
    let panel = &figure.panels[0];
    assert_eq!(
        names(panel),
        [
            "training loss, each batch",
            "training loss, running mean",
            "loss on one validation batch, fast weights",
            "loss on one validation batch, slow weights",
        ]
    );
    let last = panel.lines[3].points.last().unwrap();
    assert_eq!((last.x, last.y), (1000.0, model.run().series.probe.slow.newest().unwrap()));
    model.view.chart = Chart::Accuracy;
    let panel = &of(&model).panels[0];
    let last = panel.lines[1].points.last().unwrap();
    assert!((last.y - 92.16).abs() < 0.01 && panel.y_label == "%", "{last:?}");
}

#[test]
fn runs_are_in_one_order_in_every_panel() {
    let mut model = fixture::three();
    for (selected, chart) in
        [(0, Chart::Loss), (1, Chart::Loss), (0, Chart::Gain), (0, Chart::Cycle)]
    {
        (model.selected, model.view.chart) = (selected, chart);
        for panel in of(&model).panels {
            assert_eq!(names(&panel), ["lookahead", "adam-alone"], "{}", panel.title);
            assert_ne!(panel.lines[0].color, panel.lines[1].color);
            assert_ne!(panel.lines[0].marker, panel.lines[1].marker);
        }
    }
}

#[test]
fn fast_and_slow_of_a_run_differ_by_mark_and_dashes() {
    let mut model = fixture::three();
    model.view.both_weights = true;
    for (chart, fast, slow) in [(Chart::Loss, 0, 1), (Chart::Accuracy, 2, 3)] {
        model.view.chart = chart;
        let panel = &of(&model).panels[0];
        let lines = ["lookahead", "adam-alone"]
            .map(|run| [format!("{run}, fast weights"), format!("{run}, slow weights")]);
        assert_eq!(names(panel), lines.concat());
        let (fast, slow) = (&panel.lines[fast], &panel.lines[slow]);
        assert!(fast.dashed && fast.open && !slow.dashed && !slow.open);
        assert_eq!((fast.color, fast.marker), (slow.color, slow.marker));
    }
}

/// Phase p has the loss of the step that is taken from there. The loss on the validation batch has an axis of
/// its own.
#[test]
fn the_cycles_and_the_drop_from_fast_to_slow_are_apart() {
    let mut model = fixture::run(true, 1000);
    model.view.chart = Chart::Cycle;
    let [training, probe] = &of(&model).panels[..] else { panic!() };
    assert_eq!(names(training), ["last 100 cycles", "mean"]);
    assert_eq!(training.lines.len(), 101);
    let places = |line: &Line| line.points.iter().map(|point| point.x).collect::<Vec<_>>();
    assert_eq!(places(&training.lines[100]), [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert!(training.title.contains("training loss") && probe.title.contains("validation batch"));
    assert_eq!(names(probe), ["fast weights", "slow weights"]);
    let [joined, fast, slow] = &probe.lines[..] else { panic!() };
    assert_eq!((joined.points[0], joined.points[1]), (fast.points[0], slow.points[0]));
    assert!(fast.points[0].y > slow.points[0].y);
}

/// A run that ended inside a cycle ends with a sync, and its whole cycles are still shown.
#[test]
fn the_last_sync_makes_no_cycle_whole() {
    let mut model = fixture::run(true, 1000);
    model.view.chart = Chart::Cycle;
    let sync = Sync { sync: 201, alpha: 0.5, distance: None, gradient_norm: None, last: true };
    let events = [fixture::step(1001, 0.5), Event::Sync(sync), fixture::probe(0.4, 0.3)];
    fixture::feed(&mut model, events.map(|event| fixture::record(100.1, 1001, event)));
    let note = of(&model).panels[0].note.clone().unwrap();
    assert_eq!(note, "Means over the last 100 cycles of k = 5 inner steps.");
}

#[test]
fn the_first_steps_do_not_flatten_a_figure() {
    let mut model = fixture::model(true);
    let loss = |step: i32| {
        if step < 20 { 1e4 * 0.6_f64.powi(step) } else { 0.25 + 0.05 * f64::from(step).sin() }
    };
    let steps =
        (1..=2000).map(|step| fixture::record(0.0, step, fixture::step(step, loss(step as i32))));
    fixture::feed(&mut model, steps);
    let panel = &of(&model).panels[0];
    let (low, high) = panel.y_ends.unwrap();
    assert!(0.1 < low && high < 0.4, "{low} {high}");
    assert!(panel.note.as_ref().unwrap().contains("up to 6000 (▲)"), "{:?}", panel.note);
    model.view.all_values = true;
    assert_eq!(of(&model).panels[0].y_ends, None);
}

#[test]
fn what_a_logarithmic_axis_cannot_show_is_explained() {
    let mut model = fixture::run(true, 1000);
    model.view.chart = Chart::Gain;
    let note = |model: &Model| of(model).panels[0].note.clone().unwrap_or_default();
    fixture::feed(&mut model, [fixture::record(101.0, 1000, fixture::probe(0.1, 0.2))]);
    assert!(!note(&model).contains('×'));
    model.view.log_y = true;
    assert!(note(&model).contains("× at the bottom: 0 or less"), "{}", note(&model));
}

#[test]
fn a_picture_is_named_by_its_run_and_chart() {
    let model = fixture::run(true, 10);
    let path = |model, file: Option<&str>| path(model, file.map(str::to_owned));
    assert_eq!(path(&model, None), Ok("digits-mlp-loss.svg".into()));
    assert_eq!(path(&model, Some("a.png")), Ok("a.png".into()));
    assert_eq!(path(&fixture::three(), None), Ok("runs-loss.svg".into()));
}

#[test]
fn a_tilde_is_the_home_as_in_a_shell() {
    let path = |typed: &str| with_home(typed, Some("/home/me".into()));
    for (typed, found) in [
        ("~/x.svg", "/home/me/x.svg"),
        ("~", "/home/me"),
        ("~//x.svg", "/home/me/x.svg"),
        ("a~/x.svg", "a~/x.svg"),
        ("./~/x.svg", "./~/x.svg"),
        ("/tmp/~", "/tmp/~"),
    ] {
        assert_eq!(path(typed), Ok(found.into()), "{typed}");
    }
    let of_another = path("~you/x.svg").unwrap_err();
    assert!(of_another.contains("`~you`") && of_another.contains("~/"), "{of_another}");
    for home in [None, Some("".into())] {
        assert!(with_home("~/x.svg", home).unwrap_err().contains("HOME"));
    }
}
