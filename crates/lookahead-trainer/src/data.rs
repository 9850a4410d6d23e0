//! Data: `[data]`.
//!
//! | module | what is in it |
//! |---|---|
//! | [`batches`] | which samples make the next batch, fixed by seed and epoch |
//! | [`dataset`] | a data set in its three parts, and what is asked of a model |
//! | [`images`] | images and their classes in memory, and how their bytes become numbers |
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
//! [`Dataset`], and a line in [`builtin`].

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
pub mod signature;
pub mod text;

use std::fmt;
use std::sync::LazyLock;

use lookahead_run::event::Task;

use crate::config::data::DataConfig;
use crate::config::kinds::{DataSchema, Options, Schema};
use crate::usage::UsageError;

pub use dataset::{Batch, Dataset, LoadContext, Place, Problem, Samples};

/// A kind of data: what a configuration knows of it, and how it is loaded.
pub struct DataKind {
    /// Its name, its keys and its defaults.
    pub schema: DataSchema,
    load: Box<Load>,
}

type Load = dyn Fn(toml::Table, &LoadContext) -> anyhow::Result<Dataset> + Send + Sync;

impl fmt::Debug for DataKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DataKind").field("schema", &self.schema).finish_non_exhaustive()
    }
}

impl DataKind {
    /// The kind that `load` loads, from which `task` is learned, with so many samples in the validation set
    /// by default.
    pub fn new<O: Options + 'static>(
        name: &'static str,
        task: Task,
        validation: usize,
        load: fn(O, &LoadContext) -> anyhow::Result<Dataset>,
    ) -> Self {
        DataKind {
            schema: DataSchema { schema: Schema::of::<O>(name, task), validation },
            load: Box::new(move |options, context| load(options.try_into()?, context)),
        }
    }
}

/// The kinds that are built in.
pub fn builtin() -> &'static [DataKind] {
    static KINDS: LazyLock<Vec<DataKind>> = LazyLock::new(|| {
        use Task::{Classification, Language, Quadratic};
        vec![
            DataKind::new("fashion-mnist", Classification, 5000, fashion_mnist::load),
            DataKind::new("digits", Classification, 241, digits::load),
            DataKind::new("cifar10", Classification, 5000, cifar10::load),
            DataKind::new("cifar100", Classification, 5000, cifar100::load),
            DataKind::new("text", Language, 100, text::load),
            DataKind::new("noisy-quadratic", Quadratic, 1, noisy_quadratic::load),
            DataKind::new("quadratic", Quadratic, 1, quadratic::load),
        ]
    });
    &KINDS
}

/// Loads a data set, fetching it first if it is not on this machine, and takes the validation set out of the
/// training set.
///
/// # Errors
/// If files are missing and can't be fetched, or are not what they should be; more validation samples than the
/// training set has.
pub fn load(config: &DataConfig) -> anyhow::Result<Dataset> {
    let name = config.kind.name();
    let kind = builtin().iter().find(|kind| kind.schema.schema.name == name);
    let kind = kind.ok_or_else(|| UsageError::new(format!("`data.kind` {name} is unknown.")))?;
    let DataSchema { schema, validation } = kind.schema;
    let context = LoadContext {
        name: schema.name,
        batch_size: config.batch_size,
        validation: config.validation.unwrap_or(validation),
    };
    (kind.load)(schema.own(&config.options), &context)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    #[test]
    fn validation_is_held_out_of_the_end_of_the_training_set() {
        let kind = "digits".into();
        let config = DataConfig { kind, validation: Some(100), ..DataConfig::default() };
        let all = DataConfig { validation: Some(0), ..config.clone() };
        let (whole, split) = (load(&all).unwrap(), load(&config).unwrap());
        assert_eq!(split.validation.len(), 100);
        assert_eq!(split.train.len() + 100, whole.train.len());
        let of = |samples: &dyn Samples, range| {
            let batch = samples.slice(range, Device::Cpu);
            let pixels = Vec::<f32>::try_from(batch.inputs.reshape([-1])).unwrap();
            (pixels, Vec::<i64>::try_from(batch.targets).unwrap())
        };
        let end = whole.train.len();
        assert_eq!(of(&*split.validation, 0..100), of(&*whole.train, end - 100..end));
        assert_eq!(of(&*split.train, 0..end - 100), of(&*whole.train, 0..end - 100));

        let message =
            load(&DataConfig { validation: Some(1541), ..config }).unwrap_err().to_string();
        assert!(
            message.contains("`data.validation` is 1541") && message.contains("1541 samples"),
            "{message}"
        );
    }

    #[test]
    fn wrong_labels_are_only_in_what_is_trained_on() {
        let config = DataConfig { kind: "digits".into(), ..DataConfig::default() };
        let options = toml::toml! { label_noise = 0.3 };
        let noisy = DataConfig { options, ..config.clone() };
        let (clean, noisy) = (load(&config).unwrap(), load(&noisy).unwrap());
        let labels = |samples: &dyn Samples| {
            Vec::<i64>::try_from(samples.slice(0..samples.len(), Device::Cpu).targets).unwrap()
        };
        assert_ne!(labels(&*clean.train), labels(&*noisy.train));
        assert_eq!(labels(&*clean.validation), labels(&*noisy.validation));
        assert_eq!(labels(&*clean.test), labels(&*noisy.test));
    }
}
