//! Which arrays of which files `[data]` names.

use std::path::Path;

use super::file::ArrayReader;
use super::options::{ArrayOptions, is_npy};
use crate::data::array::Array;
use crate::usage::UsageError;

/// An array: its file, the key that names the file, and the array's name. A `.npy` file has no names.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    path: &'a Path,
    key: &'static str,
    name: Option<&'a str>,
}

impl Place<'_> {
    /// An error about the array.
    pub(super) fn refused(&self, reason: &str) -> UsageError {
        let array = self.name.map(|name| format!(" (array `{name}`)")).unwrap_or_default();
        UsageError::new(format!(
            "The file {} of `data.{}`{array} can't be used. {reason}",
            self.path.display(),
            self.key
        ))
    }

    /// The array as floats.
    pub(super) fn read_floats(&self) -> Result<Array, UsageError> {
        self.read_by(ArrayReader::read_floats)
    }

    /// The array as it is.
    pub(super) fn read(&self) -> Result<Array, UsageError> {
        self.read_by(ArrayReader::read_all)
    }

    fn read_by(
        &self,
        read: impl FnOnce(ArrayReader) -> Result<Array, String>,
    ) -> Result<Array, UsageError> {
        let array = ArrayReader::open(self.path, self.name).and_then(read);
        array.map_err(|reason| self.refused(&reason))
    }
}

/// The places of inputs and of their targets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places<'a> {
    pub(super) inputs: Place<'a>,
    pub(super) targets: Place<'a>,
}

/// A file, after the key that names it.
type KeyedFile<'a> = (&'static str, &'a Path);

fn place<'a>(
    (key, path): KeyedFile<'a>,
    name: Option<&'a String>,
    default: &'static str,
) -> Place<'a> {
    let name = name.map(String::as_str).or((!is_npy(path)).then_some(default));
    Place { path, key, name }
}

/// The training set.
pub(super) fn of_training(options: &ArrayOptions) -> Places<'_> {
    let file: KeyedFile<'_> = ("file", options.file.as_deref().unwrap_or(Path::new("")));
    let targets = options.targets_file.as_deref().map_or(file, |path| ("targets_file", path));
    Places {
        inputs: place(file, options.inputs.as_ref(), "inputs"),
        targets: place(targets, options.targets.as_ref(), "targets"),
    }
}

/// The test set, if there is one. In a file of its own, its arrays have the names of the training set's unless others
/// are set.
pub(super) fn of_test(options: &ArrayOptions) -> Option<Places<'_>> {
    options.test_key()?;
    let training = of_training(options);
    let file = options.test_file.as_deref().map(|path| ("test_file", path));
    let targets = options.test_targets_file.as_deref().map(|path| ("test_targets_file", path));
    let inputs_file = file.unwrap_or((training.inputs.key, training.inputs.path));
    let targets_file = targets.or(file).unwrap_or((training.targets.key, training.targets.path));
    Some(Places {
        inputs: place(
            inputs_file,
            options.test_inputs.as_ref().or(options.inputs.as_ref()),
            "inputs",
        ),
        targets: place(
            targets_file,
            options.test_targets.as_ref().or(options.targets.as_ref()),
            "targets",
        ),
    })
}
