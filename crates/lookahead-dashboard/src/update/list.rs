//! Scrolling and searching the list that covers the charts.

use crate::model::Model;
use crate::model::dialogs::{MessageList, Overlay};

/// Most lines by which the help is scrolled.
const HELP: usize = 90;

/// Lines on a page of the list.
pub(crate) fn page(model: &Model) -> isize {
    isize::from(model.size.1 as i16).saturating_sub(6).max(1)
}

/// Scrolls by that many lines towards older messages, or the beginning of the help.
pub(crate) fn scroll(model: &mut Model, by: isize) {
    let count = model.run().messages.len();
    match &mut model.dialogs.overlay {
        Some(Overlay::Messages(list)) => {
            list.bottom = list.bottom.saturating_add_signed(by).min(count.saturating_sub(1));
        }
        Some(Overlay::Help(from)) => *from = from.saturating_add_signed(-by).min(HELP),
        None => {}
    }
}

/// Goes to another message with the words searched for: an older one if `by` is above 0, the newest of
/// all if it is 0.
pub(crate) fn search(model: &mut Model, by: isize) {
    let Some(Overlay::Messages(list)) = &model.dialogs.overlay else { return };
    let Some(words) = list.search.clone() else { return };
    let notes = model.run().messages.newest_first().enumerate();
    let matches: Vec<usize> = notes
        .filter(|(_, note)| note.text.to_lowercase().contains(&words))
        .map(|(index, _)| index)
        .collect();
    let found = match by {
        0 => matches.first(),
        1.. => matches.iter().find(|index| **index > list.bottom).or(matches.first()),
        _ => matches.iter().rev().find(|index| **index < list.bottom).or(matches.last()),
    };
    match found.copied() {
        Some(bottom) => {
            let search = Some(words);
            model.dialogs.overlay = Some(Overlay::Messages(MessageList { bottom, search }));
        }
        None => model.notify(format!("No message contains “{words}”.")),
    }
}
