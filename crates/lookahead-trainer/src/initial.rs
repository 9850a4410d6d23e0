//! First weights from a file: `--init-from`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookahead_run::checkpoint;
use tch::{Kind, Tensor, nn};

use crate::tensor_file::{Description, TensorFile};
use crate::usage::UsageError;
use crate::weights::{all_finite, copy_into};

/// A safetensors file, for example a checkpoint's `model.safetensors` or a PyTorch state dict saved as one.
#[derive(Debug, Clone)]
pub struct InitialWeights {
    /// The file.
    pub path: PathBuf,
    /// Whether to load only the tensors that fit a variable in name and shape. The other variables keep their drawn
    /// values, and the file's other tensors are skipped.
    pub partial: bool,
}

/// PyTorch's name for the count of batches in batch normalization, which tch does not have.
const COUNT_OF_BATCHES: &str = "num_batches_tracked";

/// Prefixes of names in a state dict by wrappers: `DataParallel`, `torch.compile`, and Lightning.
const PREFIXES: [&str; 3] = ["module.", "_orig_mod.", "model."];

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
    /// Loads the file's tensors into the variables of the same names, and returns a sentence with the file's SHA-256.
    /// Floating-point types are cast. A wrapper's prefix of all names is removed, if more names fit without it.
    ///
    /// # Errors
    /// A usage error with all names that are missing, left over or of another shape or type; for a part, if nothing fits.
    /// The variables are unchanged then.
    pub fn load(&self, vs: &nn::VarStore) -> anyhow::Result<String> {
        let mut file =
            TensorFile::open(&self.path).map_err(|error| UsageError::new(format!("{error:#}")))?;
        let variables: BTreeMap<String, Tensor> = vs.variables().into_iter().collect();
        let prefix = prefix_of(&file.descriptions(), &variables);
        let fit = self.fit(&mut file, &variables, &prefix)?;
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
        if !prefix.is_empty() {
            let _ = write!(note, " The prefix `{prefix}` of all its names is removed.");
        }
        for (reason, names) in fit.rest().into_iter().filter(|(_, names)| !names.is_empty()) {
            let _ = write!(note, " {reason}, so not loaded: {}.", list(names));
        }
        copy_into(vs, &fit.taken)?;
        Ok(note)
    }

    fn fit(
        &self,
        file: &mut TensorFile<File>,
        variables: &BTreeMap<String, Tensor>,
        prefix: &str,
    ) -> anyhow::Result<Fit> {
        let there = file.descriptions();
        let mut fit = Fit::default();
        for (name, variable) in variables {
            let in_file = format!("{prefix}{name}");
            let Some(found) = there.get(&in_file) else {
                fit.missing.push(format!("`{name}`"));
                continue;
            };
            // The shape first: a tensor of another one is not read, however large it is.
            if found.shape != variable.size() {
                let (theirs, ours) = (&found.shape, variable.size());
                fit.other_shape
                    .push(format!("`{name}` has shape {theirs:?} and must have {ours:?}"));
                continue;
            }
            let tensor = file.tensor(&in_file).map_err(|error| {
                UsageError::new(format!(
                    "The file {} can't be used. {error:#}",
                    self.path.display()
                ))
            })?;
            match cast(&tensor, variable.kind())? {
                Ok(tensor) => drop(fit.taken.insert(name.clone(), tensor)),
                Err(reason) => fit.unusable.push(format!("`{name}` {reason}")),
            }
        }
        let is_left_over = |name: &&String| {
            let known = name.strip_prefix(prefix).is_some_and(|name| variables.contains_key(name));
            !known && !name.ends_with(COUNT_OF_BATCHES)
        };
        fit.left_over = there.keys().filter(is_left_over).map(|name| format!("`{name}`")).collect();
        Ok(fit)
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
        text += "\nRename the tensors, or choose the model by `--set model.…`";
        text += if fit.unusable.is_empty() && !fit.taken.is_empty() && !self.partial {
            "; `--init-partial` loads those that fit and keeps the rest."
        } else {
            "."
        };
        UsageError::new(text)
    }
}

/// The wrappers' prefixes of all names of a file, if more names and shapes are the model's without them.
fn prefix_of(
    there: &BTreeMap<String, Description>,
    variables: &BTreeMap<String, Tensor>,
) -> String {
    let fitting = |prefix: &str| {
        let fits = |(name, found): &(&String, &Description)| {
            let variable = name.strip_prefix(prefix).and_then(|name| variables.get(name));
            variable.is_some_and(|variable| variable.size() == found.shape)
        };
        there.iter().filter(fits).count()
    };
    let (mut prefix, mut best) = (String::new(), String::new());
    while let Some(next) = PREFIXES.iter().find_map(|next| {
        let longer = format!("{prefix}{next}");
        (!there.is_empty() && there.keys().all(|name| name.starts_with(&longer))).then_some(longer)
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
