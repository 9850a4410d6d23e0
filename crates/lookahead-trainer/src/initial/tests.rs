use super::*;
use crate::tensor_file::{entries, write_new};
use tch::Device;

fn store() -> nn::VarStore {
    let vs = nn::VarStore::new(Device::Cpu);
    let _ = vs.root().zeros("w", &[2, 2]);
    let _ = vs.root().zeros("b", &[2]);
    vs
}

fn from(tensors: &[(&str, Tensor)], partial: bool) -> (tempfile::TempDir, InitialWeights) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("given.safetensors");
    let tensors = tensors.iter().map(|(name, t)| ((*name).to_owned(), t.shallow_clone()));
    write_new(&path, None, entries(tensors.collect())).unwrap();
    (folder, InitialWeights { path, partial, renames: Vec::new(), optimizer: None })
}

fn ones(shape: &[i64], kind: Kind) -> Tensor {
    Tensor::ones(shape, (kind, Device::Cpu))
}

fn sum(vs: &nn::VarStore) -> f64 {
    vs.variables().into_values().map(|t| t.sum(Kind::Double).double_value(&[])).sum()
}

#[test]
fn what_fits_is_taken_whatever_its_precision() {
    let vs = store();
    let all = [
        ("w", ones(&[2, 2], Kind::Double)),
        ("b", ones(&[2], Kind::BFloat16)),
        ("bn.num_batches_tracked", ones(&[], Kind::Int64)),
    ];
    let (_folder, from) = from(&all, false);
    let note = from.load(&vs).unwrap().note;
    assert!(note.contains("2 tensors") && !note.contains("not loaded"), "{note}");
    assert_eq!(sum(&vs), 6.0);
    assert!(vs.variables().values().all(|t| t.kind() == Kind::Float && t.requires_grad()));
}

#[test]
fn all_that_does_not_fit_is_told_at_once_and_nothing_is_taken() {
    let vs = store();
    let (_folder, mut given) =
        from(&[("w", ones(&[3], Kind::Float)), ("x", ones(&[1], Kind::Float))], false);
    let message = given.load(&vs).unwrap_err().to_string();
    for words in [
        "given.safetensors does not fit the model",
        "Missing in the file: `b`.",
        "Not in the model: `x`.",
        "Of another shape: `w` has shape [3] and must have [2, 2]",
    ] {
        assert!(message.contains(words), "{message}");
    }
    assert!(!message.contains("--init-partial"), "{message}");
    given.partial = true;
    let message = given.load(&vs).unwrap_err().to_string();
    assert!(message.contains("Nothing in") && message.contains("fits the model"), "{message}");
    assert_eq!(sum(&vs), 0.0);

    let (_folder, given) = from(&[("w", ones(&[2, 2], Kind::Int64))], true);
    let message = given.load(&vs).unwrap_err().to_string();
    assert!(message.contains("`w` is of type Int64 and must be of Float"), "{message}");
}

#[test]
fn a_part_is_loaded_only_if_requested() {
    let vs = store();
    let tensors = [("w", ones(&[2, 2], Kind::Float)), ("x", ones(&[1], Kind::Float))];
    let (_folder, mut given) = from(&tensors, false);
    let message = given.load(&vs).unwrap_err().to_string();
    assert!(message.contains("--init-partial"), "{message}");
    given.partial = true;
    let note = given.load(&vs).unwrap().note;
    for words in
        ["Missing in the file, so not loaded: `b`.", "Not in the model, so not loaded: `x`."]
    {
        assert!(note.contains(words), "{note}");
    }
    assert_eq!(sum(&vs), 4.0);
    // Nothing at all that fits is a mistake.
    let (_folder, given) = from(&[("x", ones(&[1], Kind::Float))], true);
    given.load(&vs).unwrap_err();
}

#[test]
fn a_layer_of_another_shape_is_skipped_if_a_part_is_requested() {
    let vs = store();
    let tensors = [("w", ones(&[2, 2], Kind::Float)), ("b", ones(&[5], Kind::Float))];
    let (_folder, given) = from(&tensors, true);
    let note = given.load(&vs).unwrap().note;
    let words = "Of another shape, so not loaded: `b` has shape [5] and must have [2].";
    assert!(note.contains(words) && note.contains("1 tensors"), "{note}");
    assert_eq!(sum(&vs), 4.0);
}

#[test]
fn a_wrappers_prefix_is_removed_if_all_names_have_it() {
    let both = |w: &str, b: &str| {
        let vs = store();
        let tensors = [(w, ones(&[2, 2], Kind::Float)), (b, ones(&[2], Kind::Float))];
        let (_folder, from) = from(&tensors, false);
        let message = from.load(&vs).map(|loaded| loaded.note).map_err(|error| error.to_string());
        (message, sum(&vs))
    };
    for prefix in ["module.", "_orig_mod.", "model.", "module._orig_mod.", "model.module."] {
        let (note, sum) = both(&format!("{prefix}w"), &format!("{prefix}b"));
        let words = format!("The prefix `{prefix}` of all its names is removed.");
        assert!(note.as_ref().unwrap().contains(&words), "{note:?}");
        assert_eq!(sum, 6.0);
    }
    let (message, sum) = both("module.w", "b");
    assert!(message.as_ref().unwrap_err().contains("Not in the model: `module.w`."), "{message:?}");
    assert_eq!(sum, 0.0);
    // A model whose own names begin so.
    let vs = nn::VarStore::new(Device::Cpu);
    let _ = (vs.root() / "model").zeros("w", &[1]);
    let (_folder, given) = from(&[("model.w", ones(&[1], Kind::Float))], false);
    assert!(!given.load(&vs).unwrap().note.contains("prefix"));
    let (_folder, given) = from(&[("module.model.w", ones(&[1], Kind::Float))], false);
    assert!(given.load(&vs).unwrap().note.contains("The prefix `module.` of"));
}

/// Finite in the file is not enough: they must be finite in the model.
#[test]
fn values_that_a_cast_would_spoil_are_refused() {
    let one = |value: f64, kind| {
        let vs = store();
        let tensor = Tensor::from_slice(&[1.0, value]).to_kind(kind);
        let tensors = [("w", ones(&[2, 2], Kind::Float)), ("b", tensor)];
        let (_folder, from) = from(&tensors, true);
        let message = from.load(&vs).map(|loaded| loaded.note).map_err(|error| error.to_string());
        assert_eq!(sum(&vs) == 0.0, message.is_err());
        message
    };
    one(1e38, Kind::Double).unwrap();
    let message = one(1e39, Kind::Double).unwrap_err();
    assert!(message.contains("`b` holds values of Double that are too large"), "{message}");
    for value in [f64::NAN, f64::NEG_INFINITY] {
        for kind in [Kind::Double, Kind::Float, Kind::Half] {
            let message = one(value, kind).unwrap_err();
            assert!(message.contains("`b` holds NaN or infinity"), "{message}");
        }
    }
    let many = Tensor::from_slice(&[1i64 << 40, 0]);
    let message = cast(&many, Kind::Int).unwrap().unwrap_err();
    assert!(message.contains("that the model's Int can't hold"), "{message}");
    assert_eq!(cast(&Tensor::from_slice(&[7i64]), Kind::Int).unwrap().unwrap().kind(), Kind::Int);
}

#[test]
fn thousands_of_names_are_not_all_listed() {
    let names: Vec<String> = (0..1000).map(|i| format!("`{i}`")).collect();
    assert!(list(&names).ends_with("`19` and 980 more"));
    assert_eq!(list(&names[..2]), "`0`, `1`");
}
