use lookahead_core::tch_ext::generator;
use lookahead_run::RunFolder;
use lookahead_run::event::{RunEnded, Weights};

use super::*;
use crate::controls::Hangup;
use crate::observer::Show;
use tch::{Kind, Tensor};

/// A net with dropout and batch normalization, in cycles of 3, with an unfinished one at the end.
const CONFIG: &str = r#"
[data]
kind = "digits"
batch_size = 300
validation = 341
[model]
kind = "mlp"
hidden = [8]
dropout = 0.3
batch_norm = true
[optimizer]
lr = 0.05
[lookahead]
k = 3
[train]
max_steps = 11
seed = 4
[probe]
every_syncs = 0
[checkpoint]
every_steps = 0
"#;

/// The program's training, with its losses and evaluations.
fn program(config: &Config) -> (Vec<u8>, Recorded) {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "run").unwrap();
    let mut t = Training::new(&Registry::builtin(), config.clone(), None).unwrap();
    let show = Show { quiet: true, ..Show::default() };
    let mut hooks = Hooks::new(&run, &t, &show, Hangup::Ignore).unwrap();
    let recorded = Rc::<RefCell<Recorded>>::default();
    hooks.add(Box::new(Recorder(Rc::clone(&recorded)))).unwrap();
    let mut ended = train(&mut t, &mut hooks).unwrap();
    hooks.finish(&mut t, &mut ended);
    (t.weights_as_bytes(), recorded.take())
}

/// Counts the calls at the end.
#[derive(Debug)]
struct Ends(Rc<RefCell<u32>>);

impl Hook for Ends {
    fn name(&self) -> &'static str {
        "ends"
    }

    fn finish(&mut self, _: &mut HookContext<'_>, _: &mut RunEnded) {
        *self.0.borrow_mut() += 1;
    }
}

#[test]
fn it_has_the_losses_and_weights_of_the_program() {
    let registry = Registry::builtin();
    let config = Config::parse(registry.kinds(), "test.toml", CONFIG, &[]).unwrap().config;
    let (weights, expected) = program(&config);

    let data = registry.load_data(&config.data).unwrap();
    generator::seed(4).unwrap();
    let model = registry.build_model(&config.model, &data.spec, tch::Device::Cpu).unwrap();
    let inner = registry.build_optimizer(&config.optimizer, &model.vs).unwrap();
    let ends = Rc::<RefCell<u32>>::default();
    let trainer = Trainer::new(model, data, inner).hook(Ends(Rc::clone(&ends)));
    let lookahead = config.lookahead.clone().unwrap();
    let report = trainer.lookahead(lookahead).batch_size(300).steps(11).seed(4).run().unwrap();

    assert_eq!((report.steps, report.losses.len(), *ends.borrow()), (11, 11, 1));
    assert_eq!(report.losses, expected.losses);
    let values = |all: &[(u64, Evaluation)]| -> Vec<_> {
        all.iter().map(|(step, e)| (*step, e.split, e.weights, e.loss, e.accuracy)).collect()
    };
    assert_eq!(values(&report.evaluations), values(&expected.evaluations));
    let test = report.test.unwrap();
    assert_eq!((test.split, test.weights), (Split::Test, Weights::Slow));
    assert_eq!(report.model.weights_as_bytes(), weights);
}

#[test]
fn settings_out_of_range_are_refused() {
    let registry = Registry::builtin();
    let config = Config::parse(registry.kinds(), "test.toml", CONFIG, &[]).unwrap().config;
    let trainer = || {
        let data = registry.load_data(&config.data).unwrap();
        let model = registry.build_model(&config.model, &data.spec, tch::Device::Cpu).unwrap();
        let inner = registry.build_optimizer(&config.optimizer, &model.vs).unwrap();
        Trainer::new(model, data, inner)
    };
    let k = LookaheadConfig { k: 0, ..LookaheadConfig::default() };
    for (trainer, words) in [
        (trainer().batch_size(0), "`data.batch_size` is 0"),
        (trainer().epochs(0), "`train.epochs` is 0"),
        (trainer().lookahead(k), "k"),
        // 1,200 samples in batches of 1,199.
        (trainer().batch_size(1199), "the last batch of an epoch has 1 sample"),
    ] {
        let error = trainer.run().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Twice the cross-entropy, and its value as a metric.
#[derive(Debug)]
struct Own;

impl Loss for Own {
    fn mean(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        Ok(2.0 * outputs.cross_entropy_for_logits(targets))
    }
}

impl Metric for Own {
    fn higher_is_better(&self) -> bool {
        false
    }

    fn number_of_sums(&self) -> usize {
        2
    }

    fn sums(&self, outputs: &Tensor, targets: &Tensor) -> anyhow::Result<Tensor> {
        let count = targets.numel() as f64;
        let sum = outputs.cross_entropy_for_logits(targets).to_kind(Kind::Double) * count;
        Ok(Tensor::f_stack(&[sum.shallow_clone(), sum.full_like(count)], 0)?)
    }

    fn value(&self, sums: &[f64]) -> f64 {
        sums[0] / sums[1]
    }
}

#[test]
fn a_loss_and_a_metric_of_ones_own() {
    let registry = Registry::builtin();
    let config = Config::parse(registry.kinds(), "test.toml", CONFIG, &[]).unwrap().config;
    let trainer = || {
        let data = registry.load_data(&config.data).unwrap();
        generator::seed(4).unwrap();
        let model = registry.build_model(&config.model, &data.spec, tch::Device::Cpu).unwrap();
        let inner = registry.build_optimizer(&config.optimizer, &model.vs).unwrap();
        Trainer::new(model, data, inner).steps(1)
    };
    let plain = trainer().run().unwrap();
    let own = trainer().loss(Own).metric("nats", Own).run().unwrap();
    assert_eq!(own.losses[0], 2.0 * plain.losses[0]);
    let (test, plain) = (own.test.unwrap(), plain.test.unwrap());
    assert_eq!(2.0 * test.metrics["nats"], test.loss);
    assert_eq!(plain.metrics.into_keys().collect::<Vec<_>>(), ["accuracy"]);
    assert!(test.accuracy > 0.0 && test.loss != plain.loss);
}
