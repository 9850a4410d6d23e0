//! Pictures as bytes and as files.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::fontdb::Database;
use resvg::usvg::{Options, Tree};

use crate::error::ChartError;
use crate::figure::Figure;
use crate::geometry::Size;
use crate::{layout, text};

/// The kind of a picture's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Lines and texts, sharp at any size.
    Svg,
    /// Pixels.
    Png,
}

impl Format {
    /// The format for the extension of a file name, in lower or upper case.
    ///
    /// # Errors
    /// If the extension is missing or is neither `svg` nor `png`.
    pub fn of(path: &Path) -> Result<Format, ChartError> {
        let extension = path.extension().unwrap_or_default().to_ascii_lowercase();
        match extension.to_str() {
            Some("svg") => Ok(Format::Svg),
            Some("png") => Ok(Format::Png),
            _ => Err(ChartError::Extension(path.to_owned())),
        }
    }
}

impl Size {
    /// Checks a size.
    ///
    /// # Errors
    /// If a side is outside of [`Size::LEAST`] to [`Size::MOST`].
    pub fn new(width: u32, height: u32) -> Result<Size, ChartError> {
        for (side, pixels) in [("width", width), ("height", height)] {
            if !(Size::LEAST..=Size::MOST).contains(&pixels) {
                return Err(ChartError::Size(side, pixels));
            }
        }
        Ok(Size { width, height })
    }
}

/// The bytes of a picture. The same figure gives the same bytes.
///
/// # Errors
/// If the size is not allowed, or the figure has no panels or more than its height has room for.
pub fn render(figure: &Figure, format: Format, size: Size) -> Result<Vec<u8>, ChartError> {
    let svg = layout::draw(figure, Size::new(size.width, size.height)?)?;
    match format {
        Format::Svg => Ok(svg.into_bytes()),
        Format::Png => png(&svg, size).map_err(ChartError::Draw),
    }
}

fn png(svg: &str, size: Size) -> Result<Vec<u8>, String> {
    static FONTS: LazyLock<Arc<Database>> = LazyLock::new(|| {
        let mut fonts = Database::new();
        fonts.load_font_data(text::font_data().to_vec());
        Arc::new(fonts)
    });
    let options = Options { fontdb: FONTS.clone(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).map_err(|error| error.to_string())?;
    let pixels = Pixmap::new(size.width, size.height);
    let mut pixels = pixels.ok_or("there is not enough memory for its pixels")?;
    resvg::render(&tree, Transform::default(), &mut pixels.as_mut());
    pixels.encode_png().map_err(|error| error.to_string())
}

/// Draws a picture in the format of the extension of `path`. It is written to a temporary file and then
/// renamed, so that no other program sees a part of it. An existing file is replaced only with
/// `overwrite`.
///
/// # Errors
/// If the extension is unknown, [`render`] fails, the file exists and may not be replaced, or the
/// operating system refuses to write it.
pub fn save(figure: &Figure, path: &Path, size: Size, overwrite: bool) -> Result<(), ChartError> {
    let format = Format::of(path)?;
    // Before the work of drawing; `persist_noclobber` decides.
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(ChartError::Exists(path.to_owned()));
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(ChartError::NoFolder(folder.to_owned()));
    }
    let bytes = render(figure, format, size)?;
    let failed = |cause| ChartError::Write(path.to_owned(), cause);
    let mut options = tempfile::Builder::new();
    options.prefix(".picture-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is private, but a picture is a file like any other.
        options.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = options.tempfile_in(folder).map_err(failed)?;
    file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    let saved = if overwrite { file.persist(path) } else { file.persist_noclobber(path) };
    saved.map(drop).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists if !overwrite => ChartError::Exists(path.to_owned()),
        _ => failed(error.error),
    })
}
