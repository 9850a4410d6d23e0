//! Numbers in memory, in rows of one shape.

use std::ops::Range;

use lookahead_run::checkpoint::fingerprint_of;
use tch::{Device, Tensor};

use super::dataset::on_device;

/// An array of any shape, in C order: the last dimension varies fastest. The first dimension counts its rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    shape: Vec<usize>,
    values: Values,
}

/// The elements of an array.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// `f32`.
    Floats(Vec<f32>),
    /// `i64`.
    Integers(Vec<i64>),
}

impl Values {
    fn len(&self) -> usize {
        match self {
            Values::Floats(values) => values.len(),
            Values::Integers(values) => values.len(),
        }
    }

    /// The elements as floats: integers become the nearest ones.
    pub fn into_floats(self) -> Vec<f32> {
        match self {
            Values::Floats(values) => values,
            Values::Integers(values) => values.into_iter().map(|value| value as f32).collect(),
        }
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Values::Floats(values)
    }
}

impl From<Vec<i64>> for Values {
    fn from(values: Vec<i64>) -> Self {
        Values::Integers(values)
    }
}

impl Array {
    /// The array with this shape and these elements.
    ///
    /// # Errors
    /// A sentence, if there are more or fewer elements than the shape has, or no dimension.
    pub fn new(shape: &[usize], values: impl Into<Values>) -> Result<Self, String> {
        let values = values.into();
        let count = shape.iter().try_fold(1usize, |count, &n| count.checked_mul(n));
        if shape.is_empty() || count != Some(values.len()) {
            return Err(format!(
                "An array of shape {shape:?} can't have {} elements: its dimensions, of which there must be one \
                 or more, multiply to their number.",
                values.len()
            ));
        }
        Ok(Array { shape: shape.to_vec(), values })
    }

    /// The dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The elements.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The dimensions and the elements.
    pub fn into_parts(self) -> (Vec<usize>, Values) {
        (self.shape, self.values)
    }

    /// The elements, if they are floats.
    pub fn floats_mut(&mut self) -> Option<&mut [f32]> {
        match &mut self.values {
            Values::Floats(values) => Some(values),
            Values::Integers(_) => None,
        }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.shape[0]
    }

    /// The shape of a row.
    pub fn row_shape(&self) -> &[usize] {
        &self.shape[1..]
    }

    /// Moves the last `count` rows into an array of their own.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn split_off(&mut self, count: usize) -> Array {
        let at = self.rows() - count;
        let first = at * self.width();
        let values = match &mut self.values {
            Values::Floats(values) => Values::Floats(values.split_off(first)),
            Values::Integers(values) => Values::Integers(values.split_off(first)),
        };
        let mut shape = self.shape.clone();
        (self.shape[0], shape[0]) = (at, count);
        Array { shape, values }
    }

    /// The rows with these indices, in their order.
    ///
    /// # Panics
    /// If there is no such row.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Array {
        let width = self.width();
        let values = match &self.values {
            Values::Floats(values) => Values::Floats(rows(values, width, indices)),
            Values::Integers(values) => Values::Integers(rows(values, width, indices)),
        };
        let mut shape = self.shape.clone();
        shape[0] = indices.len();
        Array { shape, values }
    }

    /// The rows of a range, as a tensor of shape (n, …).
    pub fn slice(&self, range: Range<usize>, device: Device) -> Tensor {
        let width = self.width();
        let elements = range.start * width..range.end * width;
        let tensor = match &self.values {
            Values::Floats(values) => Tensor::from_slice(&values[elements]),
            Values::Integers(values) => Tensor::from_slice(&values[elements]),
        };
        self.to_rows(tensor, range.len(), device)
    }

    /// The rows with these indices, as a tensor of shape (n, …).
    pub fn gather(&self, indices: &[usize], device: Device) -> Tensor {
        let tensor = match &self.values {
            Values::Floats(values) => Tensor::from_slice(&rows(values, self.width(), indices)),
            Values::Integers(values) => Tensor::from_slice(&rows(values, self.width(), indices)),
        };
        self.to_rows(tensor, indices.len(), device)
    }

    /// Elements in a row.
    fn width(&self) -> usize {
        self.row_shape().iter().product()
    }

    fn to_rows(&self, tensor: Tensor, rows: usize, device: Device) -> Tensor {
        let shape: Vec<i64> = std::iter::once(rows)
            .chain(self.row_shape().iter().copied())
            .map(|n| n as i64)
            .collect();
        on_device(tensor, device).reshape(&shape)
    }

    /// A number that differs for another shape or other elements.
    pub fn fingerprint(&self) -> i64 {
        // In pieces: the bytes of all elements would take as much memory as the elements.
        const PIECE: usize = 1 << 16;
        let of_piece = |bytes: Vec<u8>| fingerprint_of(&bytes).to_le_bytes();
        let pieces: Vec<[u8; 8]> = match &self.values {
            Values::Floats(values) => {
                let bytes = |piece: &[f32]| piece.iter().flat_map(|x| x.to_le_bytes()).collect();
                values.chunks(PIECE).map(|piece| of_piece(bytes(piece))).collect()
            }
            Values::Integers(values) => {
                let bytes = |piece: &[i64]| piece.iter().flat_map(|x| x.to_le_bytes()).collect();
                values.chunks(PIECE).map(|piece| of_piece(bytes(piece))).collect()
            }
        };
        let shape = format!("{:?}", self.shape);
        fingerprint_of(&[shape.as_bytes(), &pieces.concat()].concat())
    }
}

/// The elements of the rows with these indices, of `width` elements each.
fn rows<T: Copy>(values: &[T], width: usize, indices: &[usize]) -> Vec<T> {
    indices.iter().flat_map(|&index| &values[index * width..][..width]).copied().collect()
}

#[cfg(test)]
mod tests;
