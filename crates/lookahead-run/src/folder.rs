//! The folder of a run: made once, never overwritten, written by one process at a time.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use crate::disk::{self, At};
use crate::error::{Error, Result};
use crate::store::CheckpointStore;

const CONFIG: &str = "config.toml";
const EVENTS: &str = "events.jsonl";
const LOCK: &str = "lock";

/// How long a look at the lock may take.
const A_MOMENT: Duration = Duration::from_millis(20);

/// Most bytes of a configuration that are read: no honest one comes near.
pub const LARGEST_CONFIG: u64 = 1 << 20;

/// The folder of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunFolder {
    path: PathBuf,
    name: String,
}

impl RunFolder {
    /// Makes the folder `out/name` for a new run, and `out` where that is missing.
    ///
    /// # Errors
    /// [`Error::RunExists`] if anything of that name is there already, [`Error::RunName`] if the
    /// name is not one plain folder name.
    pub fn create(out: &Path, name: &str) -> Result<RunFolder> {
        Self::make(out, name)?.ok_or_else(|| Error::RunExists { path: out.join(name) })
    }

    /// Checks that [`create`](Self::create) would be allowed just now, without making anything.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn check_free(out: &Path, name: &str) -> Result<()> {
        check_name(name)?;
        let path = out.join(name);
        if path.symlink_metadata().is_ok() { Err(Error::RunExists { path }) } else { Ok(()) }
    }

    /// Makes the folder `out/base` for a new run or, where that is taken, the first free one of
    /// `out/base-2`, `out/base-3`…
    ///
    /// Two processes that do this at the same time get two folders.
    ///
    /// # Errors
    /// [`Error::RunName`] if the base is not one plain folder name.
    pub fn create_numbered(out: &Path, base: &str) -> Result<RunFolder> {
        let mut name = base.to_owned();
        let mut number = 1u64;
        loop {
            if let Some(folder) = Self::make(out, &name)? {
                return Ok(folder);
            }
            number += 1;
            name = format!("{base}-{number}");
        }
    }

    /// `None` if the name is taken. Only `create_dir` itself can tell without a race.
    fn make(out: &Path, name: &str) -> Result<Option<RunFolder>> {
        check_name(name)?;
        fs::create_dir_all(out).at("make the folder", out)?;
        let path = out.join(name);
        match fs::create_dir(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            result => result.at("make the folder", &path)?,
        }
        disk::sync_folder(out)?;
        Ok(Some(RunFolder { path, name: name.to_owned() }))
    }

    /// The run in an existing folder, told by its `config.toml`.
    ///
    /// # Errors
    /// [`Error::RunMissing`] if there is nothing at the path, [`Error::NotARun`] if it is not the
    /// folder of a run.
    pub fn open(path: &Path) -> Result<RunFolder> {
        let not_a_run = |fault| Error::NotARun { path: path.to_owned(), fault };
        let real = match path.canonicalize() {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {
                return Err(Error::RunMissing { path: path.to_owned() });
            }
            result => result.at("find", path)?,
        };
        if !real.is_dir() {
            return Err(not_a_run("it is a file, and a run is a folder"));
        }
        if !real.join(CONFIG).is_file() {
            return Err(not_a_run("the folder holds no `config.toml`"));
        }
        let name = real.file_name().ok_or_else(|| not_a_run("a run's folder has a name"))?;
        let name = name.to_string_lossy().into_owned();
        Ok(RunFolder { path: path.to_owned(), name })
    }

    /// The run that is at a path, or will be: for whoever waits for one that has not begun.
    ///
    /// # Errors
    /// As [`open`](Self::open) where something is there; [`Error::RunMissing`] where not even the
    /// folder is there in which the run's would be made.
    pub fn open_or_await(path: &Path) -> Result<RunFolder> {
        match RunFolder::open(path) {
            Err(missing @ Error::RunMissing { .. }) => {
                let parent = path.parent().filter(|parent| *parent != Path::new(""));
                match path.file_name() {
                    Some(name) if parent.unwrap_or(Path::new(".")).is_dir() => Ok(RunFolder {
                        path: path.to_owned(),
                        name: name.to_string_lossy().into_owned(),
                    }),
                    _ => Err(missing),
                }
            }
            found => found,
        }
    }

    /// The folder's path, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The run's name, which is the folder's real one: that of `.` is not `.`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the resolved configuration lies.
    pub fn config_path(&self) -> PathBuf {
        self.path.join(CONFIG)
    }

    /// Where the event log lies.
    pub fn events_path(&self) -> PathBuf {
        self.path.join(EVENTS)
    }

    /// The run's checkpoints.
    pub fn checkpoints(&self) -> CheckpointStore {
        CheckpointStore::new(&self.path)
    }

    /// Writes `config.toml`, whole or not at all, over one that may be there.
    pub fn write_config(&self, text: &str) -> Result<()> {
        let path = self.config_path();
        let draft = self.path.join(".config.toml.tmp");
        disk::write_synced(&draft, text.as_bytes())?;
        disk::rename(&draft, &path, "put a new version in place of", &path)?;
        disk::sync_folder(&self.path)
    }

    /// The text of `config.toml`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] where it has more than [`LARGEST_CONFIG`] bytes.
    pub fn read_config(&self) -> Result<String> {
        read_config(&self.config_path())
    }

    /// Makes this process the run's only writer, until the lock is dropped.
    ///
    /// The system takes the lock back from a process that ends, however it ends, so a run that was
    /// killed can be resumed at once. Reading a run needs no lock.
    ///
    /// # Errors
    /// [`Error::RunInUse`] if another process, or another lock of this one, has the run.
    pub fn lock(&self) -> Result<RunLock> {
        let path = self.path.join(LOCK);
        let file = disk::open_own(&path, File::options().truncate(false).write(true));
        let file = file.at("open", &path)?;
        let mut attempts = 10;
        loop {
            attempts -= 1;
            match file.try_lock() {
                Ok(()) => {
                    // A word for whoever looks from elsewhere, without which all works as well.
                    let _ = file.set_len(0).and_then(|()| (&file).write_all(machine().as_bytes()));
                    return Ok(RunLock { file });
                }
                // Somebody may just be looking whether it is locked.
                Err(TryLockError::WouldBlock) if attempts > 0 => thread::sleep(A_MOMENT),
                Err(TryLockError::WouldBlock) => {
                    return Err(Error::RunInUse { path: self.path.clone() });
                }
                Err(TryLockError::Error(cause)) => return Err(cause).at("lock", &path),
            }
        }
    }

    /// Whether the last process that had the run's lock was one of this machine, since it was last
    /// started: then a lock that is free tells that the process is gone. A lock of another machine's
    /// need not show here.
    pub fn is_of_this_machine(&self) -> bool {
        let machine = machine();
        let mut writer = String::new();
        let read = disk::open_plain(&self.path.join(LOCK))
            .and_then(|file| file.take(100).read_to_string(&mut writer));
        !machine.is_empty() && read.is_ok() && writer == machine
    }

    /// Whether a process has the run's lock just now. Changes nothing in the folder.
    ///
    /// # Errors
    /// Where the system does not tell.
    pub fn is_in_use(&self) -> Result<bool> {
        let path = self.path.join(LOCK);
        let file = match disk::open_plain(&path) {
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(false),
            result => result.at("open", &path)?,
        };
        match file.try_lock_shared() {
            Ok(()) => file.unlock().at("unlock", &path).map(|()| false),
            Err(TryLockError::WouldBlock) => Ok(true),
            Err(TryLockError::Error(cause)) => Err(cause).at("lock", &path),
        }
    }
}

/// What tells this machine, since it was started, from every other.
fn machine() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// The text of a configuration in a plain file, in the folder of a run or elsewhere.
///
/// # Errors
/// [`Error::TooLarge`] where it has more than [`LARGEST_CONFIG`] bytes.
pub fn read_config(path: &Path) -> Result<String> {
    disk::read_text(disk::open_plain(path).at("read", path)?, path, LARGEST_CONFIG)
}

/// The text of a configuration that the user names, which may come from a pipe too, such as `<(…)` in a
/// shell or `/dev/stdin`.
///
/// # Errors
/// As [`read_config`]; if nothing comes out of a pipe.
pub fn read_given_config(path: &Path) -> Result<String> {
    let is_pipe = fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir());
    if !is_pipe {
        return read_config(path);
    }
    let text = disk::read_text(File::open(path).at("read", path)?, path, LARGEST_CONFIG)?;
    match text.trim().is_empty() {
        // Everything has a default, so that it would be a whole configuration.
        true => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "nothing comes out of it")),
        false => Ok(text),
    }
    .at("read", path)
}

/// The right to write a run, given back when this is dropped.
#[derive(Debug)]
#[must_use = "the run is unlocked again as soon as this is dropped"]
pub struct RunLock {
    file: File,
}

impl Drop for RunLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process that is just being started shares the
        // open file, and with it the lock, until it executes its own program. There is nothing to
        // be done about an error, and closing is the second chance.
        let _ = self.file.unlock();
    }
}

/// A run is found again by its name, in paths, lists and shell commands, so it must be plain.
fn check_name(name: &str) -> Result<()> {
    let fault = if name.is_empty() {
        "is empty"
    } else if name.contains('/') {
        "contains a `/`"
    } else if name.starts_with('.') {
        "starts with a dot"
    } else if name.contains(char::is_control) {
        "contains a control character"
    } else {
        return Ok(());
    };
    Err(Error::RunName { name: name.to_owned(), fault })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::tempdir;

    #[test]
    fn the_lock_tells_whose_machine_trains() {
        let temp = tempdir().unwrap();
        let run = RunFolder::create(temp.path(), "run").unwrap();
        assert!(!run.is_of_this_machine(), "nobody has had it");
        drop(run.lock().unwrap());
        assert!(run.is_of_this_machine());
        fs::write(run.path().join(LOCK), "another one, whose word is longer").unwrap();
        assert!(!run.is_of_this_machine());
        drop(run.lock().unwrap());
        assert!(run.is_of_this_machine());
    }

    #[test]
    fn a_run_that_has_not_begun_can_be_awaited_where_it_could_begin() {
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
    fn create_never_takes_an_existing_folder_or_file() {
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
        for name in ["", ".", "..", ".hidden", "a/b", "/a", "a/", "../a", "a\nb", "a\0b", "\u{7f}"]
        {
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
    fn open_tells_a_missing_folder_from_one_that_is_no_run() {
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
    fn the_config_is_replaced_whole_and_leaves_no_draft() {
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
    fn who_looks_whether_a_run_is_in_use_does_not_keep_it_from_being_locked() {
        let temp = tempdir().unwrap();
        let run = RunFolder::create(temp.path(), "mnist").unwrap();
        drop(run.lock().unwrap());
        // As a look does, only longer.
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

        // Somebody who looks and does not end looking is no look.
        let looking = File::open(run.path().join(LOCK)).unwrap();
        looking.try_lock_shared().unwrap();
        let error = run.lock().unwrap_err();
        assert!(matches!(error, Error::RunInUse { .. }), "{error}");
    }
}
