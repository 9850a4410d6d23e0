//! A notice, a question or a lost connection, over the lowest rows.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::cells::put_lines_up;
use crate::format;
use crate::model::Model;
use crate::model::dialogs::{Asked, Question};
use crate::run::Run;

const ROWS: usize = 6;

/// Draws it over the rows just above the last one.
pub(crate) fn draw(model: &Model, area: Rect, buffer: &mut Buffer) {
    let text = match (&model.dialogs.question, &model.dialogs.notice) {
        (Some(question), _) => of_question(model, question),
        (None, Some((text, _))) => text.clone(),
        (None, None) => match &model.run().connection.lost {
            Some(lost) if !model.closing => lost.sentence(model.now),
            _ => return,
        },
    };
    let mut lines = format::wrap(&text, usize::from(area.width.saturating_sub(2)));
    lines.truncate(ROWS);
    let bottom = area.bottom().saturating_sub(if area.height > 1 { 2 } else { 1 });
    put_lines_up(buffer, area, bottom, &lines, model.theme.warning);
}

/// The question, with what each answer does.
fn of_question(model: &Model, question: &Question) -> String {
    let Some(run) = model.runs.get(question.run) else { return String::new() };
    let name = &run.name;
    match question.asks {
        Asked::Stop => format!(
            "Another process trains {name}. Press y to save a checkpoint and stop it; any other key leaves it running."
        ),
        Asked::RollBack => {
            let lost = match steps_since_sync(run) {
                0 => "The steps since the last sync are".to_owned(),
                1 => "The step since the last sync is".to_owned(),
                steps => format!("The {} steps since the last sync are", format::count(steps)),
            };
            format!("Roll {name} back to its slow weights? {lost} lost. y: yes; any other key: no.")
        }
    }
}

/// Steps since the last sync; 0 too if that is not known.
fn steps_since_sync(run: &Run) -> u64 {
    let phase = run.latest.step.map_or(0, |step| step.phase);
    let settings = run.summary.info.as_ref().and_then(|info| info.lookahead.as_ref());
    // The k-th step is followed by the sync.
    settings.map_or(0, |settings| phase % settings.k.max(1))
}
