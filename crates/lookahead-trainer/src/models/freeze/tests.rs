use super::*;
use crate::config::Config;
use crate::registry::Registry;
use lookahead_core::InnerOptimizer;
use tch::Device;

fn model() -> (Model, Config) {
    let text = "[data]\nkind = \"digits\"\n[model]\nkind = \"cnn\"\nbatch_norm = true\n";
    let registry = Registry::builtin();
    let config = Config::parse(registry.kinds(), "test.toml", text, &[]).unwrap().config;
    let data = registry.load_data(&config.data).unwrap();
    (registry.build_model(&config.model, &data.spec, Device::Cpu).unwrap(), config)
}

fn freeze(patterns: &[&str]) -> Result<Model, String> {
    let (mut model, _) = model();
    let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
    model.freeze(&patterns).map(|()| model).map_err(|error| error.to_string())
}

#[test]
fn stars_are_any_characters() {
    for (pattern, name, expected) in [
        ("conv1.*", "conv1.weight", true),
        ("conv1.*", "conv1.", true),
        ("conv1.*", "conv10.weight", false),
        ("*", "", true),
        ("*.bias", "a.b.bias", true),
        ("*.bias", "bias", false),
        ("a*b*c", "a.b.b.c", true),
        ("a*b*c", "abc", true),
        ("a*bc*c", "abc", false),
        ("a*a", "a", false),
        ("*b*", "abc", true),
        ("**", "x", true),
        ("out.bias", "out.bias", true),
        ("out", "out.bias", false),
        ("o?t", "out", false),
        ("", "", true),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}

#[test]
fn frozen_parameters_are_unknown_to_the_optimizer_and_are_no_buffers() {
    let (plain, config) = model();
    let model = freeze(&["conv1.*", "conv_bn1.weight", "fc*.bias"]).unwrap();
    assert_eq!(model.buffers().len(), plain.buffers().len());
    let (before, after) = (plain.parameters(), model.parameters());
    assert!(after.frozen > 0 && after.trainable + after.frozen == before.trainable);
    let inner = Registry::builtin().build_optimizer(&config.optimizer, &model.vs).unwrap();
    let known: BTreeSet<&str> = inner.parameters().iter().map(|p| p.name.as_str()).collect();
    for (name, variable) in model.vs.variables() {
        let is_frozen = model.frozen.contains(&name);
        let is_buffer = model.buffers().contains_key(&name);
        assert_eq!(variable.requires_grad(), !is_frozen && !is_buffer, "{name}");
        assert_eq!(known.contains(name.as_str()), !is_frozen && !is_buffer, "{name}");
    }
}

#[test]
fn faults_in_patterns_are_explained() {
    for (patterns, words) in [
        (
            &["conv9.*"][..],
            "pattern `conv9.*`, which matches no parameter of the model. The nearest names: `conv1.",
        ),
        (&["conv1.*", "conv_bn1.running_mean"], "pattern `conv_bn1.running_mean`"),
        (&["zz"], "The first names: `conv1.bias`"),
        (&["*"], "`train.freeze` is [\"*\"], which matches all"),
    ] {
        let message = freeze(patterns).unwrap_err();
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn tied_weights_match_by_each_name() {
    let (mut model, _) = model();
    let tied = model.vs.variables()["conv1.weight"].shallow_clone();
    let tied = model.vs.root().add("zz_tied", tied, true);
    model.freeze(&["zz_tied".to_owned()]).unwrap();
    assert!(!tied.requires_grad() && model.frozen.contains("conv1.weight"));
}
