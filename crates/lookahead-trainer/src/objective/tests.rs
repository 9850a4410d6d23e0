//! Against PyTorch and scikit-learn: tests/golden/metrics.py made the numbers.

use tch::nn;

use super::*;
use crate::config::Config;
use crate::data::{Inputs, Scale};
use crate::models::Network;
use crate::registry::Registry;

const SAMPLES: i64 = 40;

/// Returns its inputs.
#[derive(Debug)]
struct Identity;

impl Network for Identity {
    fn outputs(&self, inputs: &Tensor, _: bool) -> Tensor {
        inputs.shallow_clone()
    }

    fn widest(&self) -> usize {
        1
    }
}

fn model() -> Model {
    Model::new(nn::VarStore::new(Device::Cpu), Box::new(Identity))
}

/// As in metrics.py.
fn wave(columns: i64, seed: i64) -> Tensor {
    let number = |i: i64| ((i * (seed + 1)) as f64 * 1.7 + seed as f64).sin() as f32;
    let all: Vec<f32> = (0..SAMPLES * columns).map(number).collect();
    Tensor::from_slice(&all).reshape([SAMPLES, columns])
}

fn spec(task: Task, outputs: usize) -> DataSpec {
    DataSpec::new("numbers", task, Inputs::raw(&[outputs], &["number"], "float32"), outputs)
}

fn objective(spec: &DataSpec, task: &str) -> anyhow::Result<Objective> {
    let config = Config { task: toml::from_str(task)?, ..Config::default() };
    Registry::new().build_full_objective(&config, spec, Device::Cpu)
}

/// The sums over these samples.
fn sums(objective: &Objective, batch: &Batch, from: i64, to: i64) -> Sums {
    let part = |whole: &Tensor| whole.narrow(0, from, to - from);
    let batch = Batch { inputs: part(&batch.inputs), targets: part(&batch.targets) };
    objective.sums(&model(), &batch, Split::Test).unwrap()
}

/// The evaluation, by two processes, of which one takes two batches.
fn evaluated(objective: &Objective, batch: &Batch) -> Evaluation {
    let first = sums(objective, batch, 0, 7).and(&sums(objective, batch, 7, 22)).unwrap();
    let (first, first_samples) = first.read().unwrap();
    let (second, second_samples) = sums(objective, batch, 22, SAMPLES).read().unwrap();
    assert_eq!(first.len(), objective.number_of_sums(Split::Test));
    let all: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
    objective.evaluation(&all, first_samples + second_samples, Split::Test, Weights::Slow)
}

fn near(found: f64, expected: f64) {
    assert!((found - expected).abs() < 2e-6, "{found} and {expected}");
}

fn near_all(found: &Evaluation, expected: &[(&str, f64)]) {
    for (name, expected) in expected {
        let found = found.value(name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!((found - expected).abs() < 2e-6, "{name}: {found} and {expected}");
    }
}

/// The class 6 is never predicted and not in the targets, so macro F1 ignores it; 5 is predicted only.
fn classes() -> Batch {
    let lowered = Tensor::from_slice(&[0f32, 0.0, 0.0, 0.0, 0.0, 0.0, 10.0]);
    let targets: Vec<i64> = (0..SAMPLES).map(|i| i * i % 11 % 5).collect();
    Batch { inputs: 2.0 * wave(7, 0) - lowered, targets: Tensor::from_slice(&targets) }
}

#[test]
fn classes_are_measured_as_in_scikit_learn() {
    let (spec, batch) = (spec(Task::Classification, 7), classes());
    let found = evaluated(&objective(&spec, "").unwrap(), &batch);
    near_all(
        &found,
        &[("loss", 2.647849560), ("accuracy", 0.175), ("top5", 0.825), ("macro_f1", 0.142634490)],
    );
    assert_eq!((found.accuracy, found.samples), (7.0 / 40.0, 40));
    assert_eq!(
        found.confusion_matrix.unwrap(),
        [
            [2, 1, 2, 2, 2, 2, 0],
            [0, 1, 3, 2, 0, 1, 0],
            [0, 0, 0, 0, 0, 0, 0],
            [1, 2, 0, 2, 2, 1, 0],
            [1, 2, 4, 3, 2, 2, 0],
            [0, 0, 0, 0, 0, 0, 0],
            [0, 0, 0, 0, 0, 0, 0],
        ]
    );
    // Texts have a token at each place: the same samples, as 4 sequences of 10.
    let inputs = batch.inputs.reshape([4, 10, 7]);
    let text = Batch { inputs, targets: batch.targets.reshape([4, 10]) };
    let language = objective(&self::spec(Task::Language, 7), "").unwrap();
    let (all, samples) = language.sums(&model(), &text, Split::Test).unwrap().read().unwrap();
    let found = language.evaluation(&all, samples, Split::Test, Weights::Slow);
    near(found.metrics["perplexity"].ln(), 14.123634338f64.ln());
    assert_eq!((found.metrics["perplexity"], found.samples), (found.loss.exp(), 40));
    near_all(&found, &[("accuracy", 0.175), ("macro_f1", 0.142634490)]);
    assert_eq!(found.confusion_matrix, None);
}

/// The mean is weighted, also in an evaluation of several batches.
#[test]
fn label_smoothing_and_class_weights_are_those_of_pytorch() {
    let weights = "class_weights = [1.0, 2.0, 0.5, 0.0, 3.0, 1.0, 1.0]";
    let smoothing = "label_smoothing = 0.1";
    for (task, expected) in [
        (smoothing.to_owned(), 2.785518646),
        (weights.to_owned(), 2.658434629),
        (format!("{weights}\n{smoothing}"), 2.664314747),
    ] {
        let (spec, batch) = (spec(Task::Classification, 7), classes());
        let objective = objective(&spec, &task).unwrap();
        near(f64::try_from(objective.loss(&model(), &batch, true).unwrap()).unwrap(), expected);
        near(evaluated(&objective, &batch).loss, expected);
    }
}

#[test]
fn numbers_are_measured_in_the_unit_of_the_data() {
    let inputs = wave(2, 1);
    let targets = 0.5 * &inputs + wave(2, 2);
    let batch = Batch { inputs, targets };
    let scale = Scale { mean: vec![5.0, -1.0], std: vec![2.0, 0.25] };
    let spec = DataSpec { target: Some(scale), ..spec(Task::Regression, 2) };
    for (task, loss) in [
        ("", 0.630591631),
        ("loss = 'mae'", 0.677724481),
        ("loss = 'huber'\nhuber_delta = 0.3", 0.161749125),
    ] {
        let found = evaluated(&objective(&spec, task).unwrap(), &batch);
        let expected = [
            ("mse", 1.264783412),
            ("rmse", 0.888834263),
            ("mae", 0.762965599),
            ("r2", -0.003118395),
        ];
        near_all(&found, &expected);
        near(found.loss, loss);
        assert!(found.accuracy.is_nan() && found.confusion_matrix.is_none());
    }
    // Targets without variance can't be explained.
    let equal =
        Batch { targets: Tensor::full([SAMPLES, 2], 0.1, (Element::Float, Device::Cpu)), ..batch };
    assert!(evaluated(&objective(&spec, "").unwrap(), &equal).metrics["r2"].is_nan());
}

/// One value per sample may have a dimension of its own, in the outputs or in the targets: broadcast, the loss would be
/// another.
#[test]
fn one_number_for_each_sample_is_not_broadcast() {
    let (inputs, targets) = (wave(1, 1), wave(1, 2));
    let objective = objective(&spec(Task::Regression, 1), "").unwrap();
    let loss = |inputs: &Tensor, targets: &Tensor| {
        let batch = Batch { inputs: inputs.shallow_clone(), targets: targets.shallow_clone() };
        objective.loss(&model(), &batch, true)
    };
    let expected = (&inputs - &targets).square().mean(Element::Float);
    for (inputs, targets) in
        [(&inputs, &targets), (&inputs, &targets.reshape([-1])), (&inputs.reshape([-1]), &targets)]
    {
        let found = loss(inputs, targets).unwrap();
        assert!(found.size().is_empty() && found == expected, "{found:?}");
    }
    let error = loss(&wave(2, 1), &targets).unwrap_err().to_string();
    assert!(error.contains("[40, 2]") && error.contains("[40, 1]"), "{error}");
}

/// The last label is never there and never predicted, so macro F1 ignores it.
#[test]
fn labels_are_measured_as_in_scikit_learn() {
    let lowered = Tensor::from_slice(&[0f32, 0.0, 10.0]);
    let targets = wave(3, 4).gt(0.2).to_kind(Element::Float);
    let batch = Batch {
        inputs: 3.0 * wave(3, 3) - lowered,
        targets: targets * Tensor::from_slice(&[1f32, 1.0, 0.0]),
    };
    let found = evaluated(&objective(&spec(Task::Multilabel, 3), "").unwrap(), &batch);
    near_all(
        &found,
        &[
            ("loss", 0.725583315),
            ("accuracy", 0.691666667),
            ("micro_f1", 0.519480519),
            ("macro_f1", 0.514905149),
        ],
    );
    assert_eq!(found.samples, 40);
}

#[test]
fn no_samples_have_no_values() {
    let objective = objective(&spec(Task::Classification, 7), "").unwrap();
    let zeros = vec![0.0; objective.number_of_sums(Split::Validation)];
    let found = objective.evaluation(&zeros, 0, Split::Validation, Weights::Fast);
    assert!(found.loss.is_nan() && found.metrics.values().all(|value| value.is_nan()));
    assert_eq!(found.confusion_matrix, None);
}

#[test]
fn a_metric_that_says_nothing_is_refused_and_left_out_of_all() {
    let few = spec(Task::Classification, 5);
    let config = Config {
        task: TaskConfig { metrics: Some(vec!["top5".into()]), ..TaskConfig::default() },
        ..Config::default()
    };
    let refused = Registry::new().build_objective(&config, &few, Device::Cpu);
    assert!(refused.unwrap_err().to_string().contains("5 classes"));
    let all: Vec<String> =
        objective(&few, "").unwrap().info().metrics.into_iter().map(|info| info.name).collect();
    assert_eq!(all, ["accuracy", "macro_f1"]);
}

#[test]
fn class_weights_must_be_as_many_as_classes() {
    let error =
        objective(&spec(Task::Classification, 7), "class_weights = [1.0, 2.0]").unwrap_err();
    assert!(error.to_string().contains("has 2 numbers, and there are 7 classes"), "{error}");
}

/// The loss of guessing: equal probabilities, or the mean if the targets are standardized.
#[test]
fn a_loss_knows_that_of_guessing() {
    let of = |spec: &DataSpec, task| objective(spec, task).unwrap().loss_of_guessing();
    assert_eq!(of(&spec(Task::Classification, 7), ""), Some(7f64.ln()));
    assert_eq!(of(&spec(Task::Multilabel, 3), ""), Some(2f64.ln()));
    let raw = spec(Task::Regression, 1);
    assert_eq!(of(&raw, ""), None);
    let scale = Some(Scale { mean: vec![1.0], std: vec![3.0] });
    let standardized = DataSpec { target: scale, ..raw };
    assert_eq!(of(&standardized, ""), Some(1.0));
    assert_eq!(of(&standardized, "loss = 'mae'"), None);
}

/// Half of the mean squared error, and a mean absolute error in other units.
#[derive(Debug)]
struct Own;

impl Loss for Own {
    fn mean(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        Ok(0.5 * (outputs - targets).square().mean(Element::Float))
    }
}

impl Metric for Own {
    fn higher_is_better(&self) -> bool {
        true
    }

    fn number_of_sums(&self) -> usize {
        1
    }

    fn sums(&self, outputs: &Tensor, _: &Tensor) -> anyhow::Result<Tensor> {
        Ok(Tensor::f_ones([1], (Element::Double, outputs.device()))? * outputs.size()[0])
    }

    fn value(&self, sums: &[f64]) -> f64 {
        sums[0]
    }
}

#[test]
fn a_program_adds_losses_and_metrics_and_replaces_those_that_are_there() {
    const NUMBERS: &[Task] = &[Task::Regression];
    let registry = Registry::new()
        .loss("half", NUMBERS, |_| Ok(Own))
        .metric("count", NUMBERS, |_| Ok(Own))
        .metric("r2", NUMBERS, |_| Ok(Own));
    let named = registry.kinds().metrics.iter().filter(|part| part.name == "r2").count();
    assert_eq!(named, 1);
    let text = "[data]\nkind = 'digits'\n[task]\nloss = 'half'\n";
    let digits = Registry::builtin().loss("half", NUMBERS, |_| Ok(Own));
    let refused = Config::parse(digits.kinds(), "test.toml", text, &[]).unwrap_err().to_string();
    assert!(
        refused.contains("test.toml, line 4") && refused.contains("half, which doesn't fit"),
        "{refused}"
    );
    let task: TaskConfig = toml::from_str("loss = 'half'\nmetrics = ['count', 'r2']").unwrap();
    let config = Config { task, ..Config::default() };
    let objective =
        registry.build_objective(&config, &spec(Task::Regression, 1), Device::Cpu).unwrap();
    let batch = Batch { inputs: wave(1, 1), targets: wave(1, 2) };
    let found = evaluated(&objective, &batch);
    near_all(&found, &[("count", 40.0), ("r2", 40.0)]);
    assert!(objective.metric("r2").higher_is_better && !objective.metric("loss").higher_is_better);
    let mse = (&batch.inputs - &batch.targets).square().mean(Element::Double);
    near(found.loss, 0.5 * f64::try_from(mse).unwrap());
}

/// Sums of another shape would be added to those of other metrics.
#[test]
fn sums_of_another_number_or_type_are_refused() {
    #[derive(Debug)]
    struct Wrong(Tensor);

    impl Metric for Wrong {
        fn higher_is_better(&self) -> bool {
            true
        }

        fn number_of_sums(&self) -> usize {
            2
        }

        fn sums(&self, _: &Tensor, _: &Tensor) -> anyhow::Result<Tensor> {
            Ok(self.0.shallow_clone())
        }

        fn value(&self, sums: &[f64]) -> f64 {
            sums[0]
        }
    }

    for sums in [Tensor::from_slice(&[1.0f64]), Tensor::from_slice(&[1.0f32, 2.0])] {
        let mut objective = objective(&spec(Task::Regression, 1), "").unwrap();
        objective.replace(None, vec![("wrong", Box::new(Wrong(sums)))]);
        let batch = Batch { inputs: wave(1, 1), targets: wave(1, 2) };
        let error = objective.sums(&model(), &batch, Split::Test).unwrap_err().to_string();
        assert!(
            error.contains("The metric wrong returned sums") && error.contains("2 numbers"),
            "{error}"
        );
    }
}
