//! The tables of a comparison.

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
        let (split, metric) = (split_name(self.split), self.metric.title());
        let mut table = Table {
            title: format!("{split} {metric}: mean ± standard deviation over seeds"),
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
    fn words(&self) -> Vec<String> {
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

    /// The groups with all digits, a column for each statistic.
    pub fn to_csv(&self) -> String {
        let mut rows = Vec::new();
        for (index, group) in self.groups.iter().enumerate() {
            let point = self.best_of(group);
            let (spread, paired) = (point.spread(), group.against.as_ref());
            let of = |value: fn(Spread) -> Option<f64>| plain(spread.and_then(value));
            let failures =
                outcomes(point.failed.iter().map(|run| self.runs[*run].outcome), point.runs.len());
            let interval = paired.and_then(Paired::interval);
            let count = |value: fn(&Paired) -> usize| {
                paired.map_or(String::new(), |paired| value(paired).to_string())
            };
            rows.push(vec![
                ("group", group.label.clone()),
                ("best_point", point.label.clone()),
                ("split", split_name(self.split).to_owned()),
                ("metric", self.metric.title().to_owned()),
                ("runs", point.runs.len().to_string()),
                ("failed", point.failed.len().to_string()),
                ("failures", failures),
                ("seeds", spread.map_or(0, |spread| spread.n).to_string()),
                ("mean", of(|spread| Some(spread.mean))),
                ("sd", of(|spread| spread.deviation)),
                ("se", of(|spread| spread.standard_error())),
                ("min", of(|spread| Some(spread.min))),
                ("median", of(|spread| Some(spread.median))),
                ("max", of(|spread| Some(spread.max))),
                ("validation_mean", plain(point.validation_spread().map(|spread| spread.mean))),
                ("baseline", (index == self.baseline).to_string()),
                ("common_seeds", count(|paired| paired.n)),
                ("difference", plain(paired.map(|paired| paired.mean))),
                ("low", plain(interval.map(|(low, _)| low))),
                ("high", plain(interval.map(|(_, high)| high))),
                ("bootstrap_low", plain(paired.map(|paired| paired.bootstrap.0))),
                ("bootstrap_high", plain(paired.map(|paired| paired.bootstrap.1))),
                ("wins", count(|paired| paired.wins)),
                ("ties", count(|paired| paired.ties)),
                ("losses", count(|paired| paired.losses)),
                (
                    "verdict",
                    paired.map_or(String::new(), |paired| paired.verdict().name().to_owned()),
                ),
            ]);
        }
        csv(rows)
    }

    /// All runs with all digits: the keys in which they differ, their numbers and outcomes.
    pub fn runs_to_csv(&self) -> String {
        let (metric, split) = (self.metric.name(), split_name(self.split));
        let (validation, reported) =
            (format!("validation_{metric}"), format!("reported_{split}_{metric}"));
        let mut rows = Vec::new();
        for point in &self.points {
            for run in point.runs.iter().map(|index| &self.runs[*index]) {
                let (info, stability) = (&run.summary.info, &run.stability);
                let mut row = vec![
                    ("run", info.run.clone()),
                    ("folder", run.summary.folder.display().to_string()),
                    ("point", point.label.clone()),
                    ("seed", info.seed.to_string()),
                    ("outcome", run.outcome.name().to_owned()),
                    ("steps", run.summary.steps.to_string()),
                    ("seconds", run.summary.seconds.to_string()),
                ];
                let value =
                    |key: &String| run.settings.get(key).map_or(String::new(), settings::written);
                row.extend(self.keys.iter().map(|key| (key.as_str(), value(key))));
                row.extend([
                    (validation.as_str(), plain(run.validation)),
                    (&reported, plain(run.reported)),
                    ("last_epoch_loss_variance", plain(stability.loss_variance)),
                    ("probe_gain", plain(stability.gain)),
                    ("probe_gain_sd", plain(stability.gain_deviation)),
                    ("probe_fast_sd", plain(stability.fast_deviation)),
                    ("probe_slow_sd", plain(stability.slow_deviation)),
                ]);
                rows.push(row);
            }
        }
        csv(rows)
    }
}

/// Rows of the same named columns as CSV.
fn csv(rows: Vec<Vec<(&str, String)>>) -> String {
    let mut table = Table::default();
    for (name, _) in rows.first().into_iter().flatten() {
        table.column(*name, Side::Left, 0);
    }
    let texts = |row: Vec<(&str, String)>| row.into_iter().map(|(_, text)| text).collect();
    table.rows = rows.into_iter().map(texts).collect();
    table.to_csv()
}

/// A number for other programs: the shortest text that gives it back, or nothing.
fn plain(value: Option<f64>) -> String {
    value.map_or(String::new(), |value| value.to_string())
}
