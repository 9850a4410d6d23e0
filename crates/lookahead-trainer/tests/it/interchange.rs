//! Weights that come from other programs and go to them.

use std::collections::BTreeMap;
use std::process::Command;

use crate::common::{SMALL, Sandbox, failed, root, sets, stderr, succeeded, train};
use crate::tensors::write_batches;
use lookahead_run::Manifest;
use lookahead_run::event::Event;
use lookahead_trainer::tensor_file::{TensorFile, entries, read, write_new};
use tch::Tensor;

/// φ is the model file; θ is what training continues with.
#[test]
fn both_sets_of_weights_are_exported() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    let export = |file: &str, more: &[&str]| {
        sandbox.lookahead(&[&["export", "runs/run", "--output", file], more].concat())
    };
    let said = stderr(&succeeded(export("slow.safetensors", &[])));
    assert!(said.contains("slow weights of step-00000014"), "{said}");
    succeeded(export("fast.safetensors", &["--weights", "fast", "--from", "13"]));
    let bytes = |name: &str| std::fs::read(sandbox.path().join(name)).unwrap();
    assert!(bytes("slow.safetensors") == sandbox.tensors("run", 14)[0]);
    let training = sandbox.run_folder("run").join("step-00000013/training.safetensors");
    let training = read(&training).unwrap();
    let fast = read(&sandbox.path().join("fast.safetensors")).unwrap();
    assert!(fast.iter().all(|(name, tensor)| *tensor == training[&format!("fast/{name}")]));
    assert_eq!(fast.len(), training.keys().filter(|name| name.starts_with("fast/")).count());

    let before = bytes("slow.safetensors");
    failed(&export("slow.safetensors", &["--weights", "fast"]), 2, &["exists", "`--force`"]);
    assert!(bytes("slow.safetensors") == before);
    for (name, right) in [
        ("phi.pth", "phi.safetensors for"),
        ("a/b.v2.npz", "or a/b.v2.pt for a TorchScript"),
        ("m", "`--output` is m, without an ending. Use m.safetensors for"),
    ] {
        failed(&export(name, &[]), 2, &[name, right]);
        assert!(!sandbox.path().join(name).exists());
    }
    failed(&export("no/such/folder/m.pt", &[]), 2, &["There is no folder no/such", "Create it"]);
    failed(&export("other.pt", &["--from", "99"]), 2, &["no checkpoint of step 99"]);
}

#[test]
fn without_lookahead_the_fast_weights_are_the_model() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "lookahead=false"]);
    let export = ["export", "runs/run", "--output", "model.safetensors"];
    assert!(stderr(&succeeded(sandbox.lookahead(&export))).contains("fast weights of"));
    let exported = std::fs::read(sandbox.path().join("model.safetensors")).unwrap();
    assert!(exported == sandbox.tensors("run", 14)[0]);
    let slow = ["export", "runs/run", "-o", "other.pt", "--weights", "slow"];
    failed(&sandbox.lookahead(&slow), 2, &["has no slow weights"]);
}

/// Both θ and φ begin with another run's model.
#[test]
fn init_from_begins_with_given_weights() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("first", &[]);
    let model = "runs/first/step-00000014/model.safetensors";
    // At a learning rate of 0 only the statistics of batch normalization change.
    let still = ["--init-from", model, "--set", "optimizer.lr=0", "--set", "train.max_steps=4"];
    sandbox.train("second", &still);
    let given = read(&sandbox.path().join(model)).unwrap();
    let files = ["model.safetensors", "training.safetensors"]
        .map(|file| sandbox.run_folder("second").join("step-00000004").join(file));
    let [found, training] = files.map(|file| read(&file).unwrap());
    for (name, tensor) in given.iter().filter(|(name, _)| !name.contains("running")) {
        assert_eq!(found[name], *tensor, "{name}");
        assert_eq!(training[&format!("fast/{name}")], *tensor, "{name}");
        assert_eq!(training[&format!("optimizer/slow/{name}")], *tensor, "{name}");
    }
    // The log says where they came from.
    let told = first_note(&sandbox, "second");
    assert!(told.contains(model) && told.contains("SHA-256"), "{told}");

    let other = ["--init-from", model, "--set", "model.hidden=[8]"];
    let train = |more: &[&str]| sandbox.lookahead(&train("third", more));
    failed(&train(&other), 2, &["does not fit the model", "`fc1.weight` has shape [16, 64]"]);
    assert!(!sandbox.run_folder("third").exists());
    std::fs::write(sandbox.path().join("it.pt"), b"PK\x03\x04 a zip archive").unwrap();
    failed(&train(&["--init-from", "it.pt"]), 2, &["it.pt", "weights_only=True"]);
    failed(&train(&["--init-from", "missing"]), 2, &["missing", "can't be read"]);
    failed(&train(&["--init-partial"]), 2, &["--init-from"]);
}

#[test]
fn init_partial_takes_a_part_of_the_weights() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("first", &[]);
    let mut model =
        read(&sandbox.run_folder("first").join("step-00000014/model.safetensors")).unwrap();
    model.retain(|name, _| name.starts_with("fc1"));
    write_new(&sandbox.path().join("part.safetensors"), None, entries(model)).unwrap();
    let more = ["--init-from", "part.safetensors", "--set", "optimizer.lr=0"];
    let refused = sandbox.lookahead(&train("second", &more));
    failed(&refused, 2, &["Missing in the file: `fc_bn1.bias`", "--init-partial"]);
    sandbox.train("second", &[&more[..], &["--init-partial"]].concat());
}

/// A network of another program: `module.backbone.…` and `module.classifier.…`.
#[test]
fn init_rename_maps_the_names_of_a_file_to_the_models() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("first", &[]);
    let first = read(&sandbox.run_folder("first").join("step-00000014/model.safetensors")).unwrap();
    let renamed = |(name, tensor): (&String, &Tensor)| {
        let name = match name.strip_prefix("out.") {
            Some(rest) => format!("module.classifier.{rest}"),
            None => format!("module.backbone.{name}"),
        };
        (name, tensor.shallow_clone())
    };
    let mut given: BTreeMap<String, Tensor> = first.iter().map(renamed).collect();
    let write = |name: &str, tensors: &BTreeMap<String, Tensor>| {
        let tensors = tensors.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone()));
        write_new(&sandbox.path().join(name), None, entries(tensors.collect())).unwrap();
    };
    write("other.safetensors", &given);
    let from = ["--init-from", "other.safetensors", "--set", "optimizer.lr=0"];
    let renames = ["--init-rename", "module.=", "--init-rename", "backbone.="];
    let out = ["--init-rename", "classifier.=out."];

    // Without the renames, and with a part of them, the error has the next one.
    let attempt = |more: &[&str]| sandbox.lookahead(&train("refused", &[&from[..], more].concat()));
    let words = ["does not fit", "With `--init-rename 'module.backbone.='`, 6 more names fit."];
    failed(&attempt(&[]), 2, &words);
    let words = [
        "Missing in the file: `out.bias`, `out.weight`.",
        "`module.classifier.bias`, renamed `classifier.bias`",
        "With `--init-rename 'classifier.=out.'`, 2 more names fit.",
    ];
    failed(&attempt(&renames), 2, &words);
    let words = ["fits no name in other.safetensors", "none begins with `backbon.`"];
    failed(&attempt(&["--init-rename", "backbon.="]), 2, &words);
    failed(&attempt(&["--init-rename", "backbone."]), 2, &["is not OLD=NEW"]);
    let alone = sandbox.lookahead(&train("refused", &renames));
    failed(&alone, 2, &["--init-from"]);
    assert!(!sandbox.run_folder("refused").exists());

    sandbox.train("second", &[&from[..], &renames, &out].concat());
    let note = first_note(&sandbox, "second");
    let words = "Its names are changed by `--init-rename 'module.=' --init-rename 'backbone.=' \
                 --init-rename 'classifier.=out.'`.";
    assert!(note.contains("8 tensors") && note.contains(words), "{note}");
    assert!(!note.contains("Loaded:"), "{note}");
    let second =
        |run: &str| read(&sandbox.run_folder(run).join("step-00000014/model.safetensors")).unwrap();
    let is_weight = |name: &&String| !name.contains("running");
    assert!(first.keys().filter(is_weight).all(|name| second("second")[name] == first[name]));

    // Of a part, the report names what was loaded and what was not.
    given.remove("module.backbone.fc1.bias");
    write("part.safetensors", &given);
    let from = ["--init-from", "part.safetensors", "--init-partial", "--set", "optimizer.lr=0"];
    sandbox.train("third", &[&from[..], &renames].concat());
    let note = first_note(&sandbox, "third");
    for words in [
        "Loaded: `fc1.weight`, `fc_bn1.bias`, `fc_bn1.running_mean`",
        "Missing in the file, so not loaded: `fc1.bias`, `out.bias`, `out.weight`.",
        "Not in the model, so not loaded: `module.classifier.bias`, renamed `classifier.bias`",
    ] {
        assert!(note.contains(words), "{note}");
    }
    assert_eq!(second("third")["fc1.weight"], first["fc1.weight"]);
    assert_ne!(second("third")["out.weight"], first["out.weight"]);
}

/// Fine-tuning: a model of ten classes begins with one of five.
#[test]
fn init_partial_takes_the_layers_that_fit_and_lists_the_others() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("first", &[]);
    let first = read(&sandbox.run_folder("first").join("step-00000014/model.safetensors")).unwrap();
    let mut given: BTreeMap<_, _> =
        first.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
    given.insert("out.weight".to_owned(), first["out.weight"].narrow(0, 0, 5));
    given.insert("out.bias".to_owned(), first["out.bias"].narrow(0, 0, 5));
    given.insert("old.head".to_owned(), first["out.bias"].shallow_clone());
    given.remove("fc_bn1.bias");
    write_new(&sandbox.path().join("five.safetensors"), None, entries(given)).unwrap();
    let more = ["--init-from", "five.safetensors", "--init-partial", "--set", "optimizer.lr=0"];
    let said = stderr(&sandbox.train("second", &more));
    let note = first_note(&sandbox, "second");
    for words in [
        "Of another shape, so not loaded: `out.bias` has shape [5] and must have [10], \
         `out.weight` has shape [5, 16] and must have [10, 16].",
        "Missing in the file, so not loaded: `fc_bn1.bias`.",
        "Not in the model, so not loaded: `old.head`.",
    ] {
        assert!(note.contains(words), "{note}");
        assert!(said.contains(words), "{said}");
    }
    let model =
        read(&sandbox.run_folder("second").join("step-00000014/model.safetensors")).unwrap();
    assert_eq!(model["fc1.weight"], first["fc1.weight"]);
    assert_ne!(model["out.weight"], first["out.weight"]);

    write_new(&sandbox.path().join("none.safetensors"), None, entries(BTreeMap::new())).unwrap();
    let none = ["train", "test.toml", "--out", "runs", "--init-from", "none.safetensors"];
    let none = sandbox.lookahead(&[&none[..], &["--init-partial"]].concat());
    failed(&none, 2, &["Nothing in none.safetensors fits the model"]);
}

fn first_note(sandbox: &Sandbox, run: &str) -> String {
    let mut records = sandbox.records(run).into_iter();
    let note = records.find_map(|record| match record.event {
        Event::Note(note) => Some(note.message),
        _ => None,
    });
    note.expect("there is a note in the log")
}

/// The file alone says how to use it.
#[test]
fn weight_files_describe_their_inputs_and_outputs() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &[]);
    succeeded(sandbox.lookahead(&[
        "export",
        "runs/run",
        "-o",
        "fast.safetensors",
        "--weights",
        "fast",
    ]));
    let checkpoint = sandbox.run_folder("run").join("step-00000014");
    let manifest = Manifest::read(&checkpoint).unwrap().metadata.signature;
    assert_eq!(manifest["inputs"]["mean"], serde_json::json!([4.8916]));
    assert_eq!(manifest["inputs"]["std"], serde_json::json!([6.0189]));
    assert_eq!(manifest["inputs"]["shape"], serde_json::json!([1, 8, 8]));
    assert_eq!(manifest["inputs"]["range"], serde_json::json!([0.0, 16.0]));
    assert_eq!(manifest["classes"][9], "9");
    for path in [checkpoint.join("model.safetensors"), sandbox.path().join("fast.safetensors")] {
        let file = TensorFile::open(&path).unwrap();
        let found: serde_json::Value = serde_json::from_str(file.signature().unwrap()).unwrap();
        assert_eq!(found, manifest);
        // As other programs read it.
        let mut vs = tch::nn::VarStore::new(tch::Device::Cpu);
        let bias = (vs.root() / "out").zeros("bias", &[10]);
        vs.load_partial(&path).unwrap();
        assert_eq!(bias, read(&path).unwrap()["out.bias"]);
    }
    for path in ["runs/run", "runs/run/step-00000014"] {
        let text = succeeded(sandbox.lookahead(&["inspect", path])).stdout;
        let text = String::from_utf8(text).unwrap();
        for words in ["shape [1, 8, 8]", "mean [4.8916] and std [6.0189]", "classes: 0, 1, 2"] {
            assert!(text.contains(words), "{text}");
        }
        let json = succeeded(sandbox.lookahead(&["inspect", path, "--json"])).stdout;
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        let found = json.get("signature").unwrap_or(&json["manifest"]["signature"]);
        assert_eq!(*found, manifest);
    }
}

/// The model sees numbers in place of a text's characters.
#[test]
fn a_weight_file_has_the_alphabet_of_its_text() {
    let config = "[data]\nkind = \"text\"\nfile = \"t.txt\"\nlength = 4\nvalidation = 2\n[model]\n\
                  kind = \"lstm\"\n[train]\nmax_steps = 2\n";
    let sandbox = Sandbox::new(config);
    std::fs::write(sandbox.path().join("t.txt"), "häßlich \"häß\"\n".repeat(9)).unwrap();
    sandbox.train("run", &[]);
    succeeded(sandbox.lookahead(&["export", "runs/run", "-o", "phi.safetensors"]));
    let file = TensorFile::open(&sandbox.path().join("phi.safetensors")).unwrap();
    let found: serde_json::Value = serde_json::from_str(file.signature().unwrap()).unwrap();
    assert_eq!(found["alphabet"], "\n \"chilßä");
    assert_eq!((&found["outputs"], &found["task"]), (&9.into(), &"language".into()));
}

// ---- Python

/// The documentation's own code, on the data set's own images.
#[test]
fn the_documented_python_gets_the_accuracy_of_eval_and_the_probabilities_of_predict() {
    let page = std::fs::read_to_string(root().join("checkpoints/README.md")).unwrap();
    let (_, documented) = page.split_once("```python\n").expect("there is Python in it");
    let (documented, _) = documented.split_once("```").unwrap();
    let Some(python) = crate::common::python() else {
        eprintln!("Skipped: no Python with torch and safetensors; `just python` makes one.");
        return;
    };
    let sandbox =
        Sandbox::new(&std::fs::read_to_string(root().join("configs/digits.toml")).unwrap());
    sandbox.train("digits", &["--set", "train.epochs=4"]);
    succeeded(sandbox.lookahead(&["export", "runs/digits", "-o", "phi.safetensors"]));
    let eval = succeeded(sandbox.lookahead(&["eval", "runs/digits", "--json"])).stdout;
    let eval: serde_json::Value = serde_json::from_slice(&eval).unwrap();
    let numbers = |image: &Vec<u8>| format!("{image:?}").replace(['[', ']', ' '], "") + "\n";
    let rows: String = crate::predicting::digits().0.iter().map(numbers).collect();
    std::fs::write(sandbox.path().join("raw.csv"), rows).unwrap();
    let predict = ["predict", "runs/digits", "raw.csv", "--output", "predicted.csv"];
    succeeded(sandbox.lookahead(&predict));
    let images = root().join("crates/lookahead-trainer/data/digits.csv.gz");
    // Every seventh image is test data.
    let measure = format!(
        "import gzip\n\
         rows = gzip.open({images:?}, 'rt').read().split()\n\
         rows = torch.tensor([[int(n) for n in row.split(',')] for row in rows])[6::7]\n\
         raw = rows[:, :-1].reshape(-1, *inputs['shape'])\n\
         assert raw.max() <= inputs['range'][1]\n\
         found = predict(raw)\n\
         print((found == rows[:, -1]).double().mean().item())\n\
         assert [int(signature['classes'][i]) for i in found] == found.tolist()\n\
         ours = open('predicted.csv').read().split()[1:]\n\
         ours = torch.tensor([[float(p) for p in row.split(',')[1:]] for row in ours])\n\
         with torch.inference_mode():\n    \
             theirs = model((raw.float() - mean) / std).softmax(1)\n\
         assert (ours - theirs).abs().max() < 1e-6, (ours, theirs)\n"
    );
    let mut command = Command::new(python);
    command.args(["-c", &format!("{documented}\n{measure}")]).current_dir(sandbox.path());
    let said = String::from_utf8(succeeded(command.output().unwrap()).stdout).unwrap();
    let found: f64 = said.trim().parse().unwrap();
    let expected = eval["accuracy"].as_f64().unwrap();
    assert!((found - expected).abs() < 1e-9 && found > 0.9, "{found}, {expected}");
}

/// The error names the format, and its Python converts the file into one that a run can begin with.
#[test]
fn weights_in_other_formats_are_converted_as_the_error_says() {
    let Some(python) = crate::common::python() else {
        eprintln!("Skipped: no Python with torch and safetensors; `just python` makes one.");
        return;
    };
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("first", &[]);
    let model = sandbox.run_folder("first").join("step-00000014/model.safetensors");
    let script = root().join("crates/lookahead-trainer/tests/python/other_formats.py");
    succeeded(Command::new(&python).arg(script).args([&model, sandbox.path()]).output().unwrap());
    let train = |file: &str, run: &str| {
        sandbox.lookahead(&train(run, &["--init-from", file, "--set", "train.max_steps=1"]))
    };
    for (file, words) in [
        ("checkpoint.pt", "a PyTorch checkpoint with a pickle in it"),
        ("whole.ckpt", "a PyTorch checkpoint with a pickle in it"),
        ("legacy.pth", "a PyTorch checkpoint, a pickle,"),
        ("script.pt", "a TorchScript program"),
        ("arrays.npz", "an archive of NumPy arrays"),
    ] {
        let refused = train(file, "second");
        failed(&refused, 2, &[file, words]);
        let said = stderr(&refused);
        let code = said.split('`').nth(1).unwrap_or_else(|| panic!("no code in {said}"));
        let mut run = Command::new(&python);
        succeeded(run.args(["-c", code]).current_dir(sandbox.path()).output().unwrap());
        let name = file.replace('.', "-");
        let converted = std::path::Path::new(file).with_extension("safetensors");
        succeeded(train(converted.to_str().unwrap(), &name));
        std::fs::remove_file(sandbox.path().join(converted)).unwrap();
    }
    for (file, words) in [
        ("pickled.pkl", "It is a pickle"),
        ("one.npy", "one NumPy array without a name"),
        ("other.zip", "It is a zip archive. Unpack it"),
        ("cut.pt", "a zip archive that is cut off"),
        ("compressed.gz", "Run `gunzip`"),
        ("cut.safetensors", "it is cut off, so get it again"),
    ] {
        failed(&train(file, "second"), 2, &[file, "is not a safetensors file", words]);
    }
}

/// Git LFS pointers and web pages in place of a file.
#[test]
fn pointers_and_pages_are_not_weights() {
    let sandbox = Sandbox::new(SMALL);
    for (text, words) in [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git lfs pull"),
        ("<!DOCTYPE html>\n<html><body>Not found</body></html>", "a web page"),
    ] {
        std::fs::write(sandbox.path().join("w.safetensors"), text).unwrap();
        let train = ["train", "test.toml", "--out", "runs", "--init-from", "w.safetensors"];
        failed(&sandbox.lookahead(&train), 2, &["w.safetensors", words]);
    }
}

/// PyTorch gives the same outputs with φ, and continues from θ and Adam's moments as this program does.
#[test]
fn pytorch_continues_from_a_checkpoint() {
    let Some(python) = crate::common::python() else {
        eprintln!("Passed over: no Python with torch and safetensors; `just python` makes one.");
        return;
    };
    // No dropout: PyTorch would draw other random numbers.
    let plain = SMALL.replace("dropout = 0.3", "dropout = 0.0");
    let sandbox = Sandbox::new(&plain);
    for (kind, fused, batch_norm) in
        [("adam", "true", "false"), ("adamw", "false", "false"), ("sgd", "true", "true")]
    {
        // Before a batch normalization the gradient of a bias is only rounding, which differs between
        // programs, and which Adam scales to full steps.
        let batch_norm = format!("model.batch_norm={batch_norm}");
        let kind_is = format!("optimizer.kind={kind}");
        let fused = format!("optimizer.fused={fused}");
        // Ten steps of the inner optimizer alone, in the middle of a long cycle.
        let more = &sets(&[
            &kind_is,
            &fused,
            &batch_norm,
            "optimizer.lr=0.01",
            "lookahead.k=11",
            "train.max_steps=21",
        ])[..];
        sandbox.train(kind, more);
        let batches = sandbox.path().join(format!("{kind}-batches.safetensors"));
        write_batches(&plain, 11, 10, &batches);
        let script = root().join("crates/lookahead-trainer/tests/python/go_on.py");
        let folder = sandbox.run_folder(kind);
        let output = Command::new(&python)
            .arg(script)
            .args([&folder.join("step-00000011"), &folder.join("step-00000021"), &batches])
            .output()
            .unwrap();
        let said = String::from_utf8(succeeded(output).stdout).unwrap();
        assert!(said.contains("ten steps agree") && said.contains("outputs agree"), "{said}");
        // The accuracy that PyTorch finds for φ is the one in the log.
        let records = sandbox.records(kind);
        let last = records.iter().rev().find_map(|record| match &record.event {
            Event::Evaluation(found) => Some(found),
            _ => None,
        });
        let accuracy = format!("accuracy {:.6}", last.unwrap().accuracy);
        assert!(said.contains(&accuracy), "{said} {accuracy}");
    }
}
