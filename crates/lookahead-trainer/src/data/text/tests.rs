use super::*;
use std::path::Path;

fn loaded(file: &Path, length: usize, validation: usize) -> anyhow::Result<Dataset> {
    let context = LoadContext { name: "text", batch_size: 1, validation: Some(validation) };
    load(TextOptions { file: Some(file.to_owned()), length, ..Default::default() }, &context)
}

#[test]
fn characters_become_numbers_and_sequences_follow_each_other() {
    let text = Text::parse("häßlich häß".as_bytes(), 2).unwrap();
    let alphabet: String = text.alphabet.iter().collect();
    assert_eq!(alphabet, " chilßä");
    assert_eq!(text.codes, [2, 6, 5, 4, 3, 1, 2, 0, 2, 6, 5]);

    let file = tempfile::NamedTempFile::new().unwrap();
    let written: String = (0..41).map(|i| char::from(b'a' + i % 26)).collect();
    std::fs::write(file.path(), &written).unwrap();
    let data = loaded(file.path(), 4, 3).unwrap();
    // Ten sequences of 4, and a last character that is only a target.
    assert_eq!((data.train.len(), data.validation.len(), data.test.len()), (6, 3, 1));
    assert_eq!(data.spec.text().unwrap(), (26, 4));
    let read = |batch: anyhow::Result<Batch>| {
        let batch = batch.unwrap();
        let of = |t: Tensor| Vec::<i64>::try_from(t.reshape([-1])).unwrap();
        (of(batch.inputs), of(batch.targets))
    };
    let key = SampleKey { seed: 0, epoch: 0, cursor: 0 };
    let gathered = data.train.gather(&[5, 0], key, Device::Cpu).unwrap();
    assert_eq!(gathered.inputs.size(), [2, 4]);
    let (inputs, targets) = read(Ok(gathered));
    assert_eq!(inputs, [20, 21, 22, 23, 0, 1, 2, 3]);
    assert_eq!(targets, [21, 22, 23, 24, 1, 2, 3, 4]);
    let (inputs, targets) = read(data.validation.slice(0..1, Device::Cpu));
    assert_eq!((inputs, targets), (vec![24, 25, 0, 1], vec![25, 0, 1, 2]));
    let (inputs, targets) = read(data.test.slice(0..1, Device::Cpu));
    assert_eq!((inputs, targets), (vec![10, 11, 12, 13], vec![11, 12, 13, 14]));

    let split = |test_fraction| {
        let context = LoadContext { name: "text", batch_size: 1, validation: Some(3) };
        let file = Some(file.path().to_owned());
        let data = load(TextOptions { file, length: 4, test_fraction }, &context).unwrap();
        (data.train.len(), data.validation.len(), data.test.len())
    };
    assert_eq!(split(Some(0.3)), (4, 3, 3));
    assert_eq!(split(Some(0.0)), (7, 3, 0));

    let before = data.train.fingerprint();
    std::fs::write(file.path(), written.replace('b', "c")).unwrap();
    assert_ne!(loaded(file.path(), 4, 3).unwrap().train.fingerprint(), before);
    let said = loaded(file.path(), 4, 9).unwrap_err().to_string();
    assert!(said.contains("`data.validation` is 9") && said.contains("10 sequences"), "{said}");
    let said = loaded(Path::new("/none"), 4, 1).unwrap_err().to_string();
    assert!(said.contains("/none") && said.contains("`data.file`"), "{said}");
}

#[test]
fn texts_that_nothing_can_be_learned_from_are_refused() {
    let said = Text::parse(b"good\xffbad", 1).unwrap_err();
    assert!(said.contains("the byte 4"), "{said}");
    let said = Text::parse(b"abcd", 2).unwrap_err();
    assert!(said.contains("4 characters") && said.contains("at least 5"), "{said}");
    assert!(Text::parse(b"", 1).unwrap_err().contains("0 characters"));
    let said = Text::parse(b"aaaaaaaa", 1).unwrap_err();
    assert!(said.contains("no character but 'a'"), "{said}");
    let said = Text::parse(&vec![b'a'; LARGEST + 1], 1).unwrap_err();
    assert!(said.contains("67108865 bytes"), "{said}");
}

#[test]
fn a_file_must_be_named() {
    let said = TextOptions::default().check().unwrap_err().message;
    assert!(said.contains("`data.file` is missing"), "{said}");
}
