//! Standardized arrays: one mean and one standard deviation for each channel or feature.

use crate::data::array::{Array, Values};
use crate::data::spec::Scale;

/// Refuses NaN and infinity.
///
/// # Errors
/// A sentence with the position of the first one.
pub(super) fn check_finite(array: &Array) -> Result<(), String> {
    let Values::Floats(values) = array.values() else { return Ok(()) };
    let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let mut rest = at;
    let mut index: Vec<usize> = Vec::new();
    for &size in array.shape().iter().rev() {
        index.push(rest % size);
        rest /= size;
    }
    index.reverse();
    Err(format!(
        "The element {index:?}, counted from 0, is {} as float32. Replace it, or leave the sample out.",
        values[at]
    ))
}

/// The mean and standard deviation of the samples for which `is_training` holds, for each index of a sample's first
/// dimension. A constant has the deviation 1, so that it becomes 0.
pub(super) fn scale_of(array: &Array, is_training: &[bool]) -> Scale {
    let (channels, width) = channels(array);
    let mut moments = vec![(0.0f64, 0.0f64, 0.0f64); channels];
    if let Values::Floats(values) = array.values() {
        let samples = values.chunks_exact((channels * width).max(1)).zip(is_training);
        for (sample, _) in samples.filter(|(_, is_training)| **is_training) {
            for (channel, values) in sample.chunks_exact(width.max(1)).enumerate() {
                let (count, mean, squares) = &mut moments[channel];
                // Mean and variance in one pass (Welford, 1962).
                for value in values.iter().map(|&value| f64::from(value)) {
                    *count += 1.0;
                    let before = value - *mean;
                    *mean += before / *count;
                    *squares += before * (value - *mean);
                }
            }
        }
    }
    let std = |&(count, _, squares): &(f64, f64, f64)| match (squares / count).sqrt() {
        std if std > 0.0 => std,
        _ => 1.0,
    };
    Scale {
        mean: moments.iter().map(|moment| moment.1).collect(),
        std: moments.iter().map(std).collect(),
    }
}

/// Replaces each float by (value − mean) / std.
///
/// # Errors
/// A sentence, if one is then too large for `f32`.
pub(super) fn apply(scale: &Scale, array: &mut Array) -> Result<(), String> {
    let (_, width) = channels(array);
    let values = array.floats_mut().unwrap_or_default();
    let of_channels = scale.mean.iter().zip(&scale.std).cycle();
    for (values, (mean, std)) in values.chunks_exact_mut(width.max(1)).zip(of_channels) {
        for value in values {
            *value = ((f64::from(*value) - mean) / std) as f32;
        }
    }
    check_finite(array)
}

/// The first dimension of a sample, and the elements of each of its indices.
fn channels(array: &Array) -> (usize, usize) {
    match array.row_shape() {
        [] => (1, 1),
        [channels, rest @ ..] => (*channels, rest.iter().product()),
    }
}
