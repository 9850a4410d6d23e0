use tch::nn::{self, ModuleT};
use tch::{Device, Kind, Tensor};

use super::Module;

const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

fn network(vs: &nn::VarStore) -> impl ModuleT + use<> {
    let root = vs.root();
    nn::seq_t()
        .add(nn::linear(&root / "layers" / 0, 3, 4, Default::default()))
        .add(nn::batch_norm1d(&root / "layers" / 1, 4, Default::default()))
        .add_fn_t(|x, train| x.dropout(0.5, train))
        .add(nn::linear(&root / "out", 4, 2, Default::default()))
}

fn file(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("lookahead-torchscript-{}-{name}", std::process::id()))
}

#[test]
fn a_traced_module_has_the_stores_tensors_and_outputs() {
    let vs = nn::VarStore::new(Device::Cpu);
    let net = network(&vs);
    let module =
        Module::trace(&vs, &Tensor::zeros([2, 3], CPU), |x| net.forward_t(x, false)).unwrap();
    let path = file("traced.pt");
    module.save(&path, Some(("signature", "{}"))).unwrap();
    let loaded = Module::load(&path, Device::Cpu).unwrap();
    std::fs::remove_file(&path).unwrap();
    let other = nn::VarStore::new(Device::Cpu);
    loaded.register(&other.root()).unwrap();
    let (ours, theirs) = (vs.variables(), other.variables());
    assert_eq!(ours.len(), theirs.len());
    for (name, tensor) in &ours {
        assert_eq!(theirs[name], *tensor, "{name}");
        assert_eq!(theirs[name].requires_grad(), tensor.requires_grad(), "{name}");
    }
    assert_eq!(other.trainable_variables().len(), 6);
    for samples in [1, 2, 7] {
        let x = Tensor::randn([samples, 3], CPU);
        assert_eq!(loaded.forward(&x).unwrap(), net.forward_t(&x, false));
    }
    // The store has the module's own tensors.
    let _ = tch::no_grad(|| theirs["out.bias"].shallow_clone().fill_(5.0));
    let x = Tensor::zeros([1, 3], CPU);
    assert_ne!(loaded.forward(&x).unwrap(), net.forward_t(&x, false));
}

#[test]
fn tracing_ends_when_the_network_panics() {
    let vs = nn::VarStore::new(Device::Cpu);
    let x = Tensor::zeros([2, 3], CPU);
    let failing = std::panic::AssertUnwindSafe(|| Module::trace(&vs, &x, |_| panic!("it fails")));
    assert!(std::panic::catch_unwind(failing).is_err());
    Module::trace(&vs, &x, |x| x + 1).unwrap();
}

#[test]
fn errors_are_sentences_of_libtorch() {
    let path = file("none.pt");
    assert!(Module::load(&path, Device::Cpu).is_err());
    std::fs::write(&path, "no archive").unwrap();
    let refused = Module::load(&path, Device::Cpu).unwrap_err().to_string();
    std::fs::remove_file(&path).unwrap();
    assert!(refused.contains("zip archive") && !refused.contains("frame #"), "{refused}");

    let vs = nn::VarStore::new(Device::Cpu);
    let net = network(&vs);
    let module =
        Module::trace(&vs, &Tensor::zeros([2, 3], CPU), |x| net.forward_t(x, false)).unwrap();
    let refused = module.forward(&Tensor::zeros([2, 5], CPU)).unwrap_err().to_string();
    assert!(refused.contains("mat1 and mat2 shapes cannot be multiplied"), "{refused}");
}
