use super::*;

/// The cells of the plot, without the legend, which has the same colours.
fn plot(screen: &Buffer) -> impl Iterator<Item = &Cell> {
    let (width, height) = (screen.area.width, screen.area.height);
    (0..height)
        .flat_map(move |y| (0..width).map(move |x| (x, y)))
        .filter(|(x, y)| (5..25).contains(y) && (9..81).contains(x))
        .map(|position| &screen[position])
}

fn is_dots(cell: &Cell) -> bool {
    cell.symbol().starts_with(|letter: char| ('\u{2801}'..='\u{28ff}').contains(&letter))
}

#[test]
fn fast_and_slow_have_their_own_colours_and_markers() {
    for name in [ThemeName::Dark, ThemeName::Light, ThemeName::ColorBlind] {
        let mut model = fixture::run(true, 1000);
        model.theme = Theme::new(name);
        let (fast, slow) = (model.theme.fast.fg.unwrap(), model.theme.slow.fg.unwrap());
        assert_ne!(fast, slow);
        let screen = screen(&model, 120, 36);
        for (color, marker, other) in [(fast, "○", "●"), (slow, "●", "○")] {
            let cells: Vec<&Cell> = plot(&screen).filter(|cell| cell.fg == color).collect();
            assert!(cells.iter().filter(|cell| is_dots(cell)).count() > 20);
            assert!(cells.iter().any(|cell| cell.symbol() == marker));
            assert!(cells.iter().all(|cell| cell.symbol() != other));
        }
    }
}

#[test]
fn runs_keep_their_colours_and_markers_whichever_are_shown() {
    let mut model = fixture::three();
    let looks: Vec<_> = (0..3).map(|index| model.theme.run(index)).collect();
    let drawn = |model: &Model| -> Vec<bool> {
        let screen = screen(model, 120, 36);
        let cells: Vec<Cell> = plot(&screen).cloned().collect();
        let seen = |(style, marker): &(ratatui::style::Style, &str)| {
            let of_color = cells.iter().filter(|cell| Some(cell.fg) == style.fg);
            let found: Vec<&Cell> = of_color.collect();
            found.iter().any(|cell| is_dots(cell)) && found.iter().any(|c| c.symbol() == *marker)
        };
        looks.iter().map(seen).collect()
    };
    assert_eq!(drawn(&model), [true, true, false]);
    model.runs[0].hidden = true;
    model.runs[2].hidden = false;
    assert_eq!(drawn(&model), [false, true, true]);
}

#[test]
fn slow_is_drawn_over_fast() {
    let mut model = of_losses([]);
    for number in 1..=1000 {
        let loss = 1.0 / number as f64;
        feed(&mut model, [record(0.0, number, fixture::step(number, loss + 1.0))]);
        feed(&mut model, [record(0.0, number, fixture::probe(loss, loss))]);
    }
    let screen = screen(&model, 120, 36);
    let (fast, slow) = (model.theme.fast.fg.unwrap(), model.theme.slow.fg.unwrap());
    assert_eq!(plot(&screen).filter(|cell| cell.fg == fast && is_dots(cell)).count(), 0);
    assert!(plot(&screen).filter(|cell| cell.fg == slow && is_dots(cell)).count() > 40);
}

#[test]
fn without_colours_the_markers_tell_them_apart() {
    let mut model = fixture::run(false, 1000);
    model.view.cursor = Some(300);
    model.dialogs.prompt = Some(prompt("set"));
    for overlay in [None, Some(Overlay::Help(0)), Some(Overlay::Messages(MessageList::default()))] {
        model.dialogs.overlay = overlay;
        for cell in &screen(&model, 120, 36).content {
            assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{cell:?}");
        }
    }
    (model.dialogs.overlay, model.view.cursor, model.dialogs.prompt) = (None, None, None);
    // The sign of a pause is drawn on a dim frame, and must not be dim itself.
    feed(&mut model, [record(101.0, 1000, Event::Paused)]);
    let signs: Vec<Cell> = screen(&model, 120, 36).content;
    let signs = signs.iter().filter(|cell| cell.modifier.contains(Modifier::REVERSED));
    assert!(
        signs.clone().count() >= 16 && signs.clone().all(|c| !c.modifier.contains(Modifier::DIM))
    );
    let screen = shown(&model, 120, 36);
    assert!(screen.matches('○').count() > 3 && screen.matches('●').count() > 8, "{screen}");
}

#[test]
fn states_and_messages_have_the_colours_of_their_urgency() {
    let color = |model: &Model, words: &str| {
        let screen = screen(model, 80, 24);
        let text: Vec<String> = screen.content.iter().map(|cell| cell.symbol().into()).collect();
        let letters: Vec<String> = words.chars().map(String::from).collect();
        let at = text.windows(letters.len()).position(|window| window == letters);
        let cell = &screen.content[at.unwrap_or_else(|| panic!("{words} is missing"))];
        (cell.fg, cell.modifier.contains(Modifier::REVERSED))
    };
    let theme = Theme::new(ThemeName::Dark);
    let failed = ended(Status::Failed, None);
    assert_eq!(color(&failed, "FAILED"), (theme.bad.fg.unwrap(), true));
    assert_eq!(color(&ended(Status::Finished, None), "FINISHED"), (theme.good.fg.unwrap(), true));
    let mut model = fixture::run(true, 100);
    assert_eq!(color(&model, "TRAINING"), (theme.good.fg.unwrap(), false));
    model.run_mut().pending.transition = Some(Transition::Pause);
    assert_eq!(color(&model, "PAUSING"), (theme.warning.fg.unwrap(), false));
    assert_eq!(color(&model, "pausing…"), (theme.warning.fg.unwrap(), false));
}

#[test]
fn a_huge_first_loss_is_cut_off_with_a_marker() {
    let model = of_losses((1..=500).map(|n| if n == 1 { 5000.0 } else { 1.0 + 1.0 / n as f64 }));
    for (width, height) in [(120, 36), (80, 24), (40, 12)] {
        let screen = shown(&model, width, height);
        // Not the one in the title.
        let is_mark = |line: &str| line.contains('↑') && !line.contains('╭');
        let top = screen.lines().position(is_mark).expect("a marker");
        let label = screen.lines().skip(top).find_map(|line| line.split_once('┤')).unwrap().0;
        let label: f64 = label.trim_matches(['│', ' ']).parse().unwrap();
        assert!(label < 2.5, "{screen}");
    }
}

#[test]
fn one_outlier_among_a_million_steps_is_visible_at_every_zoom() {
    let outlier = 654_321;
    let mut model = of_losses([]);
    for step in 1..=1_000_000_u64 {
        let loss = if step == outlier { 50.0 } else { 1.0 + (step as f64 * 0.7).sin() * 0.1 };
        feed(&mut model, [record(step as f64 * 1e-3, step, fixture::step(step, loss))]);
    }
    let mut width = 1_000_000.0;
    while width > 8.0 {
        let start = (outlier as f64 - 0.4 * width).max(0.0);
        model.view.viewport.range = Range::Fixed(Span { start, end: start + width });
        let screen = screen(&model, 120, 36);
        let column = (outlier as f64 - start) / width * 71.0;
        // In the plot it is either at the edge, with a marker, or the highest there is.
        let signs: Vec<u16> = (9..81)
            .filter(|x| {
                (1..30).any(|y| screen[(*x, y)].symbol() == "↑")
                    || (3..8).any(|y| is_dots(&screen[(*x, y)]))
            })
            .collect();
        let found = signs.iter().any(|x| (f64::from(*x) - 9.0 - column).abs() <= 2.0);
        assert!(found, "{signs:?} and not {column}, at a width of {width}:\n{}", text(&screen));
        width /= 4.0;
    }
}

#[test]
fn a_gap_is_left_and_marked_where_the_loss_is_not_finite() {
    let model = of_losses((1..=1000).map(|n| if (400..600).contains(&n) { f64::NAN } else { 1.0 }));
    assert_shows(&shown(&model, 120, 36), &["200 non-finite losses"]);
    let screen = screen(&model, 120, 36);
    let columns = || 9..81_u16;
    let dots = |x: u16| (3..27).any(|y| is_dots(&screen[(x, y)]));
    let marks = |x: u16| (3..27).any(|y| screen[(x, y)].symbol() == "×");
    let curve: Vec<bool> = columns().map(dots).collect();
    // Drawn up to two fifths, then nothing for a fifth of the width.
    let changes = curve.windows(2).filter(|pair| pair[0] != pair[1]).count();
    let empty = curve.iter().filter(|drawn| !**drawn).count();
    assert_eq!(changes, 2, "{}", text(&screen));
    assert!((12..18).contains(&empty), "{empty} in\n{}", text(&screen));
    let marked = columns().filter(|x| marks(*x)).count();
    assert!(marked.abs_diff(empty) <= 2, "{marked} marks for {empty} empty columns");
}

#[test]
fn one_point_and_a_flat_loss_are_drawn() {
    for steps in [1, 2, 50] {
        let screen = screen(&of_losses(vec![0.7; steps]), 120, 36);
        assert!(plot(&screen).any(is_dots), "{}", text(&screen));
    }
}

/// Both have the run's colour; the marker and the dashes tell them apart.
#[test]
fn fast_and_slow_of_several_runs_are_told_apart() {
    let mut model = fixture::three();
    model.runs[2].hidden = false;
    for chart in [Chart::Loss, Chart::Accuracy, Chart::ValidationLoss] {
        model.view.chart = chart;
        model.view.both_weights = false;
        let usual = screen(&model, 140, 40);
        assert!(!text(&usual).contains(['△', '□']), "{}", text(&usual));
        model.view.both_weights = true;
        let both = screen(&model, 140, 40);
        for (index, name) in ["lookahead", "adam-alone", "sgd"].into_iter().enumerate() {
            let (style, filled) = model.theme.run(index);
            let open = Theme::open_marker(index);
            // In the legend, the filled one also in the list of runs, and on the lines.
            let marks = |marker: &str| {
                let cells = both.content.iter().filter(|cell| cell.symbol() == marker);
                cells.filter(|cell| Some(cell.fg) == style.fg).count()
            };
            // All validation losses of the fixture are equal, so that the last line covers the others.
            let are_drawn = marks(filled) >= 4 && marks(open) >= 2;
            assert!(are_drawn || chart == Chart::ValidationLoss, "{name}:\n{}", text(&both));
            assert_shows(&text(&both), &[name, &format!("{open} fast"), &format!("{filled} slow")]);
        }
    }
}

/// Title and settings are whole, and don't run into each other.
#[test]
fn hints_are_left_out_where_they_have_no_room() {
    let mut model = fixture::three();
    feed(&mut model, (1501..=1503).map(|number| record(151.0, number, fixture::step(number, 1e4))));
    let top = |model: &Model, width| {
        let screen = shown(model, width, 36);
        screen.lines().find(|line| line.contains("╭ 1 ")).unwrap().to_owned()
    };
    let found = top(&model, 160);
    assert_shows(
        &found,
        &["╭ 1 training loss of each run ─", "─ ↑ to ", " · y shows all · b shows fast"],
    );
    let found = top(&model, 120);
    assert_shows(
        &found,
        &["╭ 1 training loss ─", "─ ↑ to ", " · b shows fast and slow · smoothing β 0.98 ╮"],
    );
    let found = top(&model, 80);
    assert_shows(&found, &["╭ 1 training loss ", " ↑ to "]);
    assert!(!found.contains("shows"), "{found}");
    model.view.both_weights = true;
    assert!(!top(&model, 160).contains("b shows"));
}

/// Legends list runs as the list of runs does, whichever is selected.
#[test]
fn runs_are_in_one_order() {
    let mut model = fixture::three();
    for selected in 0..2 {
        model.selected = selected;
        let screen = shown(&model, 120, 36);
        let legend = screen.lines().find(|line| line.contains("● lookahead") && line.contains("▲"));
        assert!(legend.is_some_and(|line| line.find("● lookahead") < line.find("▲ adam-alone")));
    }
}

/// The usual values fill the chart, whatever came before, until `y` shows all.
#[test]
fn the_first_steps_do_not_flatten_the_rest() {
    let loss = |step: i32| match step {
        1..=20 => 1e4 * 0.6_f64.powi(step),
        _ => 0.25 + 0.05 * (f64::from(step) * 0.3).sin() * (1.0 - f64::from(step) / 4000.0),
    };
    let mut model = of_losses((1..=2000).map(loss));
    for (width, height) in [(120, 36), (80, 24), (40, 12)] {
        model.view.all_values = false;
        let usual = screen(&model, width, height);
        assert_shows(&text(&usual), &["↑"]);
        // Rows in which the last half of the curve has dots.
        let rows = |screen: &Buffer| {
            let right = if width < 70 { width } else { width - 40 };
            let is_drawn = |y: &u16| (right / 2..right).any(|x| is_dots(&screen[(x, *y)]));
            (0..height).filter(is_drawn).count()
        };
        let whole = usize::from(height) - if width < 70 { 5 } else { 15 };
        assert!(rows(&usual) * 2 > whole, "{}", text(&usual));
        model.view.all_values = true;
        let all = screen(&model, width, height);
        assert!(rows(&all) <= 2, "{}", text(&all));
    }
    model.view.all_values = false;
    assert_shows(&shown(&model, 120, 36), &["↑ to 6000 · y shows all"]);
}

/// Each frame knows the scales of the one before.
#[test]
fn the_y_axis_does_not_move_with_each_value() {
    let mut model = fixture::run(true, 1000);
    model.view.viewport.range = Range::Latest(100.0);
    let mut changes = 0;
    for number in 1001..=1200 {
        let wave = (number as f64 * 0.7).sin() + (number as f64 * 0.13).sin();
        feed(&mut model, [record(0.0, number, fixture::step(number, 0.5 + 0.02 * wave))]);
        let mut terminal = Terminal::new(TestBackend::new(120, 36)).unwrap();
        let mut scales = Vec::new();
        terminal.draw(|frame| scales = view(&model, frame)).unwrap();
        let ends = |scales: &crate::view::scale::Scales| (scales[0].1.bottom, scales[0].1.top);
        changes += usize::from(number > 1110 && ends(&scales) != ends(&model.view.scales));
        model.view.scales = scales;
    }
    assert!(changes <= 2, "{changes} changes in 90 frames");
}
