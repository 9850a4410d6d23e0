use super::*;
use crate::data::dataset::Samples;
use image::{GrayImage, Luma, Rgb, RgbImage};
use std::fs;
use tch::Device;

/// Grayscale images of 2 × 3 pixels, each with its number in all pixels, in `classes` classes.
fn write(dir: &Path, part: &str, classes: usize, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let folder = dir.join(part).join(format!("class-{:03}", number % classes));
        fs::create_dir_all(&folder).unwrap();
        let image = GrayImage::from_pixel(3, 2, Luma([number as u8]));
        image.save(folder.join(format!("{number:03}.png"))).unwrap();
    }
}

fn options(dir: &Path, more: toml::Table) -> ImageFolderOptions {
    let mut table = toml::toml! {
        mean = [0.0]
        std = [1.0]
    };
    table.insert("dir".to_owned(), dir.to_str().unwrap().into());
    table.extend(more);
    table.retain(|_, value| value.as_str() != Some("default"));
    table.try_into().unwrap()
}

fn loaded(dir: &Path, more: toml::Table, validation: Option<usize>) -> anyhow::Result<Dataset> {
    let context = LoadContext { name: "images", batch_size: 4, validation };
    load(options(dir, more), &context)
}

#[track_caller]
fn refused(dir: &Path, more: toml::Table, words: &[&str]) {
    let error = loaded(dir, more, Some(1)).unwrap_err();
    assert!(error.is::<UsageError>());
    let error = error.to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");
}

/// The number in the first pixel of each image, and its class.
fn read(samples: &dyn Samples) -> (Vec<f32>, Vec<i64>) {
    let batch = samples.slice(0..samples.len(), Device::Cpu).unwrap();
    let first = batch.inputs.flatten(1, -1).select(1, 0);
    (Vec::try_from(first).unwrap(), Vec::try_from(batch.targets).unwrap())
}

#[test]
fn folders_are_the_parts_and_keep_their_order() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "train", 2, 0..10);
    write(dir.path(), "validation", 2, 10..13);
    write(dir.path(), "test", 2, 13..17);
    for in_memory in ["always", "never"] {
        let more = toml::toml! { in_memory = in_memory };
        let data = loaded(dir.path(), more, None).unwrap();
        assert_eq!(data.train.is_on_demand(), in_memory == "never");
        assert_eq!(data.spec.inputs.shape, [1, 2, 3]);
        assert_eq!(data.spec.classes.as_deref().unwrap(), ["class-000", "class-001"]);
        for (samples, numbers) in
            [(&data.train, 0..10), (&data.validation, 10..13), (&data.test, 13..17)]
        {
            let classes = numbers.clone().map(|number| number % 2).collect();
            assert_eq!(read(&**samples), (numbers.map(|number| number as f32).collect(), classes));
        }
    }
    refused(dir.path(), toml::Table::new(), &["`data.validation` is 1", "3 validation images"]);
    let more = toml::toml! { test_fraction = 0.5 };
    refused(dir.path(), more, &["`data.test_fraction` is 0.5", "test images"]);
}

#[test]
fn without_folders_the_parts_are_drawn_and_always_the_same() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "", 4, 0..100);
    let parts = |more: toml::Table| {
        let data = loaded(dir.path(), more, Some(20)).unwrap();
        [data.train, data.validation, data.test].map(|samples| read(&*samples))
    };
    let found = parts(toml::Table::new());
    assert_eq!(found.each_ref().map(|(numbers, _)| numbers.len()), [60, 20, 20]);
    let mut all: Vec<f32> = found.iter().flat_map(|(numbers, _)| numbers.clone()).collect();
    assert!(!all.is_sorted());
    all.sort_by(f32::total_cmp);
    assert_eq!(all, (0..100).map(|number| number as f32).collect::<Vec<_>>());
    assert!(found.iter().all(|(_, classes)| (0..4).all(|class| classes.contains(&class))));
    assert_eq!(parts(toml::toml! { in_memory = "never" }), found);
    let all_but_one = parts(toml::toml! { test_fraction = 0.79 });
    assert_eq!(all_but_one.map(|(numbers, _)| numbers.len()), [1, 20, 79]);
    assert_eq!(loaded(dir.path(), toml::Table::new(), None).unwrap().validation.len(), 8);
}

#[test]
fn batches_on_demand_are_those_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "", 3, 0..60);
    let batch = |in_memory: &str| {
        let more = toml::toml! {
            in_memory = in_memory
            augment = "shift-flip"
            label_noise = 0.5
            channels = 3
            mean = "default"
            std = "default"
        };
        let data = loaded(dir.path(), more, Some(6)).unwrap();
        let key = SampleKey { seed: 1, epoch: 2, cursor: 3 };
        let batch = data.train.gather(&[5, 0, 17, 5], key, Device::Cpu).unwrap();
        (batch.inputs, batch.targets, data.spec, data.train.fingerprint())
    };
    let found = batch("always");
    assert_eq!(found.0.size(), [4, 3, 2, 3]);
    assert_eq!(batch("never"), found);
    assert_eq!(batch("auto"), found);
    // A file of another length is another data set.
    fs::remove_file(dir.path().join("class-000/000.png")).unwrap();
    assert_ne!(batch("never").3, found.3);
}

#[test]
fn the_mean_and_the_deviation_are_those_of_the_training_images() {
    let dir = tempfile::tempdir().unwrap();
    for (name, colors) in [("a", [10, 20, 7]), ("b", [30, 20, 7])] {
        let folder = dir.path().join("train").join(name);
        fs::create_dir_all(&folder).unwrap();
        RgbImage::from_pixel(2, 2, Rgb(colors)).save(folder.join("1.png")).unwrap();
    }
    let other = dir.path().join("test/a");
    fs::create_dir_all(&other).unwrap();
    RgbImage::from_pixel(2, 2, Rgb([255; 3])).save(other.join("1.png")).unwrap();
    for in_memory in ["always", "never"] {
        let more = toml::toml! {
            mean = "default"
            std = "default"
            in_memory = in_memory
        };
        let data = loaded(dir.path(), more, Some(0)).unwrap();
        assert_eq!(data.spec.inputs.mean.as_deref().unwrap(), [20.0, 20.0, 7.0]);
        // Channels of equal pixels become zeros.
        assert_eq!(data.spec.inputs.std.as_deref().unwrap(), [10.0, 1.0, 1.0]);
        let batch = data.train.slice(0..1, Device::Cpu).unwrap().inputs;
        // Whichever of the two is first.
        let found = Vec::<f32>::try_from(batch.abs().reshape([-1])).unwrap();
        assert_eq!(found, [[1.0; 4], [0.0; 4], [0.0; 4]].concat());
    }
    let more = toml::toml! {
        channels = 1
        mean = [1.0, 2.0, 3.0]
    };
    refused(dir.path(), more, &["`data.mean` has 3 numbers", "1 channel"]);
}

#[test]
fn more_classes_than_a_byte_counts() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "", 300, 0..300);
    let data = loaded(dir.path(), toml::toml! { test_fraction = 0.0 }, Some(0)).unwrap();
    assert_eq!((data.spec.outputs, data.test.len()), (Some(300), 0));
    let mut classes = read(&*data.train).1;
    classes.sort_unstable();
    assert_eq!(classes, (0..300).collect::<Vec<_>>());
}

#[test]
fn a_broken_file_ends_the_program_or_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), "train", 2, 0..20);
    write(dir.path(), "test", 2, 20..24);
    let broken = dir.path().join("train/class-000/004.png");
    let other_size = dir.path().join("test/class-001/021.png");
    let whole = fs::read(&broken).unwrap();
    fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    GrayImage::from_pixel(5, 5, Luma([1])).save(&other_size).unwrap();

    let words = ["004.png can't be read", "Replace or remove", "`data.on_error`"];
    refused(dir.path(), toml::Table::new(), &words);
    // Read on demand, it is found once it is needed, or when the mean is computed.
    let more = toml::toml! {
        in_memory = "never"
        std = "default"
    };
    refused(dir.path(), more, &words);
    let data = loaded(dir.path(), toml::toml! { in_memory = "never" }, Some(0)).unwrap();
    let error = data.train.slice(0..20, Device::Cpu).unwrap_err().to_string();
    assert!(words.iter().all(|word| error.contains(word)), "{error}");

    let mut deviations = Vec::new();
    for in_memory in ["always", "never"] {
        let more = toml::toml! {
            in_memory = in_memory
            on_error = "skip"
            size = [2, 3]
            std = "default"
        };
        let data = loaded(dir.path(), more, Some(5)).unwrap();
        assert_eq!((data.train.len(), data.validation.len()), (14, 5));
        let mut numbers = [read(&*data.train).0, read(&*data.validation).0].concat();
        numbers.sort_by(f32::total_cmp);
        let expected: Vec<f32> = (0..20).filter(|&n| n != 4).map(|n| n as f32).collect();
        let std = data.spec.inputs.std.as_ref().unwrap()[0];
        let near = |(a, b): (&f32, &f32)| (f64::from(*a) * std - f64::from(*b)).abs() < 1e-4;
        assert!(numbers.iter().zip(&expected).all(near), "{numbers:?}");
        assert_eq!(read(&*data.test).1, [0, 0, 1]);
        deviations.push(std);
    }
    assert_eq!(deviations[0], deviations[1]);

    fs::write(&broken, whole).unwrap();
    let words = ["021.png has 5 × 5 pixels", "2 × 3", "`data.resize`", "`data.on_error`"];
    refused(dir.path(), toml::Table::new(), &words);
    let data = loaded(dir.path(), toml::toml! { resize = true }, Some(1)).unwrap();
    assert_eq!(data.test.len(), 4);
}

#[test]
fn values_that_do_not_fit_are_refused() {
    let dir = Path::new("photos");
    for (more, words) in [
        (toml::toml! { channels = 2 }, "`data.channels` is 2"),
        (toml::toml! { mean = [0.5, 0.5] }, "`data.mean` is [0.5, 0.5]"),
    ] {
        let message = options(dir, more).check().unwrap_err().message;
        assert!(message.contains(words), "{message}");
    }
    let message = ImageFolderOptions::default().check().unwrap_err().message;
    assert!(message.contains("`data.dir` is missing"), "{message}");
    options(dir, toml::Table::new()).check().unwrap();
}
