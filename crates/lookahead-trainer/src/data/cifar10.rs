//! CIFAR-10: 50,000 training and 10,000 test images of 32×32 in colour, in ten classes. The files are
//! read from `data.dir`; nothing is fetched.

use anyhow::anyhow;
use lookahead_run::event::Task;

use super::images::Images;
use super::{DataConfig, Dataset, Entry, cifar, gzip};
use crate::usage::Usage;

/// The data set.
pub const ENTRY: Entry = Entry {
    task: Task::Classification,
    keys: &["data.dir", "data.augment", "data.label_noise"],
    validation: 5000,
    resolve: |_| Ok(()),
    load,
};

/// Where people get the files.
const ADDRESS: &str = "https://www.cs.toronto.edu/~kriz/cifar.html";

const TRAIN: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST: [&str; 1] = ["test_batch.bin"];

const CLASSES: u8 = 10;
/// Mean and standard deviation of the training pixels of all three colours together, 0.4734 and
/// 0.2516 of 255.
const MEAN: f64 = 0.4734 * 255.0;
const STD: f64 = 0.2516 * 255.0;

/// Loads the data set from `dir`.
///
/// # Errors
/// A usage error without a folder; where a file is missing or does not hold what it should.
fn load(config: &DataConfig) -> anyhow::Result<Dataset> {
    let Some(dir) = &config.dir else {
        return Err(Usage::new(format!(
            "`data.dir` is missing, and `cifar10` is not fetched: get its binary version from \
             {ADDRESS}, unpack it, and say `--set data.dir=FOLDER` with the folder that has {} in it.",
            TRAIN[0]
        ))
        .into());
    };
    let empty = Images::none(cifar::SHAPE, &[MEAN], &[STD]);
    let images = |names: &[&str]| {
        let mut images = empty.clone();
        for name in names {
            let path = dir.join(name);
            let add = |images: &mut Images| {
                let bytes = gzip::read(&path)?;
                let batch = cifar::parse(&bytes, CLASSES, false)?;
                images.pixels.extend(batch.pixels());
                images.labels.extend(batch.classes());
                Ok(())
            };
            add(&mut images).map_err(|reason: String| {
                anyhow!("The data file {} is none of CIFAR-10's. {reason}", path.display())
            })?;
        }
        anyhow::Ok(images)
    };
    let (train, test) = (images(&TRAIN)?, images(&TEST)?);
    Ok(Dataset::of_images(config, CLASSES.into(), train, test)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Kind;

    #[test]
    fn a_folder_of_files_becomes_a_data_set() {
        let folder = tempfile::tempdir().unwrap();
        for (i, name) in TRAIN.iter().chain(&TEST).enumerate() {
            let record = |class: u8, pixel: u8| [vec![class], vec![pixel; 3072]].concat();
            let records = [record(i as u8, i as u8), record(9, 0)].concat();
            std::fs::write(folder.path().join(name), records).unwrap();
        }
        let config = DataConfig {
            kind: Kind::Cifar10,
            dir: Some(folder.path().to_owned()),
            validation: Some(0),
            ..Default::default()
        };
        let data = load(&config).unwrap();
        assert_eq!((data.train.len(), data.test.len()), (10, 2));
        let train = data.train.slice(0..10, tch::Device::Cpu);
        let labels = Vec::<i64>::try_from(train.targets).unwrap();
        assert_eq!(labels, [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
        assert_eq!(train.inputs.size(), [10, 3, 32, 32]);

        std::fs::write(folder.path().join("data_batch_4.bin"), "no").unwrap();
        let said = load(&config).unwrap_err().to_string();
        assert!(said.contains("data_batch_4.bin") && said.contains("2 bytes"), "{said}");
        let said = load(&DataConfig { dir: None, ..config }).unwrap_err().to_string();
        assert!(said.contains("`data.dir`") && said.contains(ADDRESS), "{said}");
    }
}
