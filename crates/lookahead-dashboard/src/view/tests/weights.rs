//! Fast and slow weights differ at a glance: by colour, by marker, and without colours too.

use ratatui::style::Style;

use super::*;

type Rgb = [f64; 3];

/// One of the 256 colours of terminals as linear RGB.
fn linear(color: Color) -> Rgb {
    let Color::Indexed(index @ 16..=231) = color else { panic!("{color} is not of the cube") };
    [36, 6, 1].map(|place| {
        let level = f64::from((index - 16) / place % 6);
        let part = if level == 0.0 { 0.0 } else { (55.0 + 40.0 * level) / 255.0 };
        if part <= 0.04045 { part / 12.92 } else { f64::powf((part + 0.055) / 1.055, 2.4) }
    })
}

/// The contrast by WCAG 2.2, from 1 to 21.
fn contrast(first: Rgb, second: Rgb) -> f64 {
    let luminance = |[red, green, blue]: Rgb| 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    let (first, second) = (luminance(first), luminance(second));
    first.max(second) / first.min(second)
}

/// Full colour blindness of three kinds (Machado, Oliveira and Fernandes, 2009), on linear RGB.
const BLINDNESS: [[Rgb; 3]; 3] = [
    [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
];

fn distance(first: Rgb, second: Rgb) -> f64 {
    let squares = first.iter().zip(second).map(|(a, b)| (a - b).powi(2));
    squares.sum::<f64>().sqrt()
}

#[test]
fn their_colours_stand_out_for_everyone() {
    let grounds = [
        (ThemeName::Dark, [0.0, 0.013]),
        (ThemeName::Light, [1.0, 0.9]),
        (ThemeName::ColorBlind, [0.0, 0.013]),
    ];
    for (name, grounds) in grounds {
        let theme = Theme::new(name);
        let [fast, slow] = [theme.fast, theme.slow].map(|style| linear(style.fg.unwrap()));
        for ground in grounds.map(|part| [part; 3]) {
            for color in [fast, slow] {
                let found = contrast(color, ground);
                assert!(found >= 3.0, "{name:?}: {found} to {ground:?}");
            }
        }
        for matrix in BLINDNESS {
            let [fast, slow] = [fast, slow].map(|color| {
                matrix.map(|row| row.iter().zip(color).map(|(a, b)| a * b).sum::<f64>())
            });
            assert!(distance(fast, slow) > 0.25, "{name:?}: {fast:?} and {slow:?}");
        }
    }
}

/// The cells of the chart that have this symbol, with their styles.
fn marked(screen: &Buffer, symbol: &str) -> Vec<Style> {
    let (width, height) = (screen.area.width, screen.area.height);
    let cells = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
    let plot = cells.filter(|(x, y)| (5..25).contains(y) && (9..81).contains(x));
    plot.map(|at| &screen[at]).filter(|c| c.symbol() == symbol).map(|cell| cell.style()).collect()
}

/// Checks the markers of fast and slow weights in a chart.
#[track_caller]
fn assert_different(model: &Model, [open, filled]: [&str; 2], has_color: bool) {
    let screen = screen(model, 120, 36);
    let [fast, slow] = [open, filled].map(|marker| marked(&screen, marker));
    let place = format!("{:?}, {:?}\n{}", model.theme.name, model.view.chart, text(&screen));
    assert!(!slow.is_empty(), "{place}");
    // Where both are the same, the slow weights are on top.
    assert!(model.view.chart == Chart::ValidationLoss || !fast.is_empty(), "{place}");
    if has_color {
        assert!(fast.iter().all(|style| slow.iter().all(|other| other.fg != style.fg)), "{place}");
    }
}

#[test]
fn in_every_chart_and_theme_their_markers_and_colours_differ() {
    for name in ThemeName::ALL {
        for chart in [Chart::Loss, Chart::Accuracy, Chart::ValidationLoss, Chart::Cycle] {
            for (ascii, markers) in [(false, ["○", "●"]), (true, ["o", "@"])] {
                let mut model = fixture::run(true, 1000);
                model.theme = Theme::new(name);
                (model.view.chart, model.ascii) = (chart, ascii);
                assert_different(&model, markers, name != ThemeName::None);
            }
        }
    }
}

/// Each run has its colour, so the markers differ, and the fast weights' line is dashed.
#[test]
fn with_several_runs_their_markers_differ_in_every_chart_and_theme() {
    for name in ThemeName::ALL {
        for chart in [Chart::Loss, Chart::Accuracy] {
            let mut model = fixture::three();
            model.theme = Theme::new(name);
            (model.view.chart, model.view.both_weights) = (chart, true);
            assert_different(&model, ["○", "●"], false);
            assert_different(&model, ["△", "▲"], false);
            // The side panel has the signs of the selected run.
            assert_shows(&shown(&model, 120, 36), &["● slow", "○ fast"]);
            model.selected = 1;
            assert_shows(&shown(&model, 120, 36), &["▲ slow", "△ fast"]);
            assert_shows(&shown(&model, 20, 6), &["▲ slow, val.", "△ fast, val."]);
        }
    }
}

/// Without colours too, a line of the fast weights is dashed.
#[test]
fn the_line_of_the_fast_weights_is_dashed() {
    let mut model = fixture::run(false, 1000);
    (model.view.chart, model.view.raw) = (Chart::Accuracy, false);
    let screen = screen(&model, 120, 36);
    let is_dots = |style: Modifier| {
        let dots = |cell: &&Cell| {
            ('\u{2801}'..='\u{28ff}').contains(&cell.symbol().chars().next().unwrap())
        };
        let cells = screen.content.iter().filter(dots);
        cells
            .filter(|cell| cell.modifier.contains(Modifier::BOLD) == style.contains(Modifier::BOLD))
            .count()
    };
    let [fast, slow] = [is_dots(Modifier::empty()), is_dots(Modifier::BOLD)];
    assert!(
        fast > 10 && fast * 3 < slow * 2,
        "{fast} cells of the fast weights, {slow} of the slow ones"
    );
}

#[test]
fn a_line_that_another_one_covers_has_its_markers() {
    let mut model = fixture::three();
    for run in 0..2 {
        fixture::feed_run(&mut model, run, fixture::events("same", 1500, 200.0, 0.25));
    }
    let screen = screen(&model, 120, 36);
    for marker in ["●", "▲"] {
        assert!(marked(&screen, marker).len() > 3, "{marker}:\n{}", text(&screen));
    }
}
