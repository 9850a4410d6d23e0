//! TorchScript modules: networks that PyTorch scripted or traced, and networks traced here.
//!
//! tch's `CModule` has no buffers, and its `TrainableCModule` changes the names of parameters.

use std::fmt;
use std::path::Path;

use cxx::UniquePtr;
use tch::{Device, Tensor, nn};

use crate::ffi::torchscript::bridge;
use crate::handle::{cpp, owned};
use crate::tensor::identity;
use crate::{Error, Result};

/// A module with its parameters, buffers and code.
///
/// ```
/// use lookahead_sys::torchscript::Module;
/// use tch::{Device, Kind, Tensor, nn, nn::Module as _};
///
/// let vs = nn::VarStore::new(Device::Cpu);
/// let net = nn::linear(vs.root() / "out", 3, 2, Default::default());
/// let example = Tensor::zeros([2, 3], (Kind::Float, Device::Cpu));
/// let module = Module::trace(&vs, &example, |x| net.forward(x))?;
///
/// let file = std::env::temp_dir().join(format!("doc-{}.pt", std::process::id()));
/// module.save(&file, None)?;
/// let loaded = Module::load(&file, Device::Cpu)?;
/// std::fs::remove_file(file).unwrap();
/// let x = Tensor::ones([5, 3], (Kind::Float, Device::Cpu));
/// assert_eq!(loaded.forward(&x)?, net.forward(&x));
/// # Ok::<(), lookahead_sys::Error>(())
/// ```
pub struct Module(UniquePtr<bridge::ScriptModule>);

impl fmt::Debug for Module {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Module").finish_non_exhaustive()
    }
}

/// A parameter or a buffer of a module.
#[derive(Debug)]
pub struct ModuleTensor {
    /// Its name in the module, with a dot after each submodule.
    pub name: String,
    /// Whether it is a parameter, trainable or not, rather than a buffer.
    pub is_parameter: bool,
    /// The tensor itself: a change of it is a change of the module.
    pub tensor: Tensor,
}

impl Module {
    /// Loads a file that `torch.jit.save` or [`save`](Self::save) wrote, with all tensors on `device`.
    pub fn load(path: &Path, device: Device) -> Result<Self> {
        let index = match device {
            Device::Cuda(index) => i8::try_from(index).unwrap_or(i8::MAX),
            _ => 0,
        };
        Ok(Module(bridge::load_module(text(path)?, device.is_cuda(), index)?))
    }

    /// Its parameters in their order, then its buffers. A tensor with several names has the first of them, as in
    /// PyTorch's `named_parameters`.
    pub fn tensors(&self) -> Result<Vec<ModuleTensor>> {
        let mut all: Vec<ModuleTensor> = Vec::new();
        let mut seen = std::collections::HashSet::new();
        for bridge::ModuleTensor { name, is_parameter, tensor } in
            bridge::module_tensors(self.cpp())?
        {
            let tensor = owned(tensor);
            if seen.insert(identity(&tensor)) {
                all.push(ModuleTensor { name, is_parameter, tensor });
            }
        }
        Ok(all)
    }

    /// Registers its tensors under a path: parameters that require a gradient are trainable, and frozen ones and
    /// buffers are not. The store then has the tensors themselves, so the module is trained in place.
    pub fn register(&self, path: &nn::Path<'_>) -> Result<()> {
        for ModuleTensor { name, is_parameter, tensor } in self.tensors()? {
            let mut parts: Vec<&str> = name.split('.').collect();
            let last = parts.pop().unwrap_or(&name);
            let folder = parts.into_iter().fold(path.clone(), |path, part| path / part);
            let trainable = is_parameter && tensor.requires_grad();
            let _ = folder.add(last, tensor, trainable);
        }
        Ok(())
    }

    /// Switches all submodules to training or evaluation mode, as PyTorch's `train` and `eval`. What was traced keeps
    /// the mode in which it was traced.
    pub fn set_train(&self, train: bool) -> Result<()> {
        Ok(bridge::set_module_training(self.cpp(), train)?)
    }

    /// Calls the module's `forward` with one tensor. The graph is interpreted as it is, without fused kernels, so that
    /// each call gives the same bits.
    ///
    /// # Errors
    /// If the code fails, or its result is not one tensor.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(owned(bridge::module_forward(self.cpp(), cpp(input))?))
    }

    /// Writes the module to a file, which is replaced if it exists, with one of its extra files: a name and a text.
    pub fn save(&self, path: &Path, extra: Option<(&str, &str)>) -> Result<()> {
        let (name, content) = extra.unwrap_or_default();
        Ok(bridge::save_module(self.cpp(), text(path)?, name, content)?)
    }

    /// Records what `forward` computes from `example` as a module, with the variables of `vs` as its parameters and
    /// buffers: the tensors themselves. No gradients are recorded.
    ///
    /// Sizes that `forward` reads in Rust become constants of the module.
    ///
    /// # Errors
    /// If this thread is already tracing, or a variable's name is also that of a group of variables.
    pub fn trace(
        vs: &nn::VarStore,
        example: &Tensor,
        forward: impl FnOnce(&Tensor) -> Tensor,
    ) -> Result<Self> {
        /// Ends the trace even if `forward` panics.
        struct Tracing;
        impl Drop for Tracing {
            fn drop(&mut self) {
                bridge::abandon_trace();
            }
        }
        let mut variables: Vec<(String, Tensor)> = vs.variables().into_iter().collect();
        variables.sort_by(|(a, _), (b, _)| a.cmp(b));
        let tensors = variables.iter().map(|(name, tensor)| bridge::NamedTensor {
            name: name.clone(),
            is_parameter: tensor.requires_grad(),
            tensor: tensor.as_ptr().cast(),
        });
        let _guard = tch::no_grad_guard();
        let module = Module(bridge::begin_trace(&tensors.collect::<Vec<_>>(), cpp(example))?);
        let tracing = Tracing;
        let output = forward(example);
        bridge::end_trace(module.cpp(), cpp(&output))?;
        std::mem::forget(tracing);
        Ok(module)
    }

    fn cpp(&self) -> &bridge::ScriptModule {
        self.0.as_ref().expect("C++ returned a module")
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error(format!("The path {} is not UTF-8.", path.display())))
}

#[cfg(test)]
mod tests;
