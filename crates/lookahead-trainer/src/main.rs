//! `lookahead`: dispatches a command line. See the library of this package.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lookahead_trainer::cli::{Cli, Command};
use lookahead_trainer::console::{self, eprint_line};
use lookahead_trainer::{commands, failure, panics};
use rustix::process::{Resource, getrlimit};
use signal_hook::consts::SIGXFSZ;

/// The usual stack size of a process's first thread.
const STACK: usize = 8 << 20;

/// If `ulimit -s` gives the first thread less, the work is done in a second thread.
fn main() -> ExitCode {
    // `None` is no limit.
    if getrlimit(Resource::Stack).current.is_none_or(|bytes| bytes >= STACK as u64) {
        return run();
    }
    match std::thread::Builder::new().name("main".to_owned()).stack_size(STACK).spawn(run) {
        Ok(worker) => worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        // There is no room for another thread.
        Err(_) => run(),
    }
}

fn run() -> ExitCode {
    // Training never waits for a reader of this program's output.
    console::redirect_cerr();
    panics::report_in_background();
    // A limit on the size of files then acts like a full disk instead of ending the program.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    // Steps of a large model then reuse their memory instead of returning it to the system.
    let _ = lookahead_core::tch_ext::memory::keep_freed();
    let outcome = match Cli::parse().command {
        Command::Train(arguments) => commands::train(&arguments),
        Command::Sweep(arguments) => commands::sweep(&arguments),
        Command::Compare(arguments) => commands::compare(&arguments),
        Command::Resume(arguments) => commands::resume(&arguments),
        Command::Eval(arguments) => commands::eval(&arguments),
        Command::Ctl(arguments) => commands::ctl(&arguments),
        Command::Watch(arguments) => commands::watch(&arguments),
        Command::Plot(arguments) => commands::plot(&arguments),
        Command::Inspect(arguments) => commands::inspect(&arguments),
        Command::Export(arguments) => commands::export(&arguments),
        Command::Doctor => commands::doctor(),
    };
    let status = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint_line(format_args!("error: {error:#}"));
            failure::exit_code(&error)
        }
    };
    console::finish();
    status
}
