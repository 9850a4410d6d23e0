//! Alerts: a program is started, or a web address called, when something happens to a run.
//!
//! Each delivery has a thread of its own, so that none delays the training or another delivery. What can't be delivered is
//! a warning.

mod command;
mod stand_in;
mod webhook;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use lookahead_run::event::{Event, Record, RollBackCause, RolledBack, RunEnded, Stalled, Status};
use lookahead_run::format;
use lookahead_run::words::reason;
use lookahead_run::{RunFolder, program_name};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::config::alert::AlertConfig;
use crate::usage::UsageError;
pub(crate) use stand_in::StandIn;
use webhook::Webhook;

/// After an alert, others of its kind are left out for this long: a full disk is noticed at each attempt to save. So there
/// are never many deliveries at once.
const SAME: Duration = Duration::from_secs(600);
/// Most bytes of a reason, so that the whole alert fits into a pipe.
const LONGEST_REASON: usize = 4096;
/// How long a delivery that was cut off may take to end.
const GRACE: Duration = Duration::from_millis(500);

/// What an event alerts to: one of [`KINDS`](crate::config::alert::KINDS), and the reason in a sentence.
fn alert_of(event: &Event) -> Option<(&'static str, String)> {
    match event {
        Event::RunEnded(RunEnded { status, message, .. }) => match status {
            Status::Failed => Some(("failed", message.clone().unwrap_or_default())),
            Status::Finished => {
                let all = || "It took all its steps.".to_owned();
                Some(("finished", message.clone().unwrap_or_else(all)))
            }
            Status::Stopped => None,
        },
        Event::Warning(warning) if is_disk_full(&warning.message) => {
            Some(("disk_full", warning.message.clone()))
        }
        Event::RolledBack(RolledBack { cause: RollBackCause::Requested, .. }) => None,
        Event::RolledBack(rolled_back) => Some(("rolled_back", rolled_back.message.clone())),
        Event::Stalled(Stalled { seconds, usual_seconds, in_evaluation }) => {
            let [so_far, usual] = [*seconds, *usual_seconds].map(format::short_duration);
            let what = if *in_evaluation {
                format!("An evaluation has stood still for {so_far}")
            } else {
                format!("A step has taken {so_far} so far")
            };
            Some(("stalled", format!("{what}, and steps usually take {usual}.")))
        }
        _ => None,
    }
}

/// Whether a warning has a full disk as its cause: no space, a quota, or a limit on the size of files.
fn is_disk_full(message: &str) -> bool {
    let causes = [Errno::NOSPC, Errno::DQUOT, Errno::FBIG];
    causes.iter().any(|cause| message.contains(&reason(&io::Error::from(*cause))))
}

/// Which run an alert is about.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Place {
    /// The run's name.
    run: String,
    /// The run's folder, absolute.
    folder: String,
    /// The machine that trains it; of several, that of rank 0.
    host: String,
}

impl Place {
    fn of(folder: &RunFolder) -> Place {
        let run = folder.name().to_owned();
        Place { run, folder: absolute(folder.path()), host: host() }
    }
}

/// An alert, as it is delivered.
#[derive(Debug, Clone, Serialize)]
struct Alert {
    /// Its kind.
    alert: &'static str,
    #[serde(flatten)]
    place: Place,
    step: u64,
    /// Sentences.
    reason: String,
    /// Unix time.
    time: f64,
    /// Name and version of this program.
    program: String,
    /// A summary in a line: chat programs show this field.
    text: String,
}

/// Delivers the alerts of a run.
#[derive(Debug)]
pub(crate) struct Alerts {
    config: AlertConfig,
    place: Place,
    webhook: Option<Arc<Webhook>>,
    /// What could not be delivered, as sentences. Each delivery has a sender.
    report: Sender<String>,
    failures: Receiver<String>,
    /// When each kind last alerted.
    last: BTreeMap<&'static str, Instant>,
    deadline: Deadline,
}

/// When the end of the run gives up on alerts, once it has come.
#[derive(Debug, Clone, Default)]
struct Deadline(Arc<Mutex<Option<Instant>>>);

impl Deadline {
    /// When a delivery that may take so long from now on must end.
    fn within(&self, timeout: Duration) -> Instant {
        let own = Instant::now() + timeout;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).map_or(own, |end| end.min(own))
    }

    fn set(&self, end: Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(end);
    }
}

impl Alerts {
    /// Alerts as the config says; none if it has no program and no address.
    ///
    /// # Errors
    /// If the environment variable of the address is not set.
    pub(crate) fn new(folder: &RunFolder, config: &AlertConfig) -> anyhow::Result<Option<Self>> {
        Alerts::about(Place::of(folder), config)
    }

    fn about(place: Place, config: &AlertConfig) -> anyhow::Result<Option<Self>> {
        if !config.is_on() {
            return Ok(None);
        }
        let (report, failures) = unbounded();
        Ok(Some(Alerts {
            config: config.clone(),
            place,
            webhook: Webhook::new(&config.webhook)?.map(Arc::new),
            report,
            failures,
            last: BTreeMap::new(),
            deadline: Deadline::default(),
        }))
    }

    /// Delivers an alert if the event is one that the config names. Never waits.
    pub(crate) fn on_event(&mut self, record: &Record) {
        let Some((kind, mut reason)) = alert_of(&record.event) else { return };
        let is_repeated = self.last.get(kind).is_some_and(|at| at.elapsed() < SAME);
        if is_repeated || !self.config.on.iter().any(|wanted| wanted == kind) {
            return;
        }
        self.last.insert(kind, Instant::now());
        if let Some((end, _)) = reason.char_indices().find(|(at, _)| *at >= LONGEST_REASON) {
            reason.truncate(end);
            reason.push('…');
        }
        let (Place { run, host, .. }, step) = (&self.place, record.step);
        let alert = Alert {
            alert: kind,
            text: format!("{run} on {host}: {} at step {step}. {reason}", kind.replace('_', " ")),
            place: self.place.clone(),
            step,
            reason,
            time: record.time,
            program: format!("{} {}", program_name(), env!("CARGO_PKG_VERSION")),
        };
        let Ok(json) = serde_json::to_vec(&alert) else { return };
        let timeout = Duration::from_secs(self.config.timeout);
        if !self.config.command.is_empty() {
            let (command, json) = (self.config.command.clone(), json.clone());
            self.deliver(kind, move || command::run(&command, &json, timeout));
        }
        if let Some(webhook) = self.webhook.clone() {
            let deadline = self.deadline.clone();
            self.deliver(kind, move || webhook.send(&json, &deadline, timeout));
        }
    }

    /// Runs a delivery in a thread of its own. It returns a clause with what is wrong, if it fails.
    fn deliver(
        &self,
        kind: &'static str,
        send: impl FnOnce() -> Result<(), String> + Send + 'static,
    ) {
        let failed = move |report: &Sender<String>, why: &str| {
            drop(report.send(format!("The alert `{kind}`: {why}")));
        };
        let report = self.report.clone();
        let work = move || {
            if let Err(why) = send() {
                failed(&report, &why);
            }
        };
        if let Err(error) = thread::Builder::new().name("alert".into()).spawn(work) {
            failed(&self.report, &format!("the system refuses a thread for it ({error})."));
        }
    }

    /// What could not be delivered since the last call, as sentences.
    pub(crate) fn take_failures(&self) -> Vec<String> {
        self.failures.try_iter().collect()
    }

    /// Waits for the alerts that are not delivered yet, at most the timeout, and returns what could not be delivered.
    pub(crate) fn finish(self) -> Vec<String> {
        let Alerts { config, report, failures, deadline, .. } = self;
        let end = Instant::now() + Duration::from_secs(config.timeout);
        deadline.set(end);
        // Disconnected once all deliveries have ended.
        drop(report);
        std::iter::from_fn(|| failures.recv_deadline(end + GRACE).ok()).collect()
    }
}

/// The value of a setting, or of the environment variable that it names.
fn from_environment(key: &str, value: &str) -> Result<String, UsageError> {
    let Some(name) = value.strip_prefix('$') else { return Ok(value.to_owned()) };
    std::env::var(name).ok().filter(|found| !found.is_empty()).ok_or_else(|| {
        UsageError::new(format!(
            "`{key}` is `${name}`, and this environment variable is not set. Set it, or turn alerts to it off with \
             `--set {key}=\"\"`."
        ))
    })
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The name of this machine; empty if it is unknown.
fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = name.or_else(|| std::env::var("HOSTNAME").ok()).unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests;
