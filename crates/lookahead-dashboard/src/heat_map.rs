//! The norms of the layers as rows and columns of cells.

use crate::chart::Chart;
use crate::format;
use crate::model::Model;
use crate::run::layers::{Moment, Norm};
use lookahead_run::format::safe;

/// One row: a layer, or neighbouring ones if there is no room for all.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The norm at the cursor, or the newest.
    pub(crate) value: Option<f64>,
    /// Each column; none before the first probe and after the last, NaN if a norm is not finite.
    pub(crate) cells: Vec<Option<f64>>,
}

/// The norm that a chart shows.
pub(crate) fn norm_of(chart: Chart) -> Norm {
    if chart == Chart::LayerGradient { Norm::Gradient } else { Norm::Distance }
}

/// The selected run's layers in at most `most` rows, from the input to the output of the model, over the visible part
/// of the x axis in `count` columns. Neighbours that share a row or a column are averaged.
pub(crate) fn rows(model: &Model, norm: Norm, most: usize, count: usize) -> Vec<Row> {
    let run = model.run();
    let (axis, span, layers) = (model.view.viewport.axis, model.span(), &run.layers);
    let names = layers.names();
    let height = names.len().min(most);
    let mut sums = vec![vec![(0.0, 0u32); count]; height];
    let moments = layers.moments();
    let column = |step| span.part(run.position(axis, step)) * count.saturating_sub(1) as f64;
    let bounds = |row: usize| (row * names.len() / height, (row + 1) * names.len() / height);
    for (index, moment) in moments.iter().enumerate() {
        // A norm holds until the next one.
        let from = column(moment.first_step).round();
        let next = moments.get(index + 1).map(|next| column(next.first_step).round() - 1.0);
        let to = next.unwrap_or(from).max(from);
        if count == 0 || to < 0.0 || from > (count - 1) as f64 || !from.is_finite() {
            continue;
        }
        let columns = from.max(0.0) as usize..=(to as usize).min(count - 1);
        for (row, sums) in sums.iter_mut().enumerate() {
            let (first, end) = bounds(row);
            for cell in &mut sums[columns.clone()] {
                cell.0 += (first..end).map(|layer| moment.mean(layer, norm)).sum::<f64>();
                cell.1 += (end - first) as u32;
            }
        }
    }
    let moment = match model.view.cursor {
        Some(step) => layers.at(step),
        None => moments.last(),
    };
    let found = sums.into_iter().enumerate().map(|(row, sums)| {
        let (first, end) = bounds(row);
        let name = match end - first {
            1 => safe(&names[first]),
            more => format!("{} +{}", safe(&names[first]), more - 1),
        };
        let mean = |moment: &Moment| {
            let all: f64 = (first..end).map(|layer| moment.mean(layer, norm)).sum();
            all / (end - first) as f64
        };
        let cell = |(sum, count): (f64, u32)| (count > 0).then(|| sum / f64::from(count));
        Row { name, value: moment.map(mean), cells: sums.into_iter().map(cell).collect() }
    });
    found.collect()
}

/// The colours: from the least to the greatest norm.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Colors {
    log: bool,
    pub(crate) least: f64,
    pub(crate) greatest: f64,
}

impl Colors {
    /// Those for some rows; none if no norm is finite. On a logarithmic scale only positive norms count.
    pub(crate) fn new(rows: &[Row], log: bool) -> Option<Colors> {
        let values = rows.iter().flat_map(|row| row.cells.iter().flatten().copied());
        let usable = values.filter(|value| value.is_finite() && (!log || *value > 0.0));
        usable.fold(None, |found: Option<Colors>, value| {
            let (least, greatest) = found.map_or((value, value), |f| (f.least, f.greatest));
            Some(Colors { log, least: least.min(value), greatest: greatest.max(value) })
        })
    }

    /// The place of a norm from 0, the least, to 1.
    pub(crate) fn part(&self, value: f64) -> f64 {
        let place = |value: f64| if self.log { value.max(f64::MIN_POSITIVE).ln() } else { value };
        let height = place(self.greatest) - place(self.least);
        if height > 0.0 {
            ((place(value) - place(self.least)) / height).clamp(0.0, 1.0)
        } else {
            0.5
        }
    }
}

/// A norm in a few letters.
pub(crate) fn written(value: f64) -> String {
    if value.is_finite() { format::significant(value, 3) } else { "NaN".to_owned() }
}

#[cfg(test)]
mod tests;
