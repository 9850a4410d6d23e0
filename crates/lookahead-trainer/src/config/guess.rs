//! What a name is likely to mean that no key of the configuration has.

use crate::nearest::{letters, meant, similar};

/// Names of other programs, without marks between words, and keys of this one.
const ALSO_CALLED: &[(&str, &str)] = &[
    ("amp", "train.autocast"),
    ("augmentation", "data.augment"),
    ("b", "data.batch_size"),
    ("batch", "data.batch_size"),
    ("bs", "data.batch_size"),
    ("checkpointevery", "checkpoint.every_steps"),
    ("data", "data.kind"),
    ("datadir", "data.dir"),
    ("dataset", "data.kind"),
    ("decay", "optimizer.weight_decay"),
    ("e", "train.epochs"),
    ("earlystopping", "train.patience"),
    ("epoch", "train.epochs"),
    ("evalevery", "train.evaluate_every_epochs"),
    ("iterations", "train.max_steps"),
    ("learningrate", "optimizer.lr"),
    ("lrscheduler", "schedule.kind"),
    ("maxepochs", "train.epochs"),
    ("maxiter", "train.max_steps"),
    ("model", "model.kind"),
    ("numepochs", "train.epochs"),
    ("numsteps", "train.max_steps"),
    ("optim", "optimizer.kind"),
    ("optimizer", "optimizer.kind"),
    ("period", "lookahead.k"),
    ("precision", "train.autocast"),
    ("randomseed", "train.seed"),
    ("savesteps", "checkpoint.every_steps"),
    ("scheduler", "schedule.kind"),
    ("slowstep", "lookahead.alpha"),
    ("steps", "train.max_steps"),
    ("syncevery", "lookahead.k"),
    ("syncperiod", "lookahead.k"),
    ("totalsteps", "train.max_steps"),
    ("validationsize", "data.validation"),
    ("warmup", "schedule.warmup_steps"),
    ("wd", "optimizer.weight_decay"),
];

/// Sections by other names.
const SECTIONS: &[(&str, &str)] = &[
    ("checkpoints", "checkpoint"),
    ("dataset", "data"),
    ("lrscheduler", "schedule"),
    ("network", "model"),
    ("net", "model"),
    ("optim", "optimizer"),
    ("scheduler", "schedule"),
    ("trainer", "train"),
    ("training", "train"),
];

/// The section of which `name` is another name or a misspelling.
pub(crate) fn section<'a>(sections: &[&'a str], name: &str) -> Option<&'a str> {
    let wanted = letters(name);
    let known = SECTIONS.iter().find(|(other, _)| *other == wanted).map(|(_, section)| *section);
    known
        .and_then(|known| sections.iter().copied().find(|section| *section == known))
        .or_else(|| meant(sections.iter().copied(), name))
}

/// The dotted key of which `name` is another name or a misspelling, in `section` if it can be found there.
pub(crate) fn key<'a>(keys: &'a [String], section: Option<&str>, name: &str) -> Option<&'a str> {
    let keys = || keys.iter().map(String::as_str);
    let wanted = letters(name);
    let in_section = |key: &&str| section.is_some() && key.split('.').next() == section;
    let last = |key: &'a str| key.split_once('.').map_or(key, |(_, last)| last);
    let own = || keys().filter(in_section);
    let equal = |key: &&'a str| letters(last(key)) == wanted || letters(key) == wanted;
    let by_last = |found: &'a str, own: bool| {
        let same = |key: &&'a str| last(key) == found && (!own || in_section(key));
        keys().find(same)
    };
    let kind = || {
        let is_kind = section.is_some() && ["name", "type"].contains(&wanted.as_str());
        own().find(|key| is_kind && last(key) == "kind")
    };
    let also = || {
        let (_, key) = ALSO_CALLED.iter().find(|(other, _)| *other == wanted)?;
        keys().find(|known| known == key)
    };
    // If several sections have it, it could be each of them.
    let elsewhere = || {
        let mut found = keys().filter(equal);
        let first = found.next()?;
        found.next().is_none().then_some(first)
    };
    if section.is_none() && wanted == "kind" {
        return None;
    }
    own()
        .find(equal)
        .or_else(elsewhere)
        .or_else(kind)
        .or_else(also)
        .or_else(|| meant(own().map(last), name).and_then(|found| by_last(found, true)))
        .or_else(|| {
            similar(own().map(last).collect::<Vec<_>>(), name)
                .and_then(|found| by_last(found, true))
        })
        .or_else(|| {
            let long = wanted.len() >= 4;
            meant(keys().map(last).filter(|_| long), name).and_then(|found| by_last(found, false))
        })
}

#[cfg(test)]
mod tests;
