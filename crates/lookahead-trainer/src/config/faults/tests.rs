use crate::config::Config;
use crate::registry::Registry;

/// What is printed about a config.
fn answer(text: &str, sets: &[&str]) -> String {
    let sets: Vec<_> = sets.iter().map(|set| set.parse().unwrap()).collect();
    let refused = Config::parse(Registry::builtin().kinds(), "c.toml", text, &sets);
    refused.unwrap_err().to_string()
}

/// Configs with one mistake each, `; ` for a new line.
#[test]
fn configs() {
    let configs = [
        "[optimizer]; Lr = 0.1",
        "[optimizer]; learning_rate = 0.1",
        "[optimizer]; name = 'adam'",
        "[optimizer]; nonsense = 1",
        "[model]; kind = 'mlp'; hiden = [64]",
        "[model]; kind = 'mlp'; hidden_size = 64",
        "[train]; lr = 0.1",
        "[train]; batch_size = 32",
        "[train]; max_step = 4",
        "[lookahead]; lr = 0.1",
        "[lookahead]; sync_period = 5",
        "[lookahead]; preset = 'snu'",
        "[lookahead]; alpha_schedule = 'linear'",
        "[lookahead]; alpha_schedule = { kind = 'exponential', to = 0.1 }",
        "[lookahead]; alpha_schedule = { kind = 'power', power = 3 }",
        "[lookahead]; alpha_schedule = { kind = 'linear', to = 0.1, stesp = 3 }",
        "[lookahead]; alpha_schedule = { kind = 'linear', to = 1.5 }",
        "[lookahead]; k_schedule = { kind = 'steps', factor = 2.0, every = 0 }",
        "[lookahead]; alpha = 1.5",
        "[lookahead]; alpha = 101; extrapolate = true",
        "[data]; batchsize = 32",
        "[optimiser]; kind = 'adam'",
        "[training]; epochs = 3",
        "[nonsense]; epochs = 3",
        "[optimizer.schedule]; kind = 'cosine'",
        "[train.optimiser]; kind = 'adam'",
        "[lookahead.nonsense]; k = 3",
        "lr = 0.1",
        "learning_rate = 0.1",
        "nonsense = 0.1",
        "optimizer = 'adam'",
        "lookahead = false",
        "train = 3",
        "[[train]]; epochs = 3",
        "[optimizer]; kind = 'Adam'",
        "[optimizer]; kind = 'lookahead'",
        "[optimizer]; kind = 'lars'",
        "[data]; kind = 'mnist'",
        "[data]; kind = 'cifar'",
        "[data]; kind = 'CIFAR-100'",
        "[data]; kind = 3",
        "[model]; kind = 'MLP'",
        "[model]; kind = 'resnet18'",
        "[schedule]; kind = 'cos'",
        "[schedule]; kind = 'exponential'",
        "[lookahead]; momentum_policy = 'Reset'",
        "[averaging]; kind = 'swa'",
        "[train]; autocast = 'fp16'",
        "[train]; autocast = true",
        "[train]; device = 'GPU'",
        "[train]; device = 'cpu:0'",
        "[train]; device = 'gpu:1'",
        "[train]; device = 'tpu'",
        "[train]; device = 0",
        "[train]; best_by = 'acc'",
        "[task]; loss = 'crossentropy'",
        "[task]; metrics = ['acc']",
        "[task]; metrics = 'accuracy'",
        "[train]; epochs = 'three'",
        "[train]; epochs = '3'",
        "[train]; epochs = 3.0",
        "[train]; epochs = 1e3",
        "[train]; epochs = [3]",
        "[train]; seed = -1",
        "[train]; threads = -2",
        "[train]; epochs = 0",
        "[train]; freeze = 'conv1'",
        "[optimizer]; lr = '0.1'",
        "[optimizer]; lr = '0,1'",
        "[optimizer]; lr = 'x'",
        "[optimizer]; lr = [0.1]",
        "[optimizer]; lr = -1",
        "[optimizer]; nesterov = 'True'",
        "[model]; kind = 'mlp'; hidden = 64",
        "[model]; kind = 'mlp'; hidden = '64, 32'",
        "[model]; kind = 'mlp'; hidden = [64.0]",
        "[model]; kind = 'mlp'; hidden = ['x']",
        "[checkpoint]; keep_best = 1",
        "[lookahead]; k = [5]",
        "[lookahead]; k = 0",
        "[lookahead]; alpha = 50",
        "[data]; validation = 0.1",
        "[schedule]; kind = 'steps'; milestones = 60",
        "[data]; kind = 'csv'; file = 3",
        // The first in the text.
        "[train]; epochs = 'x'; [data]; batchsize = 3",
    ];
    let answers =
        configs.map(|config| format!("{config}\n{}\n", answer(&config.replace("; ", "\n"), &[])));
    insta::assert_snapshot!(answers.join("\n"));
}

/// `--set`s with one mistake each.
#[test]
fn sets() {
    let config = "[data]\nkind = \"digits\"\n[model]\nkind = \"mlp\"\n";
    let sets = [
        "lr=0.1",
        "epochs=3",
        "nonsense=3",
        "train=3",
        "lookahead=true",
        "optimizer.Lr=0.1",
        "optimiser.lr=0.1",
        "train.lr=0.1",
        "nonsense.key=3",
        "optimizer.lr.x=3",
        "optimizer.lr=",
        "optimizer.lr=abc",
        "optimizer.lr=nan",
        "train.epochs=three",
        "train.epochs=1e3",
        "train.epochs=999999999999999999999",
        "train.max_steps=None",
        "train.max_steps=0",
        "data.batch_size=64.0",
        "data.kind=mnist",
        "lookahead.k=2.5",
        "lookahead.alpha=0,5",
        "model.hidden=64",
        "model.hidden=64,64",
        "model.hidden=[64,",
        "model.hidden=[64 64]",
        "task.metrics=[accuracy]",
        "model.dropout=2",
        "optimizer.nesterov=True",
    ];
    let answers = sets.map(|set| answer(config, &[set]) + "\n");
    insta::assert_snapshot!(answers.join("\n"));
}
