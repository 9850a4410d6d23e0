//! The heat maps of layers.

use lookahead_run::event::Layers;

use super::*;
use crate::fixture::Session;
use crate::view::layout::layout;

/// A run of 1,000 steps that measured `count` layers every 50 steps.
fn measured(count: usize) -> Session {
    let mut session = Session::of_run(1000);
    for step in (50..=1000u64).step_by(50) {
        let norm = |layer: usize| (layer + 1) as f64 / (1.0 + step as f64 / 100.0);
        let norms: Vec<f64> = (0..count).map(norm).collect();
        let layers = Layers {
            sync: step / 5,
            names: (0..count).map(|layer| format!("block{layer}.linear")).collect(),
            distance: norms.clone(),
            gradient_norm: norms.iter().map(|norm| 1.0 / norm).collect(),
        };
        session.event(100.0, step, Event::Layers(layers));
    }
    session
}

fn heat(theme: ThemeName, count: usize) -> Session {
    let mut session = measured(count);
    session.theme = Theme::new(theme);
    session.view.chart = Chart::LayerDistance;
    session
}

#[test]
fn layers_by_shades_at_four_sizes() {
    for (width, height) in [(200, 60), (120, 36), (80, 24), (40, 12)] {
        let mut session = heat(ThemeName::None, 40);
        session.view.cursor = Some(400);
        let name = format!("layers {width}x{height}");
        insta::assert_snapshot!(name, shown(&session, width, height));
    }
}

#[test]
fn layers_have_colours_and_a_cell_in_the_grid() {
    let mut session = heat(ThemeName::Dark, 6);
    session.send(Message::Resize(120, 36));
    let plot = layout(&session).plot;
    let buffer = screen(&session, 120, 36);
    let color = |x: u16, y: u16| buffer[(x, y)].bg;
    let (first, last) = (plot.y + 1, plot.bottom() - 3);
    let x = plot.x + plot.width / 2;
    assert_ne!(color(x, first), color(x, last), "the last layer is far from the first");
    assert_eq!(color(plot.x, first), Color::Reset, "there was no probe yet");
    session.press("g");
    let screen = shown(&session, 120, 36);
    assert_shows(&screen, &["distance of layers", "6 in 5 rows"]);
    session.press("\t");
    assert_eq!(session.charts().len(), 12);
}

#[test]
fn a_run_without_layers_has_no_such_chart_and_one_beside_it_says_so() {
    let session = Session::of_run(100);
    assert!(!session.charts().iter().any(|chart| chart.is_heat_map()));
    let mut three = Session(fixture::three());
    let layers = Layers {
        sync: 1,
        names: vec!["a".into()],
        distance: vec![f64::NAN],
        gradient_norm: vec![1.0],
    };
    fixture::feed_run(&mut three, 1, [record(90.0, 2000, Event::Layers(layers))]);
    three.view.chart = Chart::LayerDistance;
    assert_shows(&shown(&three, 120, 36), &["no probe with probe.layers = true yet"]);
    three.selected = 1;
    assert_shows(&shown(&three, 120, 36), &["no finite value here"]);
    three.view.chart = Chart::LayerGradient;
    assert_shows(&shown(&three, 120, 36), &["1 layer of adam-alone"]);
}

#[test]
fn no_small_size_of_a_heat_map_panics() {
    let session = heat(ThemeName::Dark, 300);
    for width in 1..=90 {
        for height in 1..=30 {
            screen(&session, width, height);
        }
    }
}
