//! The tables of a comparison.

use lookahead_run::event::Task;

use super::comparison::{ComparedPoint, Comparison, Group};
use super::numbers::{NOTHING, decimals, mean_and_deviation, number, signed, significant};
use super::options::split_name;
use super::run::outcomes;
use super::settings;
use super::stability::Stability;
use super::statistics::{Better, FEWEST_SEEDS, Paired, Spread};
use super::table::{Side, Table, wrapped};

impl Comparison {
    /// The groups, one a row: mean ± standard deviation over seeds of the best point on validation
    /// data, and its paired difference from the baseline.
    pub fn group_table(&self) -> Table {
        let metric = self.metric.title();
        // What a program of one's own logs may be of any data.
        let recorded = self.runs.iter().all(|run| run.summary.info.task.kind == Task::Recorded);
        let measured =
            if recorded { metric } else { format!("{} {metric}", split_name(self.split)) };
        let mut table = Table {
            title: format!("{measured}: mean ± standard deviation over seeds"),
            ..Table::default()
        };
        let chosen = self.chosen_keys();
        let has_baseline = self.groups.len() > 1;
        let best = match self.metric.better() {
            Better::Higher => "highest",
            Better::Lower => "lowest",
        };
        table.column("group", Side::Left, 0);
        if !chosen.is_empty() {
            table.column("chosen", Side::Left, 2);
        }
        table.column("seeds", Side::Right, 4);
        table.column("mean ± sd", Side::Right, 0);
        table.column(best, Side::Right, 6);
        table.column("failed", Side::Left, 1);
        if has_baseline {
            table.column("difference", Side::Right, 3);
            table.column("95 % interval", Side::Right, 5);
            table.column("won/tied/lost", Side::Right, 7);
            table.column("verdict", Side::Left, 1);
        }
        let spreads = self.groups.iter().filter_map(|group| self.best_of(group).spread());
        let decimals = decimals(spreads);
        for (index, group) in self.groups.iter().enumerate() {
            let point = self.best_of(group);
            let mut row = vec![group.label.clone()];
            if !chosen.is_empty() {
                row.push(settings::label(&point.settings, &chosen));
            }
            let spread = point.spread();
            row.push(spread.map_or(0, |spread| spread.n).to_string());
            row.push(mean_and_deviation(spread, decimals));
            row.push(spread.map_or(NOTHING.to_owned(), |spread| {
                number(if best == "highest" { spread.max } else { spread.min }, decimals)
            }));
            row.push(self.failures(point));
            if has_baseline {
                row.extend(self.against(index, group, decimals));
            }
            table.rows.push(row);
        }
        table
    }

    /// Keys by which points of one group differ, and one is chosen.
    fn chosen_keys(&self) -> Vec<String> {
        if self.groups.iter().all(|group| group.points.len() == 1) && self.by == self.keys {
            return Vec::new();
        }
        self.keys.iter().filter(|key| !self.by.contains(key)).cloned().collect()
    }

    fn failures(&self, point: &ComparedPoint) -> String {
        let all = point.failed.iter().map(|index| self.runs[*index].outcome);
        let text = outcomes(all, point.runs.len());
        if text.is_empty() { NOTHING.to_owned() } else { text }
    }

    fn against(&self, index: usize, group: &Group, decimals: usize) -> [String; 4] {
        let Some(paired) = &group.against else {
            let why = if index == self.baseline { "baseline" } else { "no common seed" };
            return [NOTHING, NOTHING, NOTHING, why].map(str::to_owned);
        };
        let Paired { mean, wins, ties, losses, .. } = paired;
        let interval = paired.interval().map_or(NOTHING.to_owned(), |(low, high)| {
            format!("[{}, {}]", signed(low, decimals), signed(high, decimals))
        });
        let verdict = paired.verdict().name().to_owned();
        [signed(*mean, decimals), interval, format!("{wins}/{ties}/{losses}"), verdict]
    }

    /// All points, one a row, with the numbers by which the best of each group was chosen.
    pub fn point_table(&self) -> Table {
        let (split, metric) = (split_name(self.split), self.metric.name());
        let mut table = Table {
            title: format!(
                "All points: {}, mean ± standard deviation over seeds",
                self.metric.title()
            ),
            ..Table::default()
        };
        table.column("point", Side::Left, 0);
        table.column("runs", Side::Right, 2);
        table.column("failed", Side::Left, 1);
        table.column(format!("validation {metric}"), Side::Right, 0);
        let several = split != "validation";
        if several {
            table.column(format!("{split} {metric}"), Side::Right, 1);
        }
        table.column("chosen", Side::Left, 3);
        let spreads =
            self.points.iter().flat_map(|point| [point.spread(), point.validation_spread()]);
        let decimals = decimals(spreads.flatten());
        for (index, point) in self.points.iter().enumerate() {
            let chosen = self.groups.iter().any(|group| group.best == index);
            let mut row = vec![point.label.clone(), point.runs.len().to_string()];
            row.push(self.failures(point));
            row.push(mean_and_deviation(point.validation_spread(), decimals));
            if several {
                row.push(mean_and_deviation(point.spread(), decimals));
            }
            row.push(if chosen { "best of its group" } else { "" }.to_owned());
            table.rows.push(row);
        }
        table
    }

    /// How steadily the best point of each group trained: means over its seeds.
    pub fn stability_table(&self) -> Table {
        let mut table = Table {
            title: "Towards the end: means over seeds of how each run's losses move".into(),
            ..Table::default()
        };
        table.column("group", Side::Left, 0);
        table.column("seeds", Side::Right, 1);
        table.column("variance of the last epoch's loss", Side::Right, 0);
        let probed = self.runs.iter().any(|run| run.stability.gain.is_some());
        if probed {
            table.column("probe θ − φ", Side::Right, 1);
            table.column("its sd", Side::Right, 4);
            table.column("sd of probe θ", Side::Right, 2);
            table.column("sd of probe φ", Side::Right, 3);
        }
        for group in &self.groups {
            let runs: Vec<_> =
                self.finished(self.best_of(group)).map(|run| run.stability).collect();
            let mean = |value: fn(&Stability) -> Option<f64>| {
                let values: Vec<f64> = runs.iter().filter_map(value).collect();
                Spread::of(&values).map_or(NOTHING.to_owned(), |spread| significant(spread.mean))
            };
            let mut row = vec![group.label.clone(), runs.len().to_string()];
            row.push(mean(|stability| stability.loss_variance));
            if probed {
                row.push(mean(|stability| stability.gain));
                row.push(mean(|stability| stability.gain_deviation));
                row.push(mean(|stability| stability.fast_deviation));
                row.push(mean(|stability| stability.slow_deviation));
            }
            table.rows.push(row);
        }
        table
    }

    /// The tables that are not empty.
    fn tables(&self) -> Vec<Table> {
        let mut tables = vec![self.group_table()];
        if self.points.len() > self.groups.len() {
            tables.push(self.point_table());
        }
        if self.runs.iter().any(|run| run.stability.loss_variance.is_some()) {
            tables.push(self.stability_table());
        }
        tables
    }

    /// Sentences on what was compared.
    pub(super) fn words(&self) -> Vec<String> {
        let count = |count: usize, what: &str| {
            format!("{count} {what}{}", if count == 1 { "" } else { "s" })
        };
        let mut words = vec![format!(
            "{}, {}, {}.",
            count(self.runs.len(), "run"),
            count(self.points.len(), "point"),
            count(self.groups.len(), "group")
        )];
        if self.points.len() > self.groups.len() {
            words.push(
                "The best point of a group is the one with the best mean on validation data."
                    .into(),
            );
        }
        if self.groups.len() > 1 {
            words.push(format!(
                "Differences are from `{}`, over the seeds that both have; the interval is the wider \
                 one of Student's and the bootstrap's, and a verdict needs {} seeds.",
                self.groups[self.baseline].label,
                FEWEST_SEEDS
            ));
            let tested = self.groups.iter().filter(|group| group.against.is_some()).count();
            if tested > 1 {
                words.push(format!(
                    "The intervals are not widened for there being {tested} of them: if nothing differs, \
                     each still has one chance in twenty of showing a difference."
                ));
            }
        }
        words.extend(self.notes.iter().cloned());
        words
    }

    /// All tables and notes for a terminal of `width` columns.
    pub fn to_terminal(&self, width: usize) -> String {
        let tables = self.tables().into_iter().map(|table| table.to_terminal(width));
        let words = self.words().into_iter().map(|text| wrapped(&text, width).join("\n") + "\n");
        tables.collect::<Vec<_>>().join("\n") + "\n" + &words.collect::<String>()
    }

    /// All tables and notes as Markdown.
    pub fn to_markdown(&self) -> String {
        let tables = self.tables().into_iter().map(|table| table.to_markdown());
        let words = self.words().into_iter().map(|text| format!("- {text}\n"));
        tables.collect::<Vec<_>>().join("\n") + "\n" + &words.collect::<String>()
    }
}
