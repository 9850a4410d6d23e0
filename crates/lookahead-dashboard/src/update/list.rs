//! Scrolling and searching the list that is open over the charts.

use crate::keys;
use crate::model::{List, Model, Overlay};

/// Lines of a page of the list that is open.
pub(super) fn page(model: &Model) -> isize {
    isize::from(model.size.1 as i16).saturating_sub(6).max(1)
}

pub(super) fn scroll(model: &mut Model, by: isize) {
    let count = model.run().messages.len();
    match &mut model.overlay {
        Some(Overlay::Messages(list)) => {
            list.bottom = list.bottom.saturating_add_signed(by).min(count.saturating_sub(1));
        }
        // The help is read from its beginning on.
        Some(Overlay::Help(from)) => {
            *from = from.saturating_add_signed(-by).min(keys::KEYS.len() + 20)
        }
        None => {}
    }
}

/// Goes to another message that has the words that are searched for: an older one for `by` 1.
pub(super) fn search(model: &mut Model, by: isize) {
    let Some(Overlay::Messages(list)) = &model.overlay else { return };
    let Some(words) = list.search.clone() else { return };
    let run = model.run();
    let matches: Vec<usize> = run
        .messages
        .newest_first()
        .enumerate()
        .filter(|(_, note)| note.text.to_lowercase().contains(&words))
        .map(|(index, _)| index)
        .collect();
    let found = match by > 0 {
        true => matches.iter().find(|index| **index > list.bottom).or(matches.first()),
        false => matches.iter().rev().find(|index| **index < list.bottom).or(matches.last()),
    };
    match found.copied() {
        Some(found) => {
            if let Some(Overlay::Messages(list)) = &mut model.overlay {
                list.bottom = found;
            }
        }
        None => model.notify(format!("no message has “{words}”")),
    }
}

pub(super) fn search_from_newest(model: &mut Model) {
    let newest_fits = match &model.overlay {
        Some(Overlay::Messages(List { search: Some(words), .. })) => {
            let newest = model.run().messages.newest_first().next();
            newest.is_some_and(|note| note.text.to_lowercase().contains(words))
        }
        _ => return,
    };
    if let Some(Overlay::Messages(list)) = &mut model.overlay {
        list.bottom = 0;
    }
    if !newest_fits {
        search(model, 1);
    }
}
