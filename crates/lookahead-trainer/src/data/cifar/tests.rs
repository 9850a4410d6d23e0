use super::*;
use crate::data::{archive::tests::packed, cifar10, cifar100, fetch::tests::server};
use lookahead_run::checkpoint::sha256_of;

use proptest::prelude::*;

fn record(labels: &[u8], first: u8) -> Vec<u8> {
    let pixels = (0..PIXELS).map(|i| first.wrapping_add((i % 7) as u8));
    labels.iter().copied().chain(pixels).collect()
}

#[test]
fn records_become_pixels_and_classes() {
    let file = [record(&[3], 10), record(&[9], 100)].concat();
    let batch = parse(&file, 10, false).unwrap();
    assert_eq!(batch.classes(), [3, 9]);
    let pixels = batch.pixels();
    assert_eq!((pixels.len(), pixels[0], pixels[PIXELS]), (2 * PIXELS, 10, 100));
    let file = record(&[19, 99], 7);
    let batch = parse(&file, 100, true).unwrap();
    assert_eq!((batch.classes(), batch.pixels()[0]), (vec![99], 7));
}

#[test]
fn other_files_are_refused() {
    let file = [record(&[3], 10), record(&[10], 100)].concat();
    assert!(
        parse(&file, 10, false).unwrap_err().contains("image 1, counted from 0, has the class 10")
    );
    for length in [0, 1, PIXELS, file.len() - 1] {
        let said = parse(&file[..length], 10, false).unwrap_err();
        assert!(said.contains(&format!("It has {length} bytes")), "{said}");
    }
}

/// Two images per file: one of a class that differs by file, and one of the last class.
fn files(cifar: &Cifar) -> Vec<(String, Vec<u8>)> {
    let file = |(i, name): (usize, &&str)| {
        let labels = |class: u8| if cifar.coarse { vec![7, class] } else { vec![class] };
        let records = [record(&labels(i as u8), 10), record(&labels(cifar.classes - 1), 90)];
        (format!("{}/{name}", cifar.archive.folder), records.concat())
    };
    cifar.names().iter().enumerate().map(file).collect()
}

#[test]
fn a_folder_of_files_becomes_a_data_set() {
    for cifar in [cifar10::CIFAR10, cifar100::CIFAR100] {
        let loaded = |dir: &Path, validation| {
            let dir = Some(dir.to_owned());
            let context =
                LoadContext { name: cifar.kind, batch_size: 1, validation: Some(validation) };
            cifar.load(&ImageFileOptions { dir, ..Default::default() }, &context)
        };
        let outer = tempfile::tempdir().unwrap();
        let inner = outer.path().join(cifar.archive.folder);
        std::fs::create_dir(&inner).unwrap();
        for (path, bytes) in files(&cifar) {
            std::fs::write(outer.path().join(path), bytes).unwrap();
        }
        let count = 2 * cifar.train.len();
        for dir in [outer.path(), &inner] {
            let data = loaded(dir, 0).unwrap();
            assert_eq!((data.train.len(), data.test.len()), (count, 2));
            assert_eq!(data.spec.classes, None);
            assert_eq!(data.spec.outputs, Some(usize::from(cifar.classes)));
            let train = data.train.slice(0..count, tch::Device::Cpu).unwrap();
            assert_eq!(train.inputs.size(), [count as i64, 3, 32, 32]);
            let labels = Vec::<i64>::try_from(train.targets).unwrap();
            assert_eq!(labels[..2], [0, i64::from(cifar.classes) - 1]);
            // The first pixel of each colour: they repeat after 7, and a colour has 1,024.
            for (channel, pixel) in [(0, 10.0), (1, 12.0), (2, 14.0)] {
                let expected = (pixel / 255.0 - cifar.mean[channel]) / cifar.std[channel];
                let found = train.inputs.double_value(&[0, channel as i64, 0, 0]);
                assert!((found - expected).abs() < 1e-5, "{channel}: {found}, {expected}");
            }
        }
        let names = cifar.names.join("\n") + "\n\n";
        std::fs::write(inner.join(cifar.names_file), names).unwrap();
        let named = loaded(&inner, 0).unwrap().spec.classes.unwrap();
        assert_eq!(named, cifar.names);

        let name = cifar.test[0];
        std::fs::write(inner.join(name), "no").unwrap();
        let said = loaded(&inner, 5000).unwrap_err().to_string();
        assert!(said.contains(name) && said.contains("2 bytes"), "{said}");
        assert!(said.contains("`data.dir`"), "{said}");
    }
}

#[test]
fn an_archive_is_fetched_checked_and_unpacked() {
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("set");
    let contents = files(&cifar10::CIFAR10);
    let contents: Vec<(&str, &[u8])> =
        contents.iter().map(|(path, bytes)| (path.as_str(), &bytes[..])).collect();
    let archive = packed(&contents);
    let sum: &'static str = sha256_of(&archive).leak();
    let right = Archive { bytes: archive.len() as u64, sha256: sum, ..cifar10::CIFAR10.archive };
    let cifar = Cifar { archive: right, ..cifar10::CIFAR10 };
    let archive: &'static [u8] = archive.leak();
    let fetched =
        |cifar: &Cifar, body: &'static [u8]| cifar.fetch(&server(body, body.len(), 1), &cache);
    let said = |result: anyhow::Result<()>| format!("{:#}", result.unwrap_err());

    let wrong = Archive { sha256: cifar10::CIFAR10.archive.sha256, ..right };
    let other = Cifar { archive: wrong, ..cifar };
    let refused = said(fetched(&other, archive));
    assert!(refused.contains("SHA-256") && refused.contains(sum), "{refused}");
    let refused = said(fetched(&cifar, &archive[..100]));
    assert!(refused.contains("100 bytes"), "{refused}");
    let longer: &'static [u8] = [archive, b"more"].concat().leak();
    let refused = said(fetched(&cifar, longer));
    assert!(refused.contains("more than"), "{refused}");
    // The checksum is right, but the contents are not.
    let finer = Cifar { classes: 3, ..cifar };
    let refused = said(fetched(&finer, archive));
    assert!(refused.contains("has the class 9"), "{refused}");
    assert!(!cache.exists(), "what is refused never reaches the cache");

    fetched(&cifar, archive).unwrap();
    for (path, bytes) in &contents {
        let name = Path::new(path).file_name().unwrap();
        assert_eq!(std::fs::read(cache.join(name)).unwrap(), *bytes);
    }
    assert_eq!(std::fs::read_dir(&cache).unwrap().count(), 6, "nothing else is kept");
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        cases: 64,
        ..Default::default()
    })]

    #[test]
    fn any_records_come_back_unless_a_class_is_none(
        images in prop::collection::vec((any::<u8>(), 0..102u8, any::<u8>()), 1..4),
        cut in 1..PIXELS,
    ) {
        let labels: Vec<u8> = images.iter().map(|(_, fine, _)| *fine).collect();
        let pixels = |first: u8| record(&[], first);
        let all: Vec<u8> = images.iter().flat_map(|(_, _, first)| pixels(*first)).collect();
        for (classes, coarse) in [(10, false), (100, true)] {
            let file: Vec<u8> = images
                .iter()
                .flat_map(|(group, fine, first)| {
                    let labels = [*group, *fine];
                    record(if coarse { &labels } else { &labels[1..] }, *first)
                })
                .collect();
            let found = parse(&file, classes, coarse);
            match labels.iter().position(|label| *label >= classes) {
                Some(at) => {
                    let said = found.unwrap_err();
                    let words = format!("image {at}, counted from 0, has the class {}", labels[at]);
                    prop_assert!(said.contains(&words), "{}", said);
                }
                None => {
                    let batch = found.unwrap();
                    prop_assert_eq!(batch.classes(), labels.clone());
                    prop_assert_eq!(batch.pixels(), all.clone());
                }
            }
            prop_assert!(parse(&file[..file.len() - cut], classes, coarse).is_err());
        }
    }
}
