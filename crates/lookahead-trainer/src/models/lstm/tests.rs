use super::*;
use crate::data::Inputs;
use tch::Device;

fn built(layers: i64, dropout: f64) -> (nn::VarStore, Lstm) {
    let vs = nn::VarStore::new(Device::Cpu);
    let options = LstmOptions { width: 6, embedding: 3, layers, dropout };
    options.check().unwrap();
    let spec = DataSpec::new("text", Task::Language, Inputs::raw(&[4], &["character"], "int64"), 5);
    let network = build(options, &vs.root(), &spec).unwrap();
    (vs, network)
}

#[test]
fn predictions_depend_only_on_earlier_characters() {
    let (vs, network) = built(2, 0.0);
    let names = vs.variables();
    assert_eq!(names["lstm.weight_ih_l0"].size(), [24, 3]);
    assert_eq!(names["lstm.weight_ih_l1"].size(), [24, 6]);
    let sequences = Tensor::from_slice(&[1i64, 2, 3, 4, 1, 2, 0, 0]).reshape([2, 4]);
    let logits = network.outputs(&sequences, true);
    assert_eq!(logits.size(), [2, 4, 5]);
    let row = |i: i64, from, count| logits.get(i).narrow(0, from, count);
    assert!(row(0, 0, 2).allclose(&row(1, 0, 2), 1e-5, 1e-6, false));
    assert!(!row(0, 2, 1).allclose(&row(1, 2, 1), 1e-5, 1e-6, false));
}

#[test]
fn dropout_acts_only_in_training() {
    let (_vs, network) = built(1, 0.5);
    let piece = Tensor::from_slice(&[1i64, 2, 3, 4]).reshape([1, 4]);
    assert_eq!(network.outputs(&piece, false), network.outputs(&piece, false));
    assert_ne!(network.outputs(&piece, true), network.outputs(&piece, true));
}
