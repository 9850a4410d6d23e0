//! The list as a table.

use lookahead_run::event::{Event, Reason, Record, Split};

use super::super::end::End;
use super::glance::{Evaluated, RunRow, RunState};
use super::{Row, SweepRow};
use crate::observer::{format_loss, format_metric};

/// A row below the heads for each.
pub(super) fn text(rows: &[Row]) -> String {
    let now = Record::now(0, Event::Unknown).time;
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
        Row::Run(run) => [
            run.name.clone(),
            state(run).to_owned(),
            step(run),
            run.evaluation.as_ref().map(evaluation).unwrap_or_default(),
            ago,
        ],
        Row::Sweep(SweepRow { name, runs, running, .. }) => {
            let mut count = grouped(*runs as u64) + if *runs == 1 { " run" } else { " runs" };
            if *running > 0 {
                count += &format!(", {} running", grouped(*running as u64));
            }
            [name.clone(), "sweep".to_owned(), count, String::new(), ago]
        }
    }
}

fn state(run: &RunRow) -> &'static str {
    match run.state {
        RunState::Running | RunState::Ended(End::Deaf) => "running",
        RunState::Paused => "paused",
        RunState::Ended(End::Finished) if run.reason == Some(Reason::EarlyStopping) => {
            "stopped early"
        }
        RunState::Ended(End::Finished) => "finished",
        RunState::Ended(End::Stopped) => "stopped",
        RunState::Ended(End::Failed) => "failed",
        RunState::Ended(End::Crashed) => "crashed",
        RunState::Ended(End::Elsewhere) => "elsewhere",
    }
}

fn step(run: &RunRow) -> String {
    let of = run.total_steps.map(|total| format!(" of {}", grouped(total)));
    grouped(run.step) + &of.unwrap_or_default()
}

fn evaluation(found: &Evaluated) -> String {
    let split = match found.split {
        Split::Test => "test",
        Split::Validation => "validation",
    };
    let mut text = format!("{split} loss {}", format_loss(found.loss));
    if let Some(metric) = &found.metric {
        text += &format!(", {} {}", metric.info.label(), format_metric(&metric.info, metric.value));
    }
    text
}

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time span in its largest unit.
fn ago(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    format!("{} {unit}{} ago", grouped(count), if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
