//! A damaged checkpoint is never loaded; the error names it, and nothing changes.

use std::path::PathBuf;

use crate::common::{SMALL, Sandbox, copy_folder, reseal};
use crate::tensors::publish;
use lookahead_run::{TrainingMetadata, checkpoint};
use lookahead_trainer::config::Config;
use lookahead_trainer::registry::Registry;
use lookahead_trainer::train::setup::Training;
use serde_json::Value;

/// A training into which checkpoints are loaded, and a valid one.
struct Bench {
    sandbox: Sandbox,
    training: Training,
    metadata: TrainingMetadata,
    /// The state of the training before loading.
    before: (u64, Vec<u8>),
}

const FILES: [&str; 3] = ["model.safetensors", "training.safetensors", "manifest.json"];

impl Bench {
    fn new() -> Bench {
        let wide = SMALL.replace("hidden = [16]", "hidden = [128]");
        let sandbox = Sandbox::new(&wide);
        sandbox.train("run", &["--set", "train.max_steps=6"]);
        let config =
            Config::parse(Registry::builtin().kinds(), "test.toml", &wide, &[]).unwrap().config;
        let training = Training::new(&Registry::builtin(), config, None).unwrap();
        let folder = sandbox.run_folder("run").join("step-00000005");
        let metadata = checkpoint::verify(&folder).unwrap().metadata;
        let before = look(&training);
        Bench { sandbox, training, metadata, before }
    }

    fn folder(&self) -> PathBuf {
        self.sandbox.run_folder("run").join("step-00000005")
    }

    /// Expects a refusal that names the file, and that nothing has changed.
    #[track_caller]
    fn refuses(&mut self, file: &str, what: &str) -> String {
        let folder = self.folder();
        let refused = self.training.restore(&folder, &self.metadata);
        let said = format!("{:#}", refused.expect_err(what));
        assert!(said.contains("step-00000005"), "{what}: {said}");
        assert!(said.contains(&format!("`{file}`")), "{what}: {said}");
        assert!(look(&self.training) == self.before, "{what}: something has changed");
        let fallback = checkpoint::verify(&folder.with_file_name("step-00000004"));
        assert!(fallback.is_ok());
        said
    }
}

/// The step, all weights, and the random generator.
fn look(training: &Training) -> (u64, Vec<u8>) {
    let generator = lookahead_core::tch_ext::generator::state(tch::Device::Cpu).unwrap();
    let mut all = training.weights_as_bytes();
    all.extend(Vec::<u8>::try_from(generator).unwrap());
    (training.step(), all)
}

/// The valid one can be loaded; otherwise the refusals below would mean nothing.
#[test]
fn an_intact_checkpoint_is_loaded() {
    let mut bench = Bench::new();
    let folder = bench.folder();
    bench.training.restore(&folder, &bench.metadata).unwrap();
    assert_eq!(bench.training.step(), 5);
    assert!(look(&bench.training) != bench.before);
}

#[test]
fn any_changed_byte_is_noticed() {
    let mut bench = Bench::new();
    for file in FILES {
        let path = bench.folder().join(file);
        let whole = std::fs::read(&path).unwrap();
        let count = whole.len().min(1000);
        for i in 0..count {
            let at = i * whole.len() / count;
            let mut bytes = whole.clone();
            // Each bit in turn.
            bytes[at] ^= 1 << (i % 8);
            std::fs::write(&path, bytes).unwrap();
            bench.refuses(file, &format!("{file} with byte {at} changed"));
        }
        std::fs::write(&path, whole).unwrap();
    }
    let folder = bench.folder();
    bench.training.restore(&folder, &bench.metadata).unwrap();
}

#[test]
fn cut_off_emptied_grown_zeroed_or_missing() {
    let mut bench = Bench::new();
    for file in FILES {
        let path = bench.folder().join(file);
        let whole = std::fs::read(&path).unwrap();
        let cuts = (0..whole.len()).step_by(4096).chain([whole.len() - 1]);
        for cut in cuts {
            std::fs::write(&path, &whole[..cut]).unwrap();
            bench.refuses(file, &format!("{file} cut off at {cut}"));
        }
        std::fs::write(&path, [&whole[..], b"\n"].concat()).unwrap();
        bench.refuses(file, &format!("{file} with a byte more"));
        std::fs::write(&path, vec![0; whole.len()]).unwrap();
        bench.refuses(file, &format!("{file} of zeros"));
        std::fs::remove_file(&path).unwrap();
        bench.refuses(file, &format!("{file} missing"));
        std::fs::create_dir(&path).unwrap();
        bench.refuses(file, &format!("{file} as a folder"));
        std::fs::remove_dir(&path).unwrap();
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn swapped_with_another_checkpoints() {
    let mut bench = Bench::new();
    let other = bench.folder().with_file_name("step-00000006");
    let kept = bench.sandbox.path().join("kept");
    copy_folder(&bench.folder(), &kept);
    let swap = |bench: &Bench, file: &str| {
        std::fs::copy(other.join(file), bench.folder().join(file)).unwrap();
    };
    for file in FILES {
        swap(&bench, file);
        if file == "manifest.json" {
            let refused = bench.training.restore(&bench.folder(), &bench.metadata);
            let said = format!("{:#}", refused.unwrap_err());
            assert!(said.contains("and of step 6 by its manifest"), "{said}");
        } else {
            bench.refuses(file, "a file of another step");
        }
        std::fs::copy(kept.join(file), bench.folder().join(file)).unwrap();
    }
    // Of one checkpoint, among themselves.
    let [model, training] = [FILES[0], FILES[1]].map(|file| bench.folder().join(file));
    std::fs::copy(kept.join(FILES[1]), &model).unwrap();
    std::fs::copy(kept.join(FILES[0]), &training).unwrap();
    bench.refuses(FILES[0], "the two files of one checkpoint");
    // Everything of another step, under this one's name.
    for file in FILES {
        swap(&bench, file);
    }
    let refused = bench.training.restore(&bench.folder(), &bench.metadata);
    let said = format!("{:#}", refused.unwrap_err());
    assert!(said.contains("step-00000005") && said.contains("step 6"), "{said}");
    assert!(look(&bench.training) == bench.before);
}

/// A valid seal on tensors that don't fit the training: too many, too few, of other shapes or types.
#[test]
fn a_valid_seal_on_wrong_tensors() {
    use lookahead_trainer::tensor_file::read;
    use tch::{Device, Kind, Tensor};

    let mut bench = Bench::new();
    copy_folder(&bench.folder(), &bench.sandbox.path().join("kept"));
    let original = read(&bench.folder().join("training.safetensors")).unwrap();
    let model = std::fs::read(bench.folder().join("model.safetensors")).unwrap();
    let some = |shape: &[i64]| Tensor::ones(shape, (Kind::Float, Device::Cpu));
    let momentum = "optimizer/inner/sgd/momentum_buffer/fc1.weight";
    assert!(original.contains_key(momentum), "{:?}", original.keys());
    type Change<'a> = (&'a str, Option<Tensor>, &'a str);
    let changes: [Change; 9] = [
        ("fast/fc1.weight", None, "has no tensor `fc1.weight`"),
        ("fast/fc1.weight", Some(some(&[1])), "`fc1.weight`"),
        ("fast/other", Some(some(&[1])), "that the model lacks"),
        ("unknown", Some(some(&[1])), "does not know"),
        ("optimizer/slow/fc1.weight", None, "slow/fc1.weight"),
        ("optimizer/other", Some(some(&[1])), "other"),
        (momentum, Some(some(&[2, 2])), "fc1.weight"),
        ("generator/cpu", None, "random generator"),
        ("generator/cpu", Some(some(&[3])), "can't be used"),
    ];
    for (name, tensor, words) in changes {
        let mut tensors: std::collections::BTreeMap<_, _> =
            original.iter().map(|(name, tensor)| (name.clone(), tensor.shallow_clone())).collect();
        match tensor {
            Some(tensor) => drop(tensors.insert(name.to_owned(), tensor)),
            None => drop(tensors.remove(name)),
        }
        std::fs::remove_dir_all(bench.folder()).unwrap();
        let run = bench.sandbox.run_folder("run");
        publish(&run, bench.metadata.clone(), &model, tensors);
        let refused = bench.training.restore(&bench.folder(), &bench.metadata);
        let said = format!("{:#}", refused.expect_err(name));
        assert!(said.contains("step-00000005") && said.contains(words), "{name}: {said}");
        assert!(look(&bench.training) == bench.before, "{name}: something has changed");
    }
    // After all of these the valid one is still loaded.
    std::fs::remove_dir_all(bench.folder()).unwrap();
    copy_folder(&bench.sandbox.path().join("kept"), &bench.folder());
    let folder = bench.folder();
    bench.training.restore(&folder, &bench.metadata).unwrap();
    assert_eq!(bench.training.step(), 5);
}

/// A sealed manifest of another step than the training file.
#[test]
fn a_manifest_of_another_step_is_refused() {
    let mut bench = Bench::new();
    let folder = bench.folder();
    let manifest = folder.join("manifest.json");
    let whole = std::fs::read(&manifest).unwrap();
    let text: Value = serde_json::from_slice(&whole).unwrap();
    let counts = ["phase", "epoch", "cursor", "seed"].map(|key| format!("/{key}"));
    let inner = ["integers", "numbers"].into_iter().flat_map(|part| {
        text[part]
            .as_object()
            .unwrap()
            .keys()
            .map(move |key| format!("/{part}/{}", key.replace('~', "~0").replace('/', "~1")))
    });
    // Those of the trainer alone, for example of the best evaluation, decide nothing about the weights.
    let inner = inner.filter(|key| !key.contains("/train~1") && !key.contains("/data~1"));
    let all: Vec<String> = counts.into_iter().chain(inner).collect();
    assert!(all.iter().any(|key| key.contains("momentum")), "{all:?}");
    for key in all {
        reseal(&manifest, &whole, |manifest| {
            let value = manifest.pointer_mut(&key).unwrap();
            *value = match value.as_u64() {
                Some(count) => (count + 1).into(),
                None => 0.123.into(),
            };
        });
        checkpoint::verify(&folder).unwrap();
        let refused = bench.training.restore(&folder, &bench.metadata);
        let said = format!("{:#}", refused.expect_err(&key));
        assert!(said.contains("the manifest beside it is of"), "{key}: {said}");
        assert!(said.contains("step-00000005/training.safetensors"), "{key}: {said}");
        assert!(look(&bench.training) == bench.before, "{key}");
    }

    // The training file of the step before, with its own size and digest.
    let file = "training.safetensors";
    std::fs::copy(folder.with_file_name("step-00000004").join(file), folder.join(file)).unwrap();
    let bytes = std::fs::read(folder.join(file)).unwrap();
    reseal(&manifest, &whole, |manifest| {
        manifest["files"][file] =
            serde_json::json!({"bytes": bytes.len(), "sha256": checkpoint::sha256_of(&bytes)});
    });
    let refused = bench.training.restore(&folder, &bench.metadata).unwrap_err();
    let said = format!("{refused:#}");
    assert!(said.contains("saved at step 4,") && said.contains("is of step 5,"), "{said}");
}
