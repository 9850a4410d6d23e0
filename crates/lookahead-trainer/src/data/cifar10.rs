//! CIFAR-10: 50,000 training and 10,000 test colour images of 32×32 in ten classes.

use super::cifar::Cifar;
use super::dataset::{Dataset, LoadContext};
use super::fetch::Archive;
use super::images::ImageFileOptions;

/// Loads it.
pub fn load(options: ImageFileOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    CIFAR10.load(&options, context)
}

/// Its files and classes.
pub const CIFAR10: Cifar = Cifar {
    title: "CIFAR-10",
    kind: "cifar10",
    archive: Archive {
        name: "cifar-10-binary.tar.gz",
        // As TensorFlow's datasets have them, in tensorflow_datasets/url_checksums/cifar10.txt.
        bytes: 170_052_171,
        sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
        folder: "cifar-10-batches-bin",
    },
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    test: &["test_batch.bin"],
    classes: 10,
    names: &[
        "airplane",
        "automobile",
        "bird",
        "cat",
        "deer",
        "dog",
        "frog",
        "horse",
        "ship",
        "truck",
    ],
    python: ["cifar-10-batches-py", "data_batch_1", "cifar-10-python.tar.gz"],
    names_file: "batches.meta.txt",
    coarse: false,
    mean: [0.4914, 0.4822, 0.4465],
    std: [0.2470, 0.2435, 0.2616],
    address_variable: "LOOKAHEAD_CIFAR10_URL",
};
