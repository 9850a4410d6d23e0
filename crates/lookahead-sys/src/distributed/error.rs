//! What can go wrong among several processes.

use std::time::Duration;

/// Why a process could not join the others, or an operation of theirs failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Some of the environment's variables are set, and others that belong to them are not.
    #[error(
        "The environment sets {set} and not {missing}: a distributed run needs RANK, WORLD_SIZE, \
         MASTER_ADDR and MASTER_PORT, as torchrun sets them. Set {missing} too, or unset the others \
         for a run of one process."
    )]
    Missing {
        /// The variables that are set.
        set: String,
        /// Those that are not.
        missing: String,
    },

    /// A variable of the environment has no meaning.
    #[error("The environment variable {name} is `{found}`, and it must be {allowed}.")]
    Variable {
        /// Its name.
        name: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        allowed: String,
    },

    /// The store, or the others, could not be reached.
    #[error(
        "Rank {rank} of {size} could not join the others at {address} within {seconds} s: {cause} \
         Check that the process of rank 0 runs there and that the port is reachable from here."
    )]
    Join {
        /// This process's rank.
        rank: usize,
        /// How many processes there are to be.
        size: usize,
        /// MASTER_ADDR and MASTER_PORT.
        address: String,
        /// The timeout.
        seconds: u64,
        /// What the operating system or libtorch says.
        cause: String,
    },

    /// Rank 0 can't host the store.
    #[error(
        "Rank 0 can't listen at {address}: {cause} It listens at MASTER_ADDR alone, which must be an address \
         of its machine, and at a MASTER_PORT that no other program has: choose others."
    )]
    Listen {
        /// MASTER_ADDR and MASTER_PORT.
        address: String,
        /// What the operating system says.
        cause: String,
    },

    /// Another program has the store's port.
    #[error(
        "Rank {rank} of {size} reached {address}, but not rank 0's store: what is there {what}. Check that \
         rank 0 runs there; if another program has the port, set MASTER_PORT to a free one, the same for \
         all ranks."
    )]
    Foreign {
        /// This process's rank.
        rank: usize,
        /// How many processes there are to be.
        size: usize,
        /// MASTER_ADDR and MASTER_PORT.
        address: String,
        /// What it does.
        what: &'static str,
    },

    /// The machine of rank 0 is not found.
    #[error(
        "MASTER_ADDR is `{address}`, and this machine has not found it within {seconds} s: {cause} It must \
         be a name or an address of rank 0's machine that all others can reach."
    )]
    Address {
        /// MASTER_ADDR.
        address: String,
        /// How long it was tried.
        seconds: u64,
        /// What the operating system says.
        cause: String,
    },

    /// Gloo can't use the network interface.
    #[error(
        "GLOO_SOCKET_IFNAME is `{found}`, which is not a network interface with an address here. There \
         are {there}: set it to one of them, or unset it."
    )]
    Interface {
        /// Its value.
        found: String,
        /// The interfaces that there are.
        there: String,
    },

    /// Rank 0 was started as one of another number.
    #[error(
        "Rank {rank} was started with WORLD_SIZE {size}, and rank 0 with {of_rank_0}: start all ranks with \
         the same."
    )]
    Sizes {
        /// This process's rank.
        rank: usize,
        /// Its number of processes.
        size: usize,
        /// That of rank 0.
        of_rank_0: String,
    },

    /// Another process has this one's rank.
    #[error(
        "Another process has joined at {address} as rank {rank} already: give each process a RANK of its \
         own, and each run a MASTER_PORT of its own."
    )]
    SameRank {
        /// The rank of both.
        rank: usize,
        /// MASTER_ADDR and MASTER_PORT.
        address: String,
    },

    /// Others did not come.
    #[error(
        "{missing} did not join at {address} within {seconds} s, which rank {rank} of {size} waited \
         for: start {pronoun} with the same MASTER_ADDR, MASTER_PORT and WORLD_SIZE."
    )]
    Absent {
        /// This process's rank.
        rank: usize,
        /// How many processes there are to be.
        size: usize,
        /// MASTER_ADDR and MASTER_PORT.
        address: String,
        /// The timeout.
        seconds: u64,
        /// Who, in words.
        missing: String,
        /// "it" or "them".
        pronoun: &'static str,
    },

    /// An operation of all processes failed.
    #[error(
        "The {operation} of rank {rank} of {size} failed after {seconds} s: {who} ({cause}) Start all \
         ranks again, to resume from the last checkpoint."
    )]
    Operation {
        /// Which.
        operation: &'static str,
        /// This process's rank.
        rank: usize,
        /// How many processes there are.
        size: usize,
        /// How long it had taken.
        seconds: Tenths,
        /// Which ranks don't answer, as a sentence.
        who: String,
        /// What libtorch says.
        cause: String,
    },

    /// Another rank ended by an error of its own.
    #[error("Rank {who} of {size} ended, and with it rank {rank}: {words}")]
    Ended {
        /// This process's rank.
        rank: usize,
        /// How many processes there are.
        size: usize,
        /// The one that ended, or the first of several that did.
        who: usize,
        /// What it said.
        words: String,
    },

    /// An operation after one that failed.
    #[error(
        "Rank {rank} of {size} has lost the others before: no operation of theirs is possible any \
         more. Start all ranks again."
    )]
    Lost {
        /// This process's rank.
        rank: usize,
        /// How many processes there are.
        size: usize,
    },

    /// What libtorch says of tensors.
    #[error(transparent)]
    Torch(#[from] crate::Error),
}

/// A result whose error is of several processes.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A time in tenths of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenths(u64);

impl From<Duration> for Tenths {
    fn from(time: Duration) -> Self {
        Tenths(u64::try_from(time.as_millis() / 100).unwrap_or(u64::MAX))
    }
}

impl std::fmt::Display for Tenths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

/// "Rank 3" or "Ranks 1, 2 and 5".
pub(super) fn ranks(ranks: &[usize]) -> String {
    match ranks {
        [] => "No rank".to_owned(),
        [one] => format!("Rank {one}"),
        [others @ .., last] => {
            let others: Vec<String> = others.iter().map(usize::to_string).collect();
            format!("Ranks {} and {last}", others.join(", "))
        }
    }
}

/// A sentence with a full stop, of libtorch's first line.
pub(super) fn sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    match line.ends_with(['.', '!', '?']) {
        true => line.to_owned(),
        false => format!("{line}."),
    }
}
