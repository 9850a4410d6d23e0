use super::*;

const KEYS: [&str; 14] = [
    "data.kind",
    "data.batch_size",
    "model.kind",
    "model.hidden",
    "model.dropout",
    "optimizer.kind",
    "optimizer.lr",
    "optimizer.weight_decay",
    "lookahead.k",
    "lookahead.alpha",
    "schedule.kind",
    "train.epochs",
    "train.max_steps",
    "train.seed",
];

#[test]
fn names_of_keys_are_found() {
    let keys = KEYS.map(str::to_owned);
    for (section, name, found) in [
        (Some("optimizer"), "Lr", "optimizer.lr"),
        (Some("train"), "lr", "optimizer.lr"),
        (Some("train"), "batch_size", "data.batch_size"),
        (Some("model"), "hiden", "model.hidden"),
        (Some("model"), "hidden_size", "model.hidden"),
        (Some("model"), "hidden_dims", "model.hidden"),
        (Some("optimizer"), "learning_rate", "optimizer.lr"),
        (Some("optimizer"), "name", "optimizer.kind"),
        (Some("lookahead"), "sync_period", "lookahead.k"),
        (None, "batch-size", "data.batch_size"),
        (None, "lr", "optimizer.lr"),
        (None, "optimizer", "optimizer.kind"),
        (None, "optimizer.Lr", "optimizer.lr"),
        (None, "max-steps", "train.max_steps"),
        (None, "max-step", "train.max_steps"),
        (None, "e", "train.epochs"),
    ] {
        assert_eq!(key(&keys, section, name), Some(found), "{section:?} {name}");
    }
    for (section, name) in [(None, "kind"), (None, "num-workers"), (Some("train"), "verbose")] {
        assert_eq!(key(&keys, section, name), None, "{section:?} {name}");
    }
}

#[test]
fn names_of_sections_are_found() {
    let sections = ["data", "model", "optimizer", "train"];
    for (name, found) in
        [("optimiser", "optimizer"), ("Train", "train"), ("training", "train"), ("net", "model")]
    {
        assert_eq!(section(&sections, name), Some(found));
    }
    assert_eq!(section(&sections, "nonsense"), None);
}
