//! Where a run's record goes and its requests come from.

use std::time::Duration;

use crossbeam_channel::Sender;
use lookahead_run::command::{Command, Setting};
use lookahead_run::{ControlServer, RunFolder};

use super::Training;
use super::folder::FolderWatch;
use super::settings::Settings;
use super::status::Shared;
use crate::checkpointing::writer::Writer;
use crate::config::Config;
use crate::config::mutable_keys::PERIOD;
use crate::controls::{Controls, Hangup};
use crate::observer::{Observer, Show};

/// Where a run's record goes and its requests come from.
#[derive(Debug)]
pub struct Outside {
    /// Who is told.
    pub observer: Observer,
    /// Who may ask.
    pub controls: Controls,
    /// Who writes checkpoints.
    pub writer: Writer,
    /// What changes of settings are checked against.
    pub(super) settings: Settings,
    /// How the run is.
    pub(super) status: Shared,
    /// Nothing where another process keeps the run's record.
    pub(super) folder: Option<RunFolder>,
    pub(super) folder_watch: Option<FolderWatch>,
    /// Where commands of other processes go.
    asked: Sender<Command>,
    /// The socket through which they come, which ends with this.
    server: Option<ControlServer>,
}

/// Why nothing is set in a run of several processes.
pub(super) const NOT_SET: &str = "While several processes train together no setting can change: stop the \
                                  run and resume it with `--set`.";

/// Commands of other processes that wait for the next step, at most.
const WAITING: usize = 32;

impl Outside {
    /// Of a run folder.
    ///
    /// # Errors
    /// Where the event log can't be opened, or the system refuses a thread or a signal handler.
    pub fn new(
        folder: &RunFolder,
        config: &Config,
        show: &Show,
        hangup: Hangup,
    ) -> anyhow::Result<Self> {
        let observer = Observer::new(folder, show)?;
        let writer = Writer::new(folder.checkpoints(), observer.syncer()?)?;
        Outside::with(observer, writer, Some(folder.clone()), config, hangup)
    }

    /// Of one of several processes that keeps no record and has no files: rank 0 has them.
    ///
    /// # Errors
    /// Where the system refuses a thread or a signal handler.
    pub fn of_follower(config: &Config) -> anyhow::Result<Self> {
        Outside::with(Observer::of_follower(), Writer::idle(), None, config, Hangup::of(true))
    }

    fn with(
        observer: Observer,
        writer: Writer,
        folder: Option<RunFolder>,
        config: &Config,
        hangup: Hangup,
    ) -> anyhow::Result<Self> {
        let (asked, remote) = crossbeam_channel::bounded(WAITING);
        let deadline = config.checkpoint.deadline_seconds;
        let deadline = (deadline > 0).then(|| Duration::from_secs(deadline));
        let controls = Controls::new(observer.commands(), remote, deadline, hangup)?;
        let settings = Settings::new(config.clone(), folder.clone());
        let folder_watch = folder.as_ref().map(FolderWatch::new);
        let status = Shared::default();
        Ok(Outside {
            observer,
            controls,
            writer,
            settings,
            status,
            folder,
            folder_watch,
            asked,
            server: None,
        })
    }

    /// Whether the run has a checkpoint that this process can see.
    pub fn has_checkpoint(&self) -> bool {
        let found = self.folder.as_ref().map(|folder| folder.checkpoints().list());
        found.is_some_and(|list| list.is_ok_and(|list| !list.is_empty()))
    }

    /// Whether other processes can ask the run for something.
    pub fn is_open_to_others(&self) -> bool {
        self.server.is_some()
    }

    /// Opens the control socket, so that other processes can ask too; a sentence where that can't be,
    /// such as on a file system without sockets: the run goes on without. `checkpoint` is the name
    /// of the one that it goes on from.
    pub fn open_to_others(&mut self, t: &Training, checkpoint: Option<String>) -> Option<String> {
        let folder = self.folder.as_ref()?;
        self.status.begin(folder.name(), t, checkpoint);
        let (asked, settings) = (self.asked.clone(), self.settings.clone());
        let (alone, theirs) = (t.team().is_alone(), self.status.clone());
        let accept = move |command| {
            let pass_on = |command| {
                asked.try_send(command).map_err(|_| format!("{WAITING} others wait to be done."))
            };
            match &command {
                Command::Set(_) if !alone => Err(NOT_SET.to_owned()),
                Command::Set(setting) => {
                    let unkept = settings.accept(setting, || pass_on(command.clone()))?;
                    Ok(unkept.map(|why| not_kept_yet(setting, theirs.get().step, &why)))
                }
                _ => pass_on(command).map(|()| None),
            }
        };
        let status = self.status.clone();
        let server = ControlServer::start(folder, accept, move || status.get());
        match server {
            Ok(server) => self.server = Some(server),
            Err(error) => {
                return Some(format!("{error} The run can't be asked for anything from outside."));
            }
        }
        None
    }
}

/// What there is to say to whoever changed a setting that holds, and that the disk did not take.
fn not_kept_yet(setting: &Setting, step: u64, why: &str) -> String {
    let from = match setting.key.as_str() {
        PERIOD => "next cycle",
        _ => "next step",
    };
    format!(
        "The run is at step {step}, and `{}` = {} holds from its {from} on, but it is not kept yet: \
         {why} The run tries again. If it is killed before, the change is lost, unless a checkpoint was \
         saved with it.",
        setting.key, setting.value
    )
}
