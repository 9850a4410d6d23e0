use super::*;

#[test]
fn all_images_are_there_and_normalized() {
    let context = LoadContext { name: "digits", batch_size: 1, validation: Some(0) };
    let data = load(ImageOptions::default(), &context).unwrap();
    assert_eq!((data.train.len(), data.test.len()), (1541, 256));
    let test = data.test.slice(0..256, tch::Device::Cpu).unwrap();
    let labels = Vec::<i64>::try_from(test.targets).unwrap();
    for class in 0..10 {
        assert!(labels.iter().filter(|&&label| label == class).count() >= 15);
    }
    let images = data.train.slice(0..data.train.len(), tch::Device::Cpu).unwrap().inputs;
    let mean = f64::try_from(images.mean(tch::Kind::Float)).unwrap();
    let std = f64::try_from(images.std(false)).unwrap();
    assert!(mean.abs() < 1e-3 && (std - 1.0).abs() < 1e-3, "mean {mean}, std {std}");
}
