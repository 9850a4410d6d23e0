//! `[alert]`: the program and the web address that are notified when a run fails or ends.

use serde::{Deserialize, Serialize};

use super::issue::{ConfigIssue, unknown_choice};
use super::key::Key;

/// What there can be an alert about.
pub const KINDS: &[&str] = &["failed", "finished", "stalled", "rolled_back", "disk_full"];

/// `[alert]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AlertConfig {
    /// A program and its arguments, which gets the alert as JSON on stdin; empty is none.
    pub command: Vec<String>,
    /// The address to which the alert is sent as JSON by POST, or `$NAME` of the environment; empty is none.
    pub webhook: String,
    /// What there is an alert about: some of [`KINDS`].
    pub on: Vec<String>,
    /// Seconds that the program, and each attempt to send, may take.
    pub timeout: u64,
}

/// The keys of the section.
pub(super) const KEYS: &[Key] = &[
    Key::texts(
        "command",
        "a program and its arguments, started for each alert, which gets it as JSON on stdin \
         ([alerts](guide.md#alerts)). No shell reads it",
    )
    .allowed("a program and its arguments; an empty list is none")
    .example("[\"notify-team\", \"--urgent\"]"),
    Key::text(
        "webhook",
        "the address to which each alert is sent as JSON by POST, with three attempts. An address with a secret is \
         better in an environment variable: `$NAME` is replaced by its value, and the run's `config.toml` has only the name",
    )
    .allowed("an address with http:// or https://, `$NAME` of an environment variable, or an empty string for none")
    .pattern("^$|^https?://.|^\\$.")
    .example("\"$LOOKAHEAD_WEBHOOK\""),
    Key::texts("on", "what there is an alert about")
        .allowed("some of `failed`, `finished`, `stalled`, `rolled_back` and `disk_full`")
        .example("[\"failed\"]"),
    Key::whole(
        "timeout",
        "seconds that the program and each attempt to send may take; at its end the run waits as long for the last alert",
    )
    .at_least(1.0)
    .at_most(3600.0)
    .allowed("1 to 3600, an hour"),
];

impl Default for AlertConfig {
    fn default() -> Self {
        AlertConfig {
            command: Vec::new(),
            webhook: String::new(),
            on: KINDS.iter().map(|&kind| kind.to_owned()).collect(),
            timeout: 10,
        }
    }
}

impl AlertConfig {
    /// Whether nothing is set, so that the section can be left out.
    pub(crate) fn is_default(&self) -> bool {
        *self == AlertConfig::default()
    }

    /// Whether there is something to notify.
    pub(crate) fn is_on(&self) -> bool {
        !self.command.is_empty() || !self.webhook.is_empty()
    }

    pub(super) fn check(&self) -> Result<(), ConfigIssue> {
        if self.command.first().is_some_and(String::is_empty) {
            return Err(ConfigIssue::new(
                "alert.command",
                "The first string of `alert.command` is empty. Use the name of a program, and its arguments after it.",
            ));
        }
        if self.command.iter().any(|word| word.contains('\0')) {
            return Err(ConfigIssue::new(
                "alert.command",
                "`alert.command` contains a NUL character, which no argument of a program can. Remove it.",
            ));
        }
        let webhook = &self.webhook;
        let known = ["http://", "https://", "$"]
            .iter()
            .any(|start| webhook.strip_prefix(start).is_some_and(|rest| !rest.is_empty()));
        if !webhook.is_empty() && !known {
            return Err(ConfigIssue::new(
                "alert.webhook",
                "`alert.webhook` is not an address. Use one with http:// or https://, or `$NAME` of an environment \
                 variable that has one.",
            ));
        }
        let unknown = self.on.iter().find(|kind| !KINDS.contains(&kind.as_str()));
        unknown.map_or(Ok(()), |kind| Err(unknown_choice("alert.on", kind, KINDS)))
    }

    /// The webhook without what may be a secret.
    pub(super) fn without_secret(&self) -> Self {
        AlertConfig { webhook: host_of(&self.webhook), ..self.clone() }
    }
}

/// An address without its path, user and password, which may be secret.
pub(crate) fn host_of(address: &str) -> String {
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}/…")
}
