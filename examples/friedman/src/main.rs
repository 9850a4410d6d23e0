//! A program like `lookahead` for a regression, with an inner optimizer and a metric of its own, and a hook
//! that clips gradients.

mod clip;
mod friedman;
mod sign;
mod within;

use lookahead_trainer::{App, Task};

fn main() {
    App::builtin()
        .data("friedman", friedman::load)
        .optimizer("sign", sign::build)
        .hook(|_config| Ok(clip::ClipGradients::new(1.0)))
        .metric("within_1", &[Task::Regression], within::build)
        .run()
}
