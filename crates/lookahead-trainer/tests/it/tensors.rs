//! Writing tensor files with the trainer's own code.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use lookahead_run::{CheckpointStore, TrainingMetadata};
use lookahead_trainer::config::Config;
use lookahead_trainer::data::{Batch, SampleKey, batches::Batches};
use lookahead_trainer::registry::Registry;
use lookahead_trainer::tensor_file::{entries, write_new, write_to};
use tch::Tensor;

/// Publishes a checkpoint of given files and tensors, with a valid seal.
pub(crate) fn publish(
    run: &Path,
    metadata: TrainingMetadata,
    model: &[u8],
    training: BTreeMap<String, Tensor>,
) {
    let published = CheckpointStore::new(run).publish(metadata, |writer| {
        let mut file = writer.create_file("model.safetensors")?;
        file.write_all(model)?;
        file.finish()?;
        let mut file = writer.create_file("training.safetensors")?;
        write_to(&mut file, None, entries(training), |_, _, _| Ok(()))?;
        Ok(file.finish()?)
    });
    published.unwrap();
}

/// The batches of the steps after `step`, and the test set, as this program sees them.
pub(crate) fn write_batches(config: &str, step: usize, count: usize, path: &Path) {
    let config =
        Config::parse(Registry::builtin().kinds(), "test.toml", config, &[]).unwrap().config;
    let data = Registry::builtin().load_data(&config.data).unwrap();
    let size = config.data.batch_size;
    let mut walk = Batches::new(data.train.len(), size, config.train.seed, 0, 0);
    let mut tensors = BTreeMap::new();
    let key = SampleKey { seed: 0, epoch: 0, cursor: 0 };
    for i in 0..step + count {
        if i >= step {
            let Batch { inputs: images, targets: labels } =
                data.train.gather(walk.current(), key, tch::Device::Cpu).unwrap();
            tensors.insert(format!("images/{}", i - step), images);
            tensors.insert(format!("labels/{}", i - step), labels);
        }
        walk.advance();
    }
    let Batch { inputs: images, targets: labels } =
        data.test.slice(0..data.test.len(), tch::Device::Cpu).unwrap();
    tensors.insert("images/test".to_owned(), images);
    tensors.insert("labels/test".to_owned(), labels);
    write_new(path, None, entries(tensors)).unwrap();
}
