use super::*;
use crate::data::Inputs;
use lookahead_run::event::Task;

fn samples(count: usize) -> InMemory {
    let inputs = (0..2 * count).map(|i| i as f32).collect::<Vec<_>>();
    let targets = (0..count).map(|i| i as i64 % 3).collect::<Vec<_>>();
    let inputs = Array::new(&[count, 2], inputs).unwrap();
    InMemory::new(inputs, Array::new(&[count], targets).unwrap()).unwrap()
}

fn loaded(validation: Option<usize>, train: usize, width: usize) -> Result<Dataset, UsageError> {
    let context = LoadContext { name: "mine", batch_size: 4, validation };
    let inputs = Inputs::raw(&[width], &["feature"], "float32");
    let spec = DataSpec::new("mine", Task::Classification, inputs, 3);
    Dataset::in_memory(&context, spec, samples(train), samples(2))
}

/// Lookahead's probes need one.
#[test]
fn few_samples_have_a_validation_set_too() {
    for (samples, expected) in [(2, 1), (9, 1), (10, 1), (19, 1), (20, 2)] {
        assert_eq!(loaded(None, samples, 2).unwrap().validation.len(), expected, "{samples}");
    }
    assert_eq!(loaded(None, 1, 2).unwrap().validation.len(), 0);
}

#[test]
fn the_end_of_the_training_set_is_the_validation_set() {
    for (validation, expected) in [(Some(3), 3), (None, 2), (Some(0), 0)] {
        let data = loaded(validation, 20, 2).unwrap();
        assert_eq!((data.train.len(), data.validation.len()), (20 - expected, expected));
        if expected > 0 {
            let last = data.validation.slice(expected - 1..expected, Device::Cpu).unwrap();
            assert_eq!(Vec::<f32>::try_from(last.inputs.reshape([-1])).unwrap(), [38.0, 39.0]);
            assert_eq!(i64::try_from(last.targets).unwrap(), 19 % 3);
        }
    }
    let error = loaded(Some(20), 20, 2).unwrap_err().to_string();
    assert!(error.contains("`data.validation` is 20"), "{error}");
    let error = loaded(None, 20, 5).unwrap_err().to_string();
    assert!(error.contains("[2]") && error.contains("[5]"), "{error}");
}

#[test]
fn other_contents_have_another_fingerprint() {
    let of = |count| loaded(Some(1), count, 2).unwrap().train.fingerprint().unwrap();
    assert_eq!(of(6), of(6));
    assert_ne!(of(6), of(7));
    let of = |values: Vec<i64>, shape: &[usize]| Array::new(shape, values).unwrap().fingerprint();
    assert_ne!(of(vec![1, 2], &[2]), of(vec![2, 1], &[2]));
    assert_ne!(of(vec![1, 2], &[2]), of(vec![1, 2], &[2, 1]));
    let error = InMemory::new(samples(5).inputs, samples(4).targets).unwrap_err().to_string();
    assert!(error.contains("5 inputs and 4 targets"), "{error}");
}
