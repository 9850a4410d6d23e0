//! A web address to which an alert is sent.

use std::thread;
use std::time::{Duration, Instant};

use super::{Deadline, from_environment};
use crate::config::alert::host_of;

/// The pauses after attempts.
const ATTEMPTS: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_secs(2), Duration::ZERO];

/// An address.
#[derive(Debug)]
pub(super) struct Webhook {
    address: String,
}

impl Webhook {
    /// The address in the config; none if that is empty.
    ///
    /// # Errors
    /// If it is an environment variable that is not set, or has no address.
    pub(super) fn new(setting: &str) -> anyhow::Result<Option<Webhook>> {
        if setting.is_empty() {
            return Ok(None);
        }
        let address = from_environment("alert.webhook", setting)?;
        if !["http://", "https://"].iter().any(|start| address.starts_with(start)) {
            anyhow::bail!(crate::usage::UsageError::new(format!(
                "The environment variable of `alert.webhook`, {setting}, has no address. Use one with http:// or https://."
            )));
        }
        Ok(Some(Webhook { address }))
    }

    /// Sends an alert by POST, several times if need be.
    ///
    /// # Errors
    /// A clause with what is wrong, without what may be secret in the address.
    pub(super) fn send(
        &self,
        json: &[u8],
        deadline: &Deadline,
        timeout: Duration,
    ) -> Result<(), String> {
        let mut why = String::new();
        for pause in ATTEMPTS {
            let left = deadline.within(timeout).saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            match self.attempt(json, left) {
                Ok(()) => return Ok(()),
                Err(error) => why = error.to_string().replace(&self.address, "the address"),
            }
            let until = deadline.within(pause);
            thread::sleep(until.saturating_duration_since(Instant::now()));
        }
        let host = host_of(&self.address);
        if why.is_empty() {
            return Err(format!("there was no time left to send it to {host}."));
        }
        Err(format!("it could not be sent to {host} ({why})."))
    }

    fn attempt(&self, json: &[u8], timeout: Duration) -> Result<(), ureq::Error> {
        let agent: ureq::Agent =
            ureq::Agent::config_builder().timeout_global(Some(timeout)).build().into();
        agent.post(&self.address).content_type("application/json").send(json).map(drop)
    }
}
