//! One small workload with the real contenders: their losses agree, they can be timed, and what does not
//! agree is refused. No time is asserted.

use std::path::{Path, PathBuf};
use std::process::Command;

use lookahead_bench::compare::{Tolerance, compare, compare_at_slow};
use lookahead_bench::measure::ready;
use lookahead_bench::plan::{OURS, PEERS, Programs};
use lookahead_bench::protocol::{Command as Ask, Job};
use lookahead_bench::workload::Work;
use lookahead_trainer::config::Config;
use lookahead_trainer::registry::Registry;

/// What is built into the trainer needs no file: only this project's contenders know the data.
const DIGITS: &str = "
    [data]
    kind = 'digits'
    batch_size = 16
    [model]
    kind = 'mlp'
    hidden = [12]
    [optimizer]
    lr = 0.05
    [lookahead]
    [train]
    threads = 1
    max_steps = 1000000
    evaluate_every_epochs = 0
";

const TEXT: &str = "
    [data]
    kind = 'text'
    length = 8
    batch_size = 4
    validation = 20
    [model]
    kind = 'transformer'
    width = 16
    layers = 1
    heads = 2
    [optimizer]
    kind = 'adamw'
    lr = 0.01
    [lookahead]
    [train]
    threads = 1
    max_steps = 1000000
    evaluate_every_epochs = 0
    [probe]
    samples = 10
";

fn work(text: &str, file: Option<&Path>, more: &str) -> Work {
    let file = file.map(|file| format!("data.file={}", file.display()));
    let sets = file.as_deref().into_iter().chain((!more.is_empty()).then_some(more));
    let sets: Vec<_> = sets.map(|set| set.parse().unwrap()).collect();
    let config = Config::parse(Registry::builtin().kinds(), "test", text, &sets).unwrap().config;
    let data = config.data.path("file").map(Path::to_owned).unwrap_or_default();
    Work::Training { config: Box::new(config), data, mean: Vec::new(), std: Vec::new() }
}

/// A file of text.
fn text(folder: &Path) -> PathBuf {
    let file = folder.join("text.txt");
    let text: String = (0..4000u32).map(|i| char::from(b'a' + (i * i / 7 % 23) as u8)).collect();
    std::fs::write(&file, text).unwrap();
    file
}

fn programs(python: &Path) -> Programs {
    Programs {
        bench: env!("CARGO_BIN_EXE_lookahead-bench").into(),
        lookahead: PathBuf::new(),
        python: python.to_owned(),
    }
}

#[test]
fn this_projects_contenders_take_the_same_steps() {
    let folder = tempfile::tempdir().unwrap();
    let work = work(DIGITS, None, "");
    let named = ("digits", &work);
    let (mut contest, agreements, _) =
        ready(&programs(Path::new("")), named, (&OURS, &[]), 1, folder.path()).unwrap();
    let names: Vec<&str> =
        agreements.iter().map(|agreement| agreement.contender.as_str()).collect();
    assert_eq!(names, OURS[1..]);
    // It is the same arithmetic on the same numbers.
    assert!(agreements.iter().all(|agreement| agreement.greatest == 0.0), "{agreements:?}");
    assert_eq!(agreements[0].steps, 5, "bare differs from the first sync on");
    contest.run(2, 0.001, 5).unwrap();
    let seconds = contest.of("trainer").unwrap();
    assert!(seconds.len() == 2 && seconds.iter().all(|&seconds| seconds > 0.0), "{seconds:?}");
    assert!(folder.path().join("digits-initial.safetensors").is_file());
}

#[test]
fn a_contender_that_fails_is_an_error_with_its_words() {
    let folder = tempfile::tempdir().unwrap();
    let text = work(TEXT, Some(Path::new("/nowhere/text")), "");
    let failed =
        ready(&programs(Path::new("")), ("text", &text), (&["library"], &[]), 1, folder.path());
    let said = failed.unwrap_err().to_string();
    assert!(said.contains("library failed") && said.contains("/nowhere/text"), "{said}");
}

/// The Python that has these modules: that of `TORCH_PYTHON`, else the one that `just python` makes.
fn python(modules: &str) -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let cache = || set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let python = set("TORCH_PYTHON")
        .or_else(|| Some(cache()?.join("lookahead/golden-python/bin/python")))?;
    let works = Command::new(&python)
        .args(["-c", &format!("import {modules}")])
        .output()
        .is_ok_and(|output| output.status.success());
    works.then_some(python)
}

/// One with plain PyTorch, required if there is a Python.
fn torch() -> Option<PathBuf> {
    let python = python("torch, safetensors.torch");
    if python.is_none() {
        if std::env::var_os("LOOKAHEAD_REQUIRE_PYTHON").is_some() {
            panic!("no Python with torch and safetensors, and they are required");
        }
        eprintln!("Skipped: no Python with torch and safetensors; `just python` makes one.");
    }
    python
}

/// timm and pytorch_optimizer are not required.
fn peers() -> Option<(PathBuf, &'static [&'static str])> {
    if let Some(python) = python("torch, safetensors.torch, timm.optim, pytorch_optimizer") {
        return Some((python, &["torch", PEERS[0], PEERS[1]]));
    }
    eprintln!("timm and pytorch_optimizer are skipped: no Python has both.");
    Some((torch()?, &["torch"]))
}

#[test]
fn contenders_in_pytorch_take_the_same_steps() {
    let Some((python, peers)) = peers() else { return };
    let folder = tempfile::tempdir().unwrap();
    let programs = programs(&python);
    let work = work(TEXT, Some(&text(folder.path())), "");
    let (mut contest, agreements, versions) =
        ready(&programs, ("text", &work), (&["library"], peers), 1, folder.path()).unwrap();
    assert_eq!(agreements.len(), peers.len());
    assert!(versions.iter().all(|words| words.contains("torch 2.")), "{versions:?}");
    for agreement in &agreements {
        // Far below what is allowed, and of φ too, which is not θ between two syncs.
        assert!(agreement.greatest < 1e-4, "{agreement:?}");
        assert!(agreement.at_slow.unwrap() < 1e-4, "{agreement:?}");
    }
    contest.run(1, 0.001, 5).unwrap();
}

/// Another slow step size on one side shows in the losses after the first sync, and in φ.
#[test]
fn another_course_of_pytorch_is_refused() {
    let Some(python) = torch() else { return };
    let folder = tempfile::tempdir().unwrap();
    let programs = programs(&python);
    let file = text(folder.path());
    let [initial, order] =
        ["initial.safetensors", "order.safetensors"].map(|name| folder.path().join(name));
    let job = |contender: &str, more: &str| Job {
        contender: contender.to_owned(),
        threads: 1,
        form: "foreach".to_owned(),
        storage: "floats".to_owned(),
        work: work(TEXT, Some(&file), more),
        initial: Some(initial.clone()),
        order: Some(order.clone()),
        samples: None,
    };
    let mut library = programs.ours("library", folder.path()).unwrap();
    library.prepare(job("library", "")).unwrap();
    library
        .ask(&Ask::Export { initial: initial.clone(), order: order.clone(), samples: None })
        .unwrap();
    let ours = library.losses(13).unwrap();
    let (at_slow, _) = library.evaluate(true).unwrap();
    let mut torch = programs.peer("torch", folder.path()).unwrap();

    torch.prepare(job("torch", "")).unwrap();
    let theirs = torch.losses(13).unwrap();
    compare(&ours, &theirs, Tolerance::SINGLE).unwrap();
    compare_at_slow(at_slow, torch.evaluate(true).unwrap().0, Tolerance::SINGLE).unwrap();
    // θ is as it was before that evaluation.
    let next = (library.losses(2).unwrap(), torch.losses(2).unwrap());
    compare(&next.0, &next.1, Tolerance::SINGLE).unwrap();

    torch.prepare(job("torch", "lookahead.alpha=0.3")).unwrap();
    let theirs = torch.losses(13).unwrap();
    compare(&ours[..5], &theirs[..5], Tolerance::SINGLE).unwrap();
    compare(&ours, &theirs, Tolerance::SINGLE).unwrap_err();
    compare_at_slow(at_slow, torch.evaluate(true).unwrap().0, Tolerance::SINGLE).unwrap_err();
}
