//! The progress of a sweep, on stderr: bars on a terminal, otherwise a line now and then.

use std::time::{Duration, Instant};

use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressStyle};
use lookahead_study::sweep::{Plan, Progress, Reporter, SweepFolder};

use crate::console::{draw_target, eprint_line};
use crate::observer::has_a_terminal;

/// The interval between lines, if there is no terminal.
const LINES: Duration = Duration::from_secs(30);

/// Reports on a sweep.
pub(super) struct SweepReport {
    quiet: bool,
    bars: Option<Bars>,
    /// When the last line was written.
    reported: Instant,
    stopping: bool,
}

/// The bar of the whole sweep, and one below it for each running run.
struct Bars {
    all: MultiProgress,
    sweep: ProgressBar,
    runs: Vec<ProgressBar>,
}

impl SweepReport {
    pub(super) fn new(quiet: bool) -> SweepReport {
        SweepReport { quiet, bars: None, reported: Instant::now(), stopping: false }
    }

    /// Prints what the sweep is about to do.
    pub(super) fn begin(&self, plan: &Plan, jobs: usize, processors: usize, folder: &SweepFolder) {
        if self.quiet {
            return;
        }
        let total = plan.points.len();
        eprint_line(format_args!("{total} runs, {jobs} at once, in {}", folder.path().display()));
        let all = |threads: Option<u64>| threads.is_none_or(|threads| threads == 0);
        let greedy =
            plan.points.iter().any(|planned| all(planned.config["train"]["threads"].as_u64()));
        if jobs == 1 && total > 1 && processors > 1 && greedy {
            eprint_line(
                "Note: `train.threads` is 0, so a run takes all processors. Small models train \
                 sooner with `\"train.threads\" = 1` in `[set]`, several at once.",
            );
        }
    }

    /// Removes the bars.
    pub(super) fn end(&mut self) {
        if let Some(bars) = self.bars.take() {
            let _ = bars.all.clear();
        }
    }

    /// A line above the bars.
    fn line(&self, line: &str) {
        match &self.bars {
            Some(bars) => bars.all.suspend(|| eprint_line(line)),
            None => eprint_line(line),
        }
    }
}

impl Reporter for SweepReport {
    fn progress(&mut self, progress: &Progress) {
        if progress.stopping && !self.stopping {
            self.stopping = true;
            let running = progress.running.len();
            self.line(&match running {
                1 => "Stopping: the run in progress saves a checkpoint. Another Ctrl-C kills it.".to_owned(),
                _ => format!(
                    "Stopping: the {running} runs in progress save checkpoints. Another Ctrl-C kills them."
                ),
            });
        }
        if self.quiet {
            return;
        }
        // No bars in the background of a shell, or after its terminal is gone.
        if !has_a_terminal() {
            self.end();
            if self.reported.elapsed() >= LINES {
                self.reported = Instant::now();
                eprint_line(summary(progress));
            }
            return;
        }
        self.bars.get_or_insert_with(|| Bars::new(progress.total)).show(progress);
    }

    fn note(&mut self, line: &str) {
        if !self.quiet {
            self.line(line);
        }
    }

    fn warn(&mut self, line: &str) {
        self.line(line);
    }
}

impl Bars {
    fn new(total: usize) -> Bars {
        let all = MultiProgress::with_draw_target(draw_target());
        let sweep = all.add(ProgressBar::new(total as u64));
        sweep.set_style(style("{wide_bar} {pos}/{len} runs{msg}"));
        Bars { all, sweep, runs: Vec::new() }
    }

    fn show(&mut self, progress: &Progress) {
        self.sweep.set_position((progress.finished + progress.failed) as u64);
        self.sweep.set_message(remarks(progress));
        while self.runs.len() > progress.running.len() {
            if let Some(bar) = self.runs.pop() {
                bar.finish_and_clear();
                self.all.remove(&bar);
            }
        }
        while self.runs.len() < progress.running.len() {
            let bar = self.all.add(ProgressBar::new(1));
            bar.set_style(style("  {bar:20} {pos:>7}/{len:<7} {wide_msg}"));
            self.runs.push(bar);
        }
        for (bar, run) in self.runs.iter().zip(&progress.running) {
            bar.set_length(run.total.max(1));
            bar.set_position(run.step);
            bar.set_message(run.name.clone());
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// Failures and the time left, besides the number of runs that are done.
fn remarks(progress: &Progress) -> String {
    let mut text = String::new();
    if progress.failed > 0 {
        text += &format!(", {} failed", progress.failed);
    }
    if let (Some(left), false) = (progress.left, progress.stopping) {
        text += &format!(", {:#} left", HumanDuration(left));
    }
    text
}

/// A sweep in one line.
fn summary(progress: &Progress) -> String {
    let done = progress.finished + progress.failed;
    let running = progress.running.len();
    format!("{done} of {} runs are done, {running} running{}", progress.total, remarks(progress))
}

#[cfg(test)]
mod tests;
