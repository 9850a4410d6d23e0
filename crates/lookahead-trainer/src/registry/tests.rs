use super::*;
use crate::data::Samples;
use tch::Device;

#[test]
fn validation_is_the_end_of_the_training_set() {
    let kind = "digits".into();
    let config = DataConfig { kind, validation: Some(100), ..DataConfig::default() };
    let all = DataConfig { validation: Some(0), ..config.clone() };
    let (whole, split) = (
        Registry::builtin().load_data(&all).unwrap(),
        Registry::builtin().load_data(&config).unwrap(),
    );
    assert_eq!(split.validation.len(), 100);
    assert_eq!(split.train.len() + 100, whole.train.len());
    let of = |samples: &dyn Samples, range| {
        let batch = samples.slice(range, Device::Cpu).unwrap();
        let pixels = Vec::<f32>::try_from(batch.inputs.reshape([-1])).unwrap();
        (pixels, Vec::<i64>::try_from(batch.targets).unwrap())
    };
    let end = whole.train.len();
    assert_eq!(of(&*split.validation, 0..100), of(&*whole.train, end - 100..end));
    assert_eq!(of(&*split.train, 0..end - 100), of(&*whole.train, 0..end - 100));

    let message = Registry::builtin()
        .load_data(&DataConfig { validation: Some(1541), ..config })
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("`data.validation` is 1541") && message.contains("1541 samples"),
        "{message}"
    );
}

#[test]
fn only_training_labels_are_wrong() {
    let config = DataConfig { kind: "digits".into(), ..DataConfig::default() };
    let options = toml::toml! { label_noise = 0.3 };
    let noisy = DataConfig { options, ..config.clone() };
    let (clean, noisy) = (
        Registry::builtin().load_data(&config).unwrap(),
        Registry::builtin().load_data(&noisy).unwrap(),
    );
    let labels = |samples: &dyn Samples| {
        let batch = samples.slice(0..samples.len(), Device::Cpu).unwrap();
        Vec::<i64>::try_from(batch.targets).unwrap()
    };
    assert_ne!(labels(&*clean.train), labels(&*noisy.train));
    assert_eq!(labels(&*clean.validation), labels(&*noisy.validation));
    assert_eq!(labels(&*clean.test), labels(&*noisy.test));
}
