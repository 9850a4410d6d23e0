//! What can go wrong, in full sentences.

/// Why an operation was refused or failed. Nothing was changed unless the variant says so.
///
/// `name` is the first affected variable (or parameter, or buffer), `key` a setting or the entry of a state,
/// `found` its value, `allowed` what it may be, and `what` the other part of the conflict.
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
#[allow(missing_docs)]
pub enum Error {
    /// A setting or argument is out of range.
    #[error("`{key}` is {found}, and it must be {allowed}.")]
    Setting { key: &'static str, found: String, allowed: &'static str },

    /// Adaptive α and another setting exclude each other.
    #[error(
        "Adaptive alpha chooses one α for all parameters at each sync, which excludes {what}. Remove one of \
         the two."
    )]
    AdaptiveWith { what: &'static str },

    /// A number of a schedule is out of range.
    #[error("The schedule's `{key}` is {found}, and it must be {allowed}.")]
    Schedule { key: &'static str, found: String, allowed: &'static str },

    /// A key of a learning-rate schedule is out of range.
    #[error("The learning-rate schedule's `{key}` is {found}. Use {allowed}.")]
    LearningRateSchedule { key: &'static str, found: String, allowed: String },

    /// The kind of a learning-rate schedule doesn't have a key that is set.
    #[error(
        "The learning-rate schedule is {kind}, which has no `{key}`. Remove it, or choose a kind that has it."
    )]
    LearningRateKey { key: &'static str, kind: &'static str },

    /// The inner optimizer can't give its moments.
    #[error(
        "The inner optimizer does not give its moments (momentum buffers and second moments), which the \
         policy `{policy}` needs. Build a tch optimizer with `Lookahead::builder(config)`, implement \
         `moment_names`, `moments` and `reset_moments` in your own, or choose another policy."
    )]
    NoMoments { policy: &'static str },

    /// The inner optimizer has no moments.
    #[error(
        "The inner optimizer keeps no moments with these options, so the momentum policy `{policy}` has no \
         effect. Give it momentum, or use the policy `maintain`, which is the same here."
    )]
    NothingToPull { policy: &'static str },

    /// The inner optimizer has no second moments.
    #[error(
        "Adaptive alpha needs second moments of all parameters, such as Adam's or RMSprop's, as an estimate of the curvature, \
         and the inner optimizer lacks them, or one of its groups does. Use another one, or set α."
    )]
    NoCurvature,

    /// The inner optimizer can't change its weight decay.
    #[error(
        "The weight decay of this inner optimizer can't change. Build it with the other value, or implement \
         `set_weight_decay`."
    )]
    FixedWeightDecay,

    /// The inner optimizer can't change its momentum.
    #[error(
        "The momentum of this inner optimizer can't change. Build it with the other value, or implement \
         `set_momentum_of_group`."
    )]
    FixedMomentum,

    /// θ holds NaN or infinity, which the next sync would bring to φ.
    #[error(
        "The weights `{name}`, or their moments to pull back, hold NaN or infinity, so the sync was not made: \
         the slow weights are still those of the last sync. Call `roll_back()` to continue from them with a \
         smaller learning rate, or build with the policy `NonFinite::RollBack`."
    )]
    NonFinite { name: String },

    /// A gradient to clip by its norm, or to choose α by, holds NaN or infinity. `what` could not be done.
    #[error(
        "The gradient of `{name}` holds NaN or infinity, so {what}: nothing has changed. Call `zero_grad()` \
         and continue with another batch, with a smaller learning rate if it happens again, or build with the \
         policy `NonFinite::SkipStep`."
    )]
    NonFiniteGradient { name: String, what: &'static str },

    /// The optimizer can't step with a sparse gradient.
    #[error(
        "The gradient of `{name}` is sparse, and {optimizer} does not support sparse gradients. Use SGD \
         without weight decay, or make the gradient dense: an embedding's is unless its configuration has \
         `sparse: true`."
    )]
    SparseGradient { name: String, optimizer: &'static str },

    /// A variable is complex where only real ones are supported; `what` says why.
    #[error(
        "The variable `{name}` is complex, and {what}. Keep its two parts as one real variable with a last \
         dimension of 2, and compute with its `view_as_complex`."
    )]
    ComplexVariable { name: String, what: String },

    /// The optimizer moves matrices only.
    #[error(
        "`{name}` has the shape {shape:?}, and Muon moves matrices only. Build it for the matrices, which \
         `Variables::partition` selects, and move the rest with another optimizer."
    )]
    NotAMatrix { name: String, shape: Vec<i64> },

    /// Running statistics are kept in too narrow a type.
    #[error(
        "The buffer `{name}` is {kind}, which is too coarse to compute statistics in. Keep running statistics \
         in Float or Double, even if the weights are narrower."
    )]
    CoarseStatistics { name: String, kind: String },

    /// The running statistics to interpolate are unknown.
    #[error(
        "`interpolate_statistics` is true, and the optimizer does not know the model's buffers. Call \
         `Builder::interpolate_statistics(&vs)` with their store."
    )]
    NoStatistics,

    /// There is nothing to compute the statistics from.
    #[error("No batch was given to recalibrate with. Give at least one.")]
    NoBatches,

    /// No batch has a variance.
    #[error(
        "In each of the {batches} batches, a batch normalization has only 1 value per channel, which has no \
         variance. Recalibrate with batches of at least 2 rows."
    )]
    OneValuePerChannel { batches: u64 },

    /// A statistic is NaN or exceeds the range of its buffer.
    #[error(
        "The statistics for the buffer `{name}` are NaN or exceed its type's range, so no buffer was changed: \
         the layer's inputs, or weights before it, hold NaN, infinity or values too large."
    )]
    NonFiniteStatistics { name: String },

    /// Something other than libtorch's batch normalization writes to a buffer of running statistics.
    #[error(
        "The forward pass changed the buffer `{name}` itself, and only the statistics of libtorch's \
         `batch_norm`, called on this thread as tch's layers do, can be recalibrated. Nothing was changed: \
         rename the buffer if it holds something else."
    )]
    UnseenStatistics { name: String },

    /// A variable is in none of a composite optimizer's parts.
    #[error(
        "The variable `{name}` is in none of the parts of the composite optimizer. Select it in one of them, or leave \
         it out of the variables that the composite is built for."
    )]
    InNoPart { name: String },

    /// A variable is in two of a composite optimizer's parts.
    #[error(
        "The variable `{name}` is in two parts of the composite optimizer, `{first}` and `{second}`. Select it in one \
         of them only, for example with `Variables::partition`."
    )]
    InTwoParts { name: String, first: String, second: String },

    /// A part of a composite optimizer has a variable that the composite does not have.
    #[error(
        "The part `{part}` of the composite optimizer moves the variable `{name}`, which is not among the variables \
         that the composite is built for. Build both for the same store."
    )]
    NotShared { name: String, part: String },

    /// There is no such parameter group.
    #[error("There is no parameter group {group}: the optimizer has {count}, counted from 0.")]
    Group { group: usize, count: usize },

    /// The next inner step would skip a sync.
    #[error(
        "{k} inner steps were taken since the last sync, so a sync is due. Call `sync_if_due()` before the \
         next inner step, or use `step()`, which does both."
    )]
    SyncIsDue { k: u64 },

    /// Code other than the inner optimizer and Lookahead wrote to θ.
    #[error(
        "The weights `{name}` were changed from outside since the last step, and the next sync would pull \
         them back to slow weights without this change. If they were loaded, copied, moved or cast, call \
         `reset_slow_weights()` to restart from the new weights, or load the optimizer's state after them. If \
         each step changes them on purpose, for example by clipping, call `accept_fast_weights()` after each \
         change, which keeps the slow weights and the cycle."
    )]
    FastWeightsChanged { name: String },

    /// Weights were cast, moved or reshaped, so φ can't be kept.
    #[error(
        "The weights `{name}` have another element type, device or shape than their slow weights, which can't \
         be kept. Call `reset_slow_weights()` to restart from the new weights."
    )]
    FastWeightsReplaced { name: String },

    /// Repeated resets of φ keep any sync from happening. `steps` is the number of inner steps since the last.
    #[error(
        "`reset_slow_weights()` was called inside a cycle again: {steps} inner steps have been dropped since \
         the last sync, and with k = {k} no sync would ever happen. If each step changes the weights on \
         purpose, call `accept_fast_weights()` instead, which keeps the slow weights and the cycle. \
         `finish()` syncs now."
    )]
    NeverSynced { steps: u64, k: u64 },

    /// Code other than the optimizer wrote to weights that have master weights.
    #[error(
        "The weights `{name}` were changed from outside since the last step, and the next one would overwrite them \
         with their master weights. Call `accept_weights()` after each deliberate change, or \
         `reset_master_weights()` after loading other weights."
    )]
    MasterWeightsOutdated { name: String },

    /// Weights became half precision after `MasterWeights` was built.
    #[error(
        "The weights `{name}` were cast to half precision after `MasterWeights` was built, so they have no master \
         weights. Cast the model first, then build it."
    )]
    NoMasterWeights { name: String },

    /// An optimizer around `MasterWeights` has set the weights.
    #[error(
        "The optimizer around `MasterWeights` has set the weights `{name}`, which are rounded, so their master \
         weights would lose precision. Build it inside: \
         `MasterWeights::new(&vs, |masters| Lookahead::builder(…).build(masters, learning_rate))`."
    )]
    MasterWeightsInside { name: String },

    /// A variable was frozen inside a cycle, where θ differs between processes.
    #[error(
        "The weights `{name}` were frozen inside a cycle, where each process has its own values for them. \
         Thaw them, and freeze them in all processes just after a sync, when `phase()` is 0."
    )]
    FrozenInsideCycle { name: String },

    /// φ was written to while it was in the model.
    #[error(
        "The weights `{name}` were changed while the slow weights were in the model, which changed the slow \
         weights themselves. Only read them there. Load the optimizer's state again, or call \
         `reset_slow_weights()` to restart from the fast weights."
    )]
    SlowWeightsChanged { name: String },

    /// A variable was cast, moved or given other data while φ was in the model.
    #[error(
        "The weights `{name}` were replaced (cast, moved or given other data) while the slow weights were in \
         the model. The fast weights are back, so this is undone. Replace them outside the evaluation, then \
         call `reset_slow_weights()`."
    )]
    ReplacedInEvaluation { name: String },

    /// Other code wrote to the weights of an averaged optimizer.
    #[error(
        "The weights `{name}` were changed from outside since the last step, and the next step would undo \
         that. If they were loaded, copied, moved or cast, call `restart()` to begin again from them, or load \
         the optimizer's state after them. If each step changes them on purpose, for example by clipping, call \
         `accept_weights()` after each change."
    )]
    WeightsChanged { name: String },

    /// The weights of an averaged optimizer were cast, moved or given other data where only values may change.
    #[error(
        "The weights `{name}` were replaced (cast, moved or given other data) where only their values may \
         change. Replace them outside evaluations, then call `restart()`."
    )]
    WeightsReplaced { name: String },

    /// The average was written to while it was in the model.
    #[error(
        "The weights `{name}` were changed while the average was in the model, which changed the average \
         itself. Only read them there. Load the optimizer's state again, or call `restart()` to begin again \
         from the weights of the training."
    )]
    ResultChanged { name: String },

    /// The inner optimizer's step has left NaN or infinity, which were not averaged.
    #[error(
        "The weights `{name}` hold NaN or infinity, so they were not averaged. Call `roll_back()` to continue \
         from the last finite weights with a smaller learning rate."
    )]
    NonFiniteStep { name: String },

    /// Your own inner optimizer gives an empty parameter.
    #[error(
        "The parameter `{name}` is an undefined tensor. Give it values before it is optimized."
    )]
    Undefined { name: String },

    /// The inner optimizer has lost parameters.
    #[error(
        "The inner optimizer had {known} parameters and now has {now}, and Lookahead keeps slow weights for \
         each. Build a new Lookahead around it."
    )]
    ParametersGone { known: usize, now: usize },

    /// A wrapped optimizer belongs to another variable store.
    #[error(
        "The optimizer was built for another variable store than the one given: their trainable variables \
         differ. Wrap it with its own store."
    )]
    OtherStore,

    /// A wrapped optimizer can't give this.
    #[error(
        "The {what} of a tch optimizer that is already built can't be accessed, because tch keeps its pointer \
         private. Build it with `Lookahead::builder(config).build(&vs, learning_rate)` instead."
    )]
    Unreachable { what: &'static str },

    /// The C++ optimizer is of a kind whose state is unknown.
    #[error(
        "This C++ optimizer is not SGD, Adam, AdamW or RMSprop, so where it keeps its state is unknown: it \
         trains, but can't be saved."
    )]
    UnknownKind,

    /// A state lacks an entry.
    #[error(
        "The state has no entry `{key}`: it was saved by another kind of optimizer, or for other variables."
    )]
    StateMissing { key: String },

    /// A state has an unknown entry.
    #[error(
        "The state has an entry `{key}` that this optimizer does not know: it was saved by another kind of \
         optimizer, with other options, or for other variables."
    )]
    StateUnexpected { key: String },

    /// A state's tensor has the wrong shape or element type.
    #[error(
        "The state's entry `{key}` is {found}, and the variable needs {expected}: it was saved for another \
         model."
    )]
    StateMismatch { key: String, found: String, expected: String },

    /// A number in a state is out of range.
    #[error("The state's entry `{key}` is {found}, and it must be {allowed}.")]
    StateRange { key: String, found: String, allowed: String },

    /// The inner optimizer loads whole states only.
    #[error(
        "This inner optimizer can't load a part of a state. Load a whole one with `load_state`, or implement \
         `partial_state` for it."
    )]
    NoPartialState,

    /// A state's file can't be written or read; `action` is `saved to` or `loaded from`.
    #[error("The state can't be {action} {}: {reason}.", path.display())]
    StateFile { action: &'static str, path: std::path::PathBuf, reason: String },

    /// A wrapped tch optimizer panicked in the method `call`, which is how it reports errors.
    #[error("The wrapped optimizer failed in `{call}`: {message}")]
    WrappedFailed { call: &'static str, message: String },

    /// libtorch refused. A failed step may have changed some of the weights.
    #[error(transparent)]
    Libtorch(#[from] lookahead_sys::Error),

    /// This process has lost the others that it trains with.
    #[cfg(feature = "distributed")]
    #[error(transparent)]
    Workers(#[from] lookahead_sys::distributed::Error),

    /// The processes that train together are not at the same point; `rank` is the first that differs.
    #[error(
        "Rank {rank} has {what} of rank 0 before sync {sync}: all ranks must take the same steps from the \
         same state. Nothing was averaged. Start all ranks again from one checkpoint, with one configuration \
         and one version of the program."
    )]
    Diverged { rank: usize, what: String, sync: u64 },
}

impl Error {
    /// Turns the refusal of a setting into that of a state's entry.
    pub(crate) fn in_entry(self, key: &str) -> Error {
        match self {
            Error::Setting { found, allowed, .. } => {
                Error::StateRange { key: key.to_owned(), found, allowed: allowed.to_owned() }
            }
            other => other,
        }
    }

    /// Turns the refusal of a schedule into that of the state's entry with the value.
    pub(crate) fn in_schedule(self, name: &str) -> Error {
        match self {
            Error::Schedule { key, found, allowed } => {
                let entry = match key {
                    "every" => "steps",
                    "power" => "power",
                    _ => "value",
                };
                let (key, allowed) = (format!("{name}/{entry}"), allowed.to_owned());
                Error::StateRange { key, found, allowed }
            }
            other => other.in_entry(&format!("{name}/value")),
        }
    }

    /// Prefixes the entry's key with `part/`, its name in the whole state.
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

    /// The same refusal of a sync again, if trying again would change nothing.
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
