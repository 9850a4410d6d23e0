//! What targets are: classes, labels or values.

use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};

use crate::data::array::{Array, Values};
use crate::data::table::rows::listed;

/// The most classes: more are a mistake in the targets.
const MOST_CLASSES: usize = 100_000;

/// What is predicted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ArrayTask {
    /// One of several classes, which are integers from 0.
    Classification,
    /// One value or more.
    Regression,
    /// Which of several labels a sample has.
    Multilabel,
}

impl From<ArrayTask> for Task {
    fn from(task: ArrayTask) -> Self {
        match task {
            ArrayTask::Classification => Task::Classification,
            ArrayTask::Regression => Task::Regression,
            ArrayTask::Multilabel => Task::Multilabel,
        }
    }
}

/// Targets as a loss needs them, and their task: classes as integers of shape (n), labels and values as floats of shape
/// (n, outputs).
///
/// # Errors
/// A sentence, if the targets don't fit the task.
pub(super) fn prepared(
    targets: Array,
    task: Option<ArrayTask>,
) -> Result<(Array, ArrayTask), String> {
    let width: usize = targets.row_shape().iter().product();
    let (shape, values) = targets.into_parts();
    let is_integer = matches!(values, Values::Integers(_));
    let guessed = match (is_integer, width) {
        (false, _) => ArrayTask::Regression,
        (true, 1) => ArrayTask::Classification,
        (true, _) if task.is_none() => {
            return Err(format!(
                "Its targets are integers of shape {shape:?}, and classes are one for each sample, of shape [{}]. Set \
                 `data.task` to \"multilabel\" for labels that are 0 or 1, or to \"regression\" for values.",
                shape[0]
            ));
        }
        _ => ArrayTask::Classification,
    };
    let task = task.unwrap_or(guessed);
    let array = match (task, values) {
        (ArrayTask::Classification, Values::Integers(classes)) if width == 1 => {
            Array::new(&shape[..1], classes)
        }
        (ArrayTask::Classification, values) => {
            let found = if let Values::Integers(_) = values { "integers" } else { "floats" };
            return Err(format!(
                "`data.task` is classification, and its targets are {found} of shape {shape:?}. Save them as integers \
                 of shape [{}], one class for each sample.",
                shape[0]
            ));
        }
        (ArrayTask::Multilabel, values) => {
            if shape.len() != 2 {
                return Err(format!(
                    "`data.task` is multilabel, and its targets have shape {shape:?}. They must have two dimensions: \
                     samples and labels."
                ));
            }
            let labels = values.into_floats();
            if let Some(at) = labels.iter().position(|&label| label != 0.0 && label != 1.0) {
                return Err(format!(
                    "`data.task` is multilabel, and sample {} has {} as its label {} (both counted from 0). Labels \
                     must be 0 or 1.",
                    at / width,
                    labels[at],
                    at % width
                ));
            }
            Array::new(&shape, labels)
        }
        (ArrayTask::Regression, values) => Array::new(&[shape[0], width], values.into_floats()),
    };
    Ok((array?, task))
}

/// The classes of the training samples.
#[derive(Debug)]
pub(super) struct Classes {
    /// Whether a training sample has the class, for each one from 0.
    known: Vec<bool>,
}

impl Classes {
    /// Those of the samples for which `is_training` holds.
    ///
    /// # Errors
    /// A sentence, if one is out of range, or there is only one.
    pub(super) fn of_training(classes: &[i64], is_training: &[bool]) -> Result<Self, String> {
        let mut known = Vec::new();
        let training = classes.iter().enumerate().filter(|(sample, _)| is_training[*sample]);
        for (sample, &class) in training {
            let allowed = usize::try_from(class).ok().filter(|&class| class < MOST_CLASSES);
            let Some(class) = allowed else {
                return Err(format!(
                    "Sample {sample}, counted from 0, has the class {class}. Classes run from 0 to {} at most.",
                    MOST_CLASSES - 1
                ));
            };
            known.resize(known.len().max(class + 1), false);
            known[class] = true;
        }
        if known.iter().filter(|&&known| known).count() < 2 {
            let only = known.len().saturating_sub(1);
            return Err(format!(
                "All training samples have the class {only}, so there is nothing to learn. At least two classes are \
                 needed."
            ));
        }
        Ok(Classes { known })
    }

    /// The number of outputs: one for each class up to the largest.
    pub(super) fn outputs(&self) -> usize {
        self.known.len()
    }

    /// Refuses a class that no training sample has.
    pub(super) fn check(&self, targets: &Array) -> Result<(), String> {
        let Values::Integers(classes) = targets.values() else { return Ok(()) };
        let is_known = |class: i64| {
            usize::try_from(class).is_ok_and(|class| self.known.get(class) == Some(&true))
        };
        match classes.iter().position(|&class| !is_known(class)) {
            None => Ok(()),
            Some(sample) => {
                let known = self.known.iter().enumerate().filter(|(_, known)| **known);
                let known: Vec<String> = known.map(|(class, _)| class.to_string()).collect();
                Err(format!(
                    "Sample {sample}, counted from 0, has the class {}, which no training sample has. Their classes are \
                     {}.",
                    classes[sample],
                    listed(&known)
                ))
            }
        }
    }
}
