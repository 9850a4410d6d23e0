//! The list as a table.

use lookahead_run::Glance;
use lookahead_run::event::{MetricInfo, unix_time};
use lookahead_run::format::{self, ago, count};
use lookahead_run::glance::Evaluated;

use super::{Row, RunRow, SweepRow};

/// A row below the heads for each.
pub(super) fn text(rows: &[Row]) -> String {
    let now = unix_time();
    let mut lines =
        vec![["run", "state", "step", "last evaluation", "last event"].map(str::to_owned)];
    lines.extend(rows.iter().map(|row| cells(row, now)));
    let mut widths = [0; 5];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let line = |line: &[String; 5]| {
        let cells = line.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(line).collect()
}

fn cells(row: &Row, now: f64) -> [String; 5] {
    let ago = row.last_event().map(|time| ago(now - time)).unwrap_or_default();
    match row {
        Row::Run(RunRow { name, glance: run }) => [
            format::safe(name),
            run.state.label(run.reason).to_owned(),
            step(run),
            run.evaluation.as_ref().map_or_else(|| logged(run), evaluation),
            ago,
        ],
        Row::Sweep(SweepRow { name, runs, running, .. }) => {
            let mut runs = count(*runs as u64) + if *runs == 1 { " run" } else { " runs" };
            if *running > 0 {
                runs += &format!(", {} running", count(*running as u64));
            }
            [format::safe(name), "sweep".to_owned(), runs, String::new(), ago]
        }
    }
}

fn step(run: &Glance) -> String {
    let of =
        run.total_steps.filter(|total| *total > 0).map(|total| format!(" of {}", count(total)));
    count(run.step) + &of.unwrap_or_default()
}

/// The loss and the most important number of a recorded run.
fn logged(run: &Glance) -> String {
    let first = run.metrics().into_iter().next();
    let shown = [Some(MetricInfo::loss()), first].into_iter().flatten();
    let written = shown.filter_map(|metric| {
        let value = run.logged.get(&metric.name)?;
        Some(format!("{} {}", metric.label(), metric.format(*value)))
    });
    written.collect::<Vec<_>>().join(", ")
}

fn evaluation(found: &Evaluated) -> String {
    let split = found.split.name();
    let mut text = format!("{split} loss {}", format::loss(found.loss));
    if let Some(metric) = &found.metric {
        text += &format!(", {} {}", metric.info.label(), metric.info.format(metric.value));
    }
    text
}
