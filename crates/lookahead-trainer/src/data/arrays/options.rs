//! The keys of `[data]` for arrays.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::targets::ArrayTask;
use crate::config::issue::ConfigIssue;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::data::split::{TEST_FILE, TEST_PART, check_test_part};

/// The keys of `[data]` for arrays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ArrayOptions {
    /// The file with the inputs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The file with the targets, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets_file: Option<PathBuf>,
    /// The file with the inputs of the test set, if it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_file: Option<PathBuf>,
    /// The file with the targets of the test set, if it is another one than `test_file`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_targets_file: Option<PathBuf>,
    /// The name of the inputs in their file. A `.npy` file has no names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inputs: Option<String>,
    /// The name of the targets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<String>,
    /// The name of the inputs of the test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_inputs: Option<String>,
    /// The name of the targets of the test set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_targets: Option<String>,
    /// The part of the samples that becomes the test set, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,
    /// What is predicted. By default classes if the targets are integers, and values if they are floats.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task: Option<ArrayTask>,
    /// Whether inputs, and values to predict, are standardized.
    pub standardize: bool,
}

impl ArrayOptions {
    /// A key that names a test set, if one is set.
    pub(super) fn test_key(&self) -> Option<&'static str> {
        [
            ("data.test_file", self.test_file.is_some()),
            ("data.test_targets_file", self.test_targets_file.is_some()),
            ("data.test_inputs", self.test_inputs.is_some()),
            ("data.test_targets", self.test_targets.is_some()),
        ]
        .into_iter()
        .find_map(|(key, is_set)| is_set.then_some(key))
    }
}

impl KindOptions for ArrayOptions {
    const KEYS: &'static [Key] = &[
        Key::path(
            "file",
            "a `.safetensors` or `.npz` file, or the inputs as `.npy`; stored as an absolute path",
        )
        .required("\"train.npz\""),
        Key::path("targets_file", "the file with the targets; required if `file` is `.npy`")
            .default("that of `file`")
            .example("\"targets.npy\""),
        TEST_FILE,
        Key::path(
            "test_targets_file",
            "the file with the targets of the test set; required if `test_file` is `.npy`",
        )
        .default("that of `test_file`")
        .example("\"test-targets.npy\""),
        Key::text("inputs", "the name of the inputs in their file; a `.npy` file has no names")
            .default("`inputs`")
            .example("\"x_train\""),
        Key::text("targets", "the name of the targets in their file; a `.npy` file has no names")
            .default("`targets`")
            .example("\"y_train\""),
        Key::text(
            "test_inputs",
            "the name of the test set's inputs, in `test_file` if there is one, else in `file`",
        )
        .default("none; with `test_file` that of `inputs`")
        .example("\"x_test\""),
        Key::text(
            "test_targets",
            "the name of the test set's targets, in `test_file` if there is one, else in `file`",
        )
        .default("none; with `test_file` that of `targets`")
        .example("\"y_test\""),
        TEST_PART,
        Key::choice("task", &["classification", "regression", "multilabel"], "what is predicted")
            .default("classification for integer targets, regression for floating ones")
            .example("\"multilabel\""),
        Key::switch(
            "standardize",
            "subtract the mean of the training samples and divide by their standard deviation, for each index of a \
             sample's first dimension (channel or feature); the same for values to predict",
        )
        .example("true"),
    ];

    fn about(_kind: &str) -> &'static str {
        "arrays of your own, in .safetensors, .npz or .npy files"
    }

    fn starter(_kind: &str) -> &'static str {
        r#"
[data]
batch_size = 32

[model]
kind = "mlp"
hidden = [64]

[optimizer]
kind = "adamw"
lr = 0.003

[train]
epochs = 20
"#
    }

    fn check(&self) -> Result<(), ConfigIssue> {
        if self.file.is_none() {
            return Err(ConfigIssue::new(
                "data.kind",
                "`data.kind` is arrays, but `data.file` is missing. Name a .safetensors, .npz or .npy file, for \
                 example `--set data.file=train.npz`.",
            ));
        }
        check_test_part(self.test_fraction, self.test_key())?;
        let (test_inputs, test_targets) = (self.test_inputs.is_some(), self.test_targets.is_some());
        let incomplete =
            test_inputs != test_targets || (self.test_targets_file.is_some() && !test_inputs);
        if let (Some(key), None, true) = (self.test_key(), &self.test_file, incomplete) {
            return Err(ConfigIssue::new(
                key,
                format!(
                    "`{key}` is set, and a test set needs inputs and targets. Set `data.test_inputs` and \
                     `data.test_targets` to names in `data.file`, or `data.test_file` to another file."
                ),
            ));
        }
        for (key, file, other, targets) in [
            ("data.file", &self.file, "data.targets_file", &self.targets_file),
            ("data.test_file", &self.test_file, "data.test_targets_file", &self.test_targets_file),
        ] {
            if let (Some(file), None) = (file, targets)
                && is_npy(file)
            {
                return Err(ConfigIssue::new(
                    key,
                    format!(
                        "`{key}` is {}, which has one array: the inputs. Name the file of the targets with \
                         `{other}`.",
                        file.display()
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// Whether a file has one array without a name.
pub fn is_npy(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "npy")
}

#[cfg(test)]
mod tests;
