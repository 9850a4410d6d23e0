//! Runs for tests.

use std::path::PathBuf;

use serde_json::json;

pub(crate) use super::fixture::Made;
use super::fixture::info;
use crate::summary::Summary;

/// A run that has not taken a step.
pub(crate) fn summary() -> Summary {
    Summary {
        folder: PathBuf::from("run"),
        info: info("run", json!({}), 0),
        ended: None,
        steps: 0,
        evaluations: vec![],
        probes: vec![],
        losses: vec![],
        phases: vec![],
        changed: false,
        seconds: 0.0,
    }
}
