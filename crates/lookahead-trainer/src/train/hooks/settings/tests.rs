use super::*;
use crate::registry::Registry;
use serde_json::{Value, json};

fn config(text: &str) -> Config {
    Config::parse(Registry::builtin().kinds(), "test.toml", text, &[]).unwrap().config
}

fn setting(key: &str, value: Value) -> Setting {
    Setting { key: key.to_owned(), value }
}

#[test]
fn a_change_is_checked_as_in_the_file() {
    let text = "[optimizer]\nlr = 0.1\n[schedule]\nkind = \"cosine\"\nmin_lr = 0.01\n[lookahead]\n";
    let config = config(text);
    for (key, value, words) in [
        ("optimizer.lr", json!(-0.5), "Use 0 to 3.4e38"),
        ("optimizer.lr", json!(0.001), "`schedule.min_lr` is 0.01. Use 0 to"),
        ("optimizer.lr", json!("fast"), "`optimizer.lr` is \"fast\". Use a number"),
        ("optimizer.lr", json!(null), "`optimizer.lr` can't become null"),
        ("optimizer.lr", json!({"a": null}), "`optimizer.lr` can't become"),
        ("lookahead.k", json!(0), "`lookahead.k` is 0. Use at least 1"),
        ("lookahead.k", json!(2.5), "`lookahead.k` is 2.5. Use a whole number"),
        ("lookahead.k", json!(-1), "`lookahead.k` is -1. Use "),
        ("lookahead.k", json!(u64::MAX), "`lookahead.k` can't become"),
        ("lookahead.alpha", json!(0), "`lookahead.alpha` is 0. Use more than 0"),
        ("lookahead.alpha", json!(1.5), "`lookahead.alpha` is 1.5"),
        ("probe.every_syncs", json!(-1), "`probe.every_syncs` is -1. Use "),
        ("train.epochs", json!(3), "`lookahead resume RUN --set train.epochs=…`"),
        ("train.seed", json!(3), "can: optimizer.lr, lookahead.k, lookahead.alpha, probe."),
        ("lookahead", json!(false), "`lookahead` can't change during the run"),
    ] {
        let error =
            changed(Registry::builtin().kinds(), &config, &setting(key, value)).unwrap_err();
        assert!(error.contains(words) && error.ends_with('.'), "{key}: {error}");
    }
    let after =
        changed(Registry::builtin().kinds(), &config, &setting("lookahead.k", json!(7))).unwrap();
    let after =
        changed(Registry::builtin().kinds(), &after, &setting("optimizer.lr", json!(1))).unwrap();
    let k = after.lookahead.as_ref().map(|lookahead| lookahead.k);
    assert_eq!((k, after.optimizer.lr), (Some(7), 1.0));
    assert_eq!(after.schedule, config.schedule);
}

#[test]
fn what_the_run_has_no_use_for_is_refused() {
    let bare = config("");
    assert_eq!(settable(&bare), ["optimizer.lr"]);
    assert_eq!(settable(&config("[lookahead]\n")), LIVE);
    for (key, value) in [
        ("lookahead.k", json!(3)),
        ("lookahead.alpha", json!(0.5)),
        ("probe.every_syncs", json!(1)),
    ] {
        let error = changed(Registry::builtin().kinds(), &bare, &setting(key, value)).unwrap_err();
        assert!(error.contains("trains without Lookahead"), "{error}");
    }
    changed(Registry::builtin().kinds(), &bare, &setting("optimizer.lr", json!(0.5))).unwrap();
    let adaptive = config("[optimizer]\nkind = \"adam\"\n[lookahead]\nadaptive_alpha = 0.2\n");
    let error =
        changed(Registry::builtin().kinds(), &adaptive, &setting("lookahead.alpha", json!(0.5)))
            .unwrap_err();
    assert!(error.contains("`lookahead.adaptive_alpha`, which is 0.2"), "{error}");
    assert_eq!(settable(&adaptive), ["optimizer.lr", "lookahead.k", "probe.every_syncs"]);
    let blind = config("[data]\nvalidation = 0\n[lookahead]\n[probe]\nevery_syncs = 0\n");
    let error =
        changed(Registry::builtin().kinds(), &blind, &setting("probe.every_syncs", json!(1)))
            .unwrap_err();
    assert!(error.contains("`data.validation` is 0"), "{error}");
}

#[test]
fn one_that_finds_no_place_is_not_counted() {
    let settings =
        Settings::new(Registry::builtin().kinds().clone(), config("[lookahead]\n"), None);
    let k = |settings: &Settings| settings.lock().config.lookahead.as_ref().unwrap().k;
    let set = |value: u64| setting("lookahead.k", json!(value));
    let error = settings.accept(&set(7), || Err("Full.".to_owned())).unwrap_err();
    assert_eq!((error.as_str(), k(&settings)), ("Full.", 5));
    let passed_on = std::cell::Cell::new(false);
    let pass_on = || {
        passed_on.set(true);
        Ok(())
    };
    settings.accept(&set(0), pass_on).unwrap_err();
    assert!(!passed_on.get());
    settings.accept(&set(7), || Ok(())).unwrap();
    assert_eq!(k(&settings), 7);
}

#[test]
fn a_key_that_is_not_one_is_told_from_one_that_stays() {
    let config = config("[lookahead]\n");
    for (key, meant) in [
        ("lr", "`optimizer.lr`"),
        ("optimizer.learning_rate", "`optimizer.lr`"),
        ("lookahead.aplha", "`lookahead.alpha`"),
        ("k", "`lookahead.k`"),
    ] {
        let setting = setting(key, json!(1));
        let error = changed(Registry::builtin().kinds(), &config, &setting).unwrap_err();
        let start = format!("There is no key `{key}`. Did you mean {meant}? These can change");
        assert!(error.starts_with(&start), "{error}");
    }
}
