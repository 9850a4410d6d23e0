//! Sentences about settings that have no effect in a run. They are no errors: a sweep over another key, or a preset of
//! which one key is overridden, may set them.

use lookahead_core::{AlphaPlacement, LookaheadConfig};

use super::setup::Training;
use crate::config::groups::GroupConfig;
use crate::config::issue::listed;

impl Training {
    /// A sentence for each setting without effect.
    pub(crate) fn unused_settings(&self) -> Vec<String> {
        let lookahead = self.config.lookahead.as_ref();
        let groups = self.config.optimizer.groups(self.registry.kinds()).unwrap_or_default();
        let of_lookahead = |find: fn(&LookaheadConfig) -> Option<String>| lookahead.and_then(find);
        let has_statistics = !self.model.buffers().is_empty();
        let found = [
            of_lookahead(without_outer_momentum),
            lookahead.filter(|_| !has_statistics).and_then(without_statistics),
            self.late_average(),
            self.no_extrapolation(),
            self.muon_without_matrices(&groups),
        ];
        let idle = groups_without_options(&groups);
        found.into_iter().flatten().chain(idle).collect()
    }

    /// An average that begins after the run's last step.
    fn late_average(&self) -> Option<String> {
        let (start, steps) = (self.config.averaging.start_step?, self.total_steps);
        (start > 0 && start >= steps).then(|| {
            format!(
                "`averaging.start_step` is {start}, and the run takes {steps} steps (`{}`): the average never begins. Use \
                 less than {steps}, or more steps.",
                self.config.train.deciding_key()
            )
        })
    }

    /// EMA-Nesterov that ends before it begins.
    fn no_extrapolation(&self) -> Option<String> {
        let settings = self.config.averaging.extrapolation()?;
        let (start, end) = (settings.start_step, settings.end_step?);
        (end <= start).then(|| {
            format!(
                "`averaging.end_step` is {end} and `averaging.start_step` is {start}: no step is taken ahead of the \
                 weights, and this is the inner optimizer alone. Use an end after the start, or remove `end_step`."
            )
        })
    }

    /// Muon for parameters of which none is a matrix.
    fn muon_without_matrices(&self, groups: &[GroupConfig]) -> Option<String> {
        const MUON: &str = "muon";
        let kind_of = |group: usize| {
            let own = group.checked_sub(1).and_then(|place| groups.get(place)?.kind.as_ref());
            own.map_or(&*self.config.optimizer.kind, |(kind, _)| kind)
        };
        let mut of_muon =
            self.optimizer.parameters().iter().filter(|own| kind_of(own.group) == MUON).peekable();
        of_muon.peek()?;
        of_muon.all(|own| own.tensor.dim() < 2).then(|| {
            "Muon moves matrices and convolutions, and none of its parameters is one: AdamW moves them all. Set the kind to \
             adamw, or choose another model or group."
                .to_owned()
        })
    }
}

fn without_outer_momentum(config: &LookaheadConfig) -> Option<String> {
    if config.outer_momentum > 0.0 {
        return None;
    }
    let set = [
        (config.outer_nesterov, "outer_nesterov"),
        (config.alpha_placement != AlphaPlacement::default(), "alpha_placement"),
        (config.restart_every > 0, "restart_every"),
    ];
    let keys = set.into_iter().filter(|(is_set, _)| *is_set).map(|(_, key)| key);
    let (keys, has, them) = no_effect(keys)?;
    Some(format!(
        "{keys} {has} no effect, since `lookahead.outer_momentum` is 0. Set an outer momentum, or remove {them}."
    ))
}

fn without_statistics(config: &LookaheadConfig) -> Option<String> {
    let set = [
        (config.recalibrate > 0, "recalibrate"),
        (config.interpolate_statistics, "interpolate_statistics"),
    ];
    let keys = set.into_iter().filter(|(is_set, _)| *is_set).map(|(_, key)| key);
    let (keys, has, them) = no_effect(keys)?;
    Some(format!(
        "{keys} {has} no effect, since the model has no batch normalization. Remove {them}, or choose another model."
    ))
}

/// The keys of `[lookahead]` as words, and the verb and the pronoun for them.
fn no_effect<'a>(
    keys: impl Iterator<Item = &'a str>,
) -> Option<(String, &'static str, &'static str)> {
    let keys: Vec<String> = keys.map(|key| format!("`lookahead.{key}`")).collect();
    let (has, them) = if keys.len() == 1 { ("has", "it") } else { ("have", "them") };
    let words: Vec<&str> = keys.iter().map(String::as_str).collect();
    (!keys.is_empty()).then(|| (listed(&words), has, them))
}

/// Groups that change nothing. One before a group with options does: it keeps its parameters out of that.
fn groups_without_options(groups: &[GroupConfig]) -> Option<String> {
    let has_options = |group: &GroupConfig| {
        group.lr_scale != 1.0
            || group.weight_decay.is_some()
            || group.alpha.is_some()
            || group.kind.is_some()
    };
    let first = groups.iter().rposition(has_options).map_or(0, |last| last + 1);
    (first < groups.len()).then(|| {
        format!(
            "Group {} of `[[optimizer.group]]` has no effect: it sets nothing for its parameters. Add `lr_scale`, \
             `weight_decay`, `alpha` or `kind`, or remove it.",
            first + 1
        )
    })
}
