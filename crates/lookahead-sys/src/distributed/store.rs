//! The store in which processes that train together find each other: hosted by rank 0, asked by all.

use std::mem::ManuallyDrop;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{FromRawFd, IntoRawFd};
use std::sync::mpsc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use cxx::UniquePtr;

use super::error::{Error, Result, sentence};
use super::rendezvous::Rendezvous;
use crate::ffi::bridge;

/// How long who has lost the others waits for these to say that they are there: then it can tell who
/// is not.
pub(super) const PRESENCE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the store stays for others to hear why a rank ended: they do where they meet next.
pub(super) const ACK_TIMEOUT: Duration = Duration::from_secs(30);
/// The key of the rank that ended by an error of its own, and of its words.
pub(super) const ERROR_KEY: &str = "why";
/// From one question for a machine's address to the next.
pub(super) const RETRY_INTERVAL: Duration = Duration::from_millis(200);
/// How long a process waits for MASTER_ADDR and the store before it says so.
pub(super) const SLOW_AFTER: Duration = Duration::from_secs(5);
/// How long one attempt to reach the store takes. Between two, a look at the port says whether another
/// program is there, or no store yet.
pub(super) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(5);
/// The key of the number of ranks that rank 0 was started with.
pub(super) const SIZE_KEY: &str = "size";
/// From one look into the store to the next.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(5);

pub(super) struct Shared(pub(super) UniquePtr<bridge::ProcessGroup>);

// SAFETY: neither c10d's store nor its backends are bound to the thread that made it; Gloo's own
// threads take what is queued there. That one thread at a time asks is the mutex's part.
unsafe impl Send for Shared {}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    /// Whether all the keys come into the store within that time, and before there is reason to give up.
    pub(super) fn wait_for(
        &self,
        keys: &[&str],
        most: Duration,
        give_up: impl Fn() -> bool,
    ) -> Result<bool, cxx::Exception> {
        let started = Instant::now();
        loop {
            if bridge::store_has(&self.0, keys)? {
                return Ok(true);
            }
            if started.elapsed() > most || give_up() {
                return Ok(false);
            }
            sleep(POLL_INTERVAL);
        }
    }
}

/// Does something that may wait for ever on a thread of its own, and gives up after that time.
pub(super) fn within<T: Send + 'static>(
    most: Duration,
    f: impl FnOnce() -> T + Send + 'static,
) -> Option<T> {
    let (done, outcome) = mpsc::channel();
    std::thread::spawn(move || done.send(f()));
    outcome.recv_timeout(most).ok()
}

/// Lets a question to the store end after that time: c10d itself would wait for ever where the process
/// that hosts it is frozen, and keeps its socket to itself.
pub(super) fn limit_answers(port: u16, most: Duration) {
    let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let numbers: Vec<i32> =
        open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers {
        // SAFETY: it is only looked at, and not closed; for any other descriptor the system returns an error.
        let socket = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(number) });
        if socket.peer_addr().is_ok_and(|peer| peer.port() == port) {
            let _ = socket.set_read_timeout(Some(most));
        }
    }
}

/// Hosts the store, or connects to it once it is there.
pub(super) fn reach_store(
    place: &Rendezvous,
    timeout: Duration,
    tell: &mut dyn FnMut(&str),
) -> Result<Shared> {
    let listener = place.listen().map_err(|error| Error::Listen {
        address: place.place(),
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
    let foreign =
        |what| Error::Foreign { rank: place.rank, size: place.size, address: place.place(), what };
    let (started, mut reported) = (Instant::now(), false);
    let mut last: Option<String> = None;
    loop {
        let left = timeout.saturating_sub(started.elapsed());
        if !hosts {
            // c10d may take twice as long.
            address.timeout = in_milliseconds((left / 3).clamp(RETRY_INTERVAL, ATTEMPT_TIMEOUT));
        }
        let asked = address.clone();
        let joined = within(left + SLOW_AFTER, move || bridge::join_store(&asked).map(Shared));
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
            tell(&format!(
                "Rank {} of {} waits for rank 0 at {}, for {} s: {}",
                place.rank,
                place.size,
                place.place(),
                timeout.as_secs(),
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
        address: place.place(),
        seconds: timeout.as_secs(),
        cause: sentence(cause),
    }
}

/// The names of this machine's network interfaces, for people.
pub(super) fn interfaces() -> String {
    let all = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<String> =
        all.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names.join(", ")
}

/// The rank that ended by an error of its own, the first one, and its words.
pub(super) fn peer_error(shared: &Shared) -> Option<(usize, String)> {
    if !bridge::store_has(&shared.0, &[ERROR_KEY]).ok()? {
        return None;
    }
    let said = String::from_utf8(bridge::store_get(&shared.0, ERROR_KEY).ok()?).ok()?;
    let (rank, words) = said.split_once(' ')?;
    Some((rank.parse().ok()?, words.to_owned()))
}

/// For c10d, which counts in milliseconds: at most some decades.
pub(super) fn in_milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).min(1 << 40)
}
