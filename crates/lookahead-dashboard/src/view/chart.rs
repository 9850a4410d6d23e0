//! A chart: lines over steps, epochs or time.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::canvas::ACROSS;
use super::cells::{block, put, put_centered, width};
use super::columns::{Columns, columns, gaps};
use super::layout::inner;
use super::legend::look;
use super::plot::{MARKER_EVERY, Plot, area_of_lines};
use super::scale::scale;
use super::{cursor, cycle, legend};
use crate::chart::Chart;
use crate::format;
use crate::model::Model;
use crate::run::RunState;
use crate::series::{Series, series};
use crate::viewport::{Range, Span};

/// Draws the chart that the keys refer to, in a frame with a title.
pub(crate) fn draw_framed(model: &Model, area: Rect, buffer: &mut Buffer) {
    let (theme, chart) = (&model.theme, model.view.chart);
    let lost = model.run().series.loss.non_finite();
    let right = if lost > 0 && chart == Chart::Loss && model.runs.len() == 1 {
        let plural = if lost == 1 { "loss" } else { "losses" };
        Line::styled(format!(" {} non-finite {plural} ", format::count(lost)), theme.bad)
    } else {
        Line::styled(settings(model, chart), theme.dim)
    };
    let metric = model.run().chart_metric();
    let titles = [chart.full_title(&metric), chart.title(&metric)]
        .map(|title| format!("{} {title}", chart.key()));
    // With its corners, and a blank at each side.
    let room = area.width.saturating_sub(right.width() as u16 + 6);
    let title = titles.iter().find(|title| width(title) <= room).unwrap_or(&titles[1]);
    block(theme, title).title_top(right.right_aligned()).render(area, buffer);
    draw(model, inner(area), buffer);
    if model.run().state() == RunState::Paused {
        let last = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
        put_centered(buffer, last, " PAUSED ", theme.warning.reversed());
    }
}

/// Draws another chart in a frame, without a legend.
pub(crate) fn draw_small(model: &Model, chart: Chart, area: Rect, buffer: &mut Buffer) {
    block(&model.theme, &chart.title(&model.run().chart_metric())).render(area, buffer);
    if chart == Chart::Cycle {
        cycle::draw(model, inner(area), buffer);
    } else {
        draw_lines(model, chart, &series(model, chart), inner(area), buffer);
    }
}

/// Settings that are not the default ones.
fn settings(model: &Model, chart: Chart) -> String {
    let view = &model.view;
    let mut words = Vec::new();
    if chart != Chart::Cycle {
        if series(model, chart).iter().any(|line| line.decay.is_some()) {
            words.push(format!("smoothing β {}", view.decay()));
        }
        if view.viewport.range != Range::All {
            let times = model.whole().width() / model.span().width();
            words.push(format!("zoom ×{}", format::significant(times, 2)));
        }
        if matches!(view.viewport.range, Range::Fixed(_)) {
            words.push("not following".into());
        }
    }
    if view.log_y {
        words.push("log".into());
    }
    if words.is_empty() { String::new() } else { format!(" {} ", words.join(" · ")) }
}

/// Draws legend, axes and lines of the chart that the keys refer to.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let chart = model.view.chart;
    if chart == Chart::Cycle {
        cycle::draw(model, area, buffer);
        return;
    }
    let series = series(model, chart);
    let rows = legend::draw(model, chart, &series, area, buffer).min(area.height);
    let below = Rect { y: area.y + rows, height: area.height - rows, ..area };
    let plot = draw_lines(model, chart, &series, below, buffer);
    if let Some(step) = model.view.cursor {
        cursor::draw(model, step, plot, buffer);
    }
}

/// Draws axes and lines; returns the area of the lines.
fn draw_lines(
    model: &Model,
    chart: Chart,
    series: &[Series],
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let theme = &model.theme;
    let lines_area = area_of_lines(area);
    let (axis, span) = (model.view.viewport.axis, model.span());
    let columns_of = |line: &Series, decay| {
        let count = usize::from(lines_area.width) * ACROSS;
        columns(&model.runs[line.run], line.history, decay, axis, span, count)
    };
    let lines: Vec<(&Series, Columns)> =
        series.iter().map(|line| (line, columns_of(line, line.decay))).collect();
    // A running mean stays near a wild value for long, so its points decide about the scale even if
    // they are not drawn.
    let has_points = |mean: &Series| {
        let mut same = series.iter().filter(|line| std::ptr::eq(line.history, mean.history));
        same.any(|line| line.decay.is_none())
    };
    let means = series.iter().filter(|line| line.decay.is_some() && !has_points(line));
    let hidden: Vec<Columns> = means.map(|mean| columns_of(mean, None)).collect();
    let points = lines.iter().filter(|(line, _)| line.decay.is_none());
    let ranges: Vec<(&Columns, bool)> = points
        .map(|(line, columns)| (columns, line.to_extremes))
        .chain(hidden.iter().map(|columns| (columns, false)))
        .collect();
    let scale = scale(&ranges, model.view.log_y);
    let plot = Plot { theme, outside: area, area: lines_area, scale };
    plot.draw_y(buffer, chart.is_in_percent(&model.run().chart_metric()));
    plot.draw_x(buffer, axis, span);
    sync_marks(model, &plot, span, buffer);
    let area = plot.area;
    if chart == Chart::Gain && !scale.log && scale.bottom < 0.0 && scale.top > 0.0 {
        let y = area.y + scale.row(0.0, usize::from(area.height)) as u16;
        put(buffer, area, area.x, y, &"┄".repeat(usize::from(area.width)), theme.frame);
    }
    if series.iter().all(|line| line.history.is_empty()) {
        put_centered(buffer, area, nothing_yet(model, chart), theme.dim);
    }
    for (index, (line, columns)) in lines.iter().enumerate() {
        let (style, _, marker) = look(theme, line.look);
        plot.trace(columns, style, buffer);
        if let Some(marker) = marker {
            let phase = (index as u16 * MARKER_EVERY / 2 + line.run as u16 * 3) % MARKER_EVERY;
            plot.mark(columns, (marker, phase), style, buffer);
        }
    }
    // Last, so that no line hides that values are cut off or not finite.
    for (line, columns) in &lines {
        plot.mark_outside(columns, look(theme, line.look).0, buffer);
        if line.decay.is_none() {
            let run = &model.runs[line.run];
            for cell in gaps(run, line.history, axis, span, usize::from(area.width)) {
                let y = area.bottom().saturating_sub(1);
                put(buffer, area, area.x + cell as u16, y, "×", theme.bad);
            }
        }
    }
    area
}

fn nothing_yet(model: &Model, chart: Chart) -> &'static str {
    let run = model.run();
    let of_syncs = matches!(chart, Chart::Gain | Chart::Distance | Chart::Gradient);
    match chart {
        _ if run.state() == RunState::Waiting => "waiting for the run",
        Chart::Accuracy | Chart::ValidationLoss => "no evaluation yet",
        _ if of_syncs && !run.has_lookahead() => "without Lookahead",
        _ if of_syncs => "no probe yet",
        Chart::Alpha => "no sync yet",
        _ => "no step yet",
    }
}

/// Marks the syncs on the x axis, if they are far enough apart.
fn sync_marks(model: &Model, plot: &Plot, span: Span, buffer: &mut Buffer) {
    let (run, axis) = (model.run(), model.view.viewport.axis);
    let cells = usize::from(plot.area.width);
    let [first, last] = [span.start, span.end].map(|position| run.step_at(axis, position));
    let syncs = run.series.syncs.slice(first, last, cells);
    if syncs.len() * 3 > cells {
        return;
    }
    for sync in syncs.iter().filter(|sync| sync.count == 1) {
        if let Some(x) = span.column(run.position(axis, sync.first_step), cells) {
            let (x, y) = (plot.area.x + x as u16, plot.area.bottom());
            put(buffer, plot.outside, x, y, "┸", model.theme.slow);
        }
    }
}
