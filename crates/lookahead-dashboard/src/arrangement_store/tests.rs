use lookahead_run::RunFolder;

use super::*;

fn store(file: &Path, changes: Vec<Arrangement>) -> Vec<Message> {
    let (sender, changed) = unbounded();
    changes.into_iter().for_each(|change| sender.send(change).unwrap());
    drop(sender);
    let (done_in, done) = unbounded();
    follow(Path::new("/runs/one"), file, &changed, &done_in);
    done.try_iter().collect()
}

#[test]
fn the_last_change_is_there_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(folder.path(), Path::new("/runs/one"));
    let first = Arrangement { filter: "loss".into(), ..Arrangement::default() };
    let last = Arrangement { grid: true, ..first.clone() };
    assert!(store(&file, vec![first, last.clone()]).is_empty());
    assert!(fs::read_to_string(&file).unwrap().contains("/runs/one"));
    let found = store(&file, vec![]);
    assert!(matches!(&found[..], [Message::Arranged(arrangement)] if *arrangement == last));
    assert_ne!(file, path(folder.path(), Path::new("/runs/two")));
    let all: Vec<_> = fs::read_dir(file.parent().unwrap()).unwrap().collect();
    assert_eq!(all.len(), 1, "a temporary file is left: {all:?}");
}

#[test]
fn a_broken_file_and_a_full_disk_are_reported_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = path(folder.path(), Path::new("/runs/one"));
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "{\"grid\": tru").unwrap();
    let [Message::Done(text)] = &store(&file, vec![])[..] else { panic!("no notice") };
    assert!(
        text.contains("damaged and ignored") && text.contains(&*file.to_string_lossy()),
        "{text}"
    );
    // A file in place of the folder, as on a disk that can't be written.
    let file = path(&file, Path::new("/runs/one"));
    let [Message::Done(text)] = &store(&file, vec![Arrangement::default(); 2])[1..] else {
        panic!("not one notice more than that of the read")
    };
    assert!(text.contains("is not remembered"), "{text}");
}

#[test]
fn several_runs_are_remembered_by_their_folder() {
    let folder = tempfile::tempdir().unwrap();
    let create = |name| WatchedRun::Here(RunFolder::create(folder.path(), name).unwrap());
    let [one, two] = ["one", "two"].map(create);
    let common = |runs: &[WatchedRun]| common_folder(runs).unwrap();
    assert_eq!(common(std::slice::from_ref(&one)), folder.path().join("one"));
    assert_eq!(common(&[one, two]), folder.path());
    assert_eq!(common_folder(&[]), None);
}
