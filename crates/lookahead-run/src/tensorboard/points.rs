//! The events of a run as points of TensorBoard's charts: a tag, a step and a value.

use std::borrow::{Borrow, Cow};

use serde_json::Value as Json;

use super::message::{Value, first, values};
use crate::event::{Evaluation, Event, Layers, Record, RunInfo, System, Timing};

type Tag = Cow<'static, str>;

/// The points of the newest step, which are encoded once a later step begins: until then a new value of a tag replaces
/// an old one, so that each tag has one value of a step.
#[derive(Debug, Default)]
pub(super) struct Points {
    held: Vec<Point>,
    /// Whether there was an event.
    begun: bool,
    /// The newest step.
    step: u64,
    /// Inner steps since the last sync, after the newest step.
    phase: u64,
}

#[derive(Debug)]
struct Point {
    time: f64,
    step: u64,
    tag: Tag,
    value: Value,
}

impl Points {
    /// Takes the next event, and appends to `out` the records that are complete.
    pub(super) fn add(&mut self, record: &Record, out: &mut Vec<u8>) {
        if !std::mem::replace(&mut self.begun, true) {
            out.extend(first(record.time));
        }
        if record.step > self.step {
            self.end(out);
            self.step = record.step;
        }
        let (time, step) = (record.time, record.step);
        let points = self.points(&record.event);
        // The tags of an event differ: there may be thousands of them, and few points of the step before it.
        let is_new = |tag: &Tag| points.iter().any(|(new, _)| new == tag);
        self.held.retain(|held| held.step != step || !is_new(&held.tag));
        let points = points.into_iter();
        self.held.extend(points.map(|(tag, value)| Point { time, step, tag, value }));
    }

    /// Appends the records of the newest step, of which nothing more follows.
    pub(super) fn end(&mut self, out: &mut Vec<u8>) {
        for points in self.held.chunk_by(|a, b| (a.step, a.time) == (b.step, b.time)) {
            let all = points.iter().map(|point| (&*point.tag, &point.value));
            out.extend(values(points[0].time, points[0].step, all));
        }
        self.held.clear();
    }

    fn points(&mut self, event: &Event) -> Vec<(Tag, Value)> {
        match event {
            Event::RunStarted(info) => info_texts(info),
            Event::Resumed(resumed) => {
                let mut texts = info_texts(&resumed.info);
                if !resumed.changes.is_empty() {
                    texts.push(text("changes", table(resumed.changes.iter())));
                }
                texts
            }
            Event::Changed(changed) => vec![text("changes", table(changed.changes.iter()))],
            Event::Step(step) => {
                self.phase = step.phase;
                vec![
                    scalar("train/loss", step.loss),
                    scalar("train/learning_rate", step.learning_rate),
                    scalar("train/samples_per_second", step.samples_per_second),
                    scalar("train/epoch", step.epoch as f64),
                ]
            }
            Event::Sync(sync) => {
                let mut points = vec![scalar("lookahead/alpha", sync.alpha)];
                // The last sync of a run may end an unfinished cycle.
                points.extend((!sync.last).then(|| scalar("lookahead/k", self.phase as f64)));
                points.extend(sync.distance.map(|norm| scalar("lookahead/distance", norm)));
                points.extend(sync.gradient_norm.map(|norm| scalar("train/gradient_norm", norm)));
                points
            }
            Event::Probe(probe) => vec![
                scalar("probe/loss/fast", probe.fast_loss),
                scalar("probe/loss/slow", probe.slow_loss),
            ],
            Event::Layers(layers) => layer_points(layers),
            Event::Evaluation(evaluation) => evaluation_points(evaluation),
            Event::Scalars(scalars) => {
                let all = scalars.values.iter();
                all.map(|(name, value)| scalar(name.clone(), *value)).collect()
            }
            Event::Timing(timing) => timing_points(timing),
            Event::System(system) => system_points(system),
            Event::Ranks(ranks) => ranks
                .ranks
                .iter()
                .enumerate()
                .flat_map(|(number, rank)| {
                    let of = move |name, value| scalar(format!("ranks/{name}/{number}"), value);
                    [
                        Some(of("loss", rank.loss)),
                        Some(of("step_seconds", rank.step_seconds)),
                        Some(of("wait_seconds", rank.wait_seconds)),
                        rank.distance.map(|distance| of("distance", distance)),
                    ]
                })
                .flatten()
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn scalar(tag: impl Into<Tag>, value: f64) -> (Tag, Value) {
    (tag.into(), Value::Scalar(value))
}

fn text(tag: &'static str, markdown: String) -> (Tag, Value) {
    (tag.into(), Value::Text(markdown))
}

/// What the run is, and its configuration.
fn info_texts(info: &RunInfo) -> Vec<(Tag, Value)> {
    let sections = info.config.as_object().into_iter().flatten();
    let keys = sections.flat_map(|(section, keys)| {
        let keys = keys.as_object().into_iter().flatten();
        keys.map(move |(key, value)| (format!("{section}.{key}"), value))
    });
    let mut about = serde_json::to_value(info).unwrap_or_default();
    let about = about.as_object_mut().map(|about| {
        about.remove("config");
        table(about.iter())
    });
    vec![text("run", about.unwrap_or_default()), text("config", table(keys))]
}

/// A table in Markdown.
fn table<K: AsRef<str>, V: Borrow<Json>>(rows: impl Iterator<Item = (K, V)>) -> String {
    // A bar ends a cell, even in code.
    let cell = |text: &str| format!("`{}`", text.replace('|', "¦").replace('`', "'"));
    let row = |(key, value): (K, V)| {
        let value = value.borrow();
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("| {} | {} |\n", cell(key.as_ref()), cell(&value.replace('\n', " ")))
    };
    ["| key | value |\n| --- | --- |\n".to_owned()].into_iter().chain(rows.map(row)).collect()
}

fn layer_points(layers: &Layers) -> Vec<(Tag, Value)> {
    let norms = [("distance", &layers.distance), ("gradient_norm", &layers.gradient_norm)];
    let of = |(norm, values)| {
        let all = layers.names.iter().zip::<&Vec<f64>>(values);
        all.map(move |(layer, value)| scalar(format!("layers/{norm}/{layer}"), *value))
    };
    norms.into_iter().flat_map(of).collect()
}

fn evaluation_points(evaluation: &Evaluation) -> Vec<(Tag, Value)> {
    let (split, weights) = (evaluation.split.name(), evaluation.weights.name());
    let of = |name: &str, value| scalar(format!("{split}/{name}/{weights}"), value);
    let mut points = vec![of("loss", evaluation.loss)];
    points.extend(evaluation.metrics.iter().map(|(name, value)| of(name, *value)));
    if !evaluation.metrics.contains_key("accuracy") {
        points.extend(evaluation.value("accuracy").map(|value| of("accuracy", value)));
    }
    points
}

/// Each part as a share of the time.
fn timing_points(timing: &Timing) -> Vec<(Tag, Value)> {
    let Timing { data, forward_backward, inner_step, sync, probe, evaluation, checkpoint, .. } =
        *timing;
    let parts = [
        ("time/data", data),
        ("time/forward_backward", forward_backward),
        ("time/inner_step", inner_step),
        ("time/sync", sync),
        ("time/probe", probe),
        ("time/evaluation", evaluation),
        ("time/checkpoint", checkpoint),
    ];
    parts.into_iter().map(|(tag, part)| scalar(tag, part / timing.seconds)).collect()
}

fn system_points(system: &System) -> Vec<(Tag, Value)> {
    let mut points =
        vec![scalar("machine/cpu", system.cpu), scalar("machine/memory", system.memory as f64)];
    if let Some(gpu) = system.gpu {
        points.push(scalar("machine/gpu", gpu.utilization));
        points.push(scalar("machine/gpu_memory", gpu.memory_used as f64));
    }
    points
}

#[cfg(test)]
mod tests;
