//! The key-value store in which the processes find each other, hosted by rank 0.

use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use cxx::UniquePtr;

use super::error::{Error, Result, sentence};
use super::rendezvous::Rendezvous;
use crate::ffi::distributed::bridge;

/// How long a rank whose operation failed waits for the others to report that they are alive, so that its
/// error can name those that are not.
pub(super) const PRESENCE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the store stays up for the other ranks to read why one ended, which they do at their next
/// collective operation.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// The key under which a rank that ends with an error reports its number and the error.
pub(super) const ERROR_KEY: &str = "why";
/// Between two attempts to resolve an address or to reach the store.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// How long a process waits for MASTER_ADDR and the store before it reports that it waits.
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(5);
/// The longest attempt to reach the store.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// The key of rank 0's number of ranks.
pub(super) const SIZE_KEY: &str = "size";
/// Between two looks into the store.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(5);

pub(super) struct Shared(pub(super) UniquePtr<bridge::ProcessGroup>);

// SAFETY: neither c10d's store nor its backends are bound to the thread that made them. A mutex lets one
// thread use them at a time.
unsafe impl Send for Shared {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    /// Waits until all keys are in the store, and returns whether they came before the timeout or a reason to
    /// give up.
    pub(super) fn wait_for(
        &self,
        keys: &[&str],
        timeout: Duration,
        give_up: impl Fn() -> bool,
    ) -> Result<bool, cxx::Exception> {
        let started = Instant::now();
        loop {
            if bridge::store_has(&self.0, keys)? {
                return Ok(true);
            }
            if started.elapsed() > timeout || give_up() {
                return Ok(false);
            }
            sleep(POLL_INTERVAL);
        }
    }
}

/// Runs `f`, which may block for ever, on a new thread, and gives up after the timeout.
pub(super) fn within<T: Send + 'static>(
    timeout: Duration,
    f: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, outcome) = mpsc::channel();
    std::thread::spawn(move || done.send(f()));
    outcome.recv_timeout(timeout).ok()
}

/// Sets a timeout for answers of the store. c10d itself waits for ever if the process that hosts the store is
/// frozen, and keeps its socket private, so this searches the process's sockets for it.
pub(super) fn limit_answers(port: u16, timeout: Duration) {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> =
        open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers {
        // SAFETY: `ManuallyDrop` keeps it open; for anything but a socket the calls return an error.
        let socket = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(number) });
        if socket.peer_addr().is_ok_and(|peer| peer.port() == port) {
            let _ = socket.set_read_timeout(Some(timeout));
        }
    }
}

/// Hosts the store, or connects to it once it exists.
pub(super) fn reach_store(
    place: &Rendezvous,
    timeout: Duration,
    report: &mut dyn FnMut(&str),
) -> Result<Shared> {
    let listener = place.listen().map_err(|error| Error::Listen {
        address: place.host_and_port(),
        cause: sentence(&error.to_string()),
    })?;
    let hosts = listener.is_some();
    let mut address = bridge::StoreAddress {
        host: place.address.clone(),
        port: place.port,
        listener: listener.map_or(-1, TcpListener::into_raw_fd),
        prefix: place.prefix(),
        timeout: in_milliseconds(timeout),
    };
    let foreign = |what| Error::Foreign {
        rank: place.rank,
        size: place.size,
        address: place.host_and_port(),
        what,
    };
    let (started, mut reported) = (Instant::now(), false);
    let mut last: Option<String> = None;
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        if !hosts {
            // c10d may take twice its timeout.
            address.timeout = in_milliseconds((left / 3).clamp(RETRY_INTERVAL, ATTEMPT_TIMEOUT));
        }
        let target = address.clone();
        let joined = within(left + SLOW_AFTER, move || bridge::join_store(&target).map(Shared));
        let cause = match joined {
            Some(Ok(shared)) => {
                let set = bridge::set_timeout(&shared.0, in_milliseconds(timeout));
                set.map_err(|error| not_joined(place, timeout, error.what()))?;
                limit_answers(place.port, timeout);
                return Ok(shared);
            }
            Some(Err(error)) if error.what().contains("Ping failed") => {
                return Err(foreign("does not answer as a store does"));
            }
            Some(Err(error)) => error.what().to_owned(),
            None => match last {
                Some(cause) => return Err(not_joined(place, timeout, &cause)),
                None => return Err(foreign("takes connections and says nothing")),
            },
        };
        if hosts || started.elapsed() + RETRY_INTERVAL > timeout {
            return Err(not_joined(place, timeout, &cause));
        }
        if started.elapsed() > SLOW_AFTER && !reported {
            reported = true;
            report(&format!(
                "Rank {} of {} waits up to {} s for rank 0 at {}: {}",
                place.rank,
                place.size,
                timeout.as_secs(),
                place.host_and_port(),
                sentence(&cause)
            ));
        }
        last = Some(cause);
        sleep(RETRY_INTERVAL);
    }
}

pub(super) fn not_joined(place: &Rendezvous, timeout: Duration, cause: &str) -> Error {
    Error::Join {
        rank: place.rank,
        size: place.size,
        address: place.host_and_port(),
        seconds: timeout.as_secs(),
        cause: sentence(cause),
    }
}

/// The names of this machine's network interfaces.
pub(super) fn interfaces() -> String {
    let all = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<String> =
        all.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.join(", ")
}

/// The first rank that ended with its own error, and the error.
pub(super) fn peer_error(shared: &Shared) -> Option<(usize, String)> {
    if !bridge::store_has(&shared.0, &[ERROR_KEY]).ok()? {
        return None;
    }
    let text = String::from_utf8(bridge::store_get(&shared.0, ERROR_KEY).ok()?).ok()?;
    let (rank, words) = text.split_once(' ')?;
    Some((rank.parse().ok()?, words.to_owned()))
}

/// For c10d, which overflows beyond some decades.
pub(super) fn in_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(1 << 40)
}
