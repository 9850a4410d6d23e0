use super::*;
use lookahead_run::event::{Split, Task};
use tch::{Device, Kind, Tensor};

/// A data set of these arrays in a safetensors file, in the given keys.
fn loaded(
    arrays: &[(&str, Tensor)],
    change: impl FnOnce(&mut ArrayOptions),
) -> anyhow::Result<Dataset> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("data.safetensors");
    let entries = arrays
        .iter()
        .map(|(name, tensor)| ((*name).to_owned(), tensor.shallow_clone(), tensor.kind()));
    crate::tensor_file::write_new(&file, None, entries.collect())?;
    let mut options = ArrayOptions { file: Some(file), ..Default::default() };
    change(&mut options);
    let context = LoadContext { name: "arrays", batch_size: 4, validation: Some(2) };
    load(options, &context)
}

fn refused(arrays: &[(&str, Tensor)], change: impl FnOnce(&mut ArrayOptions)) -> String {
    let error = loaded(arrays, change).unwrap_err();
    assert!(error.is::<UsageError>());
    error.to_string()
}

/// 0, 1, 2, … in this shape.
fn counted(shape: &[i64]) -> Tensor {
    Tensor::arange(shape.iter().product::<i64>(), (Kind::Float, Device::Cpu)).reshape(shape)
}

fn classes(count: i64) -> Tensor {
    Tensor::arange(count, (Kind::Int64, Device::Cpu)).remainder(3)
}

#[test]
fn integers_are_classes_and_samples_keep_their_targets() {
    let data = loaded(&[("inputs", counted(&[30, 1, 2, 2])), ("targets", classes(30))], |_| {});
    let data = data.unwrap();
    assert_eq!((data.train.len(), data.validation.len(), data.test.len()), (22, 2, 6));
    assert_eq!((data.spec.task, data.spec.outputs), (Task::Classification, Some(3)));
    assert_eq!(data.spec.inputs.shape, [1, 2, 2]);
    assert_eq!(data.spec.images().unwrap(), ([1, 2, 2], 3));
    let batch = data.train.slice(0..22, Device::Cpu).unwrap();
    let sample = batch.inputs.select(1, 0).select(1, 0).select(1, 0) / 4.0;
    assert_eq!(sample.to_kind(Kind::Int64).remainder(3), batch.targets);
    let first: Vec<f32> = sample.try_into().unwrap();
    assert!(!first.is_sorted(), "the samples are shuffled");
}

#[test]
fn floats_are_values_and_other_tasks_are_set() {
    let inputs = || ("inputs", counted(&[10, 4]));
    let of = |targets: Tensor, task| {
        let data = loaded(&[inputs(), ("targets", targets)], |options| options.task = task)?;
        let batch = data.test.slice(0..data.test.len(), Device::Cpu)?;
        let (shape, kind) = (batch.targets.size(), batch.targets.kind());
        Ok::<_, anyhow::Error>((data.spec.task, data.spec.outputs.unwrap(), shape, kind))
    };
    let values = (Task::Regression, 1, vec![2, 1], Kind::Float);
    assert_eq!(of(counted(&[10]), None).unwrap(), values);
    assert_eq!(of(classes(10), Some(ArrayTask::Regression)).unwrap(), values);
    assert_eq!(
        of(counted(&[10, 2, 3]), None).unwrap(),
        (Task::Regression, 6, vec![2, 6], Kind::Float)
    );
    let labels = counted(&[10, 3]).remainder(2).to_kind(Kind::Uint8);
    let multilabel = Some(ArrayTask::Multilabel);
    assert_eq!(
        of(labels.shallow_clone(), multilabel).unwrap(),
        (Task::Multilabel, 3, vec![2, 3], Kind::Float)
    );
    for (targets, task, words) in [
        (labels, None, "integers of shape [10, 3], and classes are one for each sample"),
        (counted(&[10]), Some(ArrayTask::Classification), "its targets are floats of shape [10]"),
        (counted(&[10, 2]), multilabel, "sample 1 has 2 as its label 0"),
        (classes(10), multilabel, "have shape [10]. They must have two dimensions"),
        (classes(10) - 1, None, "has the class -1. Classes run from 0"),
        (classes(10).zeros_like(), None, "All training samples have the class 0"),
    ] {
        let error = of(targets, task).unwrap_err().to_string();
        assert!(
            error.contains("(array `targets`) can't be used") && error.contains(words),
            "{error}"
        );
    }
}

#[test]
fn bad_arrays_are_refused() {
    let inputs = || ("inputs", counted(&[10, 4]));
    let error = refused(&[inputs(), ("targets", classes(9))], |_| {});
    assert!(error.contains("9 targets, of shape [9], for 10 inputs, of shape [10, 4]"), "{error}");
    let error = refused(&[inputs(), ("labels", classes(10))], |_| {});
    assert!(
        error.contains("It has no array `targets`. Its arrays are `inputs`, `labels`."),
        "{error}"
    );
    let nan = counted(&[10, 4]);
    let _ = nan.get(7).get(2).fill_(f64::NAN);
    let error = refused(&[("inputs", nan), ("targets", classes(10))], |_| {});
    assert!(error.contains("The element [7, 2], counted from 0, is NaN"), "{error}");
    let infinite = counted(&[10]) / 0.0;
    let error = refused(&[inputs(), ("targets", infinite)], |_| {});
    assert!(error.contains("(array `targets`)") && error.contains("The element [0]"), "{error}");
    let error = refused(&[inputs(), ("targets", classes(10))], |options| {
        options.inputs = Some("none".to_owned());
    });
    assert!(error.contains("`data.file` (array `none`)"), "{error}");
}

#[test]
fn test_arrays_are_the_test_set() {
    let arrays = [
        ("inputs", counted(&[10, 2])),
        ("targets", classes(10)),
        ("x", counted(&[3, 2]) + 100.0),
        ("y", classes(3)),
        ("wide", counted(&[3, 4])),
        ("unknown", classes(3) + 1),
    ];
    let with = |x: &'static str, y: &'static str| {
        move |options: &mut ArrayOptions| {
            (options.test_inputs, options.test_targets) = (Some(x.to_owned()), Some(y.to_owned()));
        }
    };
    let data = loaded(&arrays, with("x", "y")).unwrap();
    assert_eq!((data.train.len(), data.split(Split::Test).unwrap().len()), (8, 3));
    let test = data.test.slice(0..3, Device::Cpu).unwrap();
    assert_eq!(test.inputs, counted(&[3, 2]) + 100.0);
    let error = refused(&arrays, with("wide", "y"));
    assert!(
        error.contains("(array `wide`)")
            && error.contains("is [4], and that of the training set is [2]"),
        "{error}"
    );
    let error = refused(&arrays, with("x", "unknown"));
    assert!(
        error.contains("Sample 2, counted from 0, has the class 3, which no training sample has"),
        "{error}"
    );
}

#[test]
fn standardized_arrays_have_mean_0_and_deviation_1_over_the_training_samples() {
    let inputs = Tensor::stack(&[counted(&[30, 2]), counted(&[30, 2]) * 0.0 + 7.0], 1);
    let targets = counted(&[30]) * 2.0 + 5.0;
    let arrays = [("inputs", inputs), ("targets", targets)];
    let data = loaded(&arrays, |options| options.standardize = true).unwrap();
    let batch = data.train.slice(0..data.train.len(), Device::Cpu).unwrap();
    let channel = |i| batch.inputs.select(1, i);
    assert!(f64::try_from(channel(0).mean(None)).unwrap().abs() < 1e-6);
    assert!((f64::try_from(channel(0).std(false)).unwrap() - 1.0).abs() < 1e-5);
    assert_eq!(f64::try_from(channel(1).abs().max()).unwrap(), 0.0);
    let spec = &data.spec.inputs;
    assert_eq!((spec.mean.as_ref().unwrap()[1], spec.std.as_ref().unwrap()[1]), (7.0, 1.0));
    let Scale { mean, std } = data.spec.target.clone().unwrap();
    let back = &batch.targets * std[0] + mean[0];
    assert!(f64::try_from((back.remainder(2) - 1).abs().max()).unwrap() < 1e-4);

    let plain = loaded(&arrays, |_| {}).unwrap();
    assert_eq!((&plain.spec.inputs.mean, &plain.spec.target), (&None, &None));
    assert_ne!(plain.train.fingerprint(), data.train.fingerprint());
}
