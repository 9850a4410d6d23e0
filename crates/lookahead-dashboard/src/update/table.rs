//! The table of runs: selecting, sorting, filtering, comparing and opening them.

use crate::chart::Chart;
use crate::message::Effect;
use crate::model::Model;
use crate::model::chart_view::ChartView;
use crate::model::scalar_names::ScalarNames;
use crate::model::table::{Diff, Table};
use crate::prompt::{Prompt, Purpose};
use crate::run::Run;

/// Most curves that can be told apart.
const CURVES: usize = 8;

/// Changes the table, if there is one.
fn change(model: &mut Model, change: impl FnOnce(&mut Table)) {
    if let Some(table) = &mut model.table {
        change(table);
    }
}

/// Selects the run `by` rows further down, or scrolls what covers the rows.
pub(crate) fn select(model: &mut Model, by: isize) {
    change(model, |table| match &mut table.diff {
        Some(diff) => diff.from = diff.from.saturating_add_signed(by),
        None => {
            let place = table.place().saturating_add_signed(by);
            table.select(place);
        }
    });
}

/// Rows on a page of the table.
pub(crate) fn page(model: &Model) -> isize {
    isize::from(model.size.1 as i16).saturating_sub(6).max(1)
}

pub(crate) fn toggle_mark(model: &mut Model) {
    change(model, |table| {
        let Some(selected) = table.selected() else { return };
        let before = table.marked.len();
        table.marked.retain(|marked| *marked != selected);
        if table.marked.len() == before {
            table.marked.push(selected);
        }
        let place = table.place() + 1;
        table.select(place);
    });
}

/// Marks all runs that are shown, or none if all are marked.
pub(crate) fn mark_all(model: &mut Model) {
    change(model, |table| {
        let are_marked = table.order.iter().all(|number| table.marked.contains(number));
        table.marked = if are_marked { Vec::new() } else { table.order.clone() };
    });
}

/// Sorts by the column `by` places further to the right.
pub(crate) fn sort(model: &mut Model, by: isize) {
    change(model, |table| {
        let columns = table.columns();
        let present = columns.iter().position(|column| *column == table.sort).unwrap_or(0);
        let next = (present as isize + by).rem_euclid(columns.len() as isize);
        table.sort = columns[next as usize].clone();
        table.is_reversed = false;
        table.arrange();
    });
}

pub(crate) fn reverse(model: &mut Model) {
    change(model, |table| {
        table.is_reversed ^= true;
        table.arrange();
    });
}

/// Opens the prompt with the present filter.
pub(crate) fn ask_for_filter(model: &mut Model) {
    let mut prompt = Prompt::new(Purpose::Filter);
    let present = model.table.iter().flat_map(|table| table.filter.chars());
    present.for_each(|letter| prompt.insert(letter));
    model.dialogs.prompt = Some(prompt);
}

pub(crate) fn filter(model: &mut Model, text: &str) {
    change(model, |table| {
        text.clone_into(&mut table.filter);
        table.arrange();
    });
}

/// Compares the configs of the two marked runs, or of the selected one and the one marked.
pub(crate) fn toggle_diff(model: &mut Model) {
    let Some(table) = &mut model.table else { return };
    if table.diff.take().is_some() {
        return;
    }
    let selected = table.selected();
    let runs = match (&table.marked[..], selected) {
        ([one, other], _) => Some([*one, *other]),
        ([one], Some(other)) if *one != other => Some([*one, other]),
        _ => None,
    };
    table.diff = runs.map(|runs| Diff { runs, from: 0 });
    if runs.is_none() {
        model.notify(
            "To compare the configs of two runs, mark both with Space, or one, and select the other.",
        );
    }
}

/// Shows the charts of the marked runs, or of the selected one.
pub(crate) fn open(model: &mut Model) -> Vec<Effect> {
    let Some(table) = &mut model.table else { return Vec::new() };
    let chosen = match &table.marked[..] {
        [] => table.selected().into_iter().collect(),
        marked => marked.to_vec(),
    };
    if chosen.is_empty() {
        return Vec::new();
    }
    (table.is_open, table.diff) = (false, None);
    if chosen == table.opened {
        return Vec::new();
    }
    let names = chosen.iter().filter_map(|number| table.row(*number)).map(|row| row.name.clone());
    let runs: Vec<Run> = names.map(|name| Run::new(&name)).collect();
    table.opened.clone_from(&chosen);
    (model.runs, model.selected) = (runs, 0);
    model.scalar_names = ScalarNames::default();
    // How the user looks at charts stays, except for what belongs to the runs before.
    let old = std::mem::take(&mut model.view);
    let chart = match old.chart {
        Chart::Scalar(_) => Chart::Loss,
        chart => chart,
    };
    let new = ChartView::default();
    model.view = ChartView {
        chart,
        viewport: crate::viewport::Viewport { axis: old.viewport.axis, ..new.viewport },
        scales: new.scales,
        cursor: None,
        dragged: None,
        ..old
    };
    if chosen.len() > CURVES {
        model.notify(format!(
            "{} runs are shown, and at most {CURVES} curves look different. Space hides the selected one.",
            chosen.len()
        ));
    }
    vec![Effect::Open(chosen)]
}

/// Esc in the table: closes the comparison, then removes the filter, then the marks.
pub(crate) fn close(table: &mut Table) {
    if table.diff.take().is_some() {
        return;
    }
    if table.filter.is_empty() {
        table.marked.clear();
    }
    table.filter.clear();
    table.arrange();
}
