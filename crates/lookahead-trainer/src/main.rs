//! `lookahead`: the kinds of data and models that are built in. See the library of this package.

use lookahead_trainer::App;

fn main() {
    App::builtin().run()
}
