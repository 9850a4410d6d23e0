//! The charts of the grid, and their order.

use super::Model;
use crate::arrangement::ChartName;
use crate::chart::Chart;

impl Model {
    /// The charts of the grid: those that match the filter, the pinned ones first.
    pub(crate) fn grid_charts(&self) -> Vec<Chart> {
        let all = self.charts();
        let mut charts = self.pinned_charts();
        charts.retain(|chart| all.contains(chart));
        let rest = all.into_iter().filter(|chart| !charts.contains(chart)).collect::<Vec<_>>();
        charts.extend(rest);
        let words: Vec<String> =
            self.arrangement.filter.split_whitespace().map(str::to_lowercase).collect();
        if !words.is_empty() {
            charts.retain(|chart| {
                let name = self.searched_name(*chart);
                words.iter().all(|word| name.contains(word))
            });
        }
        charts
    }

    /// The pinned charts that there are.
    fn pinned_charts(&self) -> Vec<Chart> {
        let chart = |name: &ChartName| match name {
            ChartName::Usual(name) => Chart::named(name),
            ChartName::Scalar(name) => self.scalar_names.index_of(name).map(Chart::Scalar),
        };
        self.arrangement.pinned.iter().filter_map(chart).collect()
    }

    /// The name by which a chart is pinned.
    pub(crate) fn chart_name(&self, chart: Chart) -> ChartName {
        match chart {
            Chart::Scalar(index) => ChartName::Scalar(self.scalar_name(index).to_owned()),
            _ => ChartName::Usual(chart.name().to_owned()),
        }
    }

    pub(crate) fn is_pinned(&self, chart: Chart) -> bool {
        !self.arrangement.pinned.is_empty()
            && self.arrangement.pinned.contains(&self.chart_name(chart))
    }

    /// What the filter searches: the name and the title in lower case.
    fn searched_name(&self, chart: Chart) -> String {
        match chart {
            Chart::Scalar(index) => self.scalar_name(index).to_lowercase(),
            _ => format!("{} {}", chart.name(), chart.title(&self.run().chart_metric()))
                .to_lowercase(),
        }
    }
}
