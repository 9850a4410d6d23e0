//! Antialiased pixels for plotters' bitmaps.
//!
//! plotters itself draws a wide line as one polygon, whose sharp turns come out ragged, and moves
//! letters to whole pixels. Here every shape is first a mask that says how much of each pixel it
//! covers, so that a translucent line is nowhere darker where it meets itself.

use std::f64::consts::TAU;

use ab_glyph::{Font, ScaleFont, point};
use plotters::backend::BitMapBackend;
use plotters::style::text_anchor::HPos;
use plotters_backend::{
    BackendColor, BackendCoord, BackendStyle, BackendTextStyle, DrawingBackend, DrawingErrorKind,
    FontTransform,
};

use super::font;
use super::pen::{FINE, HANG, SIZE_OF_EM, Spot};

type Drawn<'a> = Result<(), DrawingErrorKind<<BitMapBackend<'a> as DrawingBackend>::ErrorType>>;

/// Lines of samples in one row of pixels, for filled areas.
const SAMPLES: usize = 4;

/// A bitmap that takes coordinates in parts of a pixel, see [`FINE`].
pub(super) struct Smooth<'a> {
    bitmap: BitMapBackend<'a>,
    width: usize,
    height: usize,
    /// How much of each pixel the present shape covers, of 255.
    mask: Vec<u8>,
    /// Columns of each row from the first to behind the last that the present shape touches.
    touched: Vec<(usize, usize)>,
}

const UNTOUCHED: (usize, usize) = (usize::MAX, 0);

impl<'a> Smooth<'a> {
    /// Draws into a buffer of three bytes a pixel.
    pub(super) fn new(buffer: &'a mut [u8], width: u32, height: u32) -> Self {
        let bitmap = BitMapBackend::with_buffer(buffer, (width, height));
        let (width, height) = (width as usize, height as usize);
        let (mask, touched) = (vec![0; width * height], vec![UNTOUCHED; height]);
        Smooth { bitmap, width, height, mask, touched }
    }

    fn cover(&mut self, x: usize, y: usize, part: f64) {
        let part = (part * 255.0).round() as u8;
        let covered = &mut self.mask[y * self.width + x];
        *covered = part.max(*covered);
        let (first, end) = &mut self.touched[y];
        *first = x.min(*first);
        *end = (x + 1).max(*end);
    }

    /// Puts the colour where the mask is, and clears it for the next shape.
    fn ink(&mut self, color: BackendColor) -> Drawn<'a> {
        for y in 0..self.height {
            let (first, end) = std::mem::replace(&mut self.touched[y], UNTOUCHED);
            for x in first..end {
                let part = std::mem::take(&mut self.mask[y * self.width + x]);
                if part > 0 {
                    let color = color.mix(f64::from(part) / 255.0);
                    self.bitmap.draw_pixel((x as i32, y as i32), color)?;
                }
            }
        }
        Ok(())
    }

    /// Rows or columns of pixels whose centres lie between two coordinates.
    fn between(low: f64, high: f64, count: usize) -> std::ops::Range<usize> {
        let first = (low - 0.5).ceil().clamp(0.0, count as f64);
        let end = (high - 0.5).floor().clamp(-1.0, count as f64 - 1.0) + 1.0;
        first as usize..end as usize
    }

    /// Covers a straight line with round ends.
    fn segment(&mut self, from: Spot, to: Spot, width: f64) {
        let reach = width / 2.0 + 0.5;
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx * dx + dy * dy;
        for y in Self::between(from.1.min(to.1) - reach, from.1.max(to.1) + reach, self.height) {
            let row = y as f64 + 0.5;
            // Only what of the line is near this row, lest a long diagonal cost its whole box.
            let near = |edge: f64| ((edge - from.1) / dy).clamp(0.0, 1.0);
            let (start, end) =
                if dy.abs() < 1e-9 { (0.0, 1.0) } else { (near(row - reach), near(row + reach)) };
            let (start, end) = (from.0 + dx * start, from.0 + dx * end);
            for x in Self::between(start.min(end) - reach, start.max(end) + reach, self.width) {
                let column = x as f64 + 0.5;
                let along = ((column - from.0) * dx + (row - from.1) * dy) / length;
                let along = if length > 0.0 { along.clamp(0.0, 1.0) } else { 0.0 };
                let distance = (column - from.0 - dx * along).hypot(row - from.1 - dy * along);
                let part = (reach - distance).clamp(0.0, 1.0) * width.min(1.0);
                if part > 0.0 {
                    self.cover(x, y, part);
                }
            }
        }
    }

    /// Covers what an odd number of the polygon's edges enclose.
    fn area(&mut self, spots: &[Spot]) {
        let top = spots.iter().fold(f64::INFINITY, |top, spot| top.min(spot.1)).max(0.0);
        let bottom = spots.iter().fold(0.0, |bottom: f64, spot| bottom.max(spot.1));
        let rows = top as usize..(bottom.ceil() as usize).min(self.height);
        let lines = rows.len() * SAMPLES;
        let height = |line: usize| rows.start as f64 + (line as f64 + 0.5) / SAMPLES as f64;
        let mut crossings: Vec<Vec<f64>> = vec![Vec::new(); lines];
        for (index, from) in spots.iter().enumerate() {
            let to = spots[(index + 1) % spots.len()];
            let (upper, lower) = if from.1 <= to.1 { (*from, to) } else { (to, *from) };
            let line = |y: f64| ((y - rows.start as f64) * SAMPLES as f64 - 0.5).ceil().max(0.0);
            let (first, end) = (line(upper.1) as usize, (line(lower.1) as usize).min(lines));
            for (at, line) in crossings.iter_mut().enumerate().take(end).skip(first) {
                let part = (height(at) - upper.1) / (lower.1 - upper.1);
                line.push(upper.0 + (lower.0 - upper.0) * part);
            }
        }
        let mut covered = vec![0.0; self.width];
        for (index, y) in rows.enumerate() {
            covered.fill(0.0);
            for line in &mut crossings[index * SAMPLES..(index + 1) * SAMPLES] {
                line.sort_by(f64::total_cmp);
                for pair in line.chunks_exact(2) {
                    let (left, right) = (pair[0].max(0.0), pair[1].min(self.width as f64));
                    let end = right.ceil().max(0.0) as usize;
                    for (x, covered) in covered.iter_mut().enumerate().take(end).skip(left as usize)
                    {
                        let part = right.min(x as f64 + 1.0) - left.max(x as f64);
                        *covered += part.max(0.0) / SAMPLES as f64;
                    }
                }
            }
            for (x, part) in covered.iter().enumerate().filter(|(_, part)| **part > 0.0) {
                self.cover(x, y, part.min(1.0));
            }
        }
    }
}

fn spot((x, y): BackendCoord) -> Spot {
    (f64::from(x) / FINE, f64::from(y) / FINE)
}

/// The corners of so many that make up a circle.
fn circle(center: BackendCoord, radius: u32) -> Vec<Spot> {
    let (center, radius) = (spot(center), f64::from(radius) / FINE);
    let count = 16.0 + radius.ceil();
    (0..=count as u32)
        .map(|corner| TAU * f64::from(corner) / count.floor())
        .map(|angle| (center.0 + radius * angle.cos(), center.1 + radius * angle.sin()))
        .collect()
}

impl<'a> DrawingBackend for Smooth<'a> {
    type ErrorType = <BitMapBackend<'a> as DrawingBackend>::ErrorType;

    fn get_size(&self) -> (u32, u32) {
        let (width, height) = self.bitmap.get_size();
        (width * FINE as u32, height * FINE as u32)
    }

    fn ensure_prepared(&mut self) -> Drawn<'a> {
        self.bitmap.ensure_prepared()
    }

    fn present(&mut self) -> Drawn<'a> {
        self.bitmap.present()
    }

    fn draw_pixel(&mut self, (x, y): BackendCoord, color: BackendColor) -> Drawn<'a> {
        self.draw_rect((x, y), (x + FINE as i32, y + FINE as i32), &color, true)
    }

    fn draw_line<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
    ) -> Drawn<'a> {
        self.draw_path([from, to], style)
    }

    fn draw_rect<S: BackendStyle>(
        &mut self,
        from: BackendCoord,
        to: BackendCoord,
        style: &S,
        fill: bool,
    ) -> Drawn<'a> {
        let corners = [from, (to.0, from.1), to, (from.0, to.1)];
        if fill {
            self.fill_polygon(corners, style)
        } else {
            self.draw_path(corners.into_iter().chain([from]), style)
        }
    }

    fn draw_path<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn<'a> {
        let width = f64::from(style.stroke_width()) / FINE;
        let mut spots = path.into_iter().map(spot);
        let mut last = spots.next();
        for to in spots {
            if let Some(from) = last {
                self.segment(from, to, width);
            }
            last = Some(to);
        }
        self.ink(style.color())
    }

    fn draw_circle<S: BackendStyle>(
        &mut self,
        center: BackendCoord,
        radius: u32,
        style: &S,
        fill: bool,
    ) -> Drawn<'a> {
        let corners = circle(center, radius);
        if fill {
            self.area(&corners);
        } else {
            for pair in corners.windows(2) {
                self.segment(pair[0], pair[1], f64::from(style.stroke_width()) / FINE);
            }
        }
        self.ink(style.color())
    }

    fn fill_polygon<S: BackendStyle, I: IntoIterator<Item = BackendCoord>>(
        &mut self,
        path: I,
        style: &S,
    ) -> Drawn<'a> {
        let spots: Vec<Spot> = path.into_iter().map(spot).collect();
        self.area(&spots);
        self.ink(style.color())
    }

    /// Where plotters' SVG backend puts it: hanging from the position, level or upwards.
    fn draw_text<S: BackendTextStyle>(
        &mut self,
        text: &str,
        style: &S,
        position: BackendCoord,
    ) -> Drawn<'a> {
        let em = style.size() / SIZE_OF_EM / FINE;
        let scaled = font::scaled(em);
        let start = match style.anchor().h_pos {
            HPos::Left => 0.0,
            HPos::Center => -font::width(text, em) / 2.0,
            HPos::Right => -font::width(text, em),
        };
        let upward = matches!(style.transform(), FontTransform::Rotate270);
        let (x, y) = spot(position);
        // The baseline is on a whole pixel, which keeps the feet of letters sharp.
        let (left, baseline) =
            if upward { (start, 0.0) } else { (x + start, (y + HANG * em).round()) };
        let (turned_x, turned_y) = ((x + HANG * em).round() as i64, y.round() as i64);
        let mut at = left as f32;
        let mut before = None;
        for character in text.chars() {
            let (kern, step) = font::advance(&scaled, before, character);
            at += kern;
            let glyph = scaled
                .glyph_id(character)
                .with_scale_and_position(scaled.scale(), point(at, baseline as f32));
            at += step;
            before = Some(character);
            let Some(outline) = scaled.font().outline_glyph(glyph) else { continue };
            let bounds = outline.px_bounds();
            let (glyph_x, glyph_y) = (bounds.min.x as i64, bounds.min.y as i64);
            outline.draw(|x, y, part| {
                let (x, y) = (glyph_x + i64::from(x), glyph_y + i64::from(y));
                let (x, y) = if upward { (turned_x + y, turned_y - 1 - x) } else { (x, y) };
                if (0..self.width as i64).contains(&x) && (0..self.height as i64).contains(&y) {
                    self.cover(x as usize, y as usize, f64::from(part.clamp(0.0, 1.0)));
                }
            });
        }
        self.ink(style.color())
    }
}

#[cfg(test)]
mod tests {
    use plotters::style::{Color, RGBColor, ShapeStyle};

    use super::*;

    const SIDE: usize = 20;

    fn drawn(draw: impl Fn(&mut Smooth<'_>)) -> Vec<u8> {
        let mut pixels = vec![255; 3 * SIDE * SIDE];
        draw(&mut Smooth::new(&mut pixels, SIDE as u32, SIDE as u32));
        pixels
    }

    fn at(pixels: &[u8], x: usize, y: usize) -> [u8; 3] {
        let at = 3 * (y * SIDE + x);
        [pixels[at], pixels[at + 1], pixels[at + 2]]
    }

    fn style(rgb: (u8, u8, u8), width: u32) -> ShapeStyle {
        Color::stroke_width(&RGBColor(rgb.0, rgb.1, rgb.2).mix(0.5), width)
    }

    #[test]
    fn a_line_that_goes_back_is_no_darker_than_one_that_does_not() {
        let line = [(35, 52), (160, 121)];
        let once = drawn(|smooth| smooth.draw_path(line, &style((0, 0, 0), 17)).unwrap());
        let back = [line[0], line[1], line[0]];
        let twice = drawn(|smooth| smooth.draw_path(back, &style((0, 0, 0), 17)).unwrap());
        assert!(once == twice);
        assert!(once.iter().any(|part| (140..240).contains(part)), "no soft edge");
    }

    #[test]
    fn a_shape_leaves_nothing_for_the_next_one() {
        let pixels = drawn(|smooth| {
            smooth.draw_circle((100, 100), 20, &RGBColor(255, 0, 0), true).unwrap();
            smooth.draw_circle((100, 100), 80, &style((0, 0, 255), 10), false).unwrap();
        });
        assert_eq!(at(&pixels, 10, 10), [255, 0, 0]);
        assert_eq!(at(&pixels, 10, 5), [255, 255, 255]);
        let [red, green, blue] = at(&pixels, 2, 10);
        assert!(red < 200 && green < 200 && blue == 255, "{red} {green} {blue}");
    }

    #[test]
    fn an_area_covers_parts_of_pixels() {
        let pixels = drawn(|smooth| {
            let corners = [(25, 50), (105, 50), (105, 125), (25, 125)];
            smooth.fill_polygon(corners, &RGBColor(0, 0, 0)).unwrap();
        });
        assert_eq!(at(&pixels, 5, 8), [0; 3]);
        for (x, y) in [(2, 8), (10, 8), (5, 12)] {
            let [part, ..] = at(&pixels, x, y);
            assert!((120..136).contains(&part), "{x} {y} {part}");
        }
        assert_eq!([at(&pixels, 1, 8), at(&pixels, 5, 13), at(&pixels, 5, 4)], [[255; 3]; 3]);
    }

    #[test]
    fn what_is_outside_is_left_out() {
        let pixels = drawn(|smooth| {
            let spots = [(-500, -500), (900, 900), (-500, 900), (4000, -30)];
            smooth.draw_path(spots, &style((0, 0, 0), 30)).unwrap();
            smooth.fill_polygon(spots, &style((0, 0, 0), 1)).unwrap();
            smooth.fill_polygon([], &style((0, 0, 0), 1)).unwrap();
            smooth.draw_circle((-20, 210), 90, &style((0, 0, 0), 5), false).unwrap();
        });
        assert!(pixels.iter().any(|part| *part < 255));
    }
}
