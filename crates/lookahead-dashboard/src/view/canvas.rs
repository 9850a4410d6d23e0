//! A grid of braille dots, two by four in each cell.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

pub(crate) const ACROSS: usize = 2;
pub(crate) const DOWN: usize = 4;

/// Bits of the dots of a braille character, by row and column (Unicode, block 2800).
const BITS: [[u8; ACROSS]; DOWN] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

#[derive(Debug)]
pub(crate) struct Canvas {
    width: usize,
    height: usize,
    cells: Vec<u8>,
    dashed: bool,
}

impl Canvas {
    /// An empty grid for the cells of an area.
    pub(crate) fn new(area: Rect) -> Self {
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        Canvas { width, height, cells: vec![0; width * height], dashed: false }
    }

    /// The same, but every other column of cells stays empty.
    pub(crate) fn dashed(area: Rect) -> Self {
        Canvas { dashed: true, ..Canvas::new(area) }
    }

    /// Sets one dot, counted from the top left; a dot outside the grid is ignored.
    pub(crate) fn dot(&mut self, x: usize, y: usize) {
        let (column, row) = (x / ACROSS, y / DOWN);
        if self.dashed && column % 2 == 1 {
            return;
        }
        if column < self.width && row < self.height {
            self.cells[row * self.width + column] |= BITS[y % DOWN][x % ACROSS];
        }
    }

    /// Sets the dots of a column from `top` down to `bottom`.
    pub(crate) fn span(&mut self, x: usize, top: usize, bottom: usize) {
        for y in top..=bottom {
            self.dot(x, y);
        }
    }

    /// Sets the dots of a straight line.
    pub(crate) fn line(&mut self, from: (usize, usize), to: (usize, usize)) {
        let (dx, dy) = (to.0 as f64 - from.0 as f64, to.1 as f64 - from.1 as f64);
        let dots = dx.abs().max(dy.abs());
        for dot in 0..=dots as usize {
            let part = if dots > 0.0 { dot as f64 / dots } else { 0.0 };
            let x = from.0 as f64 + dx * part;
            let y = from.1 as f64 + dy * part;
            self.dot(x.round() as usize, y.round() as usize);
        }
    }

    /// Writes every cell that has a dot over its old content.
    pub(crate) fn paint(&self, buffer: &mut Buffer, area: Rect, style: Style) {
        for (index, bits) in self.cells.iter().enumerate().filter(|(_, bits)| **bits != 0) {
            let x = area.x + (index % self.width) as u16;
            let y = area.y + (index / self.width) as u16;
            let symbol = char::from_u32(0x2800 + u32::from(*bits)).unwrap_or(' ');
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.reset();
                cell.set_char(symbol).set_style(style);
            }
        }
    }
}

#[cfg(test)]
mod tests;
