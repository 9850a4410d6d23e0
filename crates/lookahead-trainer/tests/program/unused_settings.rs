//! Settings that have no effect in a run: a note says so, and the run goes on.

use crate::common::{SMALL, Sandbox, sets, stderr};

/// What is said about settings without effect.
fn said(sandbox: &Sandbox, run: &str, keys: &[&str]) -> String {
    let shown = stderr(&sandbox.train(run, &sets(keys)));
    let about = |line: &&str| {
        ["no effect", "never begins", "Muon moves", "ahead of the weights", "extrapolates"]
            .iter()
            .any(|words| line.contains(words))
    };
    shown.lines().filter(about).collect::<Vec<_>>().join("\n")
}

#[test]
fn settings_without_effect_are_named_once() {
    let sandbox = Sandbox::new(SMALL);
    let no_momentum = "since `lookahead.outer_momentum` is 0. Set an outer momentum, or remove";
    for (run, keys, expected) in [
        ("none", &[][..], String::new()),
        (
            "nesterov",
            &["lookahead.outer_nesterov=true"],
            format!("`lookahead.outer_nesterov` has no effect, {no_momentum} it."),
        ),
        (
            "preset",
            &["lookahead.preset=muloco", "lookahead.outer_momentum=0", "lookahead.restart_every=2"],
            format!(
                "`lookahead.outer_nesterov`, `lookahead.alpha_placement` and `lookahead.restart_every` have no effect, \
                 {no_momentum} them."
            ),
        ),
        ("muloco", &["lookahead.preset=muloco", "lookahead.restart_every=2"], String::new()),
        (
            "statistics",
            &["lookahead.interpolate_statistics=true", "model.batch_norm=false"],
            "`lookahead.interpolate_statistics` has no effect, since the model has no batch normalization. Remove it, or \
             choose another model."
                .to_owned(),
        ),
        ("with-statistics", &["lookahead.interpolate_statistics=true"], String::new()),
        (
            "average",
            &["averaging.kind=ema", "averaging.start_step=14"],
            "`averaging.start_step` is 14, and the run takes 14 steps (`train.max_steps`): the average never begins. Use \
             less than 14, or more steps."
                .to_owned(),
        ),
        ("late-average", &["averaging.kind=ema", "averaging.start_step=13"], String::new()),
        (
            "never-ahead",
            &["lookahead=false", "averaging.kind=ema_nesterov", "averaging.start_step=8", "averaging.end_step=5"],
            "`averaging.end_step` is 5 and `averaging.start_step` is 8: no step is taken ahead of the weights, and this is \
             the inner optimizer alone. Use an end after the start, or remove `end_step`."
                .to_owned(),
        ),
        (
            "group",
            &["lookahead.extrapolate=true", "optimizer.group=[{dims=1,alpha=1.5}]"],
            "`optimizer.group.alpha` is 1.5: above 1 a sync extrapolates, which moves the slow weights beyond the fast ones."
                .to_owned(),
        ),
        ("muon", &["optimizer.kind=muon"], String::new()),
    ] {
        assert_eq!(said(&sandbox, run, keys), expected, "{run}");
    }
}

#[test]
fn a_group_that_changes_nothing_is_named() {
    let groups = |tables: &str| SMALL.replace("[lookahead]", &format!("{tables}\n[lookahead]"));
    let bias = "[[optimizer.group]]\nmatch = \"*.bias\"\n";
    let vectors = "[[optimizer.group]]\ndims = 1\n";
    let idle = |group| {
        format!(
            "Group {group} of `[[optimizer.group]]` has no effect: it sets nothing for its parameters. Add `lr_scale`, \
             `weight_decay`, `alpha` or `kind`, or remove it."
        )
    };
    let no_matrix = "Muon moves matrices and convolutions, and none of its parameters is one: AdamW moves them all. Set \
                     the kind to adamw, or choose another model or group.";
    for (tables, expected) in [
        (bias.to_owned(), idle(1)),
        (format!("{bias}weight_decay = 0.0\n{vectors}"), idle(2)),
        // The first one keeps the biases out of the second.
        (format!("{bias}{vectors}lr_scale = 0.5\n"), String::new()),
        (format!("{vectors}kind = \"muon\"\n"), no_matrix.to_owned()),
    ] {
        let sandbox = Sandbox::new(&groups(&tables));
        assert_eq!(said(&sandbox, "run", &[]), expected, "{tables}");
    }
}
