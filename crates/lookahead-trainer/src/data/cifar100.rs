//! CIFAR-100: 50,000 training and 10,000 test images of 32×32 in colour, in a hundred classes.

use lookahead_run::event::Task;

use super::Entry;
use super::cifar::Version;

/// The data set.
pub const ENTRY: Entry = Entry {
    task: Task::Classification,
    keys: &["data.dir", "data.augment", "data.label_noise"],
    validation: 5000,
    resolve: |_| Ok(()),
    load: |config| VERSION.load(config),
};

/// Its files.
pub const VERSION: Version = Version {
    title: "CIFAR-100",
    kind: "cifar100",
    archive: "cifar-100-binary.tar.gz",
    // As TensorFlow's datasets have them, in tensorflow_datasets/url_checksums/cifar100.txt.
    bytes: 168_513_733,
    sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
    folder: "cifar-100-binary",
    train: &["train.bin"],
    test: &["test.bin"],
    classes: 100,
    coarse: true,
    mean: [0.5071, 0.4865, 0.4409],
    std: [0.2673, 0.2564, 0.2762],
    address_variable: "LOOKAHEAD_CIFAR100_URL",
};
