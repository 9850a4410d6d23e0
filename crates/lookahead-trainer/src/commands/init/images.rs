//! What `lookahead init images --data` finds in the folder.

use std::collections::BTreeSet;
use std::path::Path;

use crate::config::Override;
use crate::data::image_file::probe;
use crate::data::image_folder::scan::ImageFolder;
use crate::usage::UsageError;

/// What a folder of images needs, and a note of what is in it.
pub(super) fn of_folder(dir: &Path, notes: &mut Vec<String>) -> Result<Vec<Override>, UsageError> {
    /// Images whose sizes are compared: more would take long.
    const COMPARED: usize = 200;
    let refused =
        |reason: String| UsageError::new(format!("The images of `--data` can't be used. {reason}"));
    let folder = ImageFolder::scan(dir).map_err(refused)?;
    let mut counts = format!("{} training images", folder.train.len());
    for (files, what) in [(&folder.validation, "validation"), (&folder.test, "tests")] {
        if let Some(files) = files {
            counts += &format!(", {} for {what}", files.len());
        }
    }
    notes.push(format!(
        "{} has {counts}, in {} classes: {}.",
        dir.display(),
        folder.classes.len(),
        shortened(&folder.classes)
    ));
    // Of all classes, which are in the order of their names.
    let every = folder.train.len().div_ceil(COMPARED);
    let sizes = folder.train.iter().step_by(every).filter_map(|file| probe(&file.path).ok());
    let sizes: BTreeSet<[u32; 2]> = sizes.map(|image| image.size).collect();
    let (Some(least), true) = (sizes.first(), sizes.len() > 1) else { return Ok(Vec::new()) };
    let [height, width] = *least;
    notes.push(format!(
        "They differ in size: `data.resize` makes all of them {height} by {width} pixels, `data.size`. Choose another size \
         there."
    ));
    let size = [height, width].map(|side| toml::Value::from(i64::from(side)));
    Ok(vec![
        Override::of_value("data.resize", true.into()),
        Override::of_value("data.size", size.to_vec().into()),
    ])
}

/// A list of names; not all of many.
fn shortened(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let more = names.len().saturating_sub(SHOWN);
    let shown = names[..names.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}
