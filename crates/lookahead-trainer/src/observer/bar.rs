//! A progress bar on a terminal, with lines above it.

use std::io::stderr;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use lookahead_run::event::{Event, Record, RunInfo};

use super::lines::progress;
use crate::console::{draw_target, eprint_line};

/// The bar, which appears with the first step.
#[derive(Debug, Default)]
pub(super) struct Bar {
    bar: Option<ProgressBar>,
    drawn: Option<Instant>,
}

/// The shortest time between two frames.
const FRAME: Duration = Duration::from_millis(100);

impl Bar {
    /// Whether stderr is a terminal that can draw, and this program is in its foreground.
    pub(super) fn can_draw() -> bool {
        if lookahead_dashboard::incapable_terminal().is_some() {
            return false;
        }
        let own = rustix::process::getpgrp();
        rustix::termios::tcgetpgrp(stderr()).is_ok_and(|foreground| foreground == own)
    }

    /// Shows a record.
    pub(super) fn show(&mut self, record: &Record, run: Option<&RunInfo>) {
        match &record.event {
            Event::Step(step) => {
                if self.drawn.is_some_and(|drawn| drawn.elapsed() < FRAME) {
                    return;
                }
                self.drawn = Some(Instant::now());
                if !Bar::can_draw() {
                    return;
                }
                let total = run.map_or(0, |run| run.total_steps);
                let bar = self.bar.get_or_insert_with(|| {
                    // The steps before a resume took no time of this process.
                    let bar = ProgressBar::with_draw_target(Some(total), draw_target());
                    bar.set_style(style(TRAINING));
                    bar.set_position(record.step);
                    bar.reset_eta();
                    bar
                });
                bar.set_message(progress(step));
                bar.set_position(record.step);
            }
            Event::Paused => self.pause(record.step),
            Event::Continued => self.resume(),
            // Only lines follow.
            Event::RunEnded(_) => self.end(),
            _ => {}
        }
    }

    /// The last frame may be of an earlier step, and no other follows until the run continues.
    fn pause(&self, step: u64) {
        if let Some(bar) = &self.bar {
            bar.set_style(style(PAUSED));
            if Bar::can_draw() {
                bar.set_position(step);
                bar.force_draw();
            }
        }
    }

    fn resume(&mut self) {
        if let Some(bar) = &self.bar {
            bar.set_style(style(TRAINING));
            // The time of the pause says nothing about the steps to come.
            bar.reset_eta();
            self.drawn = None;
        }
    }

    /// Prints a line above the bar.
    pub(super) fn print(&self, line: &str) {
        match &self.bar {
            Some(bar) if Bar::can_draw() => bar.suspend(|| eprint_line(line)),
            _ => eprint_line(line),
        }
    }

    /// Removes the bar.
    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take()
            && Bar::can_draw()
        {
            bar.finish_and_clear();
        }
    }
}

const TRAINING: &str = "{wide_bar} {human_pos}/{human_len}  {msg}  eta {eta}";
const PAUSED: &str = "{wide_bar} {human_pos}/{human_len}  paused";

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
