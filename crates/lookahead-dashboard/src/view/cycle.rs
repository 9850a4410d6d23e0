//! The last inner cycles laid over each other: loss against phase, and the drop from θ to φ.
//!
//! Phase p is the place after p inner steps, so the training loss of a cycle's p-th step, which is
//! taken at the weights before it, stands at p − 1. At phase 0 θ is φ. What no training loss tells,
//! the loss after the last step and that after the sync, comes from the probes.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::axes::{self, Scale};
use super::columns::{Column, Columns};
use super::raster::{DOWN, Raster};
use super::{put, width};
use crate::charts::mean_cycle;
use crate::cycles::Cycle;
use crate::format;
use crate::model::Model;

/// The newest so many cycles are drawn at most.
const DRAWN: usize = 100;

/// Draws the cycles of the selected run, and the means of the others.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (theme, run) = (&model.theme, model.run());
    let Some(k) = run.cycles.k() else {
        let plain = run.info().is_some_and(|info| info.lookahead.is_none());
        let text = if plain { "without Lookahead" } else { "no complete cycle yet" };
        let x = area.x + area.width.saturating_sub(width(text)) / 2;
        put(buffer, area, x, area.y + area.height / 2, text, theme.dim);
        return;
    };
    let cycles: Vec<&Cycle> = run.cycles.complete().filter(|cycle| cycle.k == k).collect();
    let cycles = &cycles[cycles.len().saturating_sub(DRAWN)..];
    let mean = mean_cycle(cycles.iter().copied(), k);
    legend(model, &mean, area, buffer);
    let below = Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area };
    let plot = axes::plot(below);
    if plot.is_empty() {
        return;
    }
    let raster_width = usize::from(plot.width) * super::raster::ACROSS;
    // One more place than phases: that after the sync.
    let x =
        |phase: u64| (phase as f64 / (k + 1) as f64 * (raster_width - 1) as f64).round() as usize;

    let all: Columns = cycles
        .iter()
        .flat_map(|cycle| cycle.losses.iter().map(|(_, loss)| *loss))
        .filter(|loss| loss.is_finite())
        .map(|loss| Some(column(loss)))
        .collect();
    let probes: Columns =
        mean.probe.iter().flat_map(|(a, b)| [Some(column(*a)), Some(column(*b))]).collect();
    let means: Columns = mean.losses.iter().map(|(_, loss)| Some(column(*loss))).collect();
    let scale = axes::scale(&[(&all, false), (&probes, true), (&means, true)], model.log_y);
    axes::draw_y(theme, below, plot, buffer, scale, false);
    phases(model, below, plot, k, buffer);

    let mut raster = Raster::new(plot);
    for cycle in cycles {
        let points: Vec<(u64, f64)> = cycle.losses.iter().map(|(p, loss)| (p - 1, *loss)).collect();
        line(&mut raster, &points, x, scale, plot);
    }
    raster.paint(buffer, plot, theme.raw);
    for (index, other) in model.runs.iter().enumerate() {
        if index != model.selected && other.shown && other.cycles.k() == Some(k) {
            let theirs = mean_cycle(other.cycles.complete(), k);
            draw_mean(&theirs.losses, x, scale, plot, theme.run(index).0, buffer);
        }
    }
    let style = if model.runs.len() > 1 { theme.run(model.selected).0 } else { theme.strong };
    draw_mean(&mean.losses, x, scale, plot, style, buffer);
    if let Some((fast, slow)) = mean.probe {
        let mut raster = Raster::new(plot);
        line(&mut raster, &[(k, fast), (k + 1, slow)], x, scale, plot);
        raster.paint(buffer, plot, theme.slow);
        let marks = [(k, fast, "○", theme.fast), (k + 1, slow, "●", theme.slow)];
        for (phase, value, marker, style) in marks {
            let y = scale.row(value, usize::from(plot.height) * DOWN) / DOWN;
            let x = x(phase) / super::raster::ACROSS;
            put(buffer, plot, plot.x + x as u16, plot.y + y as u16, marker, style);
        }
    }
}

fn column(value: f64) -> Column {
    Column { first: value, last: value, min: value, max: value, gap_before: false }
}

fn draw_mean(
    losses: &[(u64, f64)],
    x: impl Fn(u64) -> usize,
    scale: Scale,
    plot: Rect,
    style: Style,
    buffer: &mut Buffer,
) {
    let mut raster = Raster::new(plot);
    let points: Vec<(u64, f64)> = losses.iter().map(|(phase, loss)| (phase - 1, *loss)).collect();
    line(&mut raster, &points, x, scale, plot);
    raster.paint(buffer, plot, style);
}

/// A line through points, broken where one is no number.
fn line(
    raster: &mut Raster,
    points: &[(u64, f64)],
    x: impl Fn(u64) -> usize,
    scale: Scale,
    plot: Rect,
) {
    let height = usize::from(plot.height) * DOWN;
    let mut previous = None;
    for (phase, value) in points {
        let here = value.is_finite().then(|| (x(*phase), scale.row(*value, height)));
        if let Some(here) = here {
            raster.line(previous.unwrap_or(here), here);
        }
        previous = here;
    }
}

/// The x axis: phases, and the place after the sync.
fn phases(model: &Model, area: Rect, plot: Rect, k: u64, buffer: &mut Buffer) {
    let theme = &model.theme;
    let y = plot.bottom();
    put(buffer, area, plot.x - 1, y, "└", theme.frame);
    put(buffer, area, plot.x, y, &"─".repeat(usize::from(plot.width)), theme.frame);
    let place = |phase: u64| {
        plot.x + (phase as f64 / (k + 1) as f64 * f64::from(plot.width - 1)).round() as u16
    };
    let end = plot.right().saturating_sub(6);
    put(buffer, area, plot.right() - 1, y, "┸", theme.slow);
    put(buffer, area, end, y + 1, "→ sync", theme.slow);
    let unit = (k / u64::from((plot.width / 8).max(1)) + 1).max(1);
    let mut free = area.x;
    for phase in (0..=k).step_by(usize::try_from(unit).unwrap_or(usize::MAX)) {
        let label = if phase == 0 { "phase 0".to_owned() } else { format::count(phase) };
        let x = place(phase);
        put(buffer, area, x, y, "┬", theme.frame);
        let start = x.saturating_sub(width(&label) / 2).max(area.x);
        if start >= free && start + width(&label) < end {
            free = put(buffer, area, start, y + 1, &label, theme.dim) + 1;
        }
    }
}

fn legend(model: &Model, mean: &crate::charts::MeanCycle, area: Rect, buffer: &mut Buffer) {
    let theme = &model.theme;
    let cycles = if mean.count == 1 { "cycle" } else { "cycles" };
    let mut x = put(buffer, area, area.x + 1, area.y, "⣿", theme.raw);
    x = put(buffer, area, x + 1, area.y, &format!("last {} {cycles}", mean.count), theme.plain);
    x = put(buffer, area, x + 3, area.y, "⠒", theme.strong);
    x = put(buffer, area, x + 1, area.y, "mean", theme.plain);
    if let Some((fast, slow)) = mean.probe {
        x = put(buffer, area, x + 3, area.y, "θ ", theme.fast);
        x = put(buffer, area, x, area.y, &format::loss(fast), theme.plain);
        x = put(buffer, area, x, area.y, " → φ ", theme.slow);
        x = put(buffer, area, x, area.y, &format::loss(slow), theme.plain);
        let gain = format!("   gain {}", format::difference(fast - slow));
        // Half a number is worse than none.
        if x + width(&gain) <= area.right() {
            put(buffer, area, x, area.y, &gain, theme.plain);
        }
    }
}
