//! A network that PyTorch scripted or traced. Its parameters and buffers are the model's variables, under their own
//! names.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use lookahead_core::tch_ext::generator;
use lookahead_core::tch_ext::torchscript::Module;
use lookahead_run::checkpoint::sha256_of_file;
use lookahead_run::event::Task;
use lookahead_run::words::reason;
use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor, nn};

use super::network::Network;
use crate::config::issue::ConfigIssue;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::data::spec::{DataSpec, Inputs};
use crate::file_kind;
use crate::usage::UsageError;

/// The keys of `[model]` for this model.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TorchScriptOptions {
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
}

impl KindOptions for TorchScriptOptions {
    const KEYS: &'static [Key] = &[Key::path(
        "file",
        "the module that PyTorch scripted or traced: see [networks from PyTorch](guide.md#networks-from-pytorch). Its \
         weights are the first ones of the run, and are not drawn from `train.seed`",
    )
    .allowed("a file that `torch.jit.save` wrote")
    .required("\"net.pt\"")];
    const TASKS: &'static [Task] =
        &[Task::Classification, Task::Regression, Task::Multilabel, Task::Language];

    fn about(_kind: &str) -> &'static str {
        "a network that PyTorch scripted or traced"
    }

    fn check(&self) -> Result<(), ConfigIssue> {
        if self.file.is_some() {
            return Ok(());
        }
        Err(ConfigIssue::new(
            "model.kind",
            "`model.kind` is torchscript, but `model.file` is missing. Name a file that PyTorch wrote with \
             `torch.jit.script(net).save(\"net.pt\")`, for example `--set model.file=net.pt`.",
        ))
    }
}

/// The model.
#[derive(Debug)]
pub struct TorchScript {
    module: Module,
    file: PathBuf,
    /// The mode that was set last: whether the module trains.
    train: Cell<Option<bool>>,
    frozen: Vec<String>,
}

/// Loads the module, and checks that it fits the data.
///
/// # Errors
/// A usage error if the file can't be loaded, has no parameters to train, or doesn't compute what the data needs.
pub fn build(
    options: TorchScriptOptions,
    path: &nn::Path<'_>,
    spec: &DataSpec,
) -> anyhow::Result<TorchScript> {
    let file = options.file.unwrap_or_default();
    let module = load(&file, path.device())?;
    let tensors = module.tensors()?;
    let parameters = tensors.iter().filter(|tensor| tensor.is_parameter);
    let (trainable, frozen): (Vec<_>, Vec<_>) =
        parameters.partition(|parameter| parameter.tensor.requires_grad());
    if trainable.is_empty() {
        let why = if frozen.is_empty() {
            "it has none: they became constants, as `torch.jit.freeze` and \
             `torch.jit.optimize_for_inference` make them. Save the module before that"
        } else {
            "none of them requires a gradient. Set `requires_grad` for some before saving it"
        };
        return Err(refused(&file, &format!("No parameter can be trained: {why}.")).into());
    }
    let frozen = frozen.into_iter().map(|parameter| parameter.name.clone()).collect();
    let buffers = tensors.iter().filter(|tensor| !tensor.is_parameter);
    let buffers: Vec<&Tensor> = buffers.map(|buffer| &buffer.tensor).collect();
    check(&module, &buffers, path.device(), spec).map_err(|reason| refused(&file, &reason))?;
    module.register(path)?;
    Ok(TorchScript { module, file, train: Cell::new(None), frozen })
}

fn load(file: &Path, device: Device) -> Result<Module, UsageError> {
    if let Err(cause) = lookahead_run::open_plain(file) {
        return Err(UsageError::new(format!(
            "The file {} of `model.file` can't be read: {}. It has the network's code, which no checkpoint has: \
             put it back, or give its present place with `--set model.file=FILE` to `train` or `resume`.",
            file.display(),
            reason(&cause)
        )));
    }
    if let Some(sentence) = file_kind::of_module(file) {
        return Err(refused(file, &sentence));
    }
    Module::load(file, device).map_err(|error| {
        let text = error.to_string();
        refused(file, &if text.contains("maximum supported version") {
            format!(
                "A newer libtorch wrote it: {text} This program has libtorch {}. Save it with PyTorch of that version \
                 or an older one.",
                lookahead_core::tch_ext::build::libtorch_version()
            )
        } else {
            format!("libtorch can't load it: {}", short(&text))
        })
    })
}

fn refused(file: &Path, reason: &str) -> UsageError {
    UsageError::new(format!(
        "The module {} of `model.file` can't be used. {reason}",
        file.display()
    ))
}

/// The samples of the check. Two, so that a network can't take the batch for another dimension.
const SAMPLES: i64 = 2;

/// Runs the module on a small batch in evaluation mode, and compares the shape of its output with what the task needs.
/// Buffers and random generators are as before afterwards.
fn check(
    module: &Module,
    buffers: &[&Tensor],
    device: Device,
    spec: &DataSpec,
) -> Result<(), String> {
    let Inputs { shape, dtype, .. } = &spec.inputs;
    let kind = if dtype == "int64" { Kind::Int64 } else { Kind::Float };
    let shape: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    let given = [&[SAMPLES], &shape[..]].concat();
    let Some(outputs) = spec.outputs.map(|outputs| outputs as i64) else {
        return Err(format!("{} is a quadratic problem, whose model is a point.", spec.data));
    };
    let mut wanted = vec![SAMPLES, outputs];
    if spec.task == Task::Language {
        wanted.splice(1..1, shape);
    }
    let _guard = tch::no_grad_guard();
    let before: Vec<Tensor> = buffers.iter().map(|buffer| buffer.copy()).collect();
    let mut devices = vec![Device::Cpu];
    devices.extend(device.is_cuda().then_some(device));
    let generators: Vec<Tensor> = devices
        .iter()
        .map(|device| generator::state(*device))
        .collect::<Result<_, _>>()
        .map_err(|error| error.to_string())?;
    module.set_train(false).map_err(|error| error.to_string())?;
    let output = module.forward(&Tensor::zeros(&given[..], (kind, device)));
    for (device, state) in devices.iter().zip(&generators) {
        generator::set_state(*device, state).map_err(|error| error.to_string())?;
    }
    let batch = format!("{SAMPLES} samples of {}, {dtype} of shape {given:?}", spec.data);
    let output =
        output.map_err(|error| format!("It fails on {batch}: {}", short(&error.to_string())))?;
    if buffers.iter().zip(&before).any(|(now, before)| **now != *before) {
        return Err(
            "It changes its buffers in evaluation mode, since it was traced in training mode. Use \
             `torch.jit.script(net)`, or call `net.eval()` before `torch.jit.trace`."
                .to_owned(),
        );
    }
    if output.size() != wanted || !output.is_floating_point() {
        return Err(format!(
            "For {batch}, it returns {:?} of shape {:?}. It must return Float of shape {wanted:?}: one number for each \
             of the {outputs} {}. Change its last layer in PyTorch.",
            output.kind(),
            output.size(),
            if spec.task == Task::Language { "characters, at each position" } else { "outputs" },
        ));
    }
    Ok(())
}

/// The last line of libtorch's text: in an error of a module it is the reason, after the lines of code.
fn short(text: &str) -> &str {
    let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or(text);
    last.strip_prefix("RuntimeError: ").unwrap_or(last).trim()
}

impl Network for TorchScript {
    fn outputs(&self, inputs: &Tensor, train: bool) -> Tensor {
        let is_set = self.train.replace(Some(train)) == Some(train);
        let set = if is_set { Ok(()) } else { self.module.set_train(train) };
        // As operations of other networks do.
        set.and_then(|()| self.module.forward(inputs)).unwrap_or_else(|error| panic!("{error}"))
    }

    fn module(&self) -> Option<&Module> {
        Some(&self.module)
    }

    fn frozen(&self) -> Vec<String> {
        self.frozen.clone()
    }

    fn origin(&self) -> Option<String> {
        let digest = sha256_of_file(&self.file).ok()?;
        Some(format!(
            "The run starts with the weights in {}, a TorchScript module with SHA-256 {digest}. They are not drawn from \
             `train.seed`.",
            self.file.display()
        ))
    }
}
