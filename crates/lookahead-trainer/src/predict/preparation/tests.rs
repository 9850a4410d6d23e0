use super::*;
use crate::data::images::ImageOptions;
use crate::data::{Inputs, LoadContext, digits};
use lookahead_run::event::Task;

fn of(inputs: &Inputs) -> anyhow::Result<Preparation> {
    let spec = DataSpec::new("mine", Task::Classification, inputs.clone(), 3);
    Preparation::new(&spec, &DataConfig::default(), None, Device::Cpu)
}

#[test]
fn raw_values_become_the_inputs_of_training_to_the_bit() {
    let context = LoadContext { name: "digits", batch_size: 1, validation: Some(0) };
    let data = digits::load(ImageOptions::default(), &context).unwrap();
    let expected = data.test.slice(0..50, Device::Cpu).unwrap().inputs;
    let inputs = data.spec.inputs;
    let (mean, std) = (inputs.mean.as_ref().unwrap()[0], inputs.std.as_ref().unwrap()[0]);
    let raw = (expected.to_kind(Kind::Double) * std + mean).round().to_kind(Kind::Uint8);
    let preparation = of(&inputs).unwrap();
    for kind in [Kind::Uint8, Kind::Float, Kind::Double, Kind::Int64] {
        let found = preparation.batch(&raw.to_kind(kind).reshape([-1]), 50).unwrap();
        assert!(found.equal(&expected), "{kind:?}");
    }
}

#[test]
fn each_channel_has_its_own_mean() {
    let mut inputs = Inputs::raw(&[2, 1, 2], &["channel", "row", "column"], "float32");
    inputs.mean = Some(vec![1.0, 10.0]);
    inputs.std = Some(vec![2.0, 5.0]);
    let preparation = of(&inputs).unwrap();
    let found = preparation.batch(&Tensor::from_slice(&[1i64, 3, 10, 0]), 1).unwrap();
    assert_eq!(Vec::<f32>::try_from(found.reshape([-1])).unwrap(), [0.0, 1.0, 0.0, -2.0]);
    // As an array is standardized.
    inputs.mean = Some(vec![0.1, 10.0]);
    let preparation = of(&inputs).unwrap();
    let found = preparation.batch(&Tensor::from_slice(&[0.7f32, 3.0, 10.0, 0.0]), 1).unwrap();
    assert_eq!(
        f32::try_from(found.flatten(0, -1).get(0)).unwrap(),
        ((f64::from(0.7f32) - 0.1) / 2.0) as f32
    );
    inputs.mean = Some(vec![1.0; 3]);
    let error = of(&inputs).unwrap_err().to_string();
    assert!(error.contains("3 means or deviations for 2 channels"), "{error}");
}

#[test]
fn whole_numbers_are_not_made_of_fractions() {
    let inputs = Inputs::raw(&[2], &["token"], "int64");
    let preparation = of(&inputs).unwrap();
    let found = preparation.batch(&Tensor::from_slice(&[3u8, 4]), 1).unwrap();
    assert_eq!(found.kind(), Kind::Int64);
    let error = preparation.batch(&Tensor::from_slice(&[3.5f32, 4.0]), 1).unwrap_err().to_string();
    assert!(error.contains("astype(\"int64\")"), "{error}");
}
