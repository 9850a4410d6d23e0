use super::*;
use crate::data::SampleKey;
use tch::Device;

#[test]
fn curvatures_go_from_1_to_one_over_the_condition_number() {
    let context = LoadContext { name: "quadratic", batch_size: 64, validation: Some(1) };
    let three = QuadraticOptions { dimensions: 3, condition: 1e4 };
    let data = load(three, &context).unwrap();
    assert_eq!(data.spec.curvatures[..], [1.0, 0.01, 0.0001]);
    let key = SampleKey { seed: 1, epoch: 2, cursor: 3 };
    let batch = data.train.gather(&[0, 1], key, Device::Cpu).unwrap();
    assert_eq!(Vec::<f32>::try_from(batch.inputs.reshape([-1])).unwrap(), [0.0; 6]);
    let one = QuadraticOptions { dimensions: 1, condition: 1e4 };
    let one = load(one, &context).unwrap();
    assert_eq!(one.spec.curvatures, [1.0]);
}
