//! Which ranks are alive, and why others are not.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::ProcessGroup;
use crate::distributed::error::{Error, Result, ranks, sentence};
use crate::distributed::store::{ACK_TIMEOUT, PRESENCE_TIMEOUT, SIZE_KEY, Shared, peer_error};
use crate::ffi::distributed::bridge;

impl ProcessGroup {
    /// Waits for the other ranks at the store, then connects to them.
    pub(super) fn meet(&self, address: &bridge::GlooAddress, timeout: Duration) -> Result<()> {
        let Some(mut shared) = self.shared() else { return Ok(()) };
        let (rank, size) = (self.rank, self.size);
        let refused = |cause: &str| Error::Join {
            rank,
            size,
            address: self.address.clone(),
            seconds: timeout.as_secs(),
            cause: sentence(cause),
        };
        let store = |error: cxx::Exception| refused(error.what());
        self.check_size(&shared, timeout, &refused)?;
        if bridge::store_has(&shared.0, &[&format!("joined/{rank}")]).map_err(store)? {
            return Err(Error::SameRank { rank, address: self.address.clone() });
        }
        let absent = |missing| match missing {
            Missing::Ranks(missing) => Error::Absent {
                rank,
                size,
                address: self.address.clone(),
                seconds: timeout.as_secs(),
                pronoun: if missing.len() == 1 { "it" } else { "them" },
                missing: ranks(&missing),
            },
            Missing::Ended(who, words) => Error::Ended { rank, size, who, words },
            Missing::Store(cause) => refused(&cause),
        };
        self.await_all(&shared, "joined", timeout).map_err(absent)?;
        bridge::connect_gloo(shared.0.pin_mut(), address).map_err(store)
    }

    /// Checks that this rank was started with rank 0's WORLD_SIZE.
    pub(super) fn check_size(
        &self,
        shared: &Shared,
        timeout: Duration,
        refused: &impl Fn(&str) -> Error,
    ) -> Result<()> {
        let store = |error: cxx::Exception| refused(error.what());
        let (rank, size) = (self.rank, self.size);
        if rank == 0 {
            return bridge::store_set(&shared.0, SIZE_KEY, size.to_string().as_bytes())
                .map_err(store);
        }
        if !shared.wait_for(&[SIZE_KEY], timeout, || false).map_err(store)? {
            return Err(refused("Rank 0 did not come."));
        }
        let found = bridge::store_get(&shared.0, SIZE_KEY).map_err(store)?;
        let of_rank_0 = String::from_utf8_lossy(&found).into_owned();
        if of_rank_0 == size.to_string() {
            return Ok(());
        }
        // Rank 0 waits only for the ranks that it expects.
        let expected = of_rank_0.parse().is_ok_and(|size: usize| rank < size);
        let error = Error::Sizes { rank, size, of_rank_0 };
        if expected {
            self.abort_with(shared, &error.to_string());
        }
        Err(error)
    }

    /// Keeps the store up until the other ranks have read it. Its host waits for their acknowledgement, except
    /// from the ranks in `without`, at most for the timeout; the other ranks give theirs.
    pub(super) fn wait_for_peers(
        &self,
        shared: &Shared,
        what: &str,
        without: &[usize],
        timeout: Duration,
    ) {
        let key = |rank: usize| format!("{what}/{rank}/read");
        let hosts = self.rank == 0 && !self.hosted;
        if !hosts {
            let _ = bridge::store_set(&shared.0, &key(self.rank), &[1]);
            return;
        }
        let keys: Vec<String> =
            (1..self.size).filter(|rank| !without.contains(rank)).map(key).collect();
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let _ = shared.wait_for(&keys, timeout, || false);
    }

    /// The error of an operation that failed, which names the ranks that no longer answer.
    pub(super) fn failed(
        &self,
        shared: &Shared,
        operation: &'static str,
        started: Instant,
        cause: &str,
    ) -> Error {
        self.lost.store(true, Ordering::Relaxed);
        // Ranks that wait for this one need not wait until their timeout.
        bridge::disconnect(&shared.0);
        let seconds = format!("{:.1}", started.elapsed().as_secs_f64());
        let (rank, size) = (self.rank, self.size);
        if let Some((who, words)) = peer_error(shared) {
            self.wait_for_peers(shared, "ended", &[], ACK_TIMEOUT);
            return Error::Ended { rank, size, who, words };
        }
        let mut unreachable = Vec::new();
        let who = match self.await_all(shared, "lost", PRESENCE_TIMEOUT) {
            Ok(()) => "All ranks still answer, so the network failed or not all ranks reached the \
                       operation in time."
                .to_owned(),
            Err(Missing::Ranks(missing)) => {
                let s = if missing.len() == 1 { "does" } else { "do" };
                let who = format!("{} {s} not answer.", ranks(&missing));
                unreachable = missing;
                // Its store answers, so it is only busy.
                unreachable.retain(|rank| *rank != 0 || self.hosted);
                who
            }
            Err(Missing::Ended(who, words)) => format!("Rank {who} ended: {words}"),
            Err(Missing::Store(_)) if self.hosted => {
                format!("The store at {} does not answer.", self.address)
            }
            Err(Missing::Store(_)) => {
                unreachable.push(0);
                format!("Rank 0 does not answer at {}.", self.address)
            }
        };
        let cause = sentence(cause);
        let unreachable = unreachable.into();
        Error::Operation { operation, rank, size, seconds, who, unreachable, cause }
    }

    /// Reports that this rank has reached `what`, and waits until all ranks have.
    pub(super) fn await_all(
        &self,
        shared: &Shared,
        what: &str,
        timeout: Duration,
    ) -> Result<(), Missing> {
        let store = |error: cxx::Exception| Missing::Store(error.what().to_owned());
        let keys: Vec<String> = (0..self.size).map(|rank| format!("{what}/{rank}")).collect();
        let all: Vec<&str> = keys.iter().map(String::as_str).collect();
        bridge::store_set(&shared.0, all[self.rank], &[1]).map_err(store)?;
        if shared.wait_for(&all, timeout, || peer_error(shared).is_some()).map_err(store)? {
            return Ok(());
        }
        if let Some((who, words)) = peer_error(shared) {
            self.wait_for_peers(shared, "ended", &[], PRESENCE_TIMEOUT);
            return Err(Missing::Ended(who, words));
        }
        let mut missing = Vec::new();
        for (rank, key) in all.iter().enumerate() {
            if !bridge::store_has(&shared.0, &[key]).map_err(store)? {
                missing.push(rank);
            }
        }
        self.wait_for_peers(shared, what, &missing, PRESENCE_TIMEOUT);
        if missing.is_empty() { Ok(()) } else { Err(Missing::Ranks(missing)) }
    }
}

/// Why not all ranks came.
pub(super) enum Missing {
    /// These ranks did not report.
    Ranks(Vec<usize>),
    /// This rank ended with this error.
    Ended(usize, String),
    /// The store failed with this message.
    Store(String),
}
