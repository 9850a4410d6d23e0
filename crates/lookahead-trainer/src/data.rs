//! Data: `[data]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`batches`] | which samples are in the next batch, a function of seed and epoch |
//! | [`loader`] | the training batches one after the other, prepared in a thread if they are read on demand |
//! | `kind` | a kind of data, as `data.kind` selects it |
//! | [`dataset`] | a data set in its three parts |
//! | [`in_memory`], [`mod@array`] | samples in memory, a row each |
//! | [`images`] | images and their classes in memory, and their normalization |
//! | [`image_folder`] | folders of image files, in memory or read on demand |
//! | [`image_file`], [`image_inputs`] | an image file as pixels, and as the input of a trained model |
//! | [`random`] | random numbers that are a function of seed, epoch and batch |
//! | [`augment`] | random shifts and flips |
//! | [`digits`] | optical digits that are built into the program |
//! | [`fashion_mnist`] | Fashion-MNIST: where it is found, and how it is checked |
//! | [`cifar10`], [`cifar100`], [`cifar`] | CIFAR-10 and CIFAR-100, and the format of their files |
//! | [`table`] | a table in a CSV file: its columns as numbers and categories |
//! | [`arrays`] | inputs and targets in files of NumPy or safetensors |
//! | `split` | which samples of a file are its test set |
//! | [`text`] | any text, character by character |
//! | [`noisy_quadratic`], [`quadratic`] | the problems of Lookahead's theory |
//! | [`spec`] | what a model needs to know of its data: its inputs and outputs |
//! | [`fetch`] | fetching files into the cache |
//! | [`idx`], [`csv`], [`gzip`], [`archive`] | file formats: MNIST's, rows of numbers, compressed files |
//!
//! To add a data set, add a file here with a type for its keys and a function that loads a
//! [`Dataset`], and a line in [`Registry::builtin`](crate::registry::Registry::builtin).

pub mod archive;
pub mod array;
pub mod arrays;
pub mod augment;
pub mod batches;
pub mod cifar;
pub mod cifar10;
pub mod cifar100;
pub mod csv;
pub mod dataset;
pub mod digits;
pub mod fashion_mnist;
pub mod fetch;
pub mod gzip;
pub mod idx;
pub mod image_file;
pub mod image_folder;
pub mod image_inputs;
pub mod images;
pub mod in_memory;
pub(crate) mod kind;
pub mod loader;
pub mod noisy_quadratic;
pub mod quadratic;
pub mod random;
pub mod spec;
mod split;
pub mod table;
pub mod text;

pub use array::Array;
pub use dataset::{Batch, Dataset, LoadContext, Samples};
pub use in_memory::InMemory;
pub use random::SampleKey;
pub use spec::{DataSpec, Inputs, Scale};
