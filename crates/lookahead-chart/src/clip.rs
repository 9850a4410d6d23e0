//! Lines that leave the plot.

use crate::geometry::{Area, Xy};

/// The visible parts of an unbroken line.
pub(crate) fn clip(line: &[Xy], plot: &Area) -> Vec<Vec<Xy>> {
    let is_inside = |at: &Xy| (plot.top..=plot.bottom).contains(&at.1);
    if line.iter().all(is_inside) {
        return vec![line.to_vec()];
    }
    let mut parts: Vec<Vec<Xy>> = Vec::new();
    let mut is_open = false;
    for (index, at) in line.iter().enumerate() {
        let Some(before) = index.checked_sub(1).map(|index| line[index]) else { continue };
        let Some((from, to)) = visible(before, *at, plot) else {
            is_open = false;
            continue;
        };
        match parts.last_mut().filter(|_| is_open) {
            Some(part) => part.push(to),
            None => parts.push(vec![from, to]),
        }
        is_open = to == *at;
    }
    parts
}

/// The part of a straight line that is inside.
fn visible(from: Xy, to: Xy, plot: &Area) -> Option<(Xy, Xy)> {
    let (low, high) = (from.1.min(to.1), from.1.max(to.1));
    if high < plot.top || low > plot.bottom {
        return None;
    }
    let at = |y: f64| (from.0 + (to.0 - from.0) * ((y - from.1) / (to.1 - from.1)), y);
    let inside = |end: Xy| {
        if end.1 < plot.top {
            at(plot.top)
        } else if end.1 > plot.bottom {
            at(plot.bottom)
        } else {
            end
        }
    };
    Some((inside(from), inside(to)))
}
