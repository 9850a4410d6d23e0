use super::*;
use crate::config::data::DataConfig;
use crate::config::model::ModelConfig;
use crate::registry::Registry;

/// The statistics of batch normalization after a batch of NaN, and restored.
#[test]
fn good_buffers_return() {
    let options = toml::toml! {
        hidden = [4]
        batch_norm = true
    };
    let config = ModelConfig { kind: "mlp".into(), options };
    let digits = DataConfig { kind: "digits".into(), ..DataConfig::default() };
    let data = Registry::builtin().load_data(&digits).unwrap();
    let model = Registry::builtin().build_model(&config, &data.spec, tch::Device::Cpu).unwrap();
    let images = data.train.slice(0..8, tch::Device::Cpu).unwrap().inputs;
    let mut guard = DivergenceGuard::of(NonFinite::SkipStep, true);
    guard.before_loss(0, &model).unwrap();
    let _ = model.forward(&images, true);
    guard.before_loss(1, &model).unwrap();
    let copy = |buffers: BTreeMap<String, Tensor>| -> Vec<Tensor> {
        buffers.into_values().map(|buffer| buffer.copy()).collect()
    };
    let good = copy(model.buffers());
    assert_eq!(good.len(), 2);
    let _ = model.forward(&(&images * f64::NAN), true);
    assert!(!all_finite(&model.buffers()["fc_bn1.running_mean"]).unwrap());
    guard.after_skipped_step(&model).unwrap();
    assert_eq!(copy(model.buffers()), good);
    guard.restore_cycle(&model).unwrap();
    assert_ne!(copy(model.buffers()), good, "the cycle began before that step");
}

#[test]
fn gradients_without_a_norm_end_a_run_without_a_policy() {
    let guard = |policy| DivergenceGuard::of(policy, false);
    let refused = guard(NonFinite::Error).check_norm(f64::NAN, 3, 0.1).unwrap_err().to_string();
    assert!(
        refused.starts_with("The norm of the gradients is NaN in step 3: the training diverged")
    );
    guard(NonFinite::Error).check_norm(2.0, 3, 0.1).unwrap();
    for policy in [NonFinite::SkipStep, NonFinite::RollBack] {
        guard(policy).check_norm(f64::INFINITY, 3, 0.1).unwrap();
    }
}
