//! The compiled shim, kept in the target folder for other builds of the same sources: a part of the build script.
//!
//! Cargo runs the build script once for each workspace, set of features and tool, and each time libtorch's headers would
//! be compiled for a minute or two.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};

/// How many are kept: as many as the sets of features in use.
const MOST: usize = 6;

/// The place of a shim.
#[derive(Debug)]
pub(super) struct KeptShim {
    file: PathBuf,
}

impl KeptShim {
    /// The place in `folder` for what a compiler makes of `sources`, files and folders. `command` is all else that the
    /// result depends on.
    pub(super) fn new(folder: &Path, command: &str, sources: &[PathBuf]) -> io::Result<KeptShim> {
        let mut hasher = DefaultHasher::new();
        command.hash(&mut hasher);
        for source in sources {
            hash_files(source, &mut hasher)?;
        }
        Ok(KeptShim { file: folder.join(format!("{:016x}.a", hasher.finish())) })
    }

    /// Copies it to `library`. Returns whether it was there.
    pub(super) fn restore(&self, library: &Path) -> bool {
        fs::copy(&self.file, library).is_ok()
    }

    /// Keeps a copy of `library`, and removes the oldest if there are many.
    pub(super) fn keep(&self, library: &Path) -> io::Result<()> {
        let folder = self.file.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder)?;
        // Another build may read it meanwhile.
        let part = self.file.with_extension(std::process::id().to_string());
        fs::copy(library, &part)?;
        fs::rename(&part, &self.file)?;
        let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
        let mut kept: Vec<_> = entries
            .iter()
            .map(|entry| Ok((entry.metadata()?.modified()?, entry.path())))
            .collect::<io::Result<_>>()?;
        kept.sort();
        let old = kept.len().saturating_sub(MOST);
        kept[..old].iter().try_for_each(|(_, path)| fs::remove_file(path))
    }
}

/// Hashes the contents of a file, or of all files in a folder, in the order of their names.
fn hash_files(path: &Path, hasher: &mut DefaultHasher) -> io::Result<()> {
    path.file_name().hash(hasher);
    if !path.is_dir() {
        fs::read(path)?.hash(hasher);
        return Ok(());
    }
    let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<io::Result<Vec<_>>>()?;
    entries.sort();
    entries.iter().try_for_each(|entry| hash_files(entry, hasher))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_for_the_same_sources_and_command() {
        let temp = tempfile::tempdir().unwrap();
        let [sources, kept, out] = ["sources", "kept", "out"].map(|name| temp.path().join(name));
        fs::create_dir_all(sources.join("deeper")).unwrap();
        fs::write(sources.join("deeper/a.cc"), "int a;").unwrap();
        let shim =
            |command: &str| KeptShim::new(&kept, command, std::slice::from_ref(&sources)).unwrap();
        assert!(!shim("c++ -O3").restore(&out));

        fs::write(&out, "compiled").unwrap();
        shim("c++ -O3").keep(&out).unwrap();
        fs::remove_file(&out).unwrap();
        assert!(!shim("c++ -O2").restore(&out));
        assert!(shim("c++ -O3").restore(&out));
        assert_eq!(fs::read(&out).unwrap(), b"compiled");

        fs::write(sources.join("deeper/a.cc"), "int b;").unwrap();
        assert!(!shim("c++ -O3").restore(&out));
    }

    #[test]
    fn the_oldest_go() {
        let temp = tempfile::tempdir().unwrap();
        let (kept, out) = (temp.path().join("kept"), temp.path().join("out"));
        fs::write(&out, "compiled").unwrap();
        for number in 0..2 * MOST {
            KeptShim::new(&kept, &number.to_string(), &[]).unwrap().keep(&out).unwrap();
        }
        assert_eq!(fs::read_dir(&kept).unwrap().count(), MOST);
        assert!(KeptShim::new(&kept, &(2 * MOST - 1).to_string(), &[]).unwrap().restore(&out));
    }
}
