//! The table of runs: its rows, and how the user looks at them.

mod progress;
mod row;
#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use lookahead_run::event::MetricInfo;
use lookahead_run::settings::written;
use serde_json::Value;

pub(crate) use progress::{Progress, progress};
pub(crate) use row::{Row, RowState};

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Column {
    Name,
    State,
    Step,
    Loss,
    Best,
    /// A key of the configs.
    Key(String),
    LastEvent,
}

/// Two runs whose configs are compared, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Diff {
    pub(crate) runs: [usize; 2],
    /// The first line that is drawn.
    pub(crate) from: usize,
}

/// What the reader of the runs has found.
#[derive(Debug, Default)]
pub(crate) struct TableUpdate {
    /// Runs by their numbers; one that is gone has no row.
    pub(crate) rows: Vec<(usize, Option<Row>)>,
    /// The keys in which the configs differ, if that has changed.
    pub(crate) keys: Option<Vec<String>>,
    /// Runs that are not read yet.
    pub(crate) unread: usize,
}

/// The table of runs.
#[derive(Debug)]
pub(crate) struct Table {
    /// What they are: the name of a folder or of a sweep.
    pub(crate) title: String,
    /// How many runs the sweep will have.
    pub(crate) planned: Option<usize>,
    /// By their numbers; one that is gone has no row.
    rows: Vec<Option<Row>>,
    /// The keys in which the configs differ.
    pub(crate) keys: Vec<String>,
    /// Runs that are not read yet; none before the first are.
    pub(crate) unread: Option<usize>,
    /// The runs that pass the filter, in the order of the rows.
    pub(crate) order: Vec<usize>,
    /// The widest text of each column, without its head.
    widths: Vec<(Column, usize)>,
    selected: Option<usize>,
    /// In the order in which they were marked.
    pub(crate) marked: Vec<usize>,
    pub(crate) sort: Column,
    pub(crate) is_reversed: bool,
    pub(crate) filter: String,
    /// It is on the screen.
    pub(crate) is_open: bool,
    /// The runs behind the charts.
    pub(crate) opened: Vec<usize>,
    pub(crate) diff: Option<Diff>,
}

impl Table {
    pub(crate) fn new(title: &str, planned: Option<usize>) -> Self {
        Table {
            title: title.to_owned(),
            planned,
            rows: Vec::new(),
            keys: Vec::new(),
            unread: None,
            order: Vec::new(),
            widths: Vec::new(),
            selected: None,
            marked: Vec::new(),
            sort: Column::LastEvent,
            is_reversed: false,
            filter: String::new(),
            is_open: true,
            opened: Vec::new(),
            diff: None,
        }
    }

    pub(crate) fn row(&self, number: usize) -> Option<&Row> {
        self.rows.get(number)?.as_ref()
    }

    /// All runs that are there.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Row> + Clone {
        self.rows.iter().flatten()
    }

    /// The selected run, by its number: the first row's until the user selects one.
    pub(crate) fn selected(&self) -> Option<usize> {
        let is_shown = |number: &usize| self.order.contains(number);
        self.selected.filter(is_shown).or(self.order.first().copied())
    }

    /// The place of the selected run among the rows.
    pub(crate) fn place(&self) -> usize {
        let selected = self.selected();
        self.order.iter().position(|number| Some(*number) == selected).unwrap_or(0)
    }

    /// Selects the run in a row, or in the last.
    pub(crate) fn select(&mut self, place: usize) {
        self.selected = self.order.get(place).or(self.order.last()).copied();
    }

    pub(crate) fn apply(&mut self, update: TableUpdate) {
        for (number, row) in update.rows {
            if number >= self.rows.len() {
                self.rows.resize_with(number + 1, || None);
            }
            if row.is_none() {
                self.marked.retain(|marked| *marked != number);
                self.diff.take_if(|diff| diff.runs.contains(&number));
            }
            self.rows[number] = row;
        }
        if let Some(keys) = update.keys {
            self.keys = keys;
        }
        self.unread = Some(update.unread);
        self.arrange();
    }

    /// All columns, in their order.
    pub(crate) fn columns(&self) -> Vec<Column> {
        use Column::{Best, Key, LastEvent, Loss, Name, State, Step};
        let keys = self.keys.iter().cloned().map(Key);
        [Name, State, Step, Loss, Best].into_iter().chain(keys).chain([LastEvent]).collect()
    }

    /// Puts the rows in their order, after a change.
    pub(crate) fn arrange(&mut self) {
        let words: Vec<String> =
            self.filter.to_lowercase().split_whitespace().map(str::to_owned).collect();
        let all = self.rows.iter().enumerate();
        let mut order: Vec<(usize, &Row)> = all
            .filter_map(|(number, row)| Some((number, row.as_ref()?)))
            .filter(|(_, row)| words.iter().all(|word| row.matches(word)))
            .collect();
        order.sort_by(|(_, a), (_, b)| {
            compare(a, b, &self.sort, self.is_reversed)
                .then_with(|| compare(a, b, &Column::LastEvent, false))
                .then_with(|| a.name.cmp(&b.name))
        });
        self.order = order.into_iter().map(|(number, _)| number).collect();
        let metric = self.metric();
        let measured = |column| self.measured(column, metric);
        self.widths = self.columns().into_iter().map(measured).collect();
    }

    fn measured(&self, column: Column, metric: Option<&MetricInfo>) -> (Column, usize) {
        let width = |row: &Row| match &column {
            // It changes with the time.
            Column::LastEvent => "59 minutes ago".len(),
            _ => self.text(row, &column, metric, 0.0).chars().count(),
        };
        let widest = self.rows().map(width).max().unwrap_or(0);
        (column, widest)
    }

    /// The columns with the widths that their texts and heads need.
    pub(crate) fn widths(&self) -> impl Iterator<Item = (&Column, usize)> {
        self.widths.iter().map(|(column, width)| {
            let head = self.head(column).chars().count() + 2;
            (column, head.max(*width))
        })
    }

    /// The metric of the column of best values, if it is the same for all.
    pub(crate) fn metric(&self) -> Option<&MetricInfo> {
        let mut metrics = self.rows().filter_map(|row| row.best.as_ref()).map(|best| &best.metric);
        let first = metrics.next()?;
        metrics.all(|metric| metric == first).then_some(first)
    }

    pub(crate) fn head(&self, column: &Column) -> String {
        match column {
            Column::Name => "run".to_owned(),
            Column::State => "state".to_owned(),
            Column::Step => "step".to_owned(),
            Column::Loss => "loss".to_owned(),
            Column::Best => {
                self.metric().map_or("best".to_owned(), |metric| format!("best {}", metric.label()))
            }
            Column::Key(key) => self.short(key).to_owned(),
            Column::LastEvent => "last event".to_owned(),
        }
    }

    /// A key without its section, if that is the usual name of what it sets.
    fn short<'a>(&self, key: &'a str) -> &'a str {
        let of_course = ["optimizer.lr", "lookahead.k", "lookahead.alpha", "train.seed"];
        let last = key.rsplit('.').next().unwrap_or(key);
        if of_course.contains(&key) { last } else { key }
    }

    /// The text of a cell; `metric` is that of all best values.
    pub(crate) fn text(
        &self,
        row: &Row,
        column: &Column,
        metric: Option<&MetricInfo>,
        now: f64,
    ) -> String {
        match column {
            Column::Name => row.name.clone(),
            Column::State => row.label.to_owned(),
            Column::Step => row.steps(),
            Column::Loss => row.loss.map(lookahead_run::format::loss).unwrap_or_default(),
            Column::Best => row.best.as_ref().map_or_else(String::new, |best| {
                let value = best.metric.format(best.value);
                match metric {
                    Some(_) => value,
                    None => format!("{} {value}", best.metric.label()),
                }
            }),
            Column::Key(key) => row.setting(key).map(written).unwrap_or_default(),
            Column::LastEvent => {
                row.last.map(|last| lookahead_run::format::ago(now - last)).unwrap_or_default()
            }
        }
    }
}

/// The order of two rows by a column: what lacks a value comes last, reversed or not.
fn compare(a: &Row, b: &Row, column: &Column, is_reversed: bool) -> Ordering {
    match column {
        Column::Name => directed(is_reversed, a.name.cmp(&b.name)),
        Column::State => directed(is_reversed, a.label.cmp(b.label)),
        Column::Step => directed(is_reversed, b.step.cmp(&a.step)),
        Column::Loss => optional(is_reversed, a.loss, b.loss, f64::total_cmp),
        Column::LastEvent => optional(is_reversed, a.last, b.last, |a, b| b.total_cmp(a)),
        Column::Best => {
            let [one, other] = [a, b].map(|row| row.best.as_ref());
            let by_metric = |one: &&lookahead_run::Best, other: &&lookahead_run::Best| {
                let ascending = one.value.total_cmp(&other.value);
                let by_value = directed(one.metric.higher_is_better, ascending);
                one.metric.name.cmp(&other.metric.name).then(by_value)
            };
            optional(is_reversed, one, other, by_metric)
        }
        Column::Key(key) => optional(is_reversed, a.setting(key), b.setting(key), values),
    }
}

fn directed(is_reversed: bool, order: Ordering) -> Ordering {
    if is_reversed { order.reverse() } else { order }
}

/// What has no value comes last.
fn optional<T>(
    is_reversed: bool,
    a: Option<T>,
    b: Option<T>,
    order: impl Fn(&T, &T) -> Ordering,
) -> Ordering {
    match (&a, &b) {
        (Some(a), Some(b)) => directed(is_reversed, order(a, b)),
        (a, b) => b.is_some().cmp(&a.is_some()),
    }
}

/// Numbers by size, all else by its text.
fn values(a: &&Value, b: &&Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => written(a).cmp(&written(b)),
    }
}
