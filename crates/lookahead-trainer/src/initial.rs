//! Weights to begin with, from a file: `--init-from`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookahead_run::checkpoint;
use tch::{Kind, Tensor, nn};

use crate::tensor_file::TensorFile;
use crate::usage::Usage;

/// A safetensors file, such as `model.safetensors` of a checkpoint or a PyTorch state dict that was
/// saved as one.
#[derive(Debug, Clone)]
pub struct From {
    /// The file.
    pub path: PathBuf,
    /// Whether variables that the file lacks may keep their drawn values, and tensors that the model
    /// lacks be passed over. Shapes must be equal in any case.
    pub partial: bool,
}

/// How PyTorch calls the count of batches in its batch normalization, which tch's has none of.
const COUNT_OF_BATCHES: &str = "num_batches_tracked";

impl From {
    /// Loads the file's tensors into the variables of the same names, and says so in a sentence with
    /// the file's SHA-256. Floating-point types are cast.
    ///
    /// # Errors
    /// A usage error with all names that are missing, left over or of another shape or type. The
    /// variables are as before then.
    pub fn load(&self, vs: &nn::VarStore) -> anyhow::Result<String> {
        let mut file =
            TensorFile::open(&self.path).map_err(|error| Usage::new(format!("{error:#}")))?;
        let there = file.descriptions();
        let variables: BTreeMap<String, Tensor> = vs.variables().into_iter().collect();
        let mut tensors = BTreeMap::new();
        let mut other = Vec::new();
        for (name, variable) in &variables {
            let Some(found) = there.get(name) else { continue };
            // The shape comes first: a tensor of another one is not read, however large it is.
            if found.shape != variable.size() {
                let (theirs, ours) = (&found.shape, variable.size());
                other.push(format!("`{name}` has shape {theirs:?} and must have {ours:?}"));
                continue;
            }
            let context = || format!("The file {} can't be used.", self.path.display());
            let tensor = file.tensor(name).with_context(context)?;
            if is_float(tensor.kind()) && !bool::try_from(tensor.f_isfinite()?.f_all()?)? {
                other.push(format!("`{name}` holds values that are no finite numbers"));
                continue;
            }
            match is_float(tensor.kind()) == is_float(variable.kind()) {
                true => drop(tensors.insert(name.clone(), tensor)),
                false => other.push(format!(
                    "`{name}` is of type {:?} and must be of {:?}",
                    tensor.kind(),
                    variable.kind()
                )),
            }
        }
        let missing = list(variables.keys().filter(|name| !there.contains_key(*name)));
        let left_over =
            list(there.keys().filter(|name| {
                !variables.contains_key(*name) && !name.ends_with(COUNT_OF_BATCHES)
            }));
        let nothing = tensors.is_empty();
        if nothing
            || !other.is_empty()
            || (!self.partial && (missing.is_some() || left_over.is_some()))
        {
            let mut text = format!("{} does not fit the model.", self.path.display());
            for (what, names) in [
                ("The model has, and the file lacks", missing),
                ("The file has, and the model lacks", left_over),
                ("Not to be used", (!other.is_empty()).then(|| other.join(", "))),
            ] {
                if let Some(names) = names {
                    let _ = write!(text, "\n  {what}: {names}.");
                }
            }
            text += "\nRename the tensors, or choose the model by `--set model.…`";
            text += match other.is_empty() && !nothing && !self.partial {
                true => "; `--init-partial` takes those that fit and leaves the rest as they are.",
                false => ".",
            };
            return Err(Usage::new(text).into());
        }
        let mut note = format!(
            "The run begins with the weights in {}: {} tensors of a file with SHA-256 {}.",
            self.path.display(),
            tensors.len(),
            sha256_of_file(&self.path)?
        );
        for (what, names) in
            [("The file lacks", missing), ("The model lacks, and does without", left_over)]
        {
            if let Some(names) = names {
                let _ = write!(note, " {what}: {names}.");
            }
        }
        let _guard = tch::no_grad_guard();
        for (name, tensor) in tensors {
            variables[&name].shallow_clone().f_copy_(&tensor)?;
        }
        Ok(note)
    }
}

fn sha256_of_file(path: &Path) -> anyhow::Result<String> {
    let context = || format!("The file {} can't be read.", path.display());
    checkpoint::sha256_of_file(path).with_context(context)
}

fn is_float(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}

/// Names for a sentence, if there are any; not all of thousands.
fn list<'a>(names: impl Iterator<Item = &'a String>) -> Option<String> {
    const SHOWN: usize = 20;
    let names: Vec<String> = names.map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    match (names.is_empty(), more) {
        (true, _) => None,
        (false, 0) => Some(shown),
        (false, more) => Some(format!("{shown} and {more} more")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor_file::{entries, write_new};
    use tch::Device;

    fn store() -> nn::VarStore {
        let vs = nn::VarStore::new(Device::Cpu);
        let _ = vs.root().zeros("w", &[2, 2]);
        let _ = vs.root().zeros("b", &[2]);
        vs
    }

    fn from(tensors: &[(&str, Tensor)], partial: bool) -> (tempfile::TempDir, From) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("given.safetensors");
        let tensors = tensors.iter().map(|(name, t)| ((*name).to_owned(), t.shallow_clone()));
        write_new(&path, entries(tensors.collect())).unwrap();
        (folder, From { path, partial })
    }

    fn ones(shape: &[i64], kind: Kind) -> Tensor {
        Tensor::ones(shape, (kind, Device::Cpu))
    }

    fn sum(vs: &nn::VarStore) -> f64 {
        vs.variables().into_values().map(|t| t.sum(Kind::Double).double_value(&[])).sum()
    }

    #[test]
    fn what_fits_is_taken_whatever_its_precision() {
        let vs = store();
        let all = [
            ("w", ones(&[2, 2], Kind::Double)),
            ("b", ones(&[2], Kind::BFloat16)),
            ("bn.num_batches_tracked", ones(&[], Kind::Int64)),
        ];
        let (_folder, from) = from(&all, false);
        let note = from.load(&vs).unwrap();
        assert!(note.contains("2 tensors") && !note.contains("lacks"), "{note}");
        assert_eq!(sum(&vs), 6.0);
        assert!(vs.variables().values().all(|t| t.kind() == Kind::Float && t.requires_grad()));
    }

    #[test]
    fn all_that_does_not_fit_is_told_at_once_and_nothing_is_taken() {
        let vs = store();
        let (_folder, mut given) =
            from(&[("w", ones(&[3], Kind::Float)), ("x", ones(&[1], Kind::Float))], false);
        let said = given.load(&vs).unwrap_err().to_string();
        for words in [
            "given.safetensors does not fit the model",
            "the file lacks: `b`.",
            "the model lacks: `x`.",
            "`w` has shape [3] and must have [2, 2]",
        ] {
            assert!(said.contains(words), "{said}");
        }
        assert!(!said.contains("--init-partial"), "{said}");
        given.partial = true;
        given.load(&vs).unwrap_err();
        assert_eq!(sum(&vs), 0.0);

        let (_folder, given) = from(&[("w", ones(&[2, 2], Kind::Int64))], true);
        let said = given.load(&vs).unwrap_err().to_string();
        assert!(said.contains("`w` is of type Int64 and must be of Float"), "{said}");
    }

    #[test]
    fn a_part_is_taken_only_where_that_is_asked_for() {
        let vs = store();
        let tensors = [("w", ones(&[2, 2], Kind::Float)), ("x", ones(&[1], Kind::Float))];
        let (_folder, mut given) = from(&tensors, false);
        let said = given.load(&vs).unwrap_err().to_string();
        assert!(said.contains("--init-partial"), "{said}");
        given.partial = true;
        let note = given.load(&vs).unwrap();
        assert!(note.contains("lacks: `b`.") && note.contains("does without: `x`."), "{note}");
        assert_eq!(sum(&vs), 4.0);
        // Nothing at all that fits is a mistake.
        let (_folder, given) = from(&[("x", ones(&[1], Kind::Float))], true);
        given.load(&vs).unwrap_err();
    }

    #[test]
    fn thousands_of_names_are_not_all_listed() {
        let names: Vec<String> = (0..1000).map(|i| i.to_string()).collect();
        assert!(list(names.iter()).unwrap().ends_with("`19` and 980 more"));
        assert_eq!(list(names[..2].iter()).unwrap(), "`0`, `1`");
        assert_eq!(list(names[..0].iter()), None);
    }
}
