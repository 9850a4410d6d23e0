//! Data: `[data]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`batches`] | which samples make the next batch, fixed by seed and epoch |
//! | [`registry`] | the kinds of data that are built in, and loading one |
//! | [`dataset`] | a data set in its three parts, and what is asked of a model |
//! | [`images`] | images and their classes in memory, and how their bytes become numbers |
//! | [`random`] | generators fixed by seed, epoch and batch |
//! | [`augment`] | random shifts and flips, fixed by seed, epoch and place |
//! | [`digits`] | the optical digits that are built into the program |
//! | [`fashion_mnist`] | Fashion-MNIST: where it is looked for, how it is checked |
//! | [`cifar10`], [`cifar100`], [`cifar`] | CIFAR-10 and CIFAR-100, and the format of their files |
//! | [`text`] | any text, character by character |
//! | [`noisy_quadratic`], [`quadratic`] | the problems of Lookahead's theory |
//! | [`signature`] | what a model takes and gives, for whoever uses its weights elsewhere |
//! | [`fetch`] | bringing files into the cache |
//! | [`idx`], [`csv`], [`gzip`], [`archive`] | file formats: of MNIST and its kin, of rows of numbers, compressed ones |
//!
//! To add a data set: a file beside these with a type for its options and a function that loads a
//! [`Dataset`], and a line in [`registry`].

pub mod archive;
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
pub mod images;
pub mod noisy_quadratic;
pub mod quadratic;
pub mod random;
pub mod registry;
pub mod signature;
pub mod text;

pub use dataset::{Batch, Dataset, LoadContext, Problem, Samples};
pub use random::SampleKey;
pub use registry::{builtin, load};
