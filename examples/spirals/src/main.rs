//! A program like `lookahead`, which can also train a net of sines to tell two spirals apart.

mod sines;
mod spirals;

use std::process::ExitCode;

use lookahead_trainer::App;

fn main() -> ExitCode {
    App::builtin().data("spirals", spirals::load).model("sines", sines::build).run()
}
