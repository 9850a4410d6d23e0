//! CIFAR-100: 50,000 training and 10,000 test colour images of 32×32 in a hundred classes.

use super::cifar::Cifar;
use super::dataset::{Dataset, LoadContext};
use super::fetch::Archive;
use super::images::ImageFileOptions;

/// Loads it.
pub fn load(options: ImageFileOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    CIFAR100.load(&options, context)
}

/// Its files and classes.
pub const CIFAR100: Cifar = Cifar {
    title: "CIFAR-100",
    kind: "cifar100",
    archive: Archive {
        name: "cifar-100-binary.tar.gz",
        // As TensorFlow's datasets have them, in tensorflow_datasets/url_checksums/cifar100.txt.
        bytes: 168_513_733,
        sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
        folder: "cifar-100-binary",
    },
    train: &["train.bin"],
    test: &["test.bin"],
    classes: 100,
    #[rustfmt::skip]
    names: &[
        "apple", "aquarium_fish", "baby", "bear", "beaver",
        "bed", "bee", "beetle", "bicycle", "bottle",
        "bowl", "boy", "bridge", "bus", "butterfly",
        "camel", "can", "castle", "caterpillar", "cattle",
        "chair", "chimpanzee", "clock", "cloud", "cockroach",
        "couch", "crab", "crocodile", "cup", "dinosaur",
        "dolphin", "elephant", "flatfish", "forest", "fox",
        "girl", "hamster", "house", "kangaroo", "keyboard",
        "lamp", "lawn_mower", "leopard", "lion", "lizard",
        "lobster", "man", "maple_tree", "motorcycle", "mountain",
        "mouse", "mushroom", "oak_tree", "orange", "orchid",
        "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
        "plain", "plate", "poppy", "porcupine", "possum",
        "rabbit", "raccoon", "ray", "road", "rocket",
        "rose", "sea", "seal", "shark", "shrew",
        "skunk", "skyscraper", "snail", "snake", "spider",
        "squirrel", "streetcar", "sunflower", "sweet_pepper", "table",
        "tank", "telephone", "television", "tiger", "tractor",
        "train", "trout", "tulip", "turtle", "wardrobe",
        "whale", "willow_tree", "wolf", "woman", "worm",
    ],
    python: ["cifar-100-python", "train", "cifar-100-python.tar.gz"],
    names_file: "fine_label_names.txt",
    coarse: true,
    mean: [0.5071, 0.4865, 0.4409],
    std: [0.2673, 0.2564, 0.2762],
    address_variable: "LOOKAHEAD_CIFAR100_URL",
};
