use super::*;
use crate::data::Inputs;
use crate::data::spec::Scale;

fn spec(task: Task, outputs: usize) -> DataSpec {
    let inputs = Inputs::raw(&[1], &["feature"], "float32");
    DataSpec::new("mine", task, inputs, outputs)
}

const ORIGIN: Origin<'_> = Origin::File { name: "a.csv", first: 11 };

fn predictions(spec: &DataSpec, outputs: &Tensor) -> anyhow::Result<Predictions> {
    Outputs::new(spec, "run")?.predictions(outputs, ORIGIN)
}

#[test]
fn probabilities_are_in_double_precision() {
    let logits = Tensor::from_slice(&[0f32, 1.0, 2.0, 700.0, 0.0, -700.0]).reshape([2, 3]);
    let found = predictions(&spec(Task::Classification, 3), &logits).unwrap();
    assert_eq!((found.samples, found.classes), (2, Some(vec![2, 0])));
    let sum: f64 = [0f64, 1.0, 2.0].map(f64::exp).iter().sum();
    for (found, logit) in found.values.iter().zip([0f64, 1.0, 2.0]) {
        assert!((found - logit.exp() / sum).abs() < 1e-15, "{found}");
    }
    // Single precision has no e^-700.
    assert!(found.values[4] > 0.0 && found.values[4] < 1e-300);
}

#[test]
fn labels_have_a_probability_each() {
    let labels = spec(Task::Multilabel, 2).with_class_names(["wet", "cold"]);
    let outputs = Outputs::new(&labels, "run").unwrap();
    assert_eq!(
        (outputs.classes(), outputs.columns()),
        (None, vec!["p_wet".into(), "p_cold".into()])
    );
    let found = predictions(&labels, &Tensor::from_slice(&[0f32, 1.0]).reshape([1, 2])).unwrap();
    assert_eq!((found.classes, found.values[0]), (None, 0.5));
    assert!((found.values[1] - 1.0 / (1.0 + (-1f64).exp())).abs() < 1e-15);
}

#[test]
fn values_are_in_their_own_units() {
    let mut values = spec(Task::Regression, 2);
    let outputs = Tensor::from_slice(&[0f32, 1.0, -2.0, 0.5]).reshape([2, 2]);
    assert_eq!(predictions(&values, &outputs).unwrap().values, [0.0, 1.0, -2.0, 0.5]);
    values.target = Some(Scale { mean: vec![1e9, 3.0], std: vec![0.25, 2.0] });
    let expected = [1e9, 5.0, 1e9 - 0.5, 4.0];
    assert_eq!(predictions(&values, &outputs).unwrap().values, expected);
    assert_eq!(Outputs::new(&values, "run").unwrap().columns(), ["value_0", "value_1"]);
    let one = spec(Task::Regression, 1);
    assert_eq!(Outputs::new(&one, "run").unwrap().columns(), ["value"]);
    assert_eq!(predictions(&one, &Tensor::from_slice(&[3f32, 4.0])).unwrap().values, [3.0, 4.0]);
}

#[test]
fn an_output_without_a_meaning_is_refused_with_its_sample() {
    let classes = spec(Task::Classification, 3);
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let logits = Tensor::from_slice(&[0f32, 1.0, 2.0, 0.0, bad, 0.0]).reshape([2, 3]);
        let error = predictions(&classes, &logits).unwrap_err().to_string();
        assert!(error.contains("sample 12 of a.csv have NaN or infinity"), "{error}");
    }
    let error = predictions(&classes, &Tensor::from_slice(&[0f32, 1.0])).unwrap_err().to_string();
    assert!(error.contains("shape [2], and (n, 3)"), "{error}");
}
