//! The words on the screen: one table has the help and the documentation.

/// A word, and a sentence on what it means.
pub(crate) struct Word {
    pub(crate) word: &'static str,
    pub(crate) meaning: &'static str,
}

const fn word(word: &'static str, meaning: &'static str) -> Word {
    Word { word, meaning }
}

/// The table of words.
#[rustfmt::skip]
pub(crate) static WORDS: &[Word] = &[
    word("fast", "The weights θ, which the inner optimizer trains at each step; sign ○."),
    word("slow", "Lookahead's second copy of the weights, φ, which moves at syncs only and is the final model; sign ●."),
    word("average", "With [averaging]: the average of the weights, which is the final model; sign ●."),
    word("sync", "Every k steps the slow weights move a part α of the way to the fast ones, which restart from there."),
    word("phase", "Steps since the last sync, from 1 to k."),
    word("α", "The slow step size: 0.5 moves the slow weights half of the way at a sync."),
    word("training", "The loss of each training batch, at the fast weights before they learn from it."),
    word("mean", "The running mean of the single values behind it."),
    word("smoothing β", "The part of the running mean that is kept from one value to the next: at 0.98 it spans about 50 values, \
        at 0.995 about 200."),
    word("validation batch", "One fixed batch of the validation set, which is the same for all syncs."),
    word("probe", "The loss on that batch around a sync: of the fast weights just before, of the slow weights just after."),
    word("gain", "The fast weights' loss in the probe minus that of the slow weights. Above 0 the sync lowered the loss."),
    word("time on probes", "The part of the training time that probes take; `probe.every_syncs` sets how often."),
    word("distance", "‖θ − φ‖: how far the fast weights are from the slow ones just before a sync."),
    word("gradient norm", "The norm of all gradients of the last step before a sync."),
    word("samples/s", "Training samples per second."),
    word("validation", "Values on the whole validation set, by default after each epoch; best is the best so far."),
    word("test", "Values of the final model on the test set, which it never learned from."),
    word("checkpoint", "The newest one, and when it was saved. Training waited while it was copied; it was written in the \
        background."),
    word("time of a step", "How long one step takes at present, and the parts of that time."),
    word("processes", "Of a distributed run: the range of their losses, the slowest, and how long they wait for each other."),
    word("VIEW ONLY", "The run has no control socket on this machine, so it can be watched but not controlled."),
    word("events not shown", "The dashboard was too slow for them. The run's log has them all."),
];

#[cfg(test)]
mod tests;
