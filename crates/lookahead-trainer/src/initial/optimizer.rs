//! The optimizer's first state from a file: `--init-optimizer`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lookahead_core::State;
use lookahead_run::words::sentences;

use super::sha256_of_file;
use crate::optimizers::Optimizer;
use crate::usage::UsageError;

const PHASE: &str = "phase";
const PERIOD: &str = "k";

/// Loads a state that [`State::save`] or the script of docs/pytorch.md has written into the optimizer of a new run, whose
/// weights are loaded. `names` has the model's names by those in the file of the weights. Counts of steps and syncs begin
/// at the last sync. Returns a sentence for the log.
///
/// # Errors
/// A usage error if the file can't be used, or was taken with another kind, other settings than the run's, or another model.
/// The optimizer is unchanged then.
pub(super) fn load(
    path: &Path,
    names: &BTreeMap<String, String>,
    optimizer: &mut Optimizer,
) -> anyhow::Result<String> {
    let usage = |error: lookahead_core::Error| UsageError::new(sentences(&error));
    let mut state = with_names(State::load(path).map_err(usage)?, names);
    let own = optimizer.state()?;
    let shown = path.display();
    refuse_other_kind(path, &state, &own)?;
    refuse_other_settings(path, &state, &own)?;
    if let Some(phase) = state.integers.get(PHASE).copied() {
        state.integers.insert("steps".to_owned(), phase);
        state.integers.insert("syncs".to_owned(), 0);
    }
    optimizer.load_state(&state).map_err(|error| {
        let why = sentences(&error);
        let remedy = remedy(&state, &own, &why);
        UsageError::new(format!(
            "The optimizer's state in {shown} does not fit the run's. {why}{remedy}"
        ))
    })?;
    let mut note = format!(
        "The optimizer continues with the state in {shown}, a file with SHA-256 {}",
        sha256_of_file(path)?
    );
    note += &match optimizer.k() {
        (Some(k), _) => format!(": {} of {k} inner steps after a sync.", optimizer.phase()),
        _ => ".".to_owned(),
    };
    if let (Some(before), Some(now)) = (learning_rate(&state), learning_rate(&own))
        && before != now
    {
        note += &format!(" Its learning rate was {before}, and the run begins with {now}.");
    }
    Ok(note)
}

/// The state with the model's names of variables, which end a key after a slash.
fn with_names(state: State, names: &BTreeMap<String, String>) -> State {
    let renamed = |key: String| {
        let ends = key.match_indices('/').map(|(slash, _)| slash + 1);
        let found = ends.filter_map(|end| Some((end, names.get(&key[end..])?))).next();
        found.map_or_else(|| key.clone(), |(end, name)| format!("{}{name}", &key[..end]))
    };
    let State { tensors, integers, numbers } = state;
    State {
        tensors: tensors.into_iter().map(|(key, tensor)| (renamed(key), tensor)).collect(),
        integers: integers.into_iter().map(|(key, count)| (renamed(key), count)).collect(),
        numbers,
    }
}

/// The names of the optimizers that have a learning rate in a state, for example `adam`.
fn kinds(state: &State) -> BTreeSet<&str> {
    let kind = |key: &'_ String| -> Option<usize> { key.find("/learning_rate/") };
    let heads = state.numbers.keys().filter_map(|key| Some(&key[..kind(key)?]));
    heads.map(|head| head.rsplit('/').next().unwrap_or(head)).collect()
}

fn refuse_other_kind(path: &Path, state: &State, own: &State) -> Result<(), UsageError> {
    let shown = path.display();
    let has_lookahead = |state: &State| state.integers.contains_key(PHASE);
    let message = match (has_lookahead(state), has_lookahead(own)) {
        (true, false) => {
            format!(
                "The state in {shown} is Lookahead's, and the run has none. Give the config a section `[lookahead]`."
            )
        }
        (false, true) => {
            format!(
                "The state in {shown} has no slow weights. Use `--set lookahead=false`, or a state of Lookahead."
            )
        }
        _ => {
            let [found, expected] = [state, own].map(kinds);
            if found == expected {
                return Ok(());
            }
            let list = |kinds: BTreeSet<&str>| kinds.into_iter().collect::<Vec<_>>().join(" and ");
            let found = list(found);
            format!(
                "The state in {shown} is of {found}, and the run's optimizer is {}. Use `--set optimizer.kind={found}`, or \
                 another file.",
                list(expected)
            )
        }
    };
    Err(UsageError::new(message))
}

/// k, α, momentum and weight decay must be the run's: its config would say something else otherwise. The learning rate is
/// set in each step.
fn refuse_other_settings(path: &Path, state: &State, own: &State) -> Result<(), UsageError> {
    let mut others = Vec::new();
    if let (Some(found), Some(own)) = (state.integers.get(PERIOD), own.integers.get(PERIOD))
        && found != own
    {
        others.push(("lookahead.k".to_owned(), found.to_string(), own.to_string()));
    }
    for (key, found) in &state.numbers {
        let Some(now) = own.numbers.get(key).filter(|now| *now != found) else { continue };
        if let Some(key) = config_key(key) {
            others.push((key, found.to_string(), now.to_string()));
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    let all = others.iter().map(|(key, found, now)| format!("`{key}` was {found}, and is {now}"));
    let sets = others.iter().map(|(key, found, _)| format!("--set {key}={found}"));
    Err(UsageError::new(format!(
        "The optimizer's state in {} was taken with other settings: {}. Use `{}`.",
        path.display(),
        all.collect::<Vec<_>>().join("; "),
        sets.collect::<Vec<_>>().join(" ")
    )))
}

/// A sentence with the key that decides whether an optimizer has the tensors that `why` is about.
fn remedy(state: &State, own: &State, why: &str) -> String {
    const DECIDING: [(&str, &str, &str, &str); 6] = [
        ("velocity/", "lookahead.outer_momentum", "to the momentum that it was taken with", "to 0"),
        ("slow_moment/", "lookahead.momentum_policy", "to `pullback`", "to `maintain`"),
        ("/max_exp_avg_sq/", "optimizer.amsgrad", "to `true`", "to `false`"),
        ("/grad_avg/", "optimizer.centered", "to `true`", "to `false`"),
        (
            "/momentum_buffer/",
            "optimizer.momentum",
            "to the momentum that it was taken with",
            "to 0",
        ),
        ("slow_statistic/", "lookahead.interpolate_statistics", "to `true`", "to `false`"),
    ];
    let has = |state: &State, part: &str| state.tensors.keys().any(|key| key.contains(part));
    let deciding = DECIDING.iter().find(|(part, ..)| why.contains(part.trim_matches('/')));
    let Some((part, key, with, without)) = deciding else { return String::new() };
    match (has(state, part), has(own, part)) {
        (true, _) => format!(" Set `{key}` {with}."),
        (false, _) => format!(" Set `{key}` {without}."),
    }
}

/// The key of the config for a number of a state, except for learning rates and for groups of parameters, whose settings
/// `[[optimizer.group]]` has.
fn config_key(key: &str) -> Option<String> {
    if key == "alpha" {
        return Some("lookahead.alpha".to_owned());
    }
    let mut parts = key.rsplit('/');
    let (group, option, kind) = (parts.next()?, parts.next()?, parts.next()?);
    let option = match (option, kind) {
        _ if group != "0" => return None,
        ("momentum", "adam" | "adamw") => "beta1",
        ("momentum" | "weight_decay", _) => option,
        _ => return None,
    };
    Some(format!("optimizer.{option}"))
}

fn learning_rate(state: &State) -> Option<f64> {
    let is_first = |key: &&String| key.ends_with("/learning_rate/0");
    state.numbers.keys().find(is_first).map(|key| state.numbers[key])
}
