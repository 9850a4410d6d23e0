//! First weights from a file: `--init-from`; and the optimizer's first state: `--init-optimizer`.

mod optimizer;
mod rename;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookahead_run::words::sentences;
use lookahead_run::{CheckpointStore, checkpoint};
use tch::{Kind, Tensor, nn};

use rename::{Named, renamed, suggested};

use crate::checkpointing::MODEL;
use crate::hints::{quoted, resume};
use crate::nearest::nearest;
use crate::optimizers::Optimizer;
use crate::tensor_file::TensorFile;
use crate::usage::UsageError;
use crate::weights::{all_finite, copy_into};

pub use rename::Rename;

/// A safetensors file, for example a checkpoint's `model.safetensors` or a PyTorch state dict saved as one.
#[derive(Debug, Clone)]
pub struct InitialWeights {
    /// The file.
    pub path: PathBuf,
    /// Whether to load only the tensors that fit a variable in name and shape. The other variables keep their drawn
    /// values, and the file's other tensors are skipped.
    pub partial: bool,
    /// Applied to the file's names, in this order, before they are compared with the model's.
    pub renames: Vec<Rename>,
    /// A file with the optimizer's state, in which variables have the names of `path`.
    pub optimizer: Option<PathBuf>,
}

/// What was loaded.
#[derive(Debug)]
pub struct Loaded {
    /// A report for the log.
    pub note: String,
    /// The model's names of the loaded tensors, by their names in the file.
    names: BTreeMap<String, String>,
}

/// PyTorch's name for the count of batches in batch normalization, which tch does not have.
const COUNT_OF_BATCHES: &str = "num_batches_tracked";

/// Prefixes of names in a state dict by wrappers: `DataParallel`, `torch.compile`, and Lightning.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// The metadata by which a file is an optimizer's state.
const STATE: &str = "lookahead_state";

/// A tensor of the file.
struct Found {
    in_file: String,
    shape: Vec<i64>,
}

/// Which tensors of a file fit a model, and which don't.
#[derive(Default)]
struct Fit {
    /// The tensors to be loaded, by variable.
    taken: BTreeMap<String, Tensor>,
    /// Variables that the file lacks.
    missing: Vec<String>,
    /// Tensors of the file that the model lacks.
    left_over: Vec<String>,
    /// Tensors of another shape, with both shapes.
    other_shape: Vec<String>,
    /// Tensors that can't be used even in part, with the reason.
    unusable: Vec<String>,
    /// Sentences about names of the file that may be meant by those missing.
    hints: Vec<String>,
}

impl Fit {
    /// What doesn't fit, by reason.
    fn rest(&self) -> [(&'static str, &[String]); 3] {
        [
            ("Missing in the file", &self.missing),
            ("Not in the model", &self.left_over),
            ("Of another shape", &self.other_shape),
        ]
    }

    fn is_whole(&self) -> bool {
        self.rest().iter().all(|(_, names)| names.is_empty())
    }
}

impl InitialWeights {
    /// Loads the file's tensors into the variables of the same names. The report has the file's SHA-256, and the
    /// names that were loaded and those that were not, unless all fit. Floating-point types are cast. After the
    /// renames, a wrapper's prefix of all names is removed if more names fit without it.
    ///
    /// # Errors
    /// A usage error with all names that are missing, left over or of another shape or type; for a part, if nothing fits;
    /// for a rename that fits no name. The variables are unchanged then.
    pub fn load(&self, vs: &nn::VarStore) -> anyhow::Result<Loaded> {
        if self.path.is_dir() {
            return Err(self.folder_as_weights().into());
        }
        let mut file = TensorFile::open(&self.path)
            .map_err(|error| UsageError::new(sentences(error.as_ref())))?;
        if file.entry(STATE).is_some() {
            return Err(self.state_as_weights().into());
        }
        let variables: BTreeMap<String, Tensor> = vs.variables().into_iter().collect();
        let mut there = file.descriptions();
        let mut named: BTreeMap<String, Found> = BTreeMap::new();
        for (name, in_file) in renamed(there.keys(), &self.renames, &self.path)? {
            let shape = there.get_mut(&in_file).map(|found| std::mem::take(&mut found.shape));
            named.insert(name, Found { in_file, shape: shape.unwrap_or_default() });
        }
        let prefix = prefix_of(&named, &variables);
        let fit = self.fit(&mut file, &named, &variables, &prefix)?;
        let is_taken = fit.is_whole() || (self.partial && !fit.taken.is_empty());
        if !is_taken || !fit.unusable.is_empty() {
            return Err(self.refusal(&fit).into());
        }
        let mut note = format!(
            "The run starts with the weights in {}: {} tensors of a file with SHA-256 {}.",
            self.path.display(),
            fit.taken.len(),
            sha256_of_file(&self.path)?
        );
        if !self.renames.is_empty() {
            let renames: Vec<String> = self.renames.iter().map(Rename::to_string).collect();
            let _ = write!(note, " Its names are changed by `{}`.", renames.join(" "));
        }
        if !prefix.is_empty() {
            let _ = write!(note, " The prefix `{prefix}` of all its names is removed.");
        }
        if !fit.is_whole() {
            let taken: Vec<String> = fit.taken.keys().map(|name| format!("`{name}`")).collect();
            let _ = write!(note, " Loaded: {}.", list(&taken));
        }
        for (reason, names) in fit.rest().into_iter().filter(|(_, names)| !names.is_empty()) {
            let _ = write!(note, " {reason}, so not loaded: {}.", list(names));
        }
        for hint in &fit.hints {
            let _ = write!(note, " {hint}");
        }
        copy_into(vs, &fit.taken)?;
        let names = fit.taken.into_keys().map(|name| {
            let in_file = &named[&format!("{prefix}{name}")].in_file;
            (in_file.clone(), name)
        });
        Ok(Loaded { note, names: names.collect() })
    }

    /// Loads the optimizer's state, if a file is given, after the weights, and adds to their report.
    ///
    /// # Errors
    /// A usage error if it does not fit the run; the optimizer is unchanged then.
    pub fn load_optimizer(
        &self,
        loaded: &mut Loaded,
        optimizer: &mut Optimizer,
    ) -> anyhow::Result<()> {
        if let Some(path) = &self.optimizer {
            loaded.note += " ";
            loaded.note += &optimizer::load(path, &loaded.names, optimizer)?;
        }
        Ok(())
    }

    fn fit(
        &self,
        file: &mut TensorFile<File>,
        named: &BTreeMap<String, Found>,
        variables: &BTreeMap<String, Tensor>,
        prefix: &str,
    ) -> anyhow::Result<Fit> {
        let mut fit = Fit::default();
        let mut missing = Vec::new();
        for (name, variable) in variables {
            let Some(found) = named.get(&format!("{prefix}{name}")) else {
                missing.push((name.as_str(), variable.size()));
                continue;
            };
            // The shape first: a tensor of another one is not read, however large it is.
            if found.shape != variable.size() {
                let (theirs, ours) = (&found.shape, variable.size());
                fit.other_shape
                    .push(format!("`{name}` has shape {theirs:?} and must have {ours:?}"));
                continue;
            }
            let tensor = file.tensor(&found.in_file).map_err(|error| {
                UsageError::new(format!(
                    "The file {} can't be used. {}",
                    self.path.display(),
                    sentences(error.as_ref())
                ))
            })?;
            match cast(&tensor, variable.kind())? {
                Ok(tensor) => drop(fit.taken.insert(name.clone(), tensor)),
                Err(reason) => fit.unusable.push(format!("`{name}` {reason}")),
            }
        }
        let is_known = |name: &str| {
            let own = name.strip_prefix(prefix);
            own.is_some_and(|name| variables.contains_key(name)) || name.ends_with(COUNT_OF_BATCHES)
        };
        let left_over = named.iter().filter(|(name, _)| !is_known(name));
        fit.left_over = left_over.clone().map(|(name, found)| found.described(name)).collect();
        fit.missing = missing.iter().map(|(name, _)| format!("`{name}`")).collect();
        let missing: Vec<Named<'_>> =
            missing.iter().map(|(name, shape)| (format!("{prefix}{name}"), &shape[..])).collect();
        let left_over: Vec<Named<'_>> =
            left_over.map(|(name, found)| (name.clone(), &found.shape[..])).collect();
        let fitting: Vec<String> = fit.taken.keys().map(|name| format!("{prefix}{name}")).collect();
        fit.hints = hints(&missing, &left_over, &fitting);
        Ok(fit)
    }

    /// For a folder, which may be a run's or a checkpoint's.
    fn folder_as_weights(&self) -> UsageError {
        let path = self.path.display();
        let is_there = |folder: &Path| Some(folder.join(MODEL)).filter(|file| file.is_file());
        let checkpoints = CheckpointStore::new(&self.path).list().unwrap_or_default();
        let newest = checkpoints.iter().rev().find_map(|checkpoint| is_there(&checkpoint.path));
        UsageError::new(match (is_there(&self.path), newest) {
            (Some(file), _) => format!(
                "{path} is a checkpoint's folder. Use `--init-from {}` for its weights.",
                quoted(&file)
            ),
            (None, Some(file)) => format!(
                "{path} is a run's folder. Use `--init-from {}` for the weights of its newest checkpoint, or `{}` to continue \
                 the run.",
                quoted(&file),
                resume(&self.path)
            ),
            _ => format!(
                "{path} is a folder without a checkpoint. Use a safetensors file, for example a checkpoint's {MODEL}."
            ),
        })
    }

    /// For a file of weights that is an optimizer's state.
    fn state_as_weights(&self) -> UsageError {
        let path = self.path.display();
        let is_state =
            |path: &Path| TensorFile::open(path).is_ok_and(|other| other.entry(STATE).is_some());
        UsageError::new(match &self.optimizer {
            Some(other) if !is_state(other) => format!(
                "The two files are swapped: {path} is an optimizer's state. Use `--init-from {} --init-optimizer {}`.",
                quoted(other),
                quoted(&self.path)
            ),
            _ => format!(
                "{path} is an optimizer's state, without the model's weights. Give it to `--init-optimizer`, and the file \
                 with the weights to `--init-from`."
            ),
        })
    }

    fn refusal(&self, fit: &Fit) -> UsageError {
        let path = self.path.display();
        let mut text = if self.partial && fit.taken.is_empty() {
            format!("Nothing in {path} fits the model.")
        } else {
            format!("{path} does not fit the model.")
        };
        let unusable = ("Not to be used", &fit.unusable[..]);
        for (reason, names) in fit.rest().into_iter().chain([unusable]) {
            if !names.is_empty() {
                let _ = write!(text, "\n  {reason}: {}.", list(names));
            }
        }
        for hint in &fit.hints {
            let _ = write!(text, "\n{hint}");
        }
        text += "\nRename the tensors with `--init-rename OLD=NEW`, or choose the model by `--set model.…`";
        text += if fit.unusable.is_empty() && !fit.taken.is_empty() && !self.partial {
            "; `--init-partial` loads those that fit and keeps the rest."
        } else {
            "."
        };
        UsageError::new(text)
    }
}

impl Found {
    /// Its name in the file, and the one that it was given.
    fn described(&self, name: &str) -> String {
        if self.in_file == name {
            format!("`{name}`")
        } else {
            format!("`{}`, renamed `{name}`", self.in_file)
        }
    }
}

/// Sentences about names that may mean the same: a rename with which more names fit, or else pairs of similar names.
fn hints(missing: &[Named<'_>], left_over: &[Named<'_>], fitting: &[String]) -> Vec<String> {
    const SHOWN: usize = 5;
    if let Some((rename, count)) = suggested(missing, left_over, fitting) {
        let names =
            if count == 1 { "1 more name fits" } else { &format!("{count} more names fit") };
        return vec![format!("With `{rename}`, {names}.")];
    }
    let all = || left_over.iter().take(1000).map(|(name, _)| name.as_str());
    let pairs = missing.iter().take(SHOWN).filter_map(|(name, _)| {
        let other = *nearest(name, all(), 1).first()?;
        Some(format!("`{other}` for `{name}`"))
    });
    let pairs: Vec<String> = pairs.collect();
    if pairs.is_empty() {
        return Vec::new();
    }
    vec![format!("The nearest names in the file: {}.", pairs.join(", "))]
}

/// The wrappers' prefixes of all names of a file, if more names and shapes are the model's without them.
fn prefix_of(named: &BTreeMap<String, Found>, variables: &BTreeMap<String, Tensor>) -> String {
    let fitting = |prefix: &str| {
        let fits = |(name, found): &(&String, &Found)| {
            let variable = name.strip_prefix(prefix).and_then(|name| variables.get(name));
            variable.is_some_and(|variable| variable.size() == found.shape)
        };
        named.iter().filter(fits).count()
    };
    let (mut prefix, mut best) = (String::new(), String::new());
    while let Some(next) = PREFIXES.iter().find_map(|next| {
        let longer = format!("{prefix}{next}");
        (!named.is_empty() && named.keys().all(|name| name.starts_with(&longer))).then_some(longer)
    }) {
        prefix = next;
        if fitting(&prefix) > fitting(&best) {
            best.clone_from(&prefix);
        }
    }
    best
}

/// The tensor in a variable's type, or why it can't be used: values that are not finite in that type, or integers for a
/// floating-point variable and the reverse.
fn cast(tensor: &Tensor, kind: Kind) -> anyhow::Result<Result<Tensor, String>> {
    let from = tensor.kind();
    if is_float(from) != is_float(kind) {
        return Ok(Err(format!("is of type {from:?} and must be of {kind:?}")));
    }
    let cast = tensor.f_to_kind(kind)?;
    Ok(if !all_finite(tensor)? {
        Err("holds NaN or infinity".to_owned())
    } else if !all_finite(&cast)? {
        Err(format!("holds values of {from:?} that are too large for the model's {kind:?}"))
    } else if !is_float(kind) && cast.f_to_kind(from)? != *tensor {
        Err(format!("holds values of {from:?} that the model's {kind:?} can't hold"))
    } else {
        Ok(cast)
    })
}

fn sha256_of_file(path: &Path) -> anyhow::Result<String> {
    let context = || format!("The file {} can't be read.", path.display());
    checkpoint::sha256_of_file(path).with_context(context)
}

fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}

/// A list of names; not all of thousands.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests;
