//! A program like `lookahead`, which can also train a net of sines to tell two spirals apart.

mod sines;
mod spirals;

use lookahead_trainer::App;

fn main() {
    App::builtin().data("spirals", spirals::load).model("sines", sines::build).run()
}
