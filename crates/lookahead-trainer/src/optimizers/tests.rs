use lookahead_core::tch_ext::arithmetic::scale;
use lookahead_core::{
    Error, InnerOptimizer, Moment, Parameter, Result, State, Variables, check_learning_rate,
};
use lookahead_run::RunFolder;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tch::{Tensor, nn};

use super::OptimizerContext;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::config::{Config, ConfigError, Override};
use crate::controls::Hangup;
use crate::observer::Show;
use crate::registry::Registry;
use crate::train::hooks::Hooks;
use crate::train::r#loop::train;
use crate::train::setup::Training;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SignOptions {
    momentum: f64,
}

impl Default for SignOptions {
    fn default() -> Self {
        SignOptions { momentum: 0.9 }
    }
}

impl KindOptions for SignOptions {
    const KEYS: &'static [Key] = &[Key::number("momentum", "momentum").at_least(0.0).below(1.0)];
}

/// m ← β m + (1 − β) g; θ ← θ − lr (sign(m) + λ θ): an optimizer as a crate outside would write it.
#[derive(Debug)]
struct SignSgd {
    variables: Variables,
    parameters: Vec<Parameter>,
    momenta: Vec<Tensor>,
    learning_rate: f64,
    weight_decay: f64,
    beta: f64,
}

fn build(options: SignOptions, context: &OptimizerContext, vs: &nn::VarStore) -> Result<SignSgd> {
    let mut sign = SignSgd {
        variables: Variables::new(vs),
        parameters: Vec::new(),
        momenta: Vec::new(),
        learning_rate: context.learning_rate,
        weight_decay: context.weight_decay,
        beta: options.momentum,
    };
    sign.join_new_parameters()?;
    Ok(sign)
}

impl InnerOptimizer for SignSgd {
    fn step(&mut self) -> Result<()> {
        self.join_new_parameters()?;
        let _guard = tch::no_grad_guard();
        for (parameter, momentum) in self.parameters.iter().zip(&mut self.momenta) {
            let gradient = parameter.tensor.grad();
            if !gradient.defined() {
                continue;
            }
            scale(momentum, self.beta)?;
            *momentum = momentum.f_add(&gradient.f_mul(&Tensor::from(1.0 - self.beta))?)?;
            let decay = parameter.tensor.f_mul(&Tensor::from(self.weight_decay))?;
            let update =
                momentum.f_sign()?.f_add(&decay)?.f_mul(&Tensor::from(self.learning_rate))?;
            let _ = parameter.tensor.shallow_clone().f_sub_(&update)?;
        }
        Ok(())
    }

    fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    fn join_new_parameters(&mut self) -> Result<()> {
        for parameter in self.variables.take_new() {
            self.momenta.push(parameter.tensor.f_detach()?.f_zeros_like()?);
            self.parameters.push(parameter);
        }
        Ok(())
    }

    fn moment_names(&self) -> Option<Vec<&'static str>> {
        Some(vec!["momentum"])
    }

    fn moments(&mut self, parameter: usize) -> Result<Vec<Moment>> {
        let tensor = self.momenta[parameter].shallow_clone();
        Ok(vec![Moment { name: "momentum", tensor }])
    }

    fn reset_moments(&mut self, parameter: usize) -> Result<()> {
        let _ = self.momenta[parameter].f_zero_()?;
        Ok(())
    }

    fn learning_rates(&self) -> Result<Vec<f64>> {
        Ok(vec![self.learning_rate])
    }

    fn set_learning_rate_group(&mut self, _: usize, learning_rate: f64) -> Result<()> {
        check_learning_rate(learning_rate)?;
        self.learning_rate = learning_rate;
        Ok(())
    }

    fn set_weight_decay(&mut self, weight_decay: f64) -> Result<()> {
        self.weight_decay = weight_decay;
        Ok(())
    }

    fn state(&mut self) -> Result<State> {
        let mut state = State::default();
        for (parameter, momentum) in self.parameters.iter().zip(&self.momenta) {
            state.tensors.insert(format!("sign/{}", parameter.name), momentum.copy());
        }
        state.numbers.insert("sign/weight_decay".to_owned(), self.weight_decay);
        Ok(state)
    }

    fn load_state(&mut self, state: &State) -> Result<()> {
        let saved = self.parameters.iter().map(|parameter| {
            let key = format!("sign/{}", parameter.name);
            state.tensors.get(&key).map(Tensor::copy).ok_or(Error::StateMissing { key })
        });
        self.momenta = saved.collect::<Result<_>>()?;
        self.weight_decay = state.numbers["sign/weight_decay"];
        Ok(())
    }
}

const CONFIG: &str = r#"
[data]
kind = "digits"
batch_size = 300
validation = 341
[model]
kind = "mlp"
hidden = [8]
[optimizer]
kind = "sign"
lr = 0.01
weight_decay = 0.1
[lookahead]
k = 3
momentum_policy = "pullback"
[train]
max_steps = 9
threads = 1
[probe]
every_syncs = 0
[checkpoint]
every_steps = 4
"#;

fn registry() -> Registry {
    Registry::builtin().optimizer("sign", build)
}

fn parsed(text: &str, sets: &[&str]) -> std::result::Result<Config, ConfigError> {
    let sets: Vec<Override> = sets.iter().map(|set| set.parse().unwrap()).collect();
    Ok(Config::parse(registry().kinds(), "test.toml", text, &sets)?.config)
}

/// The weights and the optimizer's state after the last step.
fn result(t: &mut Training) -> (Vec<u8>, State) {
    (t.weights_as_bytes(), t.optimizer.state().unwrap())
}

#[test]
fn an_optimizer_of_ones_own_trains_inside_lookahead_and_resumes_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let run = RunFolder::create(folder.path(), "run").unwrap();
    let show = Show { quiet: true, ..Show::default() };
    let begun = |text: &str| {
        let t = Training::new(&registry(), parsed(text, &[]).unwrap(), None).unwrap();
        let hooks = Hooks::new(&run, &t, &show, Hangup::Ignore).unwrap();
        (t, hooks)
    };
    let (mut whole, mut hooks) = begun(CONFIG);
    let drawn = whole.weights_as_bytes();
    train(&mut whole, &mut hooks).unwrap();
    assert_eq!(whole.info("run").optimizer, "sign");
    let expected = result(&mut whole);
    assert!(expected.0 != drawn);
    assert!(expected.1.tensors.keys().any(|key| key.ends_with("sign/fc1.weight")));
    drop(hooks);

    // Inside a cycle, in fresh objects, as after a kill.
    let resumed = |text: &str| {
        let (checkpoint, manifest) = run.checkpoints().at_step(4).unwrap();
        let (mut t, mut hooks) = begun(text);
        t.restore(&checkpoint.path, &manifest.metadata).unwrap();
        assert!(t.weights_as_bytes() != drawn);
        train(&mut t, &mut hooks).unwrap();
        result(&mut t)
    };
    let again = resumed(CONFIG);
    assert!(again.0 == expected.0);
    assert_eq!(again.1.tensors, expected.1.tensors);
    assert_eq!(again.1.numbers, expected.1.numbers);
    // The weight decay that was set for the resumed run holds, not that of the checkpoint.
    let other = resumed(&CONFIG.replace("weight_decay = 0.1", "weight_decay = 0.2"));
    assert!(other.0 != expected.0);
    assert!(other.1.numbers.iter().any(|(key, value)| key.ends_with("decay") && *value == 0.2));
}

#[test]
fn faults_in_its_keys_are_refused_with_their_lines() {
    for (text, sets, words) in [
        (
            "momentum = 0.5\nbeta = 1",
            &[][..],
            "line 11: There is no key `optimizer.beta`. The keys of `[optimizer]` are `kind`, `lr`, `weight_decay`, `group`, `momentum`.",
        ),
        (
            "cautious = true",
            &["optimizer.kind=adam", "optimizer.amsgrad=true"],
            "`optimizer.cautious` is not available with `optimizer.amsgrad`",
        ),
        ("momentum = 1.0", &[], "line 10: `optimizer.momentum` is 1. Use 0 to below 1."),
        ("momentum = \"x\"", &[], "line 10: `optimizer.momentum` is \"x\". Use a number"),
        (
            "fused = true",
            &[],
            "line 10: `optimizer.fused` belongs to sgd, adam, adamw and rmsprop only.",
        ),
        (
            "",
            &["lookahead.adaptive_alpha=0.1"],
            "needs second moments, which estimate the curvature, and sign keeps none.",
        ),
        (
            "",
            &["optimizer.kind=lars"],
            "`optimizer.kind` is lars. Use one of `sgd`, `adam`, `adamw`, `rmsprop`, `nadam`, `radam`, `adan`, `adagrad`, `lion`, `muon`, `sign`.",
        ),
    ] {
        let text = CONFIG.replace(
            "[optimizer]\nkind = \"sign\"\n",
            &format!("[optimizer]\n{text}\nkind = \"sign\"\n"),
        );
        let message = parsed(&text, sets).unwrap_err().to_string();
        assert!(message.to_lowercase().contains(&words.to_lowercase()), "{message}");
    }
    // A key of the kind before is dropped if the kind is set.
    let adam = parsed(&CONFIG.replace("lr =", "momentum = 0.5\nlr ="), &["optimizer.kind=adam"]);
    assert!(!adam.unwrap().optimizer.options.contains_key("momentum"));
}

/// Runs of earlier versions resume only if the keys and defaults are still these.
#[test]
fn the_resolved_sections_of_libtorchs_optimizers() {
    let resolved = |kind: &str, sets: &[&str]| {
        let text = format!("[optimizer]\nkind = \"{kind}\"\n");
        parsed(&text, sets).unwrap().to_json()["optimizer"].clone()
    };
    assert_eq!(parsed("", &[]).unwrap().to_json()["optimizer"], resolved("sgd", &[]));
    let sgd = json!({
        "kind": "sgd", "lr": 0.1, "fused": true, "weight_decay": 0.0,
        "momentum": 0.9, "dampening": 0.0, "nesterov": false,
    });
    assert_eq!(resolved("sgd", &[]), sgd);
    let adam = |kind: &str, weight_decay: f64| {
        json!({
            "kind": kind, "lr": 0.1, "fused": true, "weight_decay": weight_decay,
            "beta1": 0.9, "beta2": 0.999, "eps": 1e-8, "amsgrad": false,
        })
    };
    assert_eq!(resolved("adam", &[]), adam("adam", 0.0));
    assert_eq!(resolved("adamw", &[]), adam("adamw", 0.01));
    assert_eq!(resolved("adamw", &["optimizer.weight_decay=0"]), adam("adamw", 0.0));
    let cautious = resolved("adamw", &["optimizer.cautious=true"]);
    assert_eq!(cautious["cautious"], true);
    assert_eq!(resolved("adamw", &["optimizer.cautious=false"]), adam("adamw", 0.01));
    let rmsprop = json!({
        "kind": "rmsprop", "lr": 0.1, "fused": false, "weight_decay": 0.0,
        "momentum": 0.0, "eps": 1e-8, "smoothing": 0.99, "centered": false,
    });
    assert_eq!(resolved("rmsprop", &["optimizer.momentum=0", "optimizer.fused=false"]), rmsprop);
}

/// Whatever is around the inner optimizer: schedules and changes in a running run need it.
#[test]
fn a_rate_and_a_weight_decay_reach_the_inner_optimizer() {
    let config = CONFIG.replace("\"sign\"", "\"adamw\"");
    for sets in [
        &[][..],
        &["averaging.kind=polyak"],
        &["lookahead=false"],
        &["lookahead=false", "averaging.kind=primal"],
        &["lookahead=false", "averaging.kind=schedule_free"],
        &["lookahead=false", "averaging.kind=ema_nesterov"],
    ] {
        let config = parsed(&config, sets).unwrap();
        let mut t = Training::new(&registry(), config, None).unwrap();
        t.optimizer.set_learning_rate(0.25).unwrap();
        t.optimizer.set_weight_decay(0.125).unwrap();
        let numbers = t.optimizer.state().unwrap().numbers;
        for (end, expected) in [("/learning_rate/0", 0.25), ("/weight_decay/0", 0.125)] {
            let found = numbers.iter().filter(|(key, _)| key.ends_with(end));
            let found: Vec<f64> = found.map(|(_, number)| *number).collect();
            assert_eq!(found, [expected], "{sets:?}: {end} in {numbers:?}");
        }
    }
}
