//! Which samples of a file are its test set.

use super::random::{SampleKey, shuffled};
use crate::config::issue::ConfigIssue;
use crate::config::key::Key;

/// The default of `data.test_fraction` for shuffled samples.
pub(crate) const TEST_FRACTION: f64 = 0.2;

/// The key of a file with the test set.
pub(crate) const TEST_FILE: Key =
    Key::path("test_file", "a file with the test set; stored as an absolute path")
        .default("none")
        .example("\"test.csv\"");

/// The key of the part of shuffled samples that becomes the test set.
pub(crate) const TEST_PART: Key = Key::number(
    "test_fraction",
    "the part that becomes the test set: random samples, the same ones for every seed. Not together with a key that \
     names a test set, or a folder `test` of images",
)
.at_least(0.0)
.below(1.0)
.default("0.2, or none if a test set is named")
.example("0.1");

/// Checks that `data.test_fraction` is not set together with `other`, a key that names a test set.
pub(crate) fn check_test_part(
    fraction: Option<f64>,
    other: Option<&'static str>,
) -> Result<(), ConfigIssue> {
    if let (Some(_), Some(other)) = (fraction, other) {
        return Err(ConfigIssue::new(
            "data.test_fraction",
            format!("`data.test_fraction` and `{other}` are both set. Remove one of them."),
        ));
    }
    Ok(())
}

/// The number of test samples: the nearest to `fraction` of all, but one or more unless it is 0.
pub(crate) fn test_samples(count: usize, fraction: f64) -> usize {
    ((count as f64 * fraction).round() as usize).max(usize::from(fraction > 0.0)).min(count)
}

/// The indices of the training samples and of the test samples, in one random order that is the same for every
/// seed. The end of the training samples can become the validation set.
///
/// # Errors
/// A sentence, if there would be no training sample.
pub(crate) fn shuffled_parts(
    count: usize,
    fraction: f64,
) -> Result<(Vec<usize>, Vec<usize>), String> {
    let mut order = shuffled(count, SampleKey { seed: 0, epoch: 0, cursor: 0 }, b"testpart");
    let test = test_samples(count, fraction);
    if test >= count {
        return Err(format!(
            "It has {count} samples, of which {test} are for tests, so that none is left to train on."
        ));
    }
    let test = order.split_off(count - test);
    Ok((order, test))
}

#[cfg(test)]
mod tests;
