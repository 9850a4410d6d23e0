//! The moment of a run that a training file belongs to, recorded in the file itself: a valid manifest beside it may be of
//! another one.

use anyhow::bail;
use lookahead_run::TrainingMetadata;
use lookahead_run::checkpoint::sha256_of;
use serde::{Deserialize, Serialize};

use super::optimizer_entries;

/// Its key in a file's metadata.
pub const MOMENT: &str = "moment";

/// A moment of a run.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    step: u64,
    phase: u64,
    epoch: u64,
    cursor: u64,
    seed: u64,
    /// SHA-256 of the integers and numbers of the optimizer's state, which only the manifest has.
    state: String,
}

impl Moment {
    /// The moment of a manifest.
    pub(crate) fn of(metadata: &TrainingMetadata) -> Moment {
        let bits = |value: f64| if value.is_nan() { f64::NAN } else { value }.to_bits();
        let mut state = String::new();
        for (name, value) in optimizer_entries(&metadata.integers) {
            state += &format!("{name:?} {value}\n");
        }
        for (name, value) in optimizer_entries(&metadata.numbers) {
            state += &format!("{name:?} {:x}\n", bits(value));
        }
        let &TrainingMetadata { step, phase, epoch, cursor, seed, .. } = metadata;
        Moment { step, phase, epoch, cursor, seed, state: sha256_of(state.as_bytes()) }
    }

    /// Its text in a file.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Refuses a file of another moment than the manifest beside it. Files of earlier versions have no entry.
pub(crate) fn refuse_other_moment(
    entry: Option<&str>,
    metadata: &TrainingMetadata,
) -> anyhow::Result<()> {
    let Some(found) = entry.and_then(|text| serde_json::from_str::<Moment>(text).ok()) else {
        return Ok(());
    };
    let expected = Moment::of(metadata);
    if found == expected {
        return Ok(());
    }
    let place = |of: &Moment| {
        let Moment { step, phase, epoch, cursor, seed, .. } = of;
        format!("step {step}, phase {phase}, epoch {epoch}, batch {cursor}, seed {seed}")
    };
    let (file, manifest) = match (place(&found), place(&expected)) {
        (file, manifest) if file == manifest => {
            (file, "the same step, with another optimizer state".to_owned())
        }
        places => places,
    };
    bail!(
        "It was saved at {file}, and the manifest beside it is of {manifest}. Use another checkpoint of the run."
    )
}
