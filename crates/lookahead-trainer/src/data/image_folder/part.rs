//! Image files of one split, and their pixels if they are in memory.

use std::path::Path;
use std::sync::Arc;

use super::on_demand::OnDemand;
use super::on_error::{OnError, with_remedy};
use super::scan::ImageFile;
use crate::console::eprint_line;
use crate::data::dataset::Samples;
use crate::data::image_file::{ImageError, PixelLayout, decode, for_each_file};
use crate::data::images::Images;
use crate::usage::UsageError;

/// Files that are named in a warning.
const NAMED: usize = 3;

/// Reads image files.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) layout: PixelLayout,
    pub(super) on_error: OnError,
    pub(super) in_memory: bool,
    /// Why files were left out.
    pub(super) left_out: Vec<ImageError>,
}

impl Reader {
    /// Reads files into memory if they are to be there, and checks them if broken ones are to be left out.
    ///
    /// # Errors
    /// If a file can't be read and may not be left out, all are broken, or they don't fit into memory.
    pub(super) fn read(
        &mut self,
        files: Vec<ImageFile>,
        needs_sums: bool,
    ) -> Result<Part, UsageError> {
        let (layout, bytes) = (self.layout, self.layout.bytes());
        let mut part = Part { files, layout, pixels: None, sums: Vec::new() };
        let all = self.on_error == OnError::Skip;
        let broken = if self.in_memory {
            let mut pixels = zeros(part.files.len(), bytes)?;
            let decode = |path: &Path, out: &mut [u8]| decode(path, layout, out);
            let broken = for_each_file(&part.files, (&mut pixels, bytes), all, decode);
            part.pixels = Some(pixels);
            broken
        } else if needs_sums || all {
            part.sums = vec![PixelSums::default(); part.files.len()];
            let sum = |path: &Path, out: &mut [PixelSums]| {
                let mut pixels = vec![0; bytes];
                decode(path, layout, &mut pixels)?;
                out[0].add_image(&pixels, layout);
                Ok(())
            };
            for_each_file(&part.files, (&mut part.sums, 1), all, sum)
        } else {
            Vec::new()
        };
        if broken.is_empty() {
            return Ok(part);
        }
        if !all {
            return Err(UsageError::new(with_remedy(&broken[0].error)));
        }
        if broken.len() == part.files.len() {
            return Err(UsageError::new(format!(
                "None of the {} images can be read. This is the first: {}",
                broken.len(),
                with_remedy(&broken[0].error)
            )));
        }
        let mut keep = vec![true; part.files.len()];
        broken.iter().for_each(|broken| keep[broken.index] = false);
        part.retain(&keep);
        self.left_out.extend(broken.into_iter().map(|broken| broken.error));
        Ok(part)
    }

    /// Warns of the files that were left out.
    pub(super) fn warn(&self) {
        if self.left_out.is_empty() {
            return;
        }
        let named: Vec<String> =
            self.left_out.iter().take(NAMED).map(ToString::to_string).collect();
        let more = match self.left_out.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!(" And {more} more."),
        };
        eprint_line(format_args!(
            "Warning: {} image files are left out, since `data.on_error` is skip. {}{more}",
            self.left_out.len(),
            named.join(" ")
        ));
    }
}

/// Memory for the pixels of all files.
fn zeros(files: usize, bytes: usize) -> Result<Vec<u8>, UsageError> {
    let all = files.saturating_mul(bytes);
    let mut pixels = Vec::new();
    pixels.try_reserve_exact(all).map_err(|_| {
        UsageError::new(format!(
            "There is no memory for the pixels of {files} images, {all} bytes. Set `data.in_memory` to never."
        ))
    })?;
    pixels.resize(all, 0);
    Ok(pixels)
}

/// Files of one split.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) files: Vec<ImageFile>,
    layout: PixelLayout,
    /// Of all files, if they are in memory.
    pixels: Option<Vec<u8>>,
    /// Of each file, if they were needed and the pixels are not in memory.
    sums: Vec<PixelSums>,
}

impl Part {
    /// Moves the last `count` files into a part of their own.
    pub(super) fn split_off(&mut self, count: usize) -> Part {
        let at = self.files.len() - count;
        let (layout, first) = (self.layout, at * self.layout.bytes());
        Part {
            files: self.files.split_off(at),
            layout,
            pixels: self.pixels.as_mut().map(|pixels| pixels.split_off(first)),
            sums: if self.sums.is_empty() { Vec::new() } else { self.sums.split_off(at) },
        }
    }

    fn retain(&mut self, keep: &[bool]) {
        fn kept<T>(items: &mut Vec<T>, keep: &[bool]) {
            let mut keep = keep.iter();
            items.retain(|_| *keep.next().unwrap_or(&true));
        }
        if let Some(pixels) = &mut self.pixels {
            let bytes = self.layout.bytes();
            let indices = keep.iter().enumerate().filter_map(|(i, &keep)| keep.then_some(i));
            let mut end = 0;
            for index in indices {
                pixels.copy_within(index * bytes..(index + 1) * bytes, end);
                end += bytes;
            }
            pixels.truncate(end);
        }
        kept(&mut self.files, keep);
        kept(&mut self.sums, keep);
    }

    /// The mean and the standard deviation of the pixels of each channel. That of equal pixels is 1, so that they
    /// become 0.
    pub(super) fn statistics(&self) -> (Vec<f64>, Vec<f64>) {
        let mut sums = PixelSums::default();
        match &self.pixels {
            Some(pixels) => {
                let images = pixels.chunks_exact(self.layout.bytes());
                images.for_each(|image| sums.add_image(image, self.layout));
            }
            None => self.sums.iter().for_each(|one| sums.add(one)),
        }
        let plane = self.layout.bytes() / self.layout.channels;
        let count = (self.files.len() * plane) as f64;
        let of_channel = |channel: usize| {
            let mean = sums.sum[channel] as f64 / count;
            let variance = sums.squares[channel] as f64 / count - mean * mean;
            (mean, if variance > 0.0 { variance.sqrt() } else { 1.0 })
        };
        (0..self.layout.channels).map(of_channel).unzip()
    }

    /// The class of each file.
    pub(super) fn labels(&self) -> Vec<u32> {
        self.files.iter().map(|file| file.class as u32).collect()
    }

    /// The samples, with the labels and the normalization of `images`.
    pub(super) fn into_samples(self, mut images: Images) -> Arc<dyn Samples> {
        match self.pixels {
            Some(pixels) => {
                images.pixels = pixels;
                Arc::new(images)
            }
            None => Arc::new(OnDemand { files: self.files, layout: self.layout, images }),
        }
    }
}

/// The sums of the pixels of each channel and of their squares. They are whole numbers, so that the order of addition,
/// and with it the number of threads, doesn't change the result.
#[derive(Debug, Clone, Default)]
struct PixelSums {
    sum: [u64; 3],
    squares: [u64; 3],
}

impl PixelSums {
    fn add_image(&mut self, pixels: &[u8], layout: PixelLayout) {
        let planes = pixels.chunks_exact(layout.bytes() / layout.channels);
        for (channel, plane) in planes.enumerate() {
            let values = || plane.iter().map(|&pixel| u64::from(pixel));
            self.sum[channel] += values().sum::<u64>();
            self.squares[channel] += values().map(|value| value * value).sum::<u64>();
        }
    }

    fn add(&mut self, other: &PixelSums) {
        for channel in 0..3 {
            self.sum[channel] += other.sum[channel];
            self.squares[channel] += other.squares[channel];
        }
    }
}
