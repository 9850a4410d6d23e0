//! `lookahead`: dispatches a command line. See the library of this package.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lookahead_trainer::cli::{Cli, Command};
use lookahead_trainer::say::say;
use lookahead_trainer::{commands, failure};
use signal_hook::consts::SIGXFSZ;

fn main() -> ExitCode {
    // Else a limit on the size of files would end the program; so it is as on a full disk.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    // Else each step of a large model would get its memory from the system anew.
    let _ = lookahead_core::memory::keep_freed();
    let outcome = match Cli::parse().command {
        Command::Train(arguments) => commands::train(&arguments),
        Command::Sweep(arguments) => commands::sweep(&arguments),
        Command::Compare(arguments) => commands::compare(&arguments),
        Command::Evidence(arguments) => commands::evidence(&arguments),
        Command::Resume(arguments) => commands::resume(&arguments),
        Command::Eval(arguments) => commands::eval(&arguments),
        Command::Ctl(arguments) => commands::ctl(&arguments),
        Command::Watch(arguments) => commands::watch(&arguments),
        Command::Plot(arguments) => commands::plot(&arguments),
        Command::Inspect(arguments) => commands::inspect(&arguments),
        Command::Export(arguments) => commands::export(&arguments),
        Command::Doctor => commands::doctor(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(format_args!("error: {error:#}"));
            failure::exit_code(&error)
        }
    }
}
