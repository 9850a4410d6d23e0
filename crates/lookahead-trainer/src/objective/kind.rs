//! A loss and a metric as `task.loss` and `task.metrics` select them.

use std::sync::Arc;

use super::{Loss, Metric, ObjectiveContext};
use crate::config::kinds::TaskPart;

/// A loss or a metric that can be selected: its name, what it is for, and how it is built.
pub(crate) struct Part<T: ?Sized> {
    /// Its name and its tasks.
    pub(crate) part: TaskPart,
    build: Arc<Build<T>>,
}

pub(crate) type LossKind = Part<dyn Loss>;
pub(crate) type MetricKind = Part<dyn Metric>;

type Build<T> = dyn Fn(&ObjectiveContext<'_>) -> anyhow::Result<Box<T>> + Send + Sync;

impl<T: ?Sized> Clone for Part<T> {
    fn clone(&self) -> Self {
        Part { part: self.part, build: Arc::clone(&self.build) }
    }
}

impl<T: ?Sized> Part<T> {
    pub(crate) fn new(
        part: TaskPart,
        build: impl Fn(&ObjectiveContext<'_>) -> anyhow::Result<Box<T>> + Send + Sync + 'static,
    ) -> Self {
        Part { part, build: Arc::new(build) }
    }

    pub(crate) fn build(&self, context: &ObjectiveContext<'_>) -> anyhow::Result<Box<T>> {
        (self.build)(context)
    }

    /// Whether it has this name and is for the task of the context.
    pub(crate) fn is(&self, name: &str, context: &ObjectiveContext<'_>) -> bool {
        self.part.name == name && self.part.tasks.contains(&context.spec.task)
    }
}
