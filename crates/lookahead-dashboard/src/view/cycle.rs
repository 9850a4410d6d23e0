//! The last inner cycles, overlaid: loss against phase, and the drop from the fast to the slow weights.
//!
//! Phase p is the state after p inner steps, so the training loss of a cycle's p-th step, which is
//! computed before it, is drawn at p − 1. At phase 0 the fast weights equal the slow ones. The loss
//! after the last step and the loss after the sync come from probes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::canvas::{ACROSS, Canvas};
use super::cells::{put, put_centered, width};
use super::columns::{Column, Columns};
use super::lines::scale_options;
use super::plot::{Plot, area_of_lines};
use super::scale::{Scale, usual};
use crate::chart::Chart;
use crate::cycles::{MeanCycle, mean_cycle};
use crate::format;
use crate::model::Model;
use crate::theme::Theme;

/// A plot against phases.
struct CyclePlot<'a> {
    plot: Plot<'a>,
    k: u64,
}

impl CyclePlot<'_> {
    /// The place of a phase among `count`; the last one is that after the sync.
    fn x(&self, phase: u64, count: usize) -> usize {
        (phase as f64 / (self.k + 1) as f64 * (count - 1) as f64).round() as usize
    }

    fn dot_column(&self, phase: u64) -> usize {
        self.x(phase, usize::from(self.plot.area.width) * ACROSS)
    }

    /// Draws a line through points, broken at values that are not finite.
    fn line(&self, canvas: &mut Canvas, points: impl IntoIterator<Item = (u64, f64)>) {
        let mut previous = None;
        for (phase, value) in points {
            let here =
                value.is_finite().then(|| (self.dot_column(phase), self.plot.dot_row(value)));
            if let Some(here) = here {
                canvas.line(previous.unwrap_or(here), here);
            }
            previous = here;
        }
    }

    /// Draws lines through the training losses of cycles.
    fn draw<'a>(
        &self,
        cycles: impl Iterator<Item = &'a Vec<(u64, f64)>>,
        style: Style,
        buffer: &mut Buffer,
    ) {
        let mut canvas = Canvas::new(self.plot.area);
        for losses in cycles {
            self.line(&mut canvas, losses.iter().map(|(phase, loss)| (phase - 1, *loss)));
        }
        canvas.paint(buffer, self.plot.area, style);
    }
}

/// Draws the cycles of the selected run, and the means of the others.
pub(super) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) -> Option<Scale> {
    let (theme, run) = (&model.theme, model.run());
    let Some(k) = run.series.cycles.k() else {
        let plain = run.info().is_some_and(|info| info.lookahead.is_none());
        let text = if plain { "without Lookahead" } else { "no complete cycle yet" };
        put_centered(buffer, area, text, theme.dim);
        return None;
    };
    let cycles = run.series.cycles.newest(k);
    let mean = mean_cycle(cycles.iter().copied(), k);
    legend(model, &mean, area, buffer);
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let area = area_of_lines(below);
    if area.is_empty() {
        return None;
    }
    let columns = |values: &mut dyn Iterator<Item = f64>| -> Columns {
        values.filter(|value| value.is_finite()).map(|value| Some(Column::of(value))).collect()
    };
    let all =
        columns(&mut cycles.iter().flat_map(|cycle| cycle.losses.iter().map(|(_, loss)| *loss)));
    let mut shown: Vec<(MeanCycle, Look)> = Vec::new();
    for (index, other) in model.visible().filter(|(index, _)| *index != model.selected) {
        if other.series.cycles.k() == Some(k) {
            shown.push((mean_cycle(other.series.cycles.complete(), k), Look::of(theme, index)));
        }
    }
    // Last, over the others.
    let several = model.runs.len() > 1;
    let look = if several { Look::of(theme, model.selected) } else { Look::of_one(theme) };
    shown.push((mean, look));
    let means = columns(&mut shown.iter().flat_map(|(mean, _)| {
        let probe = mean.probe.iter().flat_map(|(fast, slow)| [*fast, *slow]);
        mean.losses.iter().map(|(_, loss)| *loss).chain(probe).collect::<Vec<_>>()
    }));
    let options = scale_options(model, Chart::Cycle);
    let lines = [&all, &means];
    let scale = options.scale(usual(&lines, &lines, options.log, options.was_cut()));
    let plot = CyclePlot { plot: Plot { theme, outside: below, area, scale }, k };
    plot.plot.draw_y(buffer, false);
    phases(&plot, buffer);

    plot.draw(cycles.iter().map(|cycle| &cycle.losses), theme.raw, buffer);
    for (mean, look) in &shown {
        plot.draw([&mean.losses].into_iter(), look.mean, buffer);
        let Some((fast, slow)) = mean.probe else { continue };
        let mut canvas = Canvas::new(area);
        plot.line(&mut canvas, [(k, fast), (k + 1, slow)]);
        canvas.paint(buffer, area, look.slow.0);
        for (phase, value, (style, marker)) in [(k, fast, look.fast), (k + 1, slow, look.slow)] {
            plot.plot.put_marker(buffer, (plot.dot_column(phase), value), marker, style);
        }
    }
    Some(scale)
}

/// The styles of a run's mean, and style and marker of its fast and its slow weights.
struct Look {
    mean: Style,
    fast: (Style, &'static str),
    slow: (Style, &'static str),
}

impl Look {
    /// Of a run among several.
    fn of(theme: &Theme, index: usize) -> Look {
        let slow = theme.run(index);
        Look { mean: slow.0, fast: (slow.0, Theme::open_marker(index)), slow }
    }

    fn of_one(theme: &Theme) -> Look {
        Look { mean: theme.strong, fast: (theme.fast, "○"), slow: (theme.slow, "●") }
    }
}

/// The x axis: phases, and the place after the sync.
fn phases(cycles: &CyclePlot, buffer: &mut Buffer) {
    let (k, Plot { theme, outside: area, .. }) = (cycles.k, cycles.plot);
    let Rect { x: left, width: across, .. } = cycles.plot.area;
    let (y, right) = (cycles.plot.area.bottom(), cycles.plot.area.right());
    cycles.plot.draw_x_line(buffer);
    // Between the training loss, up to phase k − 1, and the loss on the validation batch.
    let middle = (cycles.x(k - 1, usize::from(across)) + cycles.x(k, usize::from(across))) / 2;
    for y in cycles.plot.area.top()..y {
        put(buffer, area, left + middle as u16, y, "┊", theme.frame);
    }
    let end = right.saturating_sub(6);
    put(buffer, area, right - 1, y, "┸", theme.slow);
    put(buffer, area, end, y + 1, "→ sync", theme.slow);
    let unit = (k / u64::from((across / 8).max(1)) + 1).max(1);
    let mut free = area.x;
    for phase in (0..=k).step_by(usize::try_from(unit).unwrap_or(usize::MAX)) {
        let label = if phase == 0 { "phase 0".to_owned() } else { format::count(phase) };
        let x = left + cycles.x(phase, usize::from(across)) as u16;
        put(buffer, area, x, y, "┬", theme.frame);
        let start = x.saturating_sub(width(&label) / 2).max(area.x);
        if start >= free && start + width(&label) < end {
            free = put(buffer, area, start, y + 1, &label, theme.dim) + 1;
        }
    }
}

/// Draws what the lines are, and the mean losses of the selected run, in words as full as fit.
fn legend(model: &Model, mean: &MeanCycle, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let plural = if mean.count == 1 { "cycle" } else { "cycles" };
    let cycles = |what: &str| {
        vec![
            ("⣿".to_owned(), theme.raw),
            (format!(" {what}{} {plural}  ", mean.count), theme.plain),
        ]
    };
    let of_mean = vec![("⠒".to_owned(), theme.strong), (" mean   ".to_owned(), theme.plain)];
    let probe = |what: &str| {
        let Some((fast, slow)) = mean.probe else { return Vec::new() };
        vec![
            (what.to_owned(), theme.dim),
            ("○ fast ".to_owned(), theme.fast),
            (format::loss(fast), theme.plain),
            (" → ● slow ".to_owned(), theme.slow),
            (format::loss(slow), theme.plain),
        ]
    };
    let choices: [Vec<(String, Style)>; 6] = [
        [cycles("training loss, "), of_mean.clone(), probe("loss on one validation batch  ")]
            .concat(),
        [cycles("training loss, "), of_mean.clone(), probe("validation batch  ")].concat(),
        [cycles("training, "), of_mean.clone(), probe("validation  ")].concat(),
        [cycles(""), of_mean, probe("")].concat(),
        [cycles(""), probe("")].concat(),
        probe(""),
    ];
    let across = |words: &[(String, Style)]| {
        words.iter().fold(1, |sum: u16, (word, _)| sum.saturating_add(width(word)))
    };
    let Some(words) = choices.iter().find(|words| across(words) <= area.width) else { return };
    let mut x = area.x + 1;
    for (word, style) in words {
        x = put(buffer, area, x, area.y, word, *style);
    }
    if let Some((fast, slow)) = mean.probe {
        let gain = format!("   gain {}", format::difference(fast - slow));
        // Part of a number would mislead.
        if x + width(&gain) <= area.right() {
            put(buffer, area, x, area.y, &gain, theme.plain);
        }
    }
}
