//! Which ranks are there, and what became of those that are not.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::ProcessGroup;
use crate::distributed::error::{Error, Result, ranks, sentence};
use crate::distributed::store::{ACK_TIMEOUT, PRESENCE_TIMEOUT, SIZE_KEY, Shared, peer_error};
use crate::ffi::bridge;

impl ProcessGroup {
    /// Waits for the others at the store, and connects to them.
    pub(super) fn meet(&self, address: &bridge::GlooAddress, timeout: Duration) -> Result<()> {
        let Some(mut shared) = self.shared() else { return Ok(()) };
        let (rank, size) = (self.rank, self.size);
        let refused = |cause: &str| Error::Join {
            rank,
            size,
            address: self.place.clone(),
            seconds: timeout.as_secs(),
            cause: sentence(cause),
        };
        let store = |error: cxx::Exception| refused(error.what());
        self.agree_on_the_size(&shared, timeout, &refused)?;
        if bridge::store_has(&shared.0, &[&format!("joined/{rank}")]).map_err(store)? {
            return Err(Error::SameRank { rank, address: self.place.clone() });
        }
        let absent = |missing| match missing {
            Missing::Ranks(missing) => Error::Absent {
                rank,
                size,
                address: self.place.clone(),
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

    /// All must have been started with rank 0's WORLD_SIZE.
    pub(super) fn agree_on_the_size(
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
        let said = bridge::store_get(&shared.0, SIZE_KEY).map_err(store)?;
        let of_rank_0 = String::from_utf8_lossy(&said).into_owned();
        if of_rank_0 == size.to_string() {
            return Ok(());
        }
        let error = Error::Sizes { rank, size, of_rank_0 };
        // Of those that rank 0 does not expect it need not hear.
        if said.len() < 20 && rank < String::from_utf8_lossy(&said).parse().unwrap_or(0) {
            self.leave_with(shared, &error.to_string());
        }
        Err(error)
    }

    /// Others may still be about to look what there is in the store: who hosts it waits for their word
    /// that they have, of all ranks but these, and at most so long. The others give it.
    pub(super) fn wait_for_peers(
        &self,
        shared: &Shared,
        what: &str,
        but: &[usize],
        most: Duration,
    ) {
        let key = |rank: usize| format!("{what}/{rank}/told");
        if !self.hosts {
            let _ = bridge::store_set(&shared.0, &key(self.rank), &[1]);
            return;
        }
        let reported: Vec<String> =
            (1..self.size).filter(|rank| !but.contains(rank)).map(key).collect();
        let reported: Vec<&str> = reported.iter().map(String::as_str).collect();
        let _ = shared.wait_for(&reported, most, || false);
    }

    /// The error of an operation that failed, with who does not answer any more.
    pub(super) fn failed(
        &self,
        shared: &Shared,
        operation: &'static str,
        started: Instant,
        cause: &str,
    ) -> Error {
        self.lost.store(true, Ordering::Relaxed);
        // Who waits for this rank, and not for the one that is gone, need not do so until its timeout.
        bridge::disconnect(&shared.0);
        let seconds = started.elapsed().into();
        let (rank, size) = (self.rank, self.size);
        if let Some((who, words)) = peer_error(shared) {
            self.wait_for_peers(shared, "heard", &[], ACK_TIMEOUT);
            return Error::Ended { rank, size, who, words };
        }
        let who = match self.await_all(shared, "lost", PRESENCE_TIMEOUT) {
            Ok(()) => "All ranks still answer, and so it is the network, or not all came to the \
                       operation in time."
                .to_owned(),
            Err(Missing::Ranks(missing)) => {
                let s = if missing.len() == 1 { "does" } else { "do" };
                format!("{} {s} not answer.", ranks(&missing))
            }
            Err(Missing::Ended(who, words)) => format!("Rank {who} ended: {words}"),
            Err(Missing::Store(_)) => {
                format!("The store at {} does not answer.", self.place)
            }
        };
        Error::Operation { operation, rank, size, seconds, who, cause: sentence(cause) }
    }

    /// Says that this rank has come to something, and waits until all have.
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
        // Who ended before says why.
        if shared.wait_for(&all, timeout, || peer_error(shared).is_some()).map_err(store)? {
            return Ok(());
        }
        if let Some((who, words)) = peer_error(shared) {
            self.wait_for_peers(shared, "heard", &[], PRESENCE_TIMEOUT);
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

/// Why not all ranks have come to something.
pub(super) enum Missing {
    /// These have not.
    Ranks(Vec<usize>),
    /// This one ended by an error of its own, and its words.
    Ended(usize, String),
    /// The store can't be asked, and what it said.
    Store(String),
}
