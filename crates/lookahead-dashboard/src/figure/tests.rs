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
fn of_several_runs_those_that_are_shown_have_one_line_each() {
    let mut model = fixture::three();
    let panel = &of(&model).panels[0];
    assert_eq!(names(panel), ["adam-alone", "lookahead"]);
    assert_ne!(panel.lines[0].color, panel.lines[1].color);
    assert_ne!(panel.lines[0].marker, panel.lines[1].marker);
    model.view.chart = Chart::Cycle;
    let panel = &of(&model).panels[0];
    assert_eq!(names(panel), ["lookahead", "adam-alone"]);
}

/// Phase p has the loss of the step that is taken from there, and the probes come after the last.
#[test]
fn the_cycles_end_with_the_drop_from_fast_to_slow() {
    let mut model = fixture::run(true, 1000);
    model.view.chart = Chart::Cycle;
    let panel = &of(&model).panels[0];
    assert_eq!(names(panel), ["last 100 cycles", "mean", "probe: fast, then slow after the sync"]);
    assert_eq!(panel.lines.len(), 102);
    let [.., mean, probe] = &panel.lines[..] else { panic!() };
    let places = |line: &Line| line.points.iter().map(|point| point.x).collect::<Vec<_>>();
    assert_eq!(places(mean), [0.0, 1.0, 2.0, 3.0, 4.0]);
    assert_eq!(places(probe), [5.0, 6.0]);
    assert!(probe.points[0].y > probe.points[1].y);
}

#[test]
fn a_picture_is_named_by_its_run_and_chart() {
    let model = fixture::run(true, 10);
    assert_eq!(path(&model, None).to_str(), Some("digits-mlp-loss.svg"));
    assert_eq!(path(&model, Some("a.png".into())).to_str(), Some("a.png"));
    assert_eq!(path(&fixture::three(), None).to_str(), Some("runs-loss.svg"));
}
