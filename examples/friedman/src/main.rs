//! A program like `lookahead` for a regression, with a hook that clips gradients and a metric of its own.

mod clip;
mod friedman;
mod within;

use std::process::ExitCode;

use lookahead_trainer::{App, Task};

fn main() -> ExitCode {
    App::builtin()
        .data("friedman", friedman::load)
        .hook(|_config| Ok(clip::ClipGradients::new(1.0)))
        .metric("within_1", &[Task::Regression], within::build)
        .run()
}
