//! A model as a TorchScript module, for programs without its code.

use anyhow::{Context, bail};
use lookahead_core::tch_ext::torchscript::Module;
use tch::{Kind, Tensor};

use super::Model;
use crate::data::DataSpec;

/// The batch sizes on which a traced module is compared with its network.
const SIZES: [i64; 3] = [2, 1, 5];

/// The largest difference of an output, relative to 1 or the output.
const TOLERANCE: f64 = 1e-5;

impl Model {
    /// Calls `save` with a module that has the model's variables, and computes its outputs in evaluation mode from batches
    /// of any size: the network's own module, or a trace of it.
    ///
    /// # Errors
    /// Those of `save`; if the network can't be traced.
    pub(crate) fn with_module<T>(
        &self,
        spec: &DataSpec,
        save: impl FnOnce(&Module) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        if let Some(module) = self.network.module() {
            module.set_train(false)?;
            return save(module);
        }
        let module = Module::trace(&self.vs, &self.sample(spec, SIZES[0]), |inputs| {
            self.network.outputs(inputs, false)
        })?;
        self.compare(&module, spec)?;
        save(&module)
    }

    /// Refuses a trace that doesn't compute what the network computes.
    fn compare(&self, module: &Module, spec: &DataSpec) -> anyhow::Result<()> {
        let _guard = tch::no_grad_guard();
        for size in SIZES {
            let inputs = self.sample(spec, size);
            let found = module.forward(&inputs).with_context(|| {
                format!(
                    "The network can't be exported: it was traced with a batch of {}, and fails with {size}. Its forward \
                     pass may use the batch size; use -1 for that dimension.",
                    SIZES[0]
                )
            })?;
            let expected = self.network.outputs(&inputs, false);
            if found.size() != expected.size()
                || !found.f_allclose(&expected, TOLERANCE, TOLERANCE, false)?
            {
                bail!(
                    "The network can't be exported: for a batch of {size}, a trace of it has other outputs. Its forward \
                     pass must not use the batch size, random numbers or the values of tensors."
                );
            }
        }
        Ok(())
    }

    /// Samples of the data's shape and type, all different.
    fn sample(&self, spec: &DataSpec, size: i64) -> Tensor {
        let shape: Vec<i64> = spec.inputs.shape.iter().map(|&n| n as i64).collect();
        let count = size * shape.iter().product::<i64>();
        let shape = [&[size], &shape[..]].concat();
        let numbers = Tensor::arange(count, (Kind::Int64, self.vs.device()));
        let numbers = match spec.outputs {
            // Characters.
            Some(outputs) if spec.inputs.dtype == "int64" => numbers.remainder(outputs as i64),
            _ => numbers.to_kind(Kind::Float).sin(),
        };
        numbers.reshape(&shape[..])
    }
}
