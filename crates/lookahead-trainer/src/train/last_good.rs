//! The model's buffers when all was well last.

use std::collections::BTreeMap;

use tch::Tensor;

use crate::models::Model;

/// The model's buffers at a moment when all was well. A forward pass over NaN spoils the running
/// statistics of batch normalization for good, and no optimizer knows of them.
#[derive(Debug, Default)]
pub struct LastGoodBuffers(BTreeMap<String, Tensor>);

impl LastGoodBuffers {
    /// Whether nothing was kept yet.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Those of a checkpoint that was taken inside a cycle.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn of(saved: &BTreeMap<String, Tensor>, device: tch::Device) -> anyhow::Result<Self> {
        let moved =
            |(name, tensor): (&String, &Tensor)| Ok((name.clone(), tensor.f_to_device(device)?));
        Ok(LastGoodBuffers(saved.iter().map(moved).collect::<anyhow::Result<_>>()?))
    }

    /// Copies of them, for a checkpoint.
    pub fn copies(&self) -> BTreeMap<String, Tensor> {
        self.0.iter().map(|(name, tensor)| (name.clone(), tensor.copy())).collect()
    }

    /// Takes them as they are now.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn take(&mut self, model: &Model) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, mut buffer) in model.buffers() {
            match self.0.get_mut(&name) {
                // Statistics that have overflowed are not sound, though the loss may still be.
                Some(kept) if !all_finite(&buffer)? => buffer.f_copy_(kept)?,
                Some(kept) => kept.f_copy_(&buffer)?,
                None => drop(self.0.insert(name, buffer.f_detach()?.copy())),
            }
        }
        Ok(())
    }

    /// Puts them back.
    ///
    /// # Errors
    /// What libtorch says.
    pub fn put_back(&self, model: &Model) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, mut buffer) in model.buffers() {
            if let Some(kept) = self.0.get(&name) {
                buffer.f_copy_(kept)?;
            }
        }
        Ok(())
    }
}

/// Whether all values of a tensor are finite.
///
/// # Errors
/// What libtorch says.
pub fn all_finite(tensor: &Tensor) -> anyhow::Result<bool> {
    let _guard = tch::no_grad_guard();
    Ok(bool::try_from(tensor.f_isfinite()?.f_all()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::data::DataConfig;
    use crate::config::model::ModelConfig;

    /// The statistics of batch normalization after a batch of NaN, and put back.
    #[test]
    fn good_buffers_return() {
        let options = toml::toml! {
            hidden = [4]
            batch_norm = true
        };
        let config = ModelConfig { kind: "mlp".into(), options };
        let digits = DataConfig { kind: "digits".into(), ..DataConfig::default() };
        let data = crate::data::load(&digits);
        let data = data.unwrap();
        let model = Model::new(&config, &data, tch::Device::Cpu).unwrap();
        let images = data.train.slice(0..8, tch::Device::Cpu).inputs;
        let mut kept = LastGoodBuffers::default();
        kept.take(&model).unwrap();
        let _ = model.forward(&images, true);
        kept.take(&model).unwrap();
        let copy = |buffers: BTreeMap<String, Tensor>| -> Vec<Tensor> {
            buffers.into_values().map(|buffer| buffer.copy()).collect()
        };
        let sound = copy(model.buffers());
        assert_eq!(sound.len(), 2);
        let _ = model.forward(&(&images * f64::NAN), true);
        assert!(!all_finite(&model.buffers()["fc_bn1.running_mean"]).unwrap());
        kept.put_back(&model).unwrap();
        assert_eq!(copy(model.buffers()), sound);
    }
}
