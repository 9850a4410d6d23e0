//! `lookahead`: dispatches a command line. See the library of this package.

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use lookahead_trainer::cli::{Cli, Command};
use lookahead_trainer::console::{self, eprint_line};
use lookahead_trainer::{commands, failure, panics};
use rustix::process::{Resource, getrlimit};
use signal_hook::consts::SIGXFSZ;

/// The stack of a process's first thread, usually.
const STACK: usize = 8 << 20;

/// Where `ulimit -s` leaves the first thread less, the work is done in a thread with as much.
fn main() -> ExitCode {
    // None is no limit.
    if getrlimit(Resource::Stack).current.is_none_or(|bytes| bytes >= STACK as u64) {
        return run();
    }
    match std::thread::Builder::new().name("main".to_owned()).stack_size(STACK).spawn(run) {
        Ok(worker) => worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
        // No room for one more thread.
        Err(_) => run(),
    }
}

fn run() -> ExitCode {
    // No one has to read what this program prints, and no training waits for it.
    console::redirect_cerr();
    panics::report_in_background();
    // Else a limit on the size of files would end the program; so it is as on a full disk.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    // Else each step of a large model would get its memory from the system anew.
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
