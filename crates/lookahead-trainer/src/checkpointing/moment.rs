//! Which moment of a run a training file is of, as the file says itself: a manifest that is valid in itself
//! may be of another one.

use anyhow::bail;
use lookahead_run::TrainingMetadata;
use lookahead_run::checkpoint::sha256_of;
use serde::{Deserialize, Serialize};

use super::optimizer_entries;

/// Its name in a file's metadata.
pub const MOMENT: &str = "moment";

/// A moment of a run.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    step: u64,
    phase: u64,
    epoch: u64,
    cursor: u64,
    seed: u64,
    /// SHA-256 of the counts and numbers of the optimizer's state, which are in the manifest alone.
    state: String,
}

impl Moment {
    /// The moment that a manifest tells of.
    pub fn of(metadata: &TrainingMetadata) -> Moment {
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

    /// As it is in a file.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// That a file is of the moment that the manifest beside it tells of. Files of earlier versions don't
/// tell.
///
/// # Errors
/// A sentence where it is of another one.
pub fn refuse_other_moment(entry: Option<&str>, metadata: &TrainingMetadata) -> anyhow::Result<()> {
    let Some(found) = entry.and_then(|text| serde_json::from_str::<Moment>(text).ok()) else {
        return Ok(());
    };
    let told = Moment::of(metadata);
    if found == told {
        return Ok(());
    }
    let place = |of: &Moment| {
        let Moment { step, phase, epoch, cursor, seed, .. } = of;
        format!("step {step}, phase {phase}, epoch {epoch}, batch {cursor}, seed {seed}")
    };
    let (file, manifest) = match (place(&found), place(&told)) {
        (file, manifest) if file == manifest => {
            (file, "the same with other counts or numbers".to_owned())
        }
        places => places,
    };
    bail!(
        "It was saved at {file}, and the manifest beside it tells of {manifest}: use another checkpoint \
         of the run."
    )
}
