//! Images as rows of small whole numbers: their pixels, then their class.

/// The pixels and the class of each image, in the order of the lines.
#[derive(Debug, PartialEq, Eq)]
pub struct Rows {
    /// All pixels, image after image.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u8>,
}

/// Reads rows of `pixels` numbers from 0 to 255 and a class below `classes`, separated by commas.
///
/// # Errors
/// A sentence with the number of the first bad line, without the name of the file.
pub fn parse(bytes: &[u8], pixels: usize, classes: u8) -> Result<Rows, String> {
    let text = std::str::from_utf8(bytes).map_err(|cause| {
        let line = bytes[..cause.valid_up_to()].iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("Line {line} is not text.")
    })?;
    let mut rows = Rows { pixels: Vec::new(), labels: Vec::new() };
    for (line, number) in text.lines().zip(1..) {
        let before = rows.pixels.len();
        for value in line.split(',') {
            // Of an overlong line, no more is kept than a row has.
            if rows.pixels.len() - before > pixels {
                break;
            }
            let byte = value.trim().parse().map_err(|_| {
                let shown: String = value.chars().take(20).collect();
                format!("Line {number} has {shown:?} instead of a whole number from 0 to 255.")
            })?;
            rows.pixels.push(byte);
        }
        let found = line.split(',').count();
        if found != pixels + 1 {
            return Err(format!(
                "Line {number} has {found} numbers, and {} are needed: {pixels} pixels and a class.",
                pixels + 1
            ));
        }
        let label = rows.pixels.pop().unwrap_or_default();
        if label >= classes {
            return Err(format!(
                "Line {number} has the class {label}, and classes run from 0 to {}.",
                classes.saturating_sub(1)
            ));
        }
        rows.labels.push(label);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests;
