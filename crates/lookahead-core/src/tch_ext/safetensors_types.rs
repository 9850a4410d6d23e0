//! The element types that libtorch and the safetensors format have in common.

use safetensors::Dtype;
use tch::Kind;

/// The pairs of the two.
pub const TYPES: [(Kind, Dtype); 10] = [
    (Kind::Float, Dtype::F32),
    (Kind::Double, Dtype::F64),
    (Kind::Half, Dtype::F16),
    (Kind::BFloat16, Dtype::BF16),
    (Kind::Int64, Dtype::I64),
    (Kind::Int, Dtype::I32),
    (Kind::Int16, Dtype::I16),
    (Kind::Int8, Dtype::I8),
    (Kind::Uint8, Dtype::U8),
    (Kind::Bool, Dtype::BOOL),
];

/// The format's element type for libtorch's, if it has it.
///
/// ```
/// use lookahead_core::tch_ext::safetensors_types::{dtype_of, kind_of};
/// let dtype = dtype_of(tch::Kind::BFloat16).unwrap();
/// assert_eq!(kind_of(dtype), Some(tch::Kind::BFloat16));
/// assert!(dtype_of(tch::Kind::ComplexFloat).is_none());
/// ```
pub fn dtype_of(kind: Kind) -> Option<Dtype> {
    TYPES.iter().find(|(of, _)| *of == kind).map(|(_, dtype)| *dtype)
}

/// libtorch's element type for the format's, if it has it.
pub fn kind_of(dtype: Dtype) -> Option<Kind> {
    TYPES.iter().find(|(_, of)| *of == dtype).map(|(kind, _)| *kind)
}
