//! The files in a folder of images, one folder for each class.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use lookahead_run::words::reason;

use crate::data::image_file::{FORMATS, has_image_name};

/// An image file and its class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageFile {
    /// Its path.
    pub path: PathBuf,
    /// The position of its class in [`ImageFolder::classes`].
    pub class: usize,
}

impl AsRef<Path> for ImageFile {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

/// What is in a folder of images. Files are in the order of their names.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ImageFolder {
    /// The names of the classes, in alphabetical order.
    pub classes: Vec<String>,
    /// `train/CLASS/*`, or `CLASS/*`.
    pub train: Vec<ImageFile>,
    /// `validation/CLASS/*`.
    pub validation: Option<Vec<ImageFile>>,
    /// `test/CLASS/*`.
    pub test: Option<Vec<ImageFile>>,
    /// Files that aren't images by their names.
    pub ignored: Vec<PathBuf>,
}

impl ImageFolder {
    /// Lists the files of a folder: `train/CLASS/*` with `validation/CLASS/*` and `test/CLASS/*` if there are such
    /// folders, otherwise `CLASS/*`. Names that begin with a dot are left out.
    ///
    /// # Errors
    /// A sentence, if a folder can't be read, there are fewer than two classes, a class has no image, or the
    /// validation or test images have a class that the training images lack.
    pub fn scan(dir: &Path) -> Result<Self, String> {
        let mut found = ImageFolder::default();
        let parts = folders(dir)?;
        let train = dir.join("train");
        // Otherwise it may be a class.
        let is_split = parts.contains("train") && !folders(&train)?.is_empty();
        check_parts(dir, &parts, is_split)?;
        let root = if is_split { train } else { dir.to_owned() };
        found.classes = folders(&root)?.into_iter().collect();
        if found.classes.len() < 2 {
            return Err(format!(
                "{} has {} folders with a class each, and at least 2 are needed. Put the images of each class \
                 into a folder of its name, in {} or in {}.",
                root.display(),
                found.classes.len(),
                dir.display(),
                dir.join("train").display()
            ));
        }
        found.train = found.files(&root)?;
        let with_images: BTreeSet<usize> = found.train.iter().map(|file| file.class).collect();
        if let Some(empty) = (0..found.classes.len()).find(|class| !with_images.contains(class)) {
            return Err(format!(
                "{} has no image. Add some, in the formats {FORMATS}, or remove the folder.",
                root.join(&found.classes[empty]).display()
            ));
        }
        if is_split {
            found.validation = found.part(dir, "validation")?;
            found.test = found.part(dir, "test")?;
        }
        Ok(found)
    }

    /// The images for validation or tests, if there is a folder of them.
    fn part(&mut self, dir: &Path, name: &str) -> Result<Option<Vec<ImageFile>>, String> {
        let root = dir.join(name);
        if !root.is_dir() {
            return Ok(None);
        }
        if let Some(unknown) = folders(&root)?.iter().find(|class| !self.classes.contains(class)) {
            return Err(format!(
                "{} is a class without training images. Add some in {}, or remove the folder.",
                root.join(unknown).display(),
                dir.join("train").join(unknown).display()
            ));
        }
        let files = self.files(&root)?;
        if files.is_empty() {
            return Err(format!(
                "{} has no image. Put the images of each class into a folder of its name there, or remove {name}.",
                root.display()
            ));
        }
        Ok(Some(files))
    }

    /// The image files of all classes below a folder.
    fn files(&mut self, root: &Path) -> Result<Vec<ImageFile>, String> {
        let mut files = Vec::new();
        for (class, name) in self.classes.iter().enumerate() {
            let folder = root.join(name);
            if !folder.is_dir() {
                continue;
            }
            for path in entries(&folder)? {
                if has_image_name(&path) {
                    files.push(ImageFile { path, class });
                } else {
                    self.ignored.push(path);
                }
            }
        }
        files.sort_by(|a, b| (a.path.file_name(), a.class).cmp(&(b.path.file_name(), b.class)));
        Ok(files)
    }
}

/// Refuses folders that look like parts of a data set, but would not be read as such.
fn check_parts(dir: &Path, found: &BTreeSet<String>, is_split: bool) -> Result<(), String> {
    let other =
        if is_split { &["val", "valid", "dev"][..] } else { &["test", "validation", "val"] };
    let Some(name) = other.iter().find(|&&name| found.contains(name)) else { return Ok(()) };
    let path = dir.join(name);
    Err(if is_split {
        format!(
            "{} is not read: the folders beside train are named validation and test. Rename it to validation.",
            path.display()
        )
    } else {
        format!(
            "{} is there, but {} has no folders of classes. Put the folders of the training images into it.",
            path.display(),
            dir.join("train").display()
        )
    })
}

fn folders(root: &Path) -> Result<BTreeSet<String>, String> {
    let mut names = BTreeSet::new();
    for path in entries(root)?.into_iter().filter(|path| path.is_dir()) {
        let name = path.file_name().and_then(|name| name.to_str());
        let name =
            name.ok_or_else(|| format!("The name of {} is not UTF-8. Rename it.", path.display()))?;
        names.insert(name.to_owned());
    }
    Ok(names)
}

/// What is in a folder, without hidden files.
pub fn entries(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let refuse = |error: std::io::Error| {
        format!("The folder {} can't be read: {}.", folder.display(), reason(&error))
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(refuse)? {
        let path = entry.map_err(refuse)?.path();
        let is_hidden =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if !is_hidden {
            paths.push(path);
        }
    }
    Ok(paths)
}

#[cfg(test)]
mod tests;
