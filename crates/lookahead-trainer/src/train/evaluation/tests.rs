use super::*;
use crate::config::probe::ProbeConfig;
use crate::data::{Batch, DataSpec, Dataset, Inputs, SampleKey};
use crate::models::Network;
use crate::registry::Registry;
use crate::train::hooks::probe::ProbeBatch;
use lookahead_run::event::Task;
use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use tch::{Device, Kind, Tensor};

/// Answers that all is of class 1, and counts how often it did so in inference mode.
#[derive(Debug)]
struct Watching(Rc<Cell<usize>>);

impl Network for Watching {
    fn outputs(&self, inputs: &Tensor, train: bool) -> Tensor {
        assert!(!train);
        self.0.set(self.0.get() + usize::from(inference::is_enabled()));
        let logits = Tensor::from_slice(&[0f32, 1.0]).expand([inputs.size()[0], 2], false);
        logits.contiguous()
    }

    fn widest(&self) -> usize {
        1 << 19
    }
}

#[derive(Debug)]
struct Three;

impl Samples for Three {
    fn len(&self) -> usize {
        3
    }

    fn slice(&self, range: Range<usize>, device: Device) -> anyhow::Result<Batch> {
        assert!(!inference::is_enabled(), "what it kept would be of no use to training");
        let targets = Tensor::from_slice(&[1i64, 1, 0]).to_device(device);
        let targets = targets.narrow(0, range.start as i64, range.len() as i64);
        Ok(Batch { inputs: targets.to_kind(Kind::Float), targets })
    }

    fn gather(&self, _: &[usize], _: SampleKey, _: Device) -> anyhow::Result<Batch> {
        unreachable!("there is no training")
    }
}

#[test]
fn evaluations_and_probes_are_in_inference_mode_and_their_data_are_not() {
    let count = Rc::new(Cell::new(0));
    // So wide that two samples are enough.
    let model = Model::new(tch::nn::VarStore::new(Device::Cpu), Box::new(Watching(count.clone())));
    let inputs = Inputs::raw(&[1], &["value"], "float32");
    let spec = DataSpec::new("three", Task::Classification, inputs, 2);
    let objective =
        Registry::new().build_objective(&Config::default(), &spec, Device::Cpu).unwrap();
    assert_eq!(model.evaluation_batch_size(), 2);
    let found = evaluate(&objective, &model, &Three, Split::Test, Weights::Fast, || false);
    let found = found.unwrap().unwrap();
    assert_eq!((count.get(), found.samples), (2, 3));
    assert!((found.accuracy - 2.0 / 3.0).abs() < 1e-12, "{}", found.accuracy);

    let data = Dataset {
        name: "three",
        spec,
        train: Arc::new(Three),
        validation: Arc::new(Three),
        test: Arc::new(Three),
    };
    let config = ProbeConfig { every_syncs: Some(1), ..ProbeConfig::default() };
    let probe = ProbeBatch::new(&config, &data, Device::Cpu).unwrap();
    let loss = probe.loss(&objective, &model).unwrap();
    assert_eq!(count.get(), 3);
    assert!((loss - found.loss).abs() < 1e-6, "{loss}");
    assert!(!inference::is_enabled());
}
