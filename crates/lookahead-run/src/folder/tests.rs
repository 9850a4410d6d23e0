use super::*;
use crate::locked_folder::LOCK;
use std::fs::File;
use std::thread;
use tempfile::tempdir;

#[test]
fn the_lock_shows_whose_process_trained() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "run").unwrap();
    let writer = |run: &RunFolder| run.writer().unwrap();
    assert_eq!(writer(&run), Writer::Unknown, "no process has had it");
    let lock = run.lock().unwrap();
    assert_eq!(writer(&run), Writer::Alive);
    // A copy of a running run, as by rsync: its process is neither gone nor here.
    fs::create_dir(temp.path().join("copy")).unwrap();
    fs::copy(run.path().join(LOCK), temp.path().join("copy/lock")).unwrap();
    let copy = RunFolder { path: temp.path().join("copy"), ..run.clone() };
    assert_eq!(writer(&copy), Writer::Unknown);
    drop(lock);
    assert_eq!((writer(&run), writer(&copy)), (Writer::Gone, Writer::Unknown));
    drop(copy.lock().unwrap());
    assert_eq!(writer(&copy), Writer::Gone);

    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    for (text, expected) in [
        ("another one, whose word is longer", Writer::Unknown),
        ("", Writer::Unknown),
        ("another one\n1:2\n", Writer::Unknown),
        // The lock of an earlier version.
        (boot.trim(), Writer::Gone),
    ] {
        fs::write(run.path().join(LOCK), text).unwrap();
        assert_eq!(writer(&run), expected, "{text}");
    }
    // A moved folder is still the same.
    drop(run.lock().unwrap());
    let moved = RunFolder { path: temp.path().join("moved"), ..run.clone() };
    fs::rename(run.path(), moved.path()).unwrap();
    assert_eq!(writer(&moved), Writer::Gone);
}

#[test]
fn a_run_can_be_awaited_if_its_parent_folder_exists() {
    let temp = tempdir().unwrap();
    let path = temp.path().join("later");
    assert_eq!(RunFolder::open_or_await(&path).unwrap().name(), "later");
    let error = RunFolder::open_or_await(&path.join("deeper")).unwrap_err();
    assert!(matches!(error, Error::RunMissing { .. }), "{error}");
    fs::write(&path, "a file").unwrap();
    let error = RunFolder::open_or_await(&path).unwrap_err();
    assert!(matches!(error, Error::NotARun { .. }), "{error}");
}

#[test]
fn create_makes_the_folder_and_its_parents() {
    let temp = tempdir().unwrap();
    let out = temp.path().join("a/b");
    let run = RunFolder::create(&out, "mnist").unwrap();
    assert!(out.join("mnist").is_dir());
    assert_eq!(run.path(), out.join("mnist"));
    assert_eq!(run.name(), "mnist");
    assert_eq!(run.config_path(), out.join("mnist/config.toml"));
    assert_eq!(run.events_path(), out.join("mnist/events.jsonl"));
}

#[test]
fn create_never_uses_an_existing_folder_or_file() {
    let temp = tempdir().unwrap();
    fs::create_dir(temp.path().join("folder")).unwrap();
    fs::write(temp.path().join("file"), "mine").unwrap();
    for name in ["folder", "file"] {
        let error = RunFolder::create(temp.path(), name).unwrap_err();
        assert!(matches!(error, Error::RunExists { .. }), "{error}");
        let path = temp.path().join(name);
        assert!(error.to_string().contains(&format!("lookahead resume {}", path.display())));
        assert!(error.to_string().contains("--name"));
    }
    assert_eq!(fs::read_to_string(temp.path().join("file")).unwrap(), "mine");
}

#[test]
fn names_that_are_not_one_plain_component_are_refused() {
    let temp = tempdir().unwrap();
    let out = temp.path().join("out");
    for name in ["", ".", "..", ".hidden", "a/b", "/a", "a/", "../a", "a\nb", "a\0b", "\u{7f}"] {
        for result in [RunFolder::create(&out, name), RunFolder::create_numbered(&out, name)] {
            let error = result.unwrap_err();
            assert!(matches!(error, Error::RunName { .. }), "{name:?}: {error}");
            assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        }
    }
    assert!(!out.exists(), "a refused name leaves nothing behind");
    for name in ["mnist", "a b", "größe", "a.b", "-", "step-00000001"] {
        RunFolder::create(&out, name).unwrap();
    }
}

#[test]
fn numbered_runs_take_the_first_free_number() {
    let temp = tempdir().unwrap();
    let create = || RunFolder::create_numbered(temp.path(), "run").unwrap().name().to_owned();
    assert_eq!([create(), create(), create()], ["run", "run-2", "run-3"]);
    fs::remove_dir(temp.path().join("run-2")).unwrap();
    assert_eq!([create(), create()], ["run-2", "run-4"]);
}

#[test]
fn numbered_runs_made_at_the_same_time_get_a_folder_each() {
    let temp = tempdir().unwrap();
    let mut names: Vec<String> = std::thread::scope(|scope| {
        let create = || RunFolder::create_numbered(temp.path(), "run").unwrap();
        let threads: Vec<_> = (0..16).map(|_| scope.spawn(create)).collect();
        threads.into_iter().map(|t| t.join().unwrap().name().to_owned()).collect()
    });
    names.sort();
    names.dedup();
    assert_eq!(names.len(), 16);
}

#[test]
fn open_distinguishes_a_missing_folder_from_one_that_is_not_a_run() {
    let temp = tempdir().unwrap();
    let error = RunFolder::open(&temp.path().join("nowhere")).unwrap_err();
    assert!(matches!(error, Error::RunMissing { .. }), "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");

    let run = RunFolder::create(temp.path(), "empty").unwrap();
    let error = RunFolder::open(run.path()).unwrap_err();
    assert!(matches!(error, Error::NotARun { .. }), "{error}");
    assert!(error.to_string().contains("holds no `config.toml`"), "{error}");

    fs::write(temp.path().join("file"), "").unwrap();
    let error = RunFolder::open(&temp.path().join("file")).unwrap_err();
    assert!(error.to_string().contains("it is a file"), "{error}");
}

#[test]
fn the_name_is_right_however_the_path_is_spelled() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "mnist").unwrap();
    run.write_config("").unwrap();
    fs::create_dir(run.path().join("inner")).unwrap();
    for spelling in ["mnist", "mnist/", "mnist/.", "mnist/inner/..", "./mnist//"] {
        let opened = RunFolder::open(&temp.path().join(spelling)).unwrap();
        assert_eq!(opened.name(), "mnist", "{spelling}");
    }
    let there = RunFolder::open(&temp.path().join("mnist/inner/..")).unwrap();
    assert_eq!(there.read_config().unwrap(), "");
}

#[test]
fn the_config_is_replaced_whole_and_leaves_no_temporary_file() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "mnist").unwrap();
    let error = run.read_config().unwrap_err();
    assert!(error.to_string().contains("Could not read"), "{error}");
    assert!(error.to_string().contains("config.toml"), "{error}");
    run.write_config("first = 1\n").unwrap();
    run.write_config("a = 2\n").unwrap();
    assert_eq!(run.read_config().unwrap(), "a = 2\n");
    let names: Vec<_> = fs::read_dir(run.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(names, [run.config_path()]);
}

#[test]
fn a_run_has_one_writer_at_a_time() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "mnist").unwrap();
    let same = run.clone();
    assert!(!run.is_in_use().unwrap());
    assert!(!run.path().join("lock").exists(), "a look makes nothing");
    let lock = run.lock().unwrap();
    for _ in 0..2 {
        let error = same.lock().unwrap_err();
        assert!(matches!(error, Error::RunInUse { .. }), "{error}");
        assert!(error.to_string().contains("mnist"), "{error}");
    }
    assert!(same.is_in_use().unwrap());
    drop(lock);
    assert!(!same.is_in_use().unwrap());
    assert!(run.path().join("lock").exists(), "removing the file would let two writers in");
    drop(same.lock().unwrap());
    drop(run.lock().unwrap());
}

#[test]
fn checking_whether_a_run_is_in_use_does_not_prevent_locking_it() {
    let temp = tempdir().unwrap();
    let run = RunFolder::create(temp.path(), "mnist").unwrap();
    drop(run.lock().unwrap());
    // As the check does, only longer.
    let looking = File::open(run.path().join(LOCK)).unwrap();
    looking.try_lock_shared().unwrap();
    let look = thread::spawn(move || {
        thread::sleep(Duration::from_millis(50));
        looking.unlock().unwrap();
    });
    let lock = run.lock().unwrap();
    assert!(run.is_in_use().unwrap());
    look.join().unwrap();
    drop(lock);

    // A lock that is not released is not a check.
    let looking = File::open(run.path().join(LOCK)).unwrap();
    looking.try_lock_shared().unwrap();
    let error = run.lock().unwrap_err();
    assert!(matches!(error, Error::RunInUse { .. }), "{error}");
}
