//! The element types of arrays in files, and their bytes as numbers.

use std::fmt;

use half::{bf16, f16};
use safetensors::Dtype;

use crate::data::array::Values;

/// An element type, and the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Element {
    kind: Kind,
    big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Float16,
    BFloat16,
    Float32,
    Float64,
    Int8,
    Int16,
    Int32,
    Int64,
    UInt8,
    UInt16,
    UInt32,
    UInt64,
}

impl fmt::Display for Element {
    /// NumPy's name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&format!("{:?}", self.kind).to_lowercase())
    }
}

impl Element {
    /// The type of a `.npy` file in NumPy's notation, for example `<f4`.
    pub(super) fn of_numpy(notation: &str) -> Option<Self> {
        let (order, kind) = notation.split_at_checked(1)?;
        let kind = match kind {
            "b1" => Kind::Bool,
            "f2" => Kind::Float16,
            "f4" => Kind::Float32,
            "f8" => Kind::Float64,
            "i1" => Kind::Int8,
            "i2" => Kind::Int16,
            "i4" => Kind::Int32,
            "i8" => Kind::Int64,
            "u1" => Kind::UInt8,
            "u2" => Kind::UInt16,
            "u4" => Kind::UInt32,
            "u8" => Kind::UInt64,
            _ => return None,
        };
        match order {
            "<" | "|" => Some(Element { kind, big_endian: false }),
            ">" => Some(Element { kind, big_endian: true }),
            _ => None,
        }
    }

    /// The type of a safetensors file.
    pub(super) fn of_safetensors(dtype: Dtype) -> Option<Self> {
        let kind = match dtype {
            Dtype::BOOL => Kind::Bool,
            Dtype::F16 => Kind::Float16,
            Dtype::BF16 => Kind::BFloat16,
            Dtype::F32 => Kind::Float32,
            Dtype::F64 => Kind::Float64,
            Dtype::I8 => Kind::Int8,
            Dtype::I16 => Kind::Int16,
            Dtype::I32 => Kind::Int32,
            Dtype::I64 => Kind::Int64,
            Dtype::U8 => Kind::UInt8,
            Dtype::U16 => Kind::UInt16,
            Dtype::U32 => Kind::UInt32,
            Dtype::U64 => Kind::UInt64,
            _ => return None,
        };
        Some(Element { kind, big_endian: false })
    }

    /// Bytes of an element.
    pub(super) fn size(self) -> usize {
        match self.kind {
            Kind::Bool | Kind::Int8 | Kind::UInt8 => 1,
            Kind::Float16 | Kind::BFloat16 | Kind::Int16 | Kind::UInt16 => 2,
            Kind::Float32 | Kind::Int32 | Kind::UInt32 => 4,
            Kind::Float64 | Kind::Int64 | Kind::UInt64 => 8,
        }
    }

    /// Whole elements as numbers: floats as `f32`, all others as `i64`.
    ///
    /// # Errors
    /// A sentence, if an integer is too large.
    pub(super) fn decode(self, bytes: &[u8]) -> Result<Values, String> {
        let big = self.big_endian;
        Ok(match self.kind {
            Kind::Bool => {
                Values::Integers(read(bytes, big, |[byte]: [u8; 1]| i64::from(byte != 0)))
            }
            Kind::Float16 => {
                Values::Floats(read(bytes, big, |two| f16::from_le_bytes(two).to_f32()))
            }
            Kind::BFloat16 => {
                Values::Floats(read(bytes, big, |two| bf16::from_le_bytes(two).to_f32()))
            }
            Kind::Float32 => Values::Floats(read(bytes, big, f32::from_le_bytes)),
            Kind::Float64 => {
                Values::Floats(read(bytes, big, |eight| f64::from_le_bytes(eight) as f32))
            }
            Kind::Int8 => Values::Integers(read(bytes, big, |one| i8::from_le_bytes(one).into())),
            Kind::Int16 => Values::Integers(read(bytes, big, |two| i16::from_le_bytes(two).into())),
            Kind::Int32 => {
                Values::Integers(read(bytes, big, |four| i32::from_le_bytes(four).into()))
            }
            Kind::Int64 => Values::Integers(read(bytes, big, i64::from_le_bytes)),
            Kind::UInt8 => Values::Integers(read(bytes, big, |one| u8::from_le_bytes(one).into())),
            Kind::UInt16 => {
                Values::Integers(read(bytes, big, |two| u16::from_le_bytes(two).into()))
            }
            Kind::UInt32 => {
                Values::Integers(read(bytes, big, |four| u32::from_le_bytes(four).into()))
            }
            Kind::UInt64 => {
                let values = read(bytes, big, u64::from_le_bytes).into_iter().map(i64::try_from);
                let values: Result<Vec<i64>, _> = values.collect();
                Values::Integers(values.map_err(|_| "It has integers above 2⁶³ − 1.".to_owned())?)
            }
        })
    }
}

/// Elements of N bytes, which `from` takes in little-endian order.
fn read<const N: usize, T>(bytes: &[u8], big_endian: bool, from: impl Fn([u8; N]) -> T) -> Vec<T> {
    let ordered = |&element: &[u8; N]| {
        let mut element = element;
        if big_endian {
            element.reverse();
        }
        from(element)
    };
    bytes.as_chunks::<N>().0.iter().map(ordered).collect()
}
