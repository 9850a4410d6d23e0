//! Networks from PyTorch, and models that go there with their code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{
    SMALL, Sandbox, failed, python, root, sets, signal, stderr, succeeded, train, wait_until,
};
use crate::tensors::write_batches;
use lookahead_core::tch_ext::torchscript::Module;
use lookahead_trainer::config::Config;
use lookahead_trainer::registry::Registry;
use lookahead_trainer::tensor_file::{entries, read, write_new};
use tch::{Device, Kind, Tensor};

/// Without random numbers, so that networks with other code take the same steps.
fn plain() -> String {
    SMALL
        .replace("dropout = 0.3", "dropout = 0.0")
        .replace("batch_norm = true", "batch_norm = false")
}

/// The digits, for a module.
fn scripted(file: &str) -> String {
    let (start, rest) = SMALL.split_once("[model]").unwrap();
    let (_, rest) = rest.split_once("[optimizer]").unwrap();
    format!("{start}[model]\nkind = \"torchscript\"\nfile = \"{file}\"\n\n[optimizer]{rest}")
}

/// Runs the script of these tests. `None` without PyTorch.
fn torchscript_py(arguments: &[&Path]) -> Option<String> {
    let Some(python) = python() else {
        eprintln!("Skipped: no Python with torch and safetensors; `just python` makes one.");
        return None;
    };
    let script = root().join("crates/lookahead-trainer/tests/python/torchscript.py");
    let output = Command::new(python).arg(script).args(arguments).output().unwrap();
    Some(String::from_utf8(succeeded(output).stdout).unwrap())
}

const TEXT: &str = "[data]\nkind = \"text\"\nfile = \"t.txt\"\nlength = 8\nvalidation = 2\n[model]\nkind = \"lstm\"\n\
                    width = 8\nlayers = 2\n[train]\nmax_steps = 2\nthreads = 1\n";

/// An export of each model gives the model's outputs for any batch size, here and in PyTorch.
#[test]
fn exported_modules_compute_what_the_models_compute() {
    let cnn =
        ["model.kind=cnn", "model.channels=[4]", "model.hidden=[8]", "train.channels_last=true"];
    let resnet = ["model.kind=resnet", "model.width=4", "model.blocks=[1, 1]"];
    let transformer = ["model.kind=transformer", "model.heads=2", "model.dropout=0.1"];
    let sandbox = Sandbox::new(SMALL);
    std::fs::write(sandbox.path().join("t.txt"), "a text of letters, ".repeat(40)).unwrap();
    let mut arguments = vec![PathBuf::from("run")];
    for (run, config, own) in [
        ("mlp", SMALL, &["model.hidden=[8]"][..]),
        ("cnn", SMALL, &cnn),
        ("resnet", SMALL, &resnet),
        ("lstm", TEXT, &["model.dropout=0.2"]),
        ("transformer", TEXT, &transformer),
    ] {
        std::fs::write(sandbox.config(), config).unwrap();
        sandbox.train(run, &sets(&[own, &["train.max_steps=2"]].concat()));
        let file = format!("{run}.pt");
        let export = ["export", &format!("runs/{run}"), "-o", &file];
        let said = stderr(&succeeded(sandbox.lookahead(&export)));
        assert!(said.contains("as a TorchScript module, in "), "{said}");
        let expected = sandbox.path().join(format!("{run}.safetensors"));
        write_new(&expected, None, entries(compare(&sandbox, run))).unwrap();
        arguments.extend([sandbox.path().join(file), expected]);
    }
    let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    if let Some(said) = torchscript_py(&arguments) {
        assert!(said.contains("5 modules agree"), "{said}");
    }
}

/// Compares a run's exported module with its model, and returns their inputs, outputs and weights.
fn compare(sandbox: &Sandbox, run: &str) -> BTreeMap<String, Tensor> {
    let kinds = Registry::builtin();
    let folder = sandbox.run_folder(run);
    let text = std::fs::read_to_string(folder.join("config.toml")).unwrap();
    let config = Config::parse(kinds.kinds(), "config.toml", &text, &[]).unwrap().config;
    let spec = kinds.load_data(&config.data).unwrap().spec;
    let mut model = kinds.build_model(&config.model, &spec, Device::Cpu).unwrap();
    model.vs.load(folder.join("step-00000002/model.safetensors")).unwrap();
    let module = Module::load(&sandbox.path().join(format!("{run}.pt")), Device::Cpu).unwrap();
    let _guard = tch::no_grad_guard();
    let weights = model.vs.variables().into_iter();
    let mut all: BTreeMap<String, Tensor> =
        weights.map(|(name, tensor)| (format!("weights/{name}"), tensor)).collect();
    for size in [1, 2, 7] {
        let shape = spec.inputs.shape.iter().map(|&n| n as i64);
        let shape: Vec<i64> = std::iter::once(size).chain(shape).collect();
        let inputs = match spec.alphabet {
            Some(_) => Tensor::randint(8, &shape[..], (Kind::Int64, Device::Cpu)),
            None => Tensor::randn(&shape[..], (Kind::Float, Device::Cpu)),
        };
        let outputs = model.forward(&inputs, false);
        assert_eq!(module.forward(&inputs).unwrap(), outputs, "{run}");
        all.insert(format!("inputs/{size}"), inputs);
        all.insert(format!("outputs/{size}"), outputs);
    }
    all
}

/// An exported network trains as the model that it came from, to the bit, and is exported again.
#[test]
fn a_module_trains_as_its_model() {
    let sandbox = Sandbox::new(&plain());
    sandbox.train("first", &[]);
    let export = |run: &str, file: &str, more: &[&str]| {
        let run = format!("runs/{run}");
        succeeded(sandbox.lookahead(&[&["export", &run, "-o", file], more].concat()))
    };
    export("first", "phi.safetensors", &[]);
    export("first", "phi.pt", &[]);
    let original = std::fs::read(sandbox.path().join("phi.pt")).unwrap();
    sandbox.train("model", &["--init-from", "phi.safetensors"]);
    std::fs::write(sandbox.config(), scripted("phi.pt")).unwrap();
    let said = stderr(&sandbox.train("module", &[]));
    assert!(said.contains("phi.pt, a TorchScript module with SHA-256"), "{said}");
    assert_eq!(sandbox.losses("module"), sandbox.losses("model"));
    // The signature in the file's metadata is the same too.
    assert!(sandbox.tensors("module", 14)[0] == sandbox.tensors("model", 14)[0]);

    export("module", "fast.pt", &["--weights", "fast", "--from", "13"]);
    let vs = tch::nn::VarStore::new(Device::Cpu);
    Module::load(&sandbox.path().join("fast.pt"), Device::Cpu)
        .unwrap()
        .register(&vs.root())
        .unwrap();
    let training = sandbox.run_folder("module").join("step-00000013/training.safetensors");
    let training = read(&training).unwrap();
    assert_eq!(vs.len(), 4);
    for (name, tensor) in vs.variables() {
        assert_eq!(tensor, training[&format!("fast/{name}")], "{name}");
    }
    // The original is as it was.
    assert!(original == std::fs::read(sandbox.path().join("phi.pt")).unwrap());
    let eval = |run: &str| {
        let run = format!("runs/{run}");
        let found = succeeded(sandbox.lookahead(&["eval", &run, "--json"])).stdout;
        let found: serde_json::Value = serde_json::from_slice(&found).unwrap();
        found["loss"].clone()
    };
    assert_eq!(eval("module"), eval("model"));

    // Without the file there is no code.
    std::fs::rename(sandbox.path().join("phi.pt"), sandbox.path().join("moved.pt")).unwrap();
    let gone = ["phi.pt of `model.file` can't be read", "--set model.file=FILE"];
    failed(&sandbox.lookahead(&["eval", "runs/module"]), 2, &gone);
    failed(&sandbox.lookahead(&["resume", "runs/module"]), 2, &gone);
    sandbox.resume("module", &sets(&["model.file=moved.pt", "train.max_steps=16"]));
    eval("module");
}

/// Modules that PyTorch made, in a folder. `None` without PyTorch.
fn made_by_pytorch(config: &str) -> Option<Sandbox> {
    let sandbox = Sandbox::new(config);
    torchscript_py(&[Path::new("make"), sandbox.path()])?;
    Some(sandbox)
}

/// With batch normalization, whose count of batches is a buffer, dropout and a frozen parameter.
#[test]
fn a_killed_run_of_a_module_resumes_to_the_bit() {
    let Some(sandbox) = made_by_pytorch(&scripted("dropped.pt")) else { return };
    let more = &sets(&["train.max_steps=60", "lookahead.recalibrate=2"])[..];
    sandbox.train("whole", more);
    let mut child = sandbox.start("killed", more);
    wait_until("there is a checkpoint", || {
        sandbox.run_folder("killed").join("step-00000004").is_dir()
    });
    signal(&child, "KILL");
    child.wait().unwrap();
    // From another folder.
    let folder = sandbox.run_folder("killed");
    let mut command = Command::new(env!("CARGO_BIN_EXE_lookahead"));
    succeeded(command.arg("resume").arg(&folder).current_dir(root()).output().unwrap());
    assert_eq!(sandbox.losses("killed"), sandbox.losses("whole"));
    assert!(sandbox.tensors("killed", 60) == sandbox.tensors("whole", 60));

    let path = sandbox.run_folder("whole").join("step-00000060/training.safetensors");
    let training = read(&path).unwrap();
    let names: Vec<&str> = training.keys().filter_map(|name| name.strip_prefix("fast/")).collect();
    let parameters = ["conv.weight", "out.bias", "out.weight", "scale"];
    let norm = ["bias", "num_batches_tracked", "running_mean", "running_var", "weight"];
    let mut expected: Vec<String> = norm.map(|name| format!("bn.{name}")).to_vec();
    expected.extend(parameters.map(str::to_owned));
    assert_eq!(names, expected);
    // Neither evaluations nor the statistics for φ count as batches.
    assert_eq!(training["fast/bn.num_batches_tracked"].int64_value(&[]), 60);
    assert_eq!(training["fast/scale"], Tensor::full_like(&training["fast/scale"], 1.5));
    assert!(!training.contains_key("optimizer/slow/scale"));
}

/// Fifty steps of Lookahead, in PyTorch with the formulas written out, and here.
#[test]
fn pytorch_trains_a_module_to_the_same_weights() {
    let config = scripted("net.pt");
    let Some(sandbox) = made_by_pytorch(&config) else { return };
    let batches = sandbox.path().join("batches.safetensors");
    write_batches(&config, 0, 50, &batches);
    let common = ["train.max_steps=50", "lookahead.final_sync=false", "lookahead.k=6"];
    let sgd = ["optimizer.momentum=0.9", "optimizer.weight_decay=0.0005"];
    let adamw = ["optimizer.kind=adamw", "optimizer.lr=0.01", "optimizer.weight_decay=0.1"];
    let mut arguments = vec![PathBuf::from("train"), sandbox.path().join("net.pt"), batches];
    for (run, own) in [("sgd", &sgd[..]), ("adamw", &adamw)] {
        sandbox.train(run, &sets(&[&common, own].concat()));
        arguments.push(sandbox.run_folder(run).join("step-00000050"));
    }
    let arguments: Vec<&Path> = arguments.iter().map(PathBuf::as_path).collect();
    assert!(torchscript_py(&arguments).unwrap().contains("2 trainings agree"));
}

/// Two layers with one weight have one variable.
#[test]
fn tied_weights_are_trained_once() {
    let Some(sandbox) = made_by_pytorch(&scripted("tied.pt")) else { return };
    sandbox.train("run", &[]);
    let model = read(&sandbox.run_folder("run").join("step-00000014/model.safetensors")).unwrap();
    let names: Vec<&str> = model.keys().map(String::as_str).collect();
    assert_eq!(names, ["first.bias", "first.weight", "out.bias", "out.weight", "second.bias"]);
}

#[test]
fn modules_that_cannot_be_trained_are_refused() {
    let Some(sandbox) = made_by_pytorch(&scripted("net.pt")) else { return };
    let refused = |file: &str, words: &[&str]| {
        let file_is = format!("model.file={file}");
        let output = sandbox.lookahead(&train("run", &["--set", &file_is]));
        let place = format!("{file} of `model.file` can't be used");
        failed(&output, 2, &[&[&place[..]], words].concat());
        assert!(!sandbox.run_folder("run").exists());
    };
    refused("state.pt", &["has weights but no code", "torch.jit.script(net)"]);
    refused("constants.pt", &["No parameter can be trained", "torch.jit.freeze"]);
    refused("frozen.pt", &["No parameter can be trained", "requires_grad"]);
    refused("newer.pt", &["A newer libtorch wrote it", "version 99", "has libtorch 2."]);
    refused("narrow.pt", &["Float of shape [2, 7]", "must return Float of shape [2, 10]"]);
    refused(
        "pair.pt",
        &["It fails on 2 samples of digits", "returns Tuple[Tensor, Tensor]", "not a tensor"],
    );
    refused("flat.pt", &["float32 of shape [2, 1, 8, 8]", "shapes cannot be multiplied"]);
    refused("training.pt", &["changes its buffers in evaluation mode", "torch.jit.trace"]);
    std::fs::write(sandbox.path().join("text.pt"), "import torch").unwrap();
    refused("text.pt", &["not a TorchScript file", "torch.jit.script(net)"]);
    let whole = std::fs::read(sandbox.path().join("net.pt")).unwrap();
    std::fs::write(sandbox.path().join("cut.pt"), &whole[..whole.len() / 2]).unwrap();
    refused("cut.pt", &["cut off"]);
}

#[test]
fn a_module_needs_a_file() {
    let sandbox = Sandbox::new(&scripted("net.pt"));
    failed(&sandbox.lookahead(&train("run", &[])), 2, &["net.pt of `model.file` can't be read"]);
    let config = scripted("").replace("file = \"\"\n", "");
    std::fs::write(sandbox.config(), config).unwrap();
    let words = ["test.toml, line 8", "`model.file` is missing", "torch.jit.script(net).save"];
    failed(&sandbox.lookahead(&train("run", &[])), 2, &words);
}
