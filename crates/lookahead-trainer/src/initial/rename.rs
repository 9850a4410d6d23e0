//! Other names for a file's tensors: `--init-rename`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;

use crate::nearest::suggestion;
use crate::usage::UsageError;

/// One `--init-rename OLD=NEW`: names that begin with `OLD` begin with `NEW` instead.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rename {
    /// What the names begin with. Empty for all names, which then get `new` in front.
    pub old: String,
    /// What takes its place. Empty to remove it.
    pub new: String,
}

impl FromStr for Rename {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (old, new) = text.split_once('=').ok_or_else(|| {
            format!(
                "`{text}` is not OLD=NEW. Write for example `--init-rename 'backbone.=encoder.'`, or \
                 `--init-rename 'module.='` to remove a prefix."
            )
        })?;
        if old == new {
            return Err(format!("`{text}` changes no name."));
        }
        Ok(Rename { old: old.to_owned(), new: new.to_owned() })
    }
}

impl fmt::Display for Rename {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "--init-rename '{}={}'", self.old, self.new)
    }
}

/// The names of a file after all renames, in their order, each with its name in the file.
///
/// # Errors
/// If a rename fits no name, or two names become one.
pub(super) fn renamed<'a>(
    names: impl Iterator<Item = &'a String>,
    renames: &[Rename],
    path: &Path,
) -> Result<BTreeMap<String, String>, UsageError> {
    let mut names: Vec<(String, &String)> = names.map(|name| (name.clone(), name)).collect();
    for rename in renames {
        let mut is_used = false;
        for (name, _) in &mut names {
            if let Some(rest) = name.strip_prefix(rename.old.as_str()) {
                *name = format!("{}{rest}", rename.new);
                is_used = true;
            }
        }
        if !is_used {
            let names = names.iter().map(|(name, _)| name.as_str());
            return Err(UsageError::new(format!(
                "`{rename}` fits no name in {}: none begins with `{}`. {}",
                path.display(),
                rename.old,
                suggestion(&rename.old, names)
            )));
        }
    }
    let mut all = BTreeMap::new();
    for (name, in_file) in names {
        if let Some(other) = all.insert(name.clone(), in_file.clone()) {
            return Err(UsageError::new(format!(
                "`--init-rename` makes `{name}` of both `{other}` and `{in_file}` in {}. Use longer prefixes that \
                 tell them apart.",
                path.display()
            )));
        }
    }
    Ok(all)
}

/// A tensor's name and shape.
pub(super) type Named<'a> = (String, &'a [i64]);

/// The rename with which most of the missing tensors are found among those left over, and their number. It leaves
/// the names in `fitting` alone.
pub(super) fn suggested(
    missing: &[Named<'_>],
    left_over: &[Named<'_>],
    fitting: &[String],
) -> Option<(Rename, usize)> {
    // Enough to find a prefix of many names, and soon done for files of thousands.
    const CONSIDERED: usize = 1000;
    let mut counts: BTreeMap<Rename, usize> = BTreeMap::new();
    for (wanted, shape) in missing.iter().take(CONSIDERED) {
        for (found, _) in left_over.iter().take(CONSIDERED).filter(|(_, other)| other == shape) {
            let (old, new) = without_common_end(found, wanted);
            if old.len() < found.len() && old != new {
                let rename = Rename { old: old.to_owned(), new: new.to_owned() };
                *counts.entry(rename).or_default() += 1;
            }
        }
    }
    counts.retain(|rename, _| !fitting.iter().any(|name| name.starts_with(&rename.old)));
    counts.into_iter().max_by(|(a, one), (b, other)| one.cmp(other).then(b.cmp(a)))
}

/// What is left of two names without their longest common end of whole parts, which dots separate.
fn without_common_end<'a>(one: &'a str, other: &'a str) -> (&'a str, &'a str) {
    let parts = one.rsplit('.').zip(other.rsplit('.')).take_while(|(a, b)| a == b);
    let common: usize = parts.map(|(part, _)| part.len() + 1).sum();
    let head = |name: &'a str| &name[..(name.len() + 1 - common).min(name.len())];
    (head(one), head(other))
}

#[cfg(test)]
mod tests;
