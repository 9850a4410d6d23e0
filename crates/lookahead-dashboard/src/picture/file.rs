//! From a figure to bytes, and to a file that is never half there.

use std::io::Write;
use std::path::Path;

use plotters::backend::SVGBackend;

use super::layout;
use super::pen::{FINE, Pen};
use super::smooth::Smooth;
use super::{Figure, Format, PictureError, Size};

/// The bytes of a picture. The same figure gives the same bytes.
///
/// # Errors
///
/// If the size is not allowed, if the figure has no panels, or more than its height has room for.
pub fn render(figure: &Figure, format: Format, size: Size) -> Result<Vec<u8>, PictureError> {
    let size = size.checked()?;
    match format {
        Format::Svg => svg(figure, size),
        Format::Png => png(figure, size),
    }
}

fn svg(figure: &Figure, size: Size) -> Result<Vec<u8>, PictureError> {
    let (width, height) = (size.width * FINE as u32, size.height * FINE as u32);
    let mut text = String::new();
    {
        let mut backend = SVGBackend::with_string(&mut text, (width, height));
        layout::draw(figure, size, &mut Pen { backend: &mut backend })?;
        // Dropping it writes what is left.
    }
    // The coordinates are parts of pixels, of which the first tag must tell; and there alone can be
    // said how lines bend.
    let body = text.split_once('>').map_or("", |(_, body)| body);
    let head = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" \
         viewBox=\"0 0 {width} {height}\" stroke-linejoin=\"round\" stroke-linecap=\"round\">",
        size.width, size.height
    );
    Ok((head + body).into_bytes())
}

fn png(figure: &Figure, size: Size) -> Result<Vec<u8>, PictureError> {
    let mut pixels = vec![255; 3 * size.width as usize * size.height as usize];
    {
        let mut backend = Smooth::new(&mut pixels, size.width, size.height);
        layout::draw(figure, size, &mut Pen { backend: &mut backend })?;
    }
    let failed = |cause: png::EncodingError| PictureError::Draw { cause: cause.to_string() };
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size.width, size.height);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(failed)?;
    writer.write_image_data(&pixels).map_err(failed)?;
    writer.finish().map_err(failed)?;
    Ok(bytes)
}

/// Draws a picture in the format that the extension of `path` asks for. It is written beside its
/// place and then moved there, so that no other program ever sees a part of it. An existing file is
/// replaced only with `overwrite`.
///
/// # Errors
///
/// If the extension is not known, if [`render`] fails, if the file exists and may not be replaced,
/// or if the operating system refuses to write it.
pub fn save(figure: &Figure, path: &Path, size: Size, overwrite: bool) -> Result<(), PictureError> {
    let format = Format::of(path)?;
    let exists = || PictureError::Exists { path: path.to_owned() };
    // Said before the work of drawing; what counts is whether it is there at the end.
    if !overwrite && path.symlink_metadata().is_ok() {
        return Err(exists());
    }
    let bytes = render(figure, format, size)?;
    let failed = |cause| PictureError::Write { path: path.to_owned(), cause };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut options = tempfile::Builder::new();
    options.prefix(".picture-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary file is private, but a picture is a file like any other.
        options.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = options.tempfile_in(folder.unwrap_or(Path::new("."))).map_err(failed)?;
    file.write_all(&bytes).and_then(|()| file.as_file().sync_all()).map_err(failed)?;
    if overwrite {
        file.persist(path).map_err(|error| failed(error.error))?;
        return Ok(());
    }
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Err(exists()),
        Err(error) => Err(failed(error.error)),
    }
}
