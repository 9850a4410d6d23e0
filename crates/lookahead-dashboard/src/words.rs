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
    word("since sync", "Steps since the last sync, from 1 to k: the phase of the cycle."),
    word("α", "The slow step size: 0.5 moves the slow weights half of the way at a sync."),
    word("training", "The loss of each training batch, at the fast weights before they learn from it."),
    word("mean", "The running mean of what is drawn behind it. β is the part kept from one point to the next: at 0.98 it \
        spans about 50 points, at 0.995 about 200."),
    word("validation batch", "One fixed batch of the validation set. Around a sync the loss on it is computed twice: of the fast \
        weights just before, of the slow weights just after. This is the probe."),
    word("gain", "Loss on that batch of the fast weights minus that of the slow ones. Above 0 the sync lowered it."),
    word("time on probes", "The part of the training time that these losses take; `probe.every_syncs` sets how often."),
    word("distance", "‖θ − φ‖: how far the fast weights are from the slow ones just before a sync."),
    word("gradient norm", "The norm of all gradients of the last step before a sync."),
    word("samples/s", "Training samples per second."),
    word("validation", "Values on the whole validation set, by default after each epoch; best is the best so far."),
    word("test", "Values of the final model on the test set, which it never learned from."),
    word("checkpoint", "The newest one, and when it was saved. Training waited while it was copied; it was written in the \
        background."),
    word("time of a step", "How long one step takes at present, and the parts of that time."),
    word("processes", "Of a distributed run: the range of their losses, the slowest, and how long they wait for each other."),
];

#[cfg(test)]
mod tests;
