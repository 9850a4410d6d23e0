//! What can go wrong between processes.

/// Why a process could not join the others, or a collective operation failed.
///
/// In every variant `rank` is this process's rank, `size` the number of processes, `address` MASTER_ADDR and
/// MASTER_PORT, `seconds` the timeout or the time taken, and `cause` what the operating system or libtorch
/// reports.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Error {
    /// Only some of the environment variables that belong together are set.
    #[error(
        "The environment sets {set} and not {missing}: a distributed run needs RANK, WORLD_SIZE, \
         MASTER_ADDR and MASTER_PORT, as torchrun sets them. Set {missing} too, or unset the others \
         for a run of one process."
    )]
    Missing { set: String, missing: String },

    /// An environment variable has an invalid value.
    #[error("The environment variable {name} is `{found}`. Use {allowed}.")]
    Variable { name: &'static str, found: String, allowed: String },

    /// The store, or the other processes, could not be reached.
    #[error(
        "Rank {rank} of {size} could not join the others at {address} within {seconds} s: {cause} \
         Check that the process of rank 0 runs there and that the port is reachable from here."
    )]
    Join { rank: usize, size: usize, address: String, seconds: u64, cause: String },

    /// Rank 0 can't host the store.
    #[error(
        "Rank 0 can't listen at {address}: {cause} It listens only at MASTER_ADDR. Set that to an address of \
         rank 0's machine, and MASTER_PORT to a free port."
    )]
    Listen { address: String, cause: String },

    /// Another program has the store's port; `what` it does.
    #[error(
        "Rank {rank} of {size} reached {address}, but not rank 0's store: what is there {what}. Check that \
         rank 0 runs there; if another program has the port, set MASTER_PORT to a free one, the same for \
         all ranks."
    )]
    Foreign { rank: usize, size: usize, address: String, what: &'static str },

    /// The machine of rank 0 is not found.
    #[error(
        "MASTER_ADDR is `{address}`, which this machine could not resolve within {seconds} s: {cause} Use a \
         name or an address of rank 0's machine that all others can reach."
    )]
    Address { address: String, seconds: u64, cause: String },

    /// Gloo can't use the network interface.
    #[error(
        "GLOO_SOCKET_IFNAME is `{found}`, which is not a network interface with an address here. There \
         are {existing}: set it to one of them, or unset it."
    )]
    Interface { found: String, existing: String },

    /// The processes were started with different numbers of processes.
    #[error(
        "Rank {rank} was started with WORLD_SIZE {size}, and rank 0 with {of_rank_0}. Start all ranks with \
         the same."
    )]
    Sizes { rank: usize, size: usize, of_rank_0: String },

    /// Another process has the same rank.
    #[error(
        "Another process has already joined at {address} as rank {rank}. Give each process its own RANK, \
         and each run its own MASTER_PORT."
    )]
    SameRank { rank: usize, address: String },

    /// Other processes did not come: `missing` names them.
    #[error(
        "{missing} did not join at {address} within {seconds} s, which rank {rank} of {size} waited \
         for: start {pronoun} with the same MASTER_ADDR, MASTER_PORT and WORLD_SIZE."
    )]
    Absent {
        rank: usize,
        size: usize,
        address: String,
        seconds: u64,
        missing: String,
        /// "it" or "them".
        pronoun: &'static str,
    },

    /// A collective operation failed. `who` is a sentence about the ranks that don't answer, and `unreachable` those
    /// whose processes seem to be gone: a rank that is only busy may not answer in time either.
    #[error(
        "The {operation} of rank {rank} of {size} failed after {seconds} s: {who} ({cause}) Start all \
         ranks again, to resume from the last checkpoint."
    )]
    Operation {
        operation: &'static str,
        rank: usize,
        size: usize,
        seconds: String,
        who: String,
        unreachable: Box<[usize]>,
        cause: String,
    },

    /// Another rank, `who`, ended by its own error and reported it.
    #[error("Rank {who} of {size} ended, and with it rank {rank}: {words}")]
    Ended { rank: usize, size: usize, who: usize, words: String },

    /// An operation after one that failed.
    #[error(
        "Rank {rank} of {size} has lost the others, so no further operation with them is possible. Start all \
         ranks again."
    )]
    Lost { rank: usize, size: usize },

    /// libtorch refused.
    #[error(transparent)]
    Torch(#[from] crate::Error),
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Error::Torch(error.into())
    }
}

impl From<cxx::Exception> for Error {
    fn from(exception: cxx::Exception) -> Self {
        Error::Torch(exception.into())
    }
}

/// A result whose error concerns several processes.
pub type Result<T, E = Error> = std::result::Result<T, E>;

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

/// The first line of libtorch's text, with a full stop.
pub(super) fn sentence(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default().trim();
    let stop = if line.ends_with(['.', '!', '?']) { "" } else { "." };
    format!("{line}{stop}")
}
