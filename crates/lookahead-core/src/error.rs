//! What can go wrong, in full sentences.

/// Why an operation was refused or failed. Nothing was changed unless the variant says so.
///
/// ```
/// use lookahead_core::{Error, Lookahead};
/// # let vs = tch::nn::VarStore::new(tch::Device::Cpu);
/// let refused = Lookahead::builder(tch::nn::Sgd::default()).alpha(1.5).build(&vs, 0.1).unwrap_err();
/// assert!(matches!(refused, Error::Setting { key: "alpha", .. }));
/// assert!(refused.to_string().starts_with("`alpha` is 1.5, and it must be more than 0"));
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting is out of range.
    #[error("`{key}` is {found}, and it must be {allowed}.")]
    Setting {
        /// The setting: a field of [`LookaheadConfig`](crate::LookaheadConfig), or the argument.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        allowed: &'static str,
    },

    /// The adaptive α and another setting exclude each other.
    #[error(
        "The adaptive alpha chooses one α for all parameters at each sync, and so leaves no room for \
         {what}: take one of the two out."
    )]
    AdaptiveWith {
        /// The other setting.
        what: &'static str,
    },

    /// A schedule's number is out of range.
    #[error("The schedule's `{key}` is {found}, and it must be {allowed}.")]
    Schedule {
        /// Which of its numbers.
        key: &'static str,
        /// Its value.
        found: String,
        /// What it may be.
        allowed: &'static str,
    },

    /// The inner optimizer can't give its moments.
    #[error(
        "The inner optimizer does not give its moments (momentum buffers and second moments), which \
         the policy `{policy}` acts on. Build a tch optimizer by `Lookahead::builder(config)`, implement \
         `moment_names`, `moments` and `reset_moments` for one of your own, or choose another policy."
    )]
    NoMoments {
        /// The policy.
        policy: &'static str,
    },

    /// The inner optimizer has no moments.
    #[error(
        "The inner optimizer keeps no moments with its present options, so the momentum policy \
         `{policy}` has nothing to act on: give it momentum, or leave the policy at `maintain`, which is \
         the same here."
    )]
    NothingToPull {
        /// The policy.
        policy: &'static str,
    },

    /// The inner optimizer has no second moments.
    #[error(
        "The adaptive alpha needs the second moments of Adam, AdamW or RMSprop, which stand for the \
         curvature, and the inner optimizer keeps none: choose one of these, or set α."
    )]
    NoCurvature,

    /// θ holds NaN or an infinity, and the next sync would bring it to φ.
    #[error(
        "The weights `{name}`, or moments of theirs that are pulled back, hold NaN or \
         infinity, so the sync was not made: the slow weights are still those of the last one. Call `roll_back()` to continue from them, with a smaller \
         learning rate, or build with the policy `NonFinite::RollBack`."
    )]
    NonFinite {
        /// The first such variable.
        name: String,
    },

    /// A gradient that holds NaN or infinity was to be clipped by its norm, or α chosen by it.
    #[error(
        "The gradient of `{name}` holds NaN or infinity, so {what}: nothing has changed. Call `zero_grad()` \
         and continue with another batch, with a smaller learning rate if it happens again, or build with the \
         policy `NonFinite::SkipStep`."
    )]
    NonFiniteGradient {
        /// The first such variable.
        name: String,
        /// What could not be done.
        what: &'static str,
    },

    /// The optimizer can't step by a sparse gradient.
    #[error(
        "The gradient of `{name}` is sparse, and {optimizer} does not support sparse gradients. Use SGD \
         without weight decay, which does, or make the gradient dense: an embedding's is unless its \
         configuration has `sparse: true`."
    )]
    SparseGradient {
        /// The first such variable.
        name: String,
        /// The optimizer.
        optimizer: &'static str,
    },

    /// A variable is complex, where only real ones can be.
    #[error(
        "The variable `{name}` is complex, and {what}. Keep its two parts as one real variable with a last \
         dimension of 2, and compute with `view_as_complex` of it."
    )]
    ComplexVariable {
        /// The variable.
        name: String,
        /// Why it can't be.
        what: String,
    },

    /// Running statistics are kept in a type that is too narrow for them.
    #[error(
        "The buffer `{name}` is {kind}, which is too coarse to compute statistics in: keep the running \
         statistics in Float or Double, also where the weights are narrower."
    )]
    CoarseStatistics {
        /// The buffer.
        name: String,
        /// Its element type.
        kind: String,
    },

    /// There is nothing to take the statistics from.
    #[error(
        "Recalibrating needs at least one batch to take the statistics from, and none was given."
    )]
    NoBatches,

    /// No batch has a variance to give.
    #[error(
        "In each of the {batches} batches given, a batch normalization has only 1 value per channel, which \
         has no variance: recalibrate with batches of at least 2 rows."
    )]
    OneValuePerChannel {
        /// How many there were.
        batches: u64,
    },

    /// A statistic is NaN, or more than its buffer can hold.
    #[error(
        "The statistics for the buffer `{name}` are NaN or beyond what its type can hold, so no buffer was \
         changed: the layer's inputs, or weights before it, hold NaN, infinity or values too large."
    )]
    NonFiniteStatistics {
        /// The first such buffer.
        name: String,
    },

    /// Something else than libtorch's batch normalization moves a buffer of running statistics.
    #[error(
        "The forward pass changed the buffer `{name}` by itself, and only statistics that libtorch's \
         `batch_norm` takes can be computed again, as tch's layers call it on the calling thread. Nothing was \
         changed: rename the buffer if it holds something else."
    )]
    UnseenStatistics {
        /// The first such buffer.
        name: String,
    },

    /// There is no such parameter group.
    #[error("There is no parameter group {group}: the optimizer has {count}, counted from 0.")]
    Group {
        /// The group asked for.
        group: usize,
        /// How many there are.
        count: usize,
    },

    /// The next inner step would skip a sync.
    #[error(
        "{k} inner steps were taken since the last sync, so a sync is due: call `sync_if_due()` \
         before the next inner step, or use `step()`, which does both."
    )]
    SyncIsDue {
        /// The synchronization period.
        k: u64,
    },

    /// θ was written to by something other than the inner optimizer and Lookahead.
    #[error(
        "The weights `{name}` were changed from outside since the last step, and the next sync would \
         pull them back to slow weights that know nothing of it. If they were loaded, copied, moved \
         or cast, call `reset_slow_weights()` to start again from the new weights, or load the \
         optimizer's state after them. If each step changes them on purpose, such as by clipping \
         the weights, call `accept_fast_weights()` after the change, which keeps the slow weights \
         and the cycle."
    )]
    FastWeightsChanged {
        /// The first such variable.
        name: String,
    },

    /// φ can't be kept for weights that were cast, moved or reshaped.
    #[error(
        "The weights `{name}` have another element type, device or shape than their slow weights, so \
         these can't be kept: call `reset_slow_weights()` to start again from the new weights."
    )]
    FastWeightsReplaced {
        /// The first such variable.
        name: String,
    },

    /// Starting φ again and again keeps any sync from happening.
    #[error(
        "`reset_slow_weights()` was called inside a cycle again: {steps} inner steps have been \
         dropped since the last sync, and with k = {k} no sync would ever happen. If each step \
         changes the weights on purpose, call `accept_fast_weights()` instead, which keeps the slow \
         weights and the cycle. `finish()` makes a sync now."
    )]
    NeverSynced {
        /// Inner steps since the last sync.
        steps: u64,
        /// The synchronization period.
        k: u64,
    },

    /// A variable was frozen where each process has its own θ.
    #[error(
        "The weights `{name}` were frozen inside a cycle, where each of the processes that train \
         together has its own values for them: thaw them, and freeze them in all processes just \
         after a sync, where `phase()` is 0."
    )]
    FrozenInsideCycle {
        /// The first such variable.
        name: String,
    },

    /// φ was written to while it stood in for θ.
    #[error(
        "The weights `{name}` were changed while the slow weights stood in for the fast ones, and \
         that changed the slow weights themselves: only read them there. Load the optimizer's \
         state again, or call `reset_slow_weights()` to start from the fast weights."
    )]
    SlowWeightsChanged {
        /// The first such variable.
        name: String,
    },

    /// A variable was cast, moved or given other data while φ stood in for it.
    #[error(
        "The weights `{name}` were replaced (cast, moved or given other data) while the slow \
         weights stood in for them. The fast weights have returned, so that is undone: do it \
         outside the evaluation, and call `reset_slow_weights()` after it."
    )]
    ReplacedInEvaluation {
        /// The first such variable.
        name: String,
    },

    /// An inner optimizer of the user's own gives a parameter that holds nothing.
    #[error(
        "The parameter `{name}` is an undefined tensor: give it values before it is optimized."
    )]
    Undefined {
        /// Its name.
        name: String,
    },

    /// The inner optimizer has lost parameters.
    #[error(
        "The inner optimizer had {known} parameters and now has {now}: Lookahead keeps slow \
         weights for each, so build a new Lookahead around it."
    )]
    ParametersGone {
        /// How many there were.
        known: usize,
        /// How many there are.
        now: usize,
    },

    /// A wrapped optimizer moves other variables than those that it was wrapped with.
    #[error(
        "The optimizer was built for another variable store than the one given: they have \
         different trainable variables. Wrap it with the store that it was built for."
    )]
    OtherStore,

    /// A wrapped optimizer can't tell this.
    #[error(
        "The {what} of a tch optimizer that is already built can't be reached, because tch keeps \
         its pointer private. Build it with `Lookahead::builder(config).build(&vs, \
         learning_rate)` to have it."
    )]
    Unreachable {
        /// What was asked for.
        what: &'static str,
    },

    /// The state of an optimizer of a kind of its own is not known.
    #[error(
        "This C++ optimizer is none of SGD, Adam, AdamW and RMSprop, so where it keeps its state \
         is not known: it trains, and can't be saved."
    )]
    UnknownKind,

    /// A state lacks an entry.
    #[error(
        "The state has no entry `{key}`: it was saved by another kind of optimizer, or for other variables."
    )]
    StateMissing {
        /// The entry.
        key: String,
    },

    /// A state has an entry that nothing asks for.
    #[error(
        "The state has an entry `{key}` that this optimizer has no place for: it was saved by \
         another kind of optimizer, with other options, or for other variables."
    )]
    StateUnexpected {
        /// The entry.
        key: String,
    },

    /// A state's tensor has the wrong shape or element type.
    #[error(
        "The state's entry `{key}` is {found}, and the variable needs {expected}: it was saved for another model."
    )]
    StateMismatch {
        /// The entry.
        key: String,
        /// Element type and shape in the state.
        found: String,
        /// Element type and shape that fit.
        expected: String,
    },

    /// A state's number is out of range.
    #[error("The state's entry `{key}` is {found}, and it must be {allowed}.")]
    StateRange {
        /// The entry.
        key: String,
        /// Its value.
        found: String,
        /// What it may be.
        allowed: String,
    },

    /// An optimizer of tch's own panicked, which is how it reports errors.
    #[error("The wrapped optimizer failed in `{call}`: {message}")]
    WrappedFailed {
        /// The method of `tch::nn::Optimizer`.
        call: &'static str,
        /// What it said.
        message: String,
    },

    /// libtorch refused. The weights may have been changed in part if it was a step that failed.
    #[error(transparent)]
    Libtorch(#[from] lookahead_sys::Error),

    /// A process has lost the others that it trains with.
    #[error(transparent)]
    Workers(#[from] lookahead_sys::distributed::Error),

    /// The processes that train together don't stand at the same place.
    #[error(
        "Rank {rank} has {what} of rank 0 before sync {sync}: all ranks must take the same steps from the \
         same state. Nothing was averaged; start all ranks again from one checkpoint, with one \
         configuration and one version of the program."
    )]
    Diverged {
        /// The first rank that differs from rank 0.
        rank: usize,
        /// In what.
        what: String,
        /// The number of the sync.
        sync: u64,
    },
}

impl Error {
    /// A setting's refusal as that of the state's entry which has it.
    pub(crate) fn in_entry(self, key: &str) -> Error {
        match self {
            Error::Setting { found, allowed, .. } => {
                Error::StateRange { key: key.to_owned(), found, allowed: allowed.to_owned() }
            }
            other => other,
        }
    }

    /// A schedule's refusal as that of the state's entry which has the value.
    pub(crate) fn in_schedule(self, name: &str) -> Error {
        match self {
            Error::Schedule { key, found, allowed } => {
                let entry = if key == "every" { "steps" } else { "value" };
                let (key, allowed) = (format!("{name}/{entry}"), allowed.to_owned());
                Error::StateRange { key, found, allowed }
            }
            other => other.in_entry(&format!("{name}/value")),
        }
    }

    /// The refusal of a part of a state as that of the whole, in which its entries begin with `part/`.
    pub(crate) fn in_part(mut self, part: &str) -> Error {
        if let Error::StateMissing { key }
        | Error::StateUnexpected { key }
        | Error::StateMismatch { key, .. }
        | Error::StateRange { key, .. } = &mut self
        {
            key.insert_str(0, &format!("{part}/"));
        }
        self
    }

    /// The same refusal of a sync once more, where trying again would change nothing.
    pub(crate) fn repeated(&self) -> Option<Error> {
        match self {
            Error::NonFinite { name } => Some(Error::NonFinite { name: name.clone() }),
            Error::Diverged { rank, what, sync } => {
                Some(Error::Diverged { rank: *rank, what: what.clone(), sync: *sync })
            }
            _ => None,
        }
    }
}

impl From<tch::TchError> for Error {
    fn from(error: tch::TchError) -> Self {
        Error::Libtorch(error.into())
    }
}

/// A result whose error is [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;
