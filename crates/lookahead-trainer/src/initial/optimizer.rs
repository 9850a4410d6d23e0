//! The optimizer's first state from a file: `--init-optimizer`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use lookahead_core::State;
use lookahead_run::program_name;
use lookahead_run::words::sentences;

use super::{STATE, sha256_of_file};
use crate::checkpointing::TRAINING;
use crate::optimizers::Optimizer;
use crate::tensor_file::TensorFile;
use crate::usage::UsageError;

const PHASE: &str = "phase";
const PERIOD: &str = "k";
/// The k that is set, of which a schedule begins and which the next cycle has without one.
const FIRST_PERIOD: &str = "k_schedule/from";
const ALPHA: &str = "alpha";
const LEARNING_RATE: &str = "/learning_rate/";

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
    let state = State::load(path).map_err(|error| unusable(path, &error))?;
    let mut state = with_names(state, names);
    let own = optimizer.state()?;
    let shown = path.display();
    refuse_other_kind(path, &state, &own)?;
    under_keys_of(&own, &mut state);
    refuse_other_groups(path, &state, &own)?;
    refuse_other_settings(path, &state, &own)?;
    for key in own.numbers.keys().filter(|key| key.starts_with("alpha/")) {
        state.numbers.entry(key.clone()).or_insert(own.numbers[key]);
    }
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
    for (group, (before, now)) in learning_rates(&state).zip(learning_rates(&own)).enumerate() {
        if before != now {
            let of = of_group(group);
            note += &format!(" Its learning rate{of} was {before}, and the run begins with {now}.");
        }
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

/// Why a file can't be read as a state, with what to give instead.
fn unusable(path: &Path, error: &lookahead_core::Error) -> UsageError {
    let shown = path.display();
    if path.is_dir() || path.file_name().is_some_and(|name| name == TRAINING) {
        let why = if path.is_dir() { "is a folder" } else { "belongs to a checkpoint" };
        return UsageError::new(format!(
            "{shown} {why}. `--init-optimizer` needs the file of an optimizer's state, as `State::save` of the library \
             and docs/lookahead_state.py write it. Use `{} resume` to continue a run.",
            program_name()
        ));
    }
    if TensorFile::open(path).is_ok_and(|file| file.entry(STATE).is_none()) {
        return UsageError::new(format!(
            "{shown} is a safetensors file without an optimizer's state. Give weights to `--init-from`, and to \
             `--init-optimizer` the file that `State::save` of the library or docs/lookahead_state.py has written."
        ));
    }
    UsageError::new(sentences(error))
}

/// The optimizers that have a learning rate in a state, by what their keys begin with, for example `inner/adam`.
fn heads(state: &State) -> BTreeSet<&str> {
    state.numbers.keys().filter_map(|key| Some(key.split_once(LEARNING_RATE)?.0)).collect()
}

/// Their kinds, for example `adam`.
fn kinds(state: &State) -> BTreeSet<&str> {
    heads(state).into_iter().map(|head| head.rsplit('/').next().unwrap_or(head)).collect()
}

/// Gives the state of one optimizer the keys of the run's, which differ with `[[optimizer.group]]`: `inner/rest/adamw` is
/// `inner/adamw` without.
fn under_keys_of(own: &State, state: &mut State) {
    let (from, to) = (heads(state), heads(own));
    let (Some(from), Some(to), 1, 1) = (from.first(), to.first(), from.len(), to.len()) else {
        return;
    };
    let (from, to) = (format!("{from}/"), format!("{to}/"));
    let renamed = |key: String| match key.strip_prefix(&from) {
        Some(rest) => format!("{to}{rest}"),
        None => key,
    };
    let State { tensors, integers, numbers } = std::mem::take(state);
    *state = State {
        tensors: tensors.into_iter().map(|(key, tensor)| (renamed(key), tensor)).collect(),
        integers: integers.into_iter().map(|(key, count)| (renamed(key), count)).collect(),
        numbers: numbers.into_iter().map(|(key, number)| (renamed(key), number)).collect(),
    };
}

/// Group i of the state must be group i of the run.
fn refuse_other_groups(path: &Path, state: &State, own: &State) -> Result<(), UsageError> {
    let shown = path.display();
    if heads(state) != heads(own) {
        let list = |state| heads(state).into_iter().collect::<Vec<_>>().join(" and ");
        return Err(UsageError::new(format!(
            "The state in {shown} is of {}, and the run has {}. Each `[[optimizer.group]]` with a `kind` is an optimizer of \
             its own: use the groups that the state was taken with.",
            list(state),
            list(own)
        )));
    }
    let [found, expected] = [state, own].map(group_count);
    if found == expected {
        return Ok(());
    }
    let groups = |count| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} parameter group{plural}")
    };
    Err(UsageError::new(format!(
        "The state in {shown} has {}, and the run has {}. The first group is what no `[[optimizer.group]]` matches, and each \
         other group needs one, in the state's order: give the config {}.",
        groups(found),
        groups(expected),
        found.saturating_sub(1)
    )))
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
    let period = |state: &State| {
        let set = state.integers.get(FIRST_PERIOD).or_else(|| state.integers.get(PERIOD));
        set.copied()
    };
    // By the name of the setting, and its key if `--set` can change it.
    let mut others = Vec::new();
    if let (Some(found), Some(now)) = (period(state), period(own))
        && found != now
    {
        let key = "lookahead.k".to_owned();
        others.push((format!("`{key}`"), Some(key), found.to_string(), now.to_string()));
    }
    for group in 0..group_count(own) {
        let alpha = |state: &State| state.numbers.get(&format!("{ALPHA}/{group}")).copied();
        let alpha = |state: &State| alpha(state).or_else(|| state.numbers.get(ALPHA).copied());
        let mut found = vec![("alpha".to_owned(), alpha(state), alpha(own))];
        let end = format!("/{group}");
        for key in own.numbers.keys().filter(|key| key.ends_with(&end)) {
            let number = |state: &State| state.numbers.get(key).copied();
            found.extend(option(key).map(|option| (option.to_owned(), number(state), number(own))));
        }
        for (option, found, now) in found {
            let (Some(found), Some(now)) = (found, now) else { continue };
            if found == now {
                continue;
            }
            let section = if option == "alpha" { "lookahead" } else { "optimizer" };
            let key = format!("{section}.{option}");
            let (name, key) = match group {
                0 => (format!("`{key}`"), Some(key)),
                _ => (format!("`{option}`{}", of_group(group)), None),
            };
            others.push((name, key, found.to_string(), now.to_string()));
        }
    }
    if others.is_empty() {
        return Ok(());
    }
    let all =
        others.iter().map(|(name, _, found, now)| format!("{name} was {found}, and is {now}"));
    let mut text = format!(
        "The optimizer's state in {} was taken with other settings: {}.",
        path.display(),
        all.collect::<Vec<_>>().join("; ")
    );
    let sets = others
        .iter()
        .filter_map(|(_, key, found, _)| Some(format!("--set {}={found}", key.as_ref()?)));
    let sets: Vec<String> = sets.collect();
    if !sets.is_empty() {
        text += &format!(" Use `{}`.", sets.join(" "));
    }
    if sets.len() < others.len() {
        text += " Group 1 is the first `[[optimizer.group]]` of the config: change it there.";
    }
    Err(UsageError::new(text))
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

/// The option of `[optimizer]` for a number of a state, except for learning rates.
fn option(key: &str) -> Option<&'static str> {
    let mut parts = key.rsplit('/').skip(1);
    match (parts.next()?, parts.next()?) {
        ("momentum", "adam" | "adamw") => Some("beta1"),
        ("momentum", _) => Some("momentum"),
        ("weight_decay", _) => Some("weight_decay"),
        _ => None,
    }
}

fn of_group(group: usize) -> String {
    if group == 0 { String::new() } else { format!(" of group {group}") }
}

/// The learning rates of the groups of an optimizer in a state.
fn rates_under<'a>(state: &'a State, head: &str) -> impl Iterator<Item = f64> + use<'a> {
    let head = format!("{head}{LEARNING_RATE}");
    (0..).map_while(move |group| state.numbers.get(&format!("{head}{group}")).copied())
}

/// Those of the first optimizer.
fn learning_rates(state: &State) -> impl Iterator<Item = f64> + use<'_> {
    heads(state).into_iter().take(1).flat_map(|head| rates_under(state, head))
}

fn group_count(state: &State) -> usize {
    heads(state).into_iter().map(|head| rates_under(state, head).count()).max().unwrap_or(0)
}
