use super::*;
use crate::data::Inputs;
use tch::Device;

fn options(dropout: f64) -> TransformerOptions {
    TransformerOptions { width: 12, layers: 2, heads: 3, dropout }
}

fn built(dropout: f64) -> (nn::VarStore, Transformer) {
    let vs = nn::VarStore::new(Device::Cpu);
    options(dropout).check().unwrap();
    let spec = DataSpec::new("text", Task::Language, Inputs::raw(&[4], &["character"], "int64"), 5);
    let network = build(options(dropout), &vs.root(), &spec).unwrap();
    (vs, network)
}

#[test]
fn predictions_depend_only_on_earlier_characters() {
    let (vs, network) = built(0.0);
    // 12 a² + 13 a in a layer, besides embeddings, the last normalization and the output.
    let count: usize = vs.trainable_variables().iter().map(Tensor::numel).sum();
    let layer = 12 * 12 * 12 + 13 * 12;
    assert_eq!(count, (5 + 4) * 12 + 2 * layer + 2 * 12 + 12 * 5 + 5);
    let sequences = Tensor::from_slice(&[1i64, 2, 3, 4, 1, 2, 0, 0]).reshape([2, 4]);
    let logits = network.outputs(&sequences, true);
    assert_eq!(logits.size(), [2, 4, 5]);
    let row = |i: i64, from, count| logits.get(i).narrow(0, from, count);
    assert!(row(0, 0, 2).allclose(&row(1, 0, 2), 1e-5, 1e-7, false));
    assert!(!row(0, 2, 1).allclose(&row(1, 2, 1), 1e-5, 1e-7, false));
}

#[test]
fn the_order_of_characters_matters() {
    let (_vs, network) = built(0.0);
    let sequences = Tensor::from_slice(&[1i64, 2, 3, 2, 1, 3]).reshape([2, 3]);
    let last = network.outputs(&sequences, false).narrow(1, 2, 1);
    assert!(!last.get(0).allclose(&last.get(1), 1e-5, 1e-7, false));
}

#[test]
fn dropout_acts_only_in_training() {
    let (_vs, network) = built(0.5);
    let piece = Tensor::from_slice(&[1i64, 2, 3, 4]).reshape([1, 4]);
    assert_eq!(network.outputs(&piece, false), network.outputs(&piece, false));
    assert_ne!(network.outputs(&piece, true), network.outputs(&piece, true));
}

#[test]
fn heads_must_divide_the_width() {
    let uneven = TransformerOptions { heads: 5, ..options(0.0) };
    let said = uneven.check().unwrap_err().message;
    assert!(said.contains("`model.heads` is 5") && said.contains("`model.width`, 12"), "{said}");
}
