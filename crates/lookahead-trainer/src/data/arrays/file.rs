//! Arrays in files: safetensors, and NumPy's `.npy` and `.npz`.

use std::fmt;
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use flate2::read::DeflateDecoder;
use lookahead_run::words::{reason, sentences};
use zip::{CompressionMethod, ZipArchive};

use super::elements::Element;
use crate::data::array::Array;
use crate::data::table::rows::listed;
use crate::file_kind;
use crate::tensor_file::TensorFile;

/// The most bytes of a `.npy` header: an array of numbers has some hundred.
const LARGEST_HEADER: usize = 1 << 16;

/// Elements that are converted at once.
const ELEMENTS_AT_ONCE: usize = 1 << 20;

/// An array in a file, read in chunks of rows. The first dimension counts the rows.
pub struct ArrayReader {
    shape: Vec<usize>,
    element: Element,
    source: Box<dyn Read + Send>,
    /// Rows that were read.
    read: usize,
}

impl fmt::Debug for ArrayReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ArrayReader { shape, element, read, .. } = self;
        write!(f, "ArrayReader {{ shape: {shape:?}, element: {element}, read: {read} }}")
    }
}

impl ArrayReader {
    /// Opens the array `name` of a `.safetensors` or `.npz` file, or the array of a `.npy` file, which has no name.
    /// The format is recognized by the contents.
    ///
    /// # Errors
    /// A sentence, if the file can't be read, is of another format, or lacks the array.
    pub fn open(path: &Path, name: Option<&str>) -> Result<Self, String> {
        let mut file = lookahead_run::open_plain(path).map_err(unreadable)?;
        let mut start = Vec::new();
        Read::by_ref(&mut file).take(512).read_to_end(&mut start).map_err(unreadable)?;
        file.rewind().map_err(unreadable)?;
        if let Some(sentence) = file_kind::stand_in(&start) {
            return Err(sentence.to_owned());
        }
        let named = |what: &str| {
            name.ok_or_else(|| {
                format!("It is {what}, in which arrays have names, and no name is set.")
            })
        };
        match start[..] {
            [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => match name {
                Some(name) => Err(format!(
                    "It is one array without a name, and `{name}` is set as its name. Remove that key."
                )),
                None => ArrayReader::of_npy(BufReader::new(file)),
            },
            [b'P', b'K', ..] => ArrayReader::of_npz(file, named("an archive (.npz)")?),
            [] => Err("It is empty.".to_owned()),
            _ => ArrayReader::of_safetensors(file, named("not a NumPy file")?),
        }
    }

    /// The array of a `.npy` file.
    ///
    /// # Errors
    /// A sentence, if it isn't an array of numbers.
    pub fn of_npy(mut source: impl Read + Send + 'static) -> Result<Self, String> {
        let header = read_header(&mut source)?;
        let element = Element::of_numpy(&header.element);
        let element = element.ok_or_else(|| wrong_type(&header.element))?;
        let reader = ArrayReader::new(header.shape, element, Box::new(source))?;
        if header.fortran_order { reader.in_c_order() } else { Ok(reader) }
    }

    fn of_npz(file: File, name: &str) -> Result<Self, String> {
        let damaged = |error: zip::result::ZipError| {
            format!("It isn't an archive of NumPy arrays (.npz), or is cut off ({error}).")
        };
        let reader = BufReader::new(file.try_clone().map_err(unreadable)?);
        let mut archive = ZipArchive::new(reader).map_err(damaged)?;
        let member = format!("{name}.npy");
        if !archive.file_names().any(|file| file == member) {
            let names = archive.file_names().filter_map(|file| file.strip_suffix(".npy"));
            let mut names: Vec<&str> = names.collect();
            names.sort_unstable();
            return Err(no_array(name, &names));
        }
        let (start, size, method) = {
            let member = archive.by_name(&member).map_err(damaged)?;
            (member.data_start(), member.compressed_size(), member.compression())
        };
        let mut file = file;
        file.seek(SeekFrom::Start(start)).map_err(unreadable)?;
        let data = BufReader::new(file.take(size));
        let array = match method {
            CompressionMethod::Stored => ArrayReader::of_npy(data),
            CompressionMethod::Deflated => ArrayReader::of_npy(DeflateDecoder::new(data)),
            other => Err(format!("It is compressed with {other}, which can't be read.")),
        };
        array.map_err(|reason| format!("Its array `{name}` can't be used. {reason}"))
    }

    fn of_safetensors(file: File, name: &str) -> Result<Self, String> {
        let tensors = TensorFile::new(file).map_err(|error| {
            format!(
                "It is none of .safetensors, .npz and .npy. As a safetensors file: {}",
                sentences(error.as_ref())
            )
        })?;
        let descriptions = tensors.descriptions();
        let Some(description) = descriptions.get(name) else {
            let names: Vec<&str> = descriptions.keys().map(String::as_str).collect();
            return Err(no_array(name, &names));
        };
        let element = Element::of_safetensors(description.dtype).ok_or_else(|| {
            format!("Its array `{name}`: {}", wrong_type(&format!("{:?}", description.dtype)))
        })?;
        let shape: Vec<usize> = description.shape.iter().map(|&n| n as usize).collect();
        let source = tensors.into_bytes(name).map_err(|error| sentences(error.as_ref()))?;
        ArrayReader::new(shape, element, Box::new(BufReader::new(source)))
            .map_err(|reason| format!("Its array `{name}` can't be used. {reason}"))
    }

    fn new(
        shape: Vec<usize>,
        element: Element,
        source: Box<dyn Read + Send>,
    ) -> Result<Self, String> {
        if shape.is_empty() {
            return Err(
                "It is a single number, and its first dimension must count samples.".to_owned()
            );
        }
        if shape.contains(&0) {
            return Err(format!("It has the shape {shape:?}, so it holds no elements."));
        }
        let bytes = shape.iter().try_fold(element.size(), |bytes, &n| bytes.checked_mul(n));
        if bytes.is_none_or(|bytes| i64::try_from(bytes).is_err()) {
            return Err(too_large(&format!("{shape:?}")));
        }
        Ok(ArrayReader { shape, element, source, read: 0 })
    }

    /// Its dimensions, outermost first.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its element type.
    pub fn element(&self) -> Element {
        self.element
    }

    /// The next rows, at most `most` of them; `None` at the end.
    ///
    /// # Errors
    /// A sentence, if the file ends before the array does.
    pub fn next_chunk(&mut self, most: usize) -> Result<Option<Array>, String> {
        let rows = most.min(self.shape[0] - self.read);
        if rows == 0 {
            return Ok(None);
        }
        let bytes = rows * self.shape[1..].iter().product::<usize>() * self.element.size();
        // Not allocated at once: a damaged header may promise more than there is.
        let mut data = Vec::new();
        let found = self.source.by_ref().take(bytes as u64).read_to_end(&mut data);
        if found.is_err() || data.len() < bytes {
            return Err(format!(
                "It is cut off or damaged: its header promises the shape {:?} of {}, and there is less.",
                self.shape, self.element
            ));
        }
        self.read += rows;
        let mut shape = self.shape.clone();
        shape[0] = rows;
        Array::new(&shape, self.element.decode(&data)?).map(Some)
    }

    /// All rows.
    ///
    /// # Errors
    /// As [`next_chunk`](Self::next_chunk); if chunks were read before.
    pub fn read_all(mut self) -> Result<Array, String> {
        let all = if self.read == 0 { self.next_chunk(usize::MAX)? } else { None };
        all.ok_or_else(|| "A part of it was read before.".to_owned())
    }

    /// All rows as floats, without all of them in the file's type at once.
    ///
    /// # Errors
    /// As [`next_chunk`](Self::next_chunk).
    pub fn read_floats(mut self) -> Result<Array, String> {
        let width: usize = self.shape[1..].iter().product();
        let most = (ELEMENTS_AT_ONCE / width).max(1);
        let mut values = Vec::new();
        while let Some(chunk) = self.next_chunk(most)? {
            values.extend(chunk.into_parts().1.into_floats());
        }
        Array::new(&self.shape, values)
    }

    /// The same array with the last dimension varying fastest, all of it in memory.
    fn in_c_order(mut self) -> Result<Self, String> {
        let size = self.element.size();
        let bytes = self.shape.iter().product::<usize>() * size;
        let mut data = Vec::new();
        let found = self.source.by_ref().take(bytes as u64).read_to_end(&mut data);
        if found.is_err() || data.len() < bytes {
            return Err(format!("It is cut off: its header promises the shape {:?}.", self.shape));
        }
        let mut strides = vec![size; self.shape.len()];
        for axis in 1..strides.len() {
            strides[axis] = strides[axis - 1] * self.shape[axis - 1];
        }
        let mut ordered = Vec::with_capacity(bytes);
        let mut index = vec![0; self.shape.len()];
        while ordered.len() < bytes {
            let at: usize = index.iter().zip(&strides).map(|(i, stride)| i * stride).sum();
            ordered.extend_from_slice(&data[at..at + size]);
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        self.source = Box::new(std::io::Cursor::new(ordered));
        Ok(self)
    }
}

/// The header of a `.npy` file.
#[derive(Debug, PartialEq)]
struct NpyHeader {
    /// The type in NumPy's notation, for example `<f4`.
    element: String,
    /// Whether the first dimension varies fastest.
    fortran_order: bool,
    shape: Vec<usize>,
}

/// Reads a header of bounded size.
fn read_header(source: &mut impl Read) -> Result<NpyHeader, String> {
    let mut bytes = Vec::new();
    let mut take = |count: usize| -> Result<Vec<u8>, String> {
        bytes.clear();
        let found = source.by_ref().take(count as u64).read_to_end(&mut bytes);
        if found.is_ok_and(|found| found == count) {
            Ok(bytes.clone())
        } else {
            Err("It is cut off in its header.".to_owned())
        }
    };
    let version = take(8)?;
    if !version.starts_with(b"\x93NUMPY") {
        return Err("It isn't a NumPy array (.npy).".to_owned());
    }
    let length = take(if version[6] == 1 { 2 } else { 4 })?;
    let length = length.iter().rev().fold(0, |length, &byte| length << 8 | usize::from(byte));
    if length > LARGEST_HEADER {
        return Err(format!(
            "Its header should have {length} bytes, and at most {LARGEST_HEADER} are allowed: it is damaged."
        ));
    }
    let text = take(length)?;
    let text = String::from_utf8_lossy(&text);
    NpyHeader::parse(&text)
        .ok_or_else(|| "Its header isn't that of an array of numbers, or is damaged.".to_owned())
}

impl NpyHeader {
    /// Parses a dictionary as NumPy writes it: `{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }`.
    fn parse(text: &str) -> Option<Self> {
        let value = |key: &str| {
            let (_, value) = text.split_once(&format!("'{key}':"))?;
            Some(value.trim_start())
        };
        let element = value("descr")?.strip_prefix('\'')?.split('\'').next()?.to_owned();
        let fortran_order = value("fortran_order")?.starts_with("True");
        let (shape, _) = value("shape")?.strip_prefix('(')?.split_once(')')?;
        let dimensions = shape.split(',').map(str::trim).filter(|number| !number.is_empty());
        let shape: Option<Vec<usize>> = dimensions.map(|number| number.parse().ok()).collect();
        Some(NpyHeader { element, fortran_order, shape: shape? })
    }
}

fn unreadable(cause: std::io::Error) -> String {
    format!("It can't be read: {}.", reason(&cause))
}

fn no_array(name: &str, names: &[&str]) -> String {
    match names {
        [] => format!("It has no array `{name}`, nor any other."),
        names => format!("It has no array `{name}`. Its arrays are {}.", listed(names)),
    }
}

fn wrong_type(found: &str) -> String {
    format!(
        "Its elements are of type {found}. Save it as float16, float32, float64, bool or integers of 8 to 64 bits."
    )
}

fn too_large(shape: &str) -> String {
    format!(
        "Its header promises the shape {shape}, which is more than memory can hold: it is damaged."
    )
}

#[cfg(test)]
mod tests;
