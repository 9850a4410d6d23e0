//! A sweep that is checked: every point with the config that it comes to.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;
use toml::Value;

use super::error::SweepError;
use super::file::SweepFile;
use super::points::{SweepPoint, expand};

/// Why a config is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The key whose setting causes it, if there is one.
    pub key: Option<String>,
    /// What is wrong, in full sentences.
    pub message: String,
}

/// Reads the config in a file, sets keys in it, and returns all of it with its defaults: what a run's
/// log has as its config.
pub type Resolve<'a> = &'a dyn Fn(&Path, &[(String, Value)]) -> Result<Json, Refused>;

/// A point with its config.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The point.
    pub point: SweepPoint,
    /// Its config, every default written out.
    pub config: Json,
}

/// The runs of a sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The sweep's file.
    pub file: SweepFile,
    /// All points, in their order.
    pub points: Vec<Planned>,
}

impl Plan {
    /// Expands a sweep and checks the config of each point, so that a mistake costs no training.
    ///
    /// # Errors
    /// For the first point whose config is refused, or that is the same as another.
    pub fn new(file: SweepFile, resolve: Resolve) -> Result<Plan, SweepError> {
        let mut points: Vec<Planned> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for point in expand(&file)? {
            let sets: Vec<(String, Value)> =
                point.sets.iter().map(|set| (set.key.clone(), set.value.clone())).collect();
            let refuse = |line, message| SweepError::Point {
                path: file.path.clone(),
                line,
                point: point.name.clone(),
                message,
            };
            let config = resolve(&file.config, &sets).map_err(|refused| {
                let blamed = point.sets.iter().find(|set| Some(&set.key) == refused.key.as_ref());
                let line = blamed.filter(|set| set.key != "train.seed").map(|set| set.line);
                refuse(line, refused.message)
            })?;
            if let Some(twin) = known.insert(config.to_string(), points.len()) {
                let twin = &points[twin].point.name;
                return Err(refuse(
                    None,
                    format!(
                        "its config is the same as that of the run `{twin}`, whose results it \
                         would repeat. Remove one of the two."
                    ),
                ));
            }
            points.push(Planned { point, config });
        }
        Ok(Plan { file, points })
    }

    /// How many processes to run at once: the file's `jobs`, or as many as the processors have threads for.
    pub fn jobs(&self, processors: usize) -> usize {
        let threads = |planned: &Planned| match planned.config["train"]["threads"].as_u64() {
            // libtorch's own choice, which is all of them.
            None | Some(0) => processors,
            Some(threads) => usize::try_from(threads).unwrap_or(processors),
        };
        let most = self.points.iter().map(threads).max().unwrap_or(1).max(1);
        self.file.jobs.unwrap_or((processors / most).max(1))
    }

    /// The config that the runs share, as a path that holds from everywhere.
    pub(super) fn config(&self) -> PathBuf {
        std::path::absolute(&self.file.config).unwrap_or_else(|_| self.file.config.clone())
    }
}

/// The first dotted key at which two configs differ, with both values.
pub(super) fn difference(found: &Json, wanted: &Json) -> Option<(String, String, String)> {
    match (found, wanted) {
        (Json::Object(found), Json::Object(wanted)) => {
            let keys: std::collections::BTreeSet<&String> =
                found.keys().chain(wanted.keys()).collect();
            keys.into_iter().find_map(|key| {
                let [found, wanted] =
                    [found, wanted].map(|table| table.get(key).unwrap_or(&Json::Null));
                let (inner, found, wanted) = difference(found, wanted)?;
                let dotted = if inner.is_empty() { key.clone() } else { format!("{key}.{inner}") };
                Some((dotted, found, wanted))
            })
        }
        (found, wanted) if found == wanted => None,
        (found, wanted) => {
            let shown = |value: &Json| match value {
                Json::Null => "not there".to_owned(),
                value => value.to_string(),
            };
            Some((String::new(), shown(found), shown(wanted)))
        }
    }
}
