//! `data.kind = "images"`, by the whole program.

use crate::common::{
    SMALL, Sandbox, copy_folder, failed, sets, stderr, succeeded, train, write_digits,
};
use lookahead_run::event::{Event, Status};

/// The digits as images: eight times the pixels, with eight times their mean and deviation.
const IMAGES: [&str; 4] =
    ["data.kind=images", "data.dir=png", "data.mean=[39.1328]", "data.std=[48.1512]"];

const VALIDATION: &str = "data.validation=241";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new(SMALL);
    write_digits(&sandbox.path().join("png"));
    sandbox
}

#[test]
fn digits_as_png_give_the_losses_of_the_built_in_ones() {
    let sandbox = sandbox();
    sandbox.train("built-in", &sets(&[VALIDATION]));
    let evaluations = |run: &str| -> Vec<u64> {
        let records = sandbox.records(run);
        let losses = records.iter().filter_map(|record| match &record.event {
            Event::Evaluation(found) => Some(found.loss.to_bits()),
            Event::Probe(probe) => Some(probe.slow_loss.to_bits()),
            _ => None,
        });
        losses.collect()
    };
    let (losses, found) = (sandbox.losses("built-in"), evaluations("built-in"));
    assert_eq!((losses.len(), found.len()), (14, 13));
    for in_memory in ["always", "never"] {
        let where_they_are = format!("data.in_memory={in_memory}");
        let keys = [&IMAGES[..], &[VALIDATION, &where_they_are]].concat();
        sandbox.train(in_memory, &sets(&keys));
        assert_eq!(sandbox.losses(in_memory), losses, "{in_memory}");
        assert_eq!(evaluations(in_memory), found, "{in_memory}");
    }
    // Wherever the images are, a run resumes, in the middle of an epoch and at its end.
    for step in ["4", "5"] {
        let run = format!("resumed-{step}");
        copy_folder(&sandbox.run_folder("always"), &sandbox.run_folder(&run));
        sandbox.resume(&run, &["--from", step, "--set", "data.in_memory=never"]);
        assert_eq!(sandbox.losses(&run), losses, "from {step}");
    }
    // Other files are other data.
    let png = sandbox.path().join("png/train/0");
    let first = std::fs::read_dir(&png).unwrap().next().unwrap().unwrap().path();
    std::fs::rename(first, png.join("9999.png")).unwrap();
    let folder = sandbox.run_folder("never");
    let words = ["contents have changed", "`data.dir`"];
    failed(&sandbox.lookahead(&["resume", folder.to_str().unwrap(), "--from", "4"]), 2, &words);
}

#[test]
fn init_looks_into_the_folder() {
    let sandbox = sandbox();
    let said = stderr(&succeeded(sandbox.lookahead(&["init", "images", "--data", "png"])));
    let words =
        "png has 1300 training images, 241 for validation, 256 for tests, in 10 classes: 0, 1,";
    assert!(said.contains(words), "{said}");
    assert!(!said.contains("differ in size"), "{said}");
    let empty = sandbox.path().join("empty");
    std::fs::create_dir_all(empty.join("cat")).unwrap();
    let init = ["init", "images", "--data", "empty", "--output", "empty.toml"];
    failed(&sandbox.lookahead(&init), 2, &["`--data` can't be used", "at least 2 are needed"]);
    std::fs::create_dir(empty.join("dog")).unwrap();
    failed(&sandbox.lookahead(&init), 2, &["empty/cat has no image"]);
    assert!(!sandbox.path().join("empty.toml").exists());

    // A bitmap of 2 by 2 beside the others of 8 by 8.
    let pgm = b"P5 2 2 255\n\x00\x10\x20\x30";
    std::fs::write(sandbox.path().join("png/train/3/small.pgm"), pgm).unwrap();
    for at in 0..200 {
        std::fs::write(sandbox.path().join(format!("png/train/3/small-{at}.pgm")), pgm).unwrap();
    }
    let init = ["init", "images", "--data", "png", "--output", "sizes.toml"];
    let said = stderr(&succeeded(sandbox.lookahead(&init)));
    assert!(said.contains("makes all of them 2 by 2 pixels"), "{said}");
    let text = std::fs::read_to_string(sandbox.path().join("sizes.toml")).unwrap();
    assert!(text.contains("\nresize = true") && text.contains("\nsize = [2, 2]"), "{text}");
}

#[test]
fn a_broken_image_is_named_before_or_during_the_run_or_left_out() {
    let sandbox = sandbox();
    let at = |name: &str| sandbox.path().join("png").join(name);
    let broken = at("train/1/0001.png");
    let whole = std::fs::read(&broken).unwrap();
    std::fs::write(&broken, &whole[..whole.len() / 2]).unwrap();
    let keys = |more: &[&'static str]| -> Vec<&'static str> {
        sets(&[&IMAGES[..], &[VALIDATION], more].concat())
    };
    let words = ["train/1/0001.png", "can't be read", "Replace or remove", "`data.on_error`"];
    failed(&sandbox.lookahead(&train("whole", &keys(&[]))), 2, &words);

    // On demand it is found in the first epoch, by a step.
    let output = sandbox.lookahead(&train("demand", &keys(&["data.in_memory=never"])));
    failed(&output, 1, &words);
    let records = sandbox.records("demand");
    let Some(Event::RunEnded(ended)) = records.last().map(|record| &record.event) else {
        panic!("no end")
    };
    assert_eq!(ended.status, Status::Failed);
    assert!(ended.message.as_ref().unwrap().contains("0001.png"), "{ended:?}");

    let skip = ["data.on_error=skip", "data.in_memory=never", "train.max_steps=2"];
    let output = sandbox.train("skip", &keys(&skip));
    assert!(stderr(&output).contains("1 image files are left out"), "{}", stderr(&output));
    assert!(stderr(&output).contains("0001.png can't be read"), "{}", stderr(&output));

    let folder = at("test/9");
    std::fs::rename(&folder, at("test/ten")).unwrap();
    let words = ["test/ten is a class without training images", "train/ten"];
    failed(&sandbox.lookahead(&train("classes", &keys(&[]))), 2, &words);
    failed(
        &sandbox.lookahead(&train("none", &keys(&["data.dir=none"]))),
        2,
        &["none can't be read"],
    );
    let line = ["`data.channels` is 2", "--set"];
    failed(&sandbox.lookahead(&train("channels", &keys(&["data.channels=2"]))), 2, &line);
}
