//! Predictions: samples from files, prepared as in training, and the model's outputs as rows.
//!
//! | module | what is in it |
//! |---|---|
//! | [`source`] | which reader reads an input |
//! | `table`, `numbers`, `arrays`, `pictures` | the readers |
//! | [`chunks`] | what readers return: samples in chunks |
//! | [`preparation`] | the normalization of raw values |
//! | [`outputs`] | outputs of a model as classes, probabilities and values |
//! | [`rows`] | rows as CSV or JSON lines, on stdout or in a file |
//!
//! All of them work in chunks, so that the memory doesn't grow with the number of samples.

mod arrays;
pub(crate) mod chunks;
mod numbers;
pub(crate) mod outputs;
mod pictures;
pub(crate) mod preparation;
pub(crate) mod rows;
pub(crate) mod source;
mod table;
