//! The whole program: a command line for the kinds of data, models and optimizers that are registered.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use lookahead_core::InnerOptimizer;
use lookahead_run::event::Task;
use lookahead_run::words::sentences;
use rustix::process::{Resource, getrlimit};
use signal_hook::consts::SIGXFSZ;
use tch::nn;

use crate::cli::{Command, mistakes};
use crate::config::Config;
use crate::config::kinds::KindOptions;
use crate::console::{self, eprint_line};
use crate::data::{DataSpec, Dataset, LoadContext};
use crate::models::Network;
use crate::objective::{Loss, Metric, ObjectiveContext};
use crate::optimizers::OptimizerContext;
use crate::registry::Registry;
use crate::train::hook::Hook;
use crate::{commands, failure, panics};

/// The usual stack size of a process's first thread.
const STACK: usize = 8 << 20;

/// A program like `lookahead`, with data, models, optimizers and hooks of its own: it trains, resumes, watches,
/// evaluates, predicts, sweeps and compares.
///
/// ```no_run
/// # use lookahead_trainer::{App, DataSpec, Dataset, KindOptions, LoadContext};
/// # #[derive(Default, serde::Serialize, serde::Deserialize)]
/// # #[serde(default, deny_unknown_fields)]
/// # struct Options {}
/// # impl KindOptions for Options {}
/// # fn load(_: Options, _: &LoadContext) -> anyhow::Result<Dataset> { todo!() }
/// fn build(_: Options, path: &tch::nn::Path, spec: &DataSpec) -> anyhow::Result<tch::nn::Linear> {
///     let (inputs, outputs) = (spec.inputs.shape[0] as i64, spec.outputs.unwrap_or(1) as i64);
///     Ok(tch::nn::linear(path / "out", inputs, outputs, Default::default()))
/// }
///
/// fn main() {
///     App::builtin().data("spirals", load).model("linear", build).run()
/// }
/// ```
#[derive(Debug, Default)]
pub struct App {
    registry: Registry,
}

impl App {
    /// A program without any kinds.
    pub fn new() -> Self {
        App::default()
    }

    /// A program with the kinds of `lookahead`.
    pub fn builtin() -> Self {
        App { registry: Registry::builtin() }
    }

    /// Adds a kind of data. See [`Registry::data`].
    #[must_use]
    pub fn data<O: KindOptions>(
        self,
        name: &'static str,
        load: impl Fn(O, &LoadContext) -> anyhow::Result<Dataset> + Send + Sync + 'static,
    ) -> Self {
        App { registry: self.registry.data(name, load) }
    }

    /// Adds a kind of model. See [`Registry::model`].
    #[must_use]
    pub fn model<O, N, E>(
        self,
        name: &'static str,
        build: impl Fn(O, &nn::Path<'_>, &DataSpec) -> Result<N, E> + Send + Sync + 'static,
    ) -> Self
    where
        O: KindOptions,
        N: Network + 'static,
        E: Into<anyhow::Error>,
    {
        App { registry: self.registry.model(name, build) }
    }

    /// Adds a kind of inner optimizer. See [`Registry::optimizer`].
    #[must_use]
    pub fn optimizer<O, I, E>(
        self,
        name: &'static str,
        build: impl Fn(O, &OptimizerContext, &nn::VarStore) -> Result<I, E> + Send + Sync + 'static,
    ) -> Self
    where
        O: KindOptions,
        I: InnerOptimizer + 'static,
        E: Into<anyhow::Error>,
    {
        App { registry: self.registry.optimizer(name, build) }
    }

    /// Adds a loss. See [`Registry::loss`].
    #[must_use]
    pub fn loss<L: Loss + 'static>(
        self,
        name: &'static str,
        tasks: &'static [Task],
        build: impl Fn(&ObjectiveContext<'_>) -> anyhow::Result<L> + Send + Sync + 'static,
    ) -> Self {
        App { registry: self.registry.loss(name, tasks, build) }
    }

    /// Adds a metric. See [`Registry::metric`].
    #[must_use]
    pub fn metric<M: Metric + 'static>(
        self,
        name: &'static str,
        tasks: &'static [Task],
        build: impl Fn(&ObjectiveContext<'_>) -> anyhow::Result<M> + Send + Sync + 'static,
    ) -> Self {
        App { registry: self.registry.metric(name, tasks, build) }
    }

    /// Adds a hook to every training. See [`Registry::hook`].
    #[must_use]
    pub fn hook<H: Hook + 'static>(
        self,
        make: impl Fn(&Config) -> anyhow::Result<H> + Send + Sync + 'static,
    ) -> Self {
        App { registry: self.registry.hook(make) }
    }

    /// Does what the command line says, and ends the process. The exit status is 0 if that is done, 1 if it failed, 2
    /// for an error of usage or in a config. What registered functions own is dropped before; functions of C's `atexit`
    /// and destructors of libtorch's static objects don't run: those take a tenth of a second.
    pub fn run(self) -> ! {
        let status = self.status();
        let _ = std::io::stdout().flush();
        signal_hook::low_level::exit(status.into());
    }

    /// The exit status.
    fn status(self) -> u8 {
        // If `ulimit -s` gives the first thread less, the work is done in a second thread. `None` is no limit.
        if getrlimit(Resource::Stack).current.is_none_or(|bytes| bytes >= STACK as u64) {
            return run(&self.registry);
        }
        let registry = Arc::new(self.registry);
        let shared = Arc::clone(&registry);
        let work = move || run(&shared);
        match std::thread::Builder::new().name("main".to_owned()).stack_size(STACK).spawn(work) {
            Ok(worker) => worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            // There is no room for another thread.
            Err(_) => run(&registry),
        }
    }
}

/// Messages suggest commands of the program under the name by which it was called.
fn set_program_name() {
    let called = std::env::args_os().next().unwrap_or_default();
    if let Some(name) = Path::new(&called).file_name().and_then(OsStr::to_str) {
        lookahead_run::set_program_name(name);
    }
}

fn run(registry: &Registry) -> u8 {
    set_program_name();
    if let Some(status) = commands::complete(registry.kinds()) {
        return status;
    }
    // Training never waits for a reader of this program's output.
    console::redirect_cerr();
    panics::report_in_background();
    // A limit on the size of files then acts like a full disk instead of ending the program.
    let _ = signal_hook::flag::register(SIGXFSZ, Arc::default());
    // Steps of a large model then reuse their memory instead of returning it to the system.
    let _ = lookahead_core::tch_ext::memory::keep_freed();
    let kinds = registry.kinds();
    let cli = match mistakes::parse(kinds) {
        Ok(cli) => cli,
        Err(status) => {
            console::finish();
            return status;
        }
    };
    let outcome = match cli.command {
        Command::Train(arguments) => commands::train(registry, &arguments),
        Command::Sweep(arguments) => commands::sweep(kinds, &arguments),
        Command::Compare(arguments) => commands::compare(&arguments),
        Command::List(arguments) => commands::list(&arguments),
        Command::Resume(arguments) => commands::resume(registry, &arguments),
        Command::Eval(arguments) => commands::eval(registry, &arguments),
        Command::Predict(arguments) => commands::predict(registry, &arguments),
        Command::Generate(arguments) => commands::generate(registry, &arguments),
        Command::Ctl(arguments) => commands::ctl(&arguments),
        Command::Watch(arguments) => commands::watch(&arguments),
        Command::Plot(arguments) => commands::plot(&arguments),
        Command::Inspect(arguments) => commands::inspect(kinds, &arguments),
        Command::Export(arguments) => commands::export(registry, &arguments),
        Command::Init(arguments) => commands::init(kinds, &arguments),
        Command::Config(arguments) => commands::config(kinds, &arguments),
        Command::Schema(arguments) => commands::schema(kinds, &arguments),
        Command::Doctor => commands::doctor(),
        Command::Completions(arguments) => commands::completions(&arguments),
        Command::Man(arguments) => commands::man(&arguments),
        Command::Relay(arguments) => commands::relay(&arguments),
        Command::Forwarded(arguments) => commands::forwarded(kinds, &arguments),
    };
    let status = match outcome {
        Ok(()) => 0,
        // Its reader has what it wanted.
        Err(error) if console::is_closed_stdout(&error) => 0,
        Err(error) => {
            // What failed on another machine has said so.
            if !error.is::<failure::FailedThere>() {
                eprint_line(format_args!("error: {}", sentences(error.as_ref())));
            }
            failure::exit_code(&error)
        }
    };
    console::finish();
    lookahead_dashboard::discard_late_keys();
    status
}
