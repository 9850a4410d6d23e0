//! A program like `lookahead`, with a data set and a model of my own.

mod data;
mod model;

use lookahead_trainer::App;

fn main() {
    App::builtin().data("my-task", data::load).model("my-net", model::build).run()
}
