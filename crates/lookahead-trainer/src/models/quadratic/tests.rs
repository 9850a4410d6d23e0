use super::*;
use tch::Device;

#[test]
fn each_sample_has_its_loss() {
    let vs = nn::VarStore::new(Device::Cpu);
    let spec = DataSpec::of_points("points", vec![1.0, 0.5]);
    let model = build(PointOptions {}, &vs.root(), &spec).unwrap();
    let samples = Tensor::from_slice(&[1.0f32, 1.0, 0.0, 3.0]).reshape([2, 2]);
    let losses = Vec::<f32>::try_from(model.outputs(&samples, true)).unwrap();
    // ½(1·0² + ½·0²) and ½(1·1² + ½·2²).
    assert_eq!(losses, [0.0, 1.5]);
}
