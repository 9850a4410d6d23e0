//! `lookahead`: the kinds of data and models that are built in. See the library of this package.

use std::process::ExitCode;

use lookahead_trainer::App;

fn main() -> ExitCode {
    App::builtin().run()
}
