//! An image file as the bytes of its pixels, and many of them on all cores.

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageFormat, ImageReader, Limits};

use lookahead_run::words::reason;

use crate::file_kind::stand_in;

/// The largest width or height of an image.
pub const LARGEST_SIDE: u32 = 1 << 15;

/// The formats that are read, for messages.
pub const FORMATS: &str = "PNG, JPEG, GIF, BMP, PNM, TIFF and WebP";

/// How the pixels of a file become those of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelLayout {
    /// 1 is grayscale, 3 is red, green and blue.
    pub channels: usize,
    /// Height and width.
    pub size: [u32; 2],
    /// Whether images of another size are resized instead of refused.
    pub resize: bool,
}

impl PixelLayout {
    /// Channels, height and width.
    pub fn shape(&self) -> [usize; 3] {
        let [height, width] = self.size;
        [self.channels, height as usize, width as usize]
    }

    /// Bytes of an image.
    pub fn bytes(&self) -> usize {
        self.shape().iter().product()
    }
}

/// Why an image file can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImageError {
    /// It isn't a whole image.
    #[error("{0}")]
    Unreadable(String),
    /// It has another size.
    #[error("The image {} has {} × {} pixels (height × width) instead of {} × {}.", .path.display(), .found[0], .found[1], .wanted[0], .wanted[1])]
    Size {
        /// The file.
        path: PathBuf,
        /// Its height and width.
        found: [u32; 2],
        /// Those that it should have.
        wanted: [u32; 2],
    },
}

/// Whether the file's name ends like that of an image in a format that is read.
pub fn has_image_name(path: &Path) -> bool {
    ImageFormat::from_path(path).is_ok_and(|format| format.reading_enabled())
}

/// The size and the channels of an image file: 1 if it is grayscale, otherwise 3.
///
/// # Errors
/// If it isn't a whole image.
pub fn probe(path: &Path) -> Result<PixelLayout, ImageError> {
    let image = read(path)?;
    let channels = if image.color().has_color() { 3 } else { 1 };
    Ok(PixelLayout { channels, size: [image.height(), image.width()], resize: false })
}

/// Writes the pixels of an image file to `out`: each channel row by row.
///
/// # Errors
/// If it isn't a whole image, or has another size.
///
/// # Panics
/// If `out` doesn't have the layout's number of bytes.
pub fn decode(path: &Path, layout: PixelLayout, out: &mut [u8]) -> Result<(), ImageError> {
    let mut image = read(path)?;
    let found = [image.height(), image.width()];
    if found != layout.size {
        if !layout.resize {
            return Err(ImageError::Size { path: path.to_owned(), found, wanted: layout.size });
        }
        let [height, width] = layout.size;
        image = image.resize_exact(width, height, image::imageops::FilterType::Triangle);
    }
    if layout.channels == 1 {
        out.copy_from_slice(&image.into_luma8());
        return Ok(());
    }
    let colors = image.into_rgb8();
    for (channel, plane) in out.chunks_exact_mut(layout.bytes() / 3).enumerate() {
        for (pixel, value) in plane.iter_mut().zip(colors.iter().skip(channel).step_by(3)) {
            *pixel = *value;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<DynamicImage, ImageError> {
    let shown = path.display();
    let refuse =
        |error| ImageError::Unreadable(format!("The image {shown} can't be read: {error}."));
    let mut bytes = Vec::new();
    let file = lookahead_run::open_plain(path).map(|file| file.take(MOST_BYTES));
    let read = file.and_then(|mut file| file.read_to_end(&mut bytes));
    read.map_err(|error| refuse(reason(&error)))?;
    if let Some(sentence) = stand_in(&bytes) {
        return Err(ImageError::Unreadable(format!("The image {shown} can't be read. {sentence}")));
    }
    if bytes.is_empty() {
        return Err(refuse("it is empty".to_owned()));
    }
    if is_cut_off_jpeg(&bytes) {
        return Err(refuse("it is cut off, a JPEG file without its end".to_owned()));
    }
    decoded(&bytes).map_err(|error| match error {
        image::ImageError::Unsupported(_) => ImageError::Unreadable(format!(
            "The file {shown} isn't an image in a format that is read: {FORMATS}."
        )),
        error => refuse(error.to_string()),
    })
}

/// The most bytes of a file that are read.
const MOST_BYTES: u64 = 1 << 30;

/// The contents decide about the format, not the name.
fn decoded(bytes: &[u8]) -> image::ImageResult<DynamicImage> {
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST_SIDE), Some(LARGEST_SIDE));
    reader.limits(limits);
    reader.decode()
}

/// Whether a JPEG file has no end marker. The decoder would fill the missing rows without an error.
fn is_cut_off_jpeg(bytes: &[u8]) -> bool {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return false;
    }
    // Segments precede the image. One of them may hold a small picture with an end of its own.
    let mut rest = &bytes[2..];
    while let [0xff, marker, high, low, ..] = *rest {
        let length = 2 + usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(length..).unwrap_or_default();
        if marker == 0xda {
            break;
        }
    }
    !rest.windows(2).any(|pair| pair == [0xff, 0xd9])
}

/// A file that `for_each_file` failed for.
#[derive(Debug, PartialEq, Eq)]
pub struct Broken {
    /// Its position.
    pub index: usize,
    /// Why.
    pub error: ImageError,
}

/// Calls `work` for each file with its own `each` elements of `out`, on all cores, and returns the files that it failed
/// for, in their order. Unless `all`, only the first of them counts, and files after it are skipped.
pub fn for_each_file<F: AsRef<Path> + Sync, T: Send>(
    files: &[F],
    (out, each): (&mut [T], usize),
    all: bool,
    work: impl Fn(&Path, &mut [T]) -> Result<(), ImageError> + Sync,
) -> Vec<Broken> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = files.len().div_ceil(threads).max(1);
    let of_share = |(share_index, (files, out)): (usize, (&[F], &mut [T]))| {
        let mut broken = Vec::new();
        for (i, (file, out)) in files.iter().zip(out.chunks_exact_mut(each)).enumerate() {
            if let Err(error) = work(file.as_ref(), out) {
                broken.push(Broken { index: share_index * share + i, error });
                if !all {
                    break;
                }
            }
        }
        broken
    };
    let shares = files.chunks(share).zip(out.chunks_mut(share * each)).enumerate();
    std::thread::scope(|scope| {
        let of_share = &of_share;
        let running: Vec<_> = shares.map(|share| scope.spawn(move || of_share(share))).collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<Broken>>| {
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().flat_map(join).collect()
    })
}

#[cfg(test)]
mod tests;
