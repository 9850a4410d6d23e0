use super::*;
use crate::data::Inputs;

fn outputs() -> Outputs {
    let inputs = Inputs::raw(&[1], &["feature"], "float32");
    Outputs::new(&DataSpec::new("mine", Task::Classification, inputs, 3), "run").unwrap()
}

#[test]
fn probabilities_are_in_double_precision() {
    let logits = Tensor::from_slice(&[0f32, 1.0, 2.0, 700.0, 0.0, -700.0]).reshape([2, 3]);
    let origin = Origin::File { name: "a.csv", first: 1 };
    let found = outputs().predictions(&logits, origin).unwrap();
    assert_eq!(found.classes, [2, 0]);
    let sum: f64 = [0f64, 1.0, 2.0].map(f64::exp).iter().sum();
    for (found, logit) in found.values.iter().zip([0f64, 1.0, 2.0]) {
        assert!((found - logit.exp() / sum).abs() < 1e-15, "{found}");
    }
    // Single precision has no e^-700.
    assert!(found.values[4] > 0.0 && found.values[4] < 1e-300);
}

#[test]
fn an_output_without_a_meaning_is_refused_with_its_sample() {
    let origin = Origin::File { name: "a.csv", first: 11 };
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let logits = Tensor::from_slice(&[0f32, 1.0, 2.0, 0.0, bad, 0.0]).reshape([2, 3]);
        let error = outputs().predictions(&logits, origin).unwrap_err().to_string();
        assert!(error.contains("sample 12 of a.csv have NaN or infinity"), "{error}");
    }
    let error = outputs().predictions(&Tensor::from_slice(&[0f32, 1.0]), origin).unwrap_err();
    assert!(error.to_string().contains("shape [2], and (n, 3)"), "{error}");
}
