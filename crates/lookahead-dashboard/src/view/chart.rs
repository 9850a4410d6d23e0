//! A chart: lines over steps, epochs or time.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Widget;

use super::canvas::ACROSS;
use super::cells::{block, put, put_centered, width};
use super::columns::gaps;
use super::layout::inner;
use super::legend::{is_dashed, look};
use super::lines::{Lines, scale_options};
use super::plot::{ABOVE, BENEATH, MARKER_EVERY, Plot, area_of_lines};
use super::scale::Scale;
use super::{cursor, cycle, heat, legend};
use crate::chart::Chart;
use crate::format;
use crate::model::Model;
use crate::run::{Run, RunState};
use crate::series::{Series, has_both, series};
use crate::viewport::{Range, Span};

/// Draws the chart that the keys refer to, in a frame with a title; returns its scale.
pub(crate) fn draw_framed(model: &Model, area: Rect, buffer: &mut Buffer) -> Option<Scale> {
    let (theme, chart) = (&model.theme, model.view.chart);
    let scale = draw(model, inner(area), buffer);
    let titles = titles(model, chart)
        .map(|title| format!("{} {title}", model.key_of(chart)).trim_start().to_owned());
    // Without the corners, and a blank at each side of the title.
    let room = area.width.saturating_sub(6);
    let lost = model.run().series.loss.non_finite();
    let right = if lost > 0 && chart == Chart::Loss && model.runs.len() == 1 {
        let plural = if lost == 1 { "loss" } else { "losses" };
        Line::styled(format!(" {} non-finite {plural} ", format::count(lost)), theme.bad)
    } else {
        let room = room.saturating_sub(width(&titles[1]));
        Line::styled(settings(model, chart, scale.as_ref(), room), theme.dim)
    };
    let room = room.saturating_sub(right.width() as u16);
    let title = titles.iter().find(|title| width(title) <= room).unwrap_or(&titles[1]);
    block(theme, title).title_top(right.right_aligned()).render(area, buffer);
    if model.run().state() == RunState::Paused {
        let last = Rect { y: area.bottom().saturating_sub(1), height: 1, ..area };
        put_centered(buffer, last, " PAUSED ", theme.warning.reversed());
    }
    scale
}

/// Draws another chart in a frame, without a legend; returns its scale.
pub(crate) fn draw_small(
    model: &Model,
    chart: Chart,
    area: Rect,
    buffer: &mut Buffer,
) -> Option<Scale> {
    block(&model.theme, &chart.title(&model.metric_of(chart))).render(area, buffer);
    if chart == Chart::Cycle {
        return cycle::draw(model, inner(area), buffer);
    }
    if chart.is_heat_map() {
        return heat::draw(model, chart, inner(area), buffer);
    }
    Some(draw_lines(model, chart, series(model, chart), inner(area), buffer).1)
}

/// The title where there is much room, and the usual one.
pub(crate) fn titles(model: &Model, chart: Chart) -> [String; 2] {
    let metric = model.metric_of(chart);
    let title = chart.title(&metric);
    if chart == Chart::Loss && model.runs.iter().all(Run::is_recorded) {
        return [(); 2].map(|()| "training loss".to_owned());
    }
    if model.runs.len() == 1 {
        return [chart.full_title(&metric), title];
    }
    match (chart, model.view.both_weights) {
        (Chart::Loss, true) => {
            let title = "loss on one validation batch";
            [format!("{title}: fast and slow weights"), title.into()]
        }
        (Chart::Loss, false) => ["training loss of each run", "training loss"].map(String::from),
        (Chart::Accuracy | Chart::ValidationLoss, true) => {
            [format!("{title}: fast and slow weights"), title]
        }
        (Chart::Accuracy | Chart::ValidationLoss, false) => {
            [format!("{title} of the final weights"), title]
        }
        _ => [chart.full_title(&metric), title],
    }
}

/// How far values go beyond the edges, and settings that are not the default ones; hints to keys only as far as
/// they fit in `room` columns.
pub(super) fn settings(model: &Model, chart: Chart, scale: Option<&Scale>, room: u16) -> String {
    let view = &model.view;
    let mut words = Vec::new();
    let mut hints = Vec::new();
    if let Some(scale) = scale {
        let metric = model.metric_of(chart);
        let shown = |value| chart.format(&metric, value);
        let reach = [
            (scale.all.1 > scale.top).then(|| format!("{ABOVE} to {}", shown(scale.all.1))),
            (scale.all.0 < scale.bottom).then(|| format!("{BENEATH} to {}", shown(scale.all.0))),
        ];
        words.extend(reach.into_iter().flatten());
        if !words.is_empty() {
            hints.push((words.len(), "y shows all"));
        }
    }
    if view.all_values {
        words.push("all values".into());
    }
    let has_slow = |(_, run): (usize, &Run)| run.has_lookahead();
    let several = model.runs.len() > 1;
    if several && !view.both_weights && has_both(chart) && model.visible().any(has_slow) {
        hints.push((words.len(), "b shows fast and slow"));
    }
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
    let join = |words: &[String]| format!(" {} ", words.join(" · "));
    // The later ones are about what is less visible.
    for (at, hint) in hints.into_iter().rev() {
        let mut more = words.clone();
        more.insert(at, hint.to_owned());
        if width(&join(&more)) <= room {
            words = more;
        }
    }
    if words.is_empty() { String::new() } else { join(&words) }
}

/// Draws legend, axes and lines of the chart that the keys refer to; returns the scale.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) -> Option<Scale> {
    let chart = model.view.chart;
    if chart == Chart::Cycle {
        return cycle::draw(model, area, buffer);
    }
    if chart.is_heat_map() {
        return heat::draw(model, chart, area, buffer);
    }
    let series = series(model, chart);
    let rows = legend::draw(model, chart, &series, area, buffer).min(area.height);
    let below = Rect { y: area.y + rows, height: area.height - rows, ..area };
    let (plot, scale) = draw_lines(model, chart, series, below, buffer);
    if let Some(step) = model.view.cursor {
        cursor::draw(model, step, plot, buffer);
    }
    Some(scale)
}

/// Draws axes and lines; returns the area of the lines, and the scale.
pub(super) fn draw_lines(
    model: &Model,
    chart: Chart,
    series: Vec<Series>,
    area: Rect,
    buffer: &mut Buffer,
) -> (Rect, Scale) {
    let theme = &model.theme;
    let lines_area = area_of_lines(area);
    let (axis, span) = (model.view.viewport.axis, model.span());
    let lines = Lines::new(model, series, usize::from(lines_area.width) * ACROSS);
    let options = scale_options(model, chart);
    let scale = options.scale(lines.usual_range(options.log, options.was_cut()));
    let plot = Plot { theme, outside: area, area: lines_area, scale };
    plot.draw_y(buffer, chart.is_in_percent(&model.metric_of(chart)));
    plot.draw_x(buffer, axis, span);
    sync_marks(model, &plot, span, buffer);
    let area = plot.area;
    if chart == Chart::Gain && !scale.log && scale.bottom < 0.0 && scale.top > 0.0 {
        let y = area.y + scale.row(0.0, usize::from(area.height)) as u16;
        put(buffer, area, area.x, y, &"┄".repeat(usize::from(area.width)), theme.frame);
    }
    if lines.all.iter().all(|(line, _)| line.history.is_empty()) {
        put_centered(buffer, area, nothing_yet(model, chart), theme.dim);
    }
    for (line, columns) in &lines.all {
        plot.trace(columns, is_dashed(line.look), look(theme, line.look).0, buffer);
    }
    // Over all lines, so that a line which others cover is still found.
    for (index, (line, columns)) in lines.all.iter().enumerate() {
        let (style, _, marker) = look(theme, line.look);
        if let Some(marker) = marker {
            let phase = (index as u16 * MARKER_EVERY / 2 + line.run as u16 * 3) % MARKER_EVERY;
            plot.mark(columns, (marker, phase), style, buffer);
        }
    }
    // Last, so that no line hides that values are cut off or not finite.
    for (line, columns) in &lines.all {
        plot.mark_outside(columns, look(theme, line.look).0, buffer);
        if line.decay.is_none() {
            let run = &model.runs[line.run];
            for cell in gaps(run, line.history, axis, span, usize::from(area.width)) {
                let y = area.bottom().saturating_sub(1);
                put(buffer, area, area.x + cell as u16, y, "×", theme.bad);
            }
        }
    }
    (area, scale)
}

fn nothing_yet(model: &Model, chart: Chart) -> &'static str {
    let run = model.run();
    let of_syncs = matches!(chart, Chart::Gain | Chart::Distance | Chart::Gradient);
    match chart {
        _ if run.state() == RunState::Waiting => "waiting for the run",
        _ if run.state() == RunState::Unreadable => "the log can't be read; m shows why",
        Chart::Accuracy | Chart::ValidationLoss => "no evaluation yet",
        _ if of_syncs && !run.has_lookahead() => "without Lookahead",
        _ if of_syncs => "no probe yet",
        Chart::Alpha => "no sync yet",
        Chart::Scalar(_) => "not logged by this run",
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
