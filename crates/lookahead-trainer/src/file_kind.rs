//! Recognizes files that are not what was expected by their contents, and says what to do.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use lookahead_run::program_name;

use crate::hints::quoted;

/// A sentence about a Git LFS pointer or a web page that was saved instead of the file. No file of data or weights
/// begins like these.
pub fn stand_in(start: &[u8]) -> Option<&'static str> {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    let begins = |word: &str| {
        text.get(..word.len()).is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
    };
    if begins("version https://git-lfs.github.com/spec/") {
        return Some(
            "It is a Git LFS pointer, not the file itself. Run `git lfs pull` in its repository.",
        );
    }
    if ["<!doctype html", "<html", "<?xml", "<error"].into_iter().any(begins) {
        return Some(
            "It is a web page or a server's error message, saved instead of the file. Download the file itself, by \
             its \"raw\" or \"download\" link.",
        );
    }
    None
}

/// A sentence about a file of weights in another format than safetensors, with the command that converts it.
/// `None` if the format is unknown.
pub fn of_weights(path: &Path) -> Option<String> {
    let (mut file, start) = opened(path)?;
    if let Some(sentence) = stand_in(&start) {
        return Some(sentence.to_owned());
    }
    let (from, to) = (python_string(path), python_string(&path.with_extension("safetensors")));
    let state_dict = |what: &str, load: &str| {
        format!(
            "It is {what}, which can run any program when it is loaded, so it is not read. Convert it in \
             Python: `import torch; from safetensors.torch import save_file; w = {load}; save_file({{k: \
             v.clone().contiguous() for k, v in w.items() if torch.is_tensor(v)}}, {to})`."
        )
    };
    let checkpoint = |what: &str| {
        state_dict(
            what,
            &format!(
                "torch.load({from}, \"cpu\", weights_only=True); w = w.get(\"state_dict\", \
                 w.get(\"model_state_dict\", w))"
            ),
        )
    };
    Some(match start[..] {
        [b'P', b'K', 3, 4, ..] => match zip_contents(&mut file) {
            ZipContents::TorchScript => state_dict(
                "a TorchScript program",
                &format!("torch.jit.load({from}, \"cpu\").state_dict()"),
            ),
            ZipContents::PyTorch => checkpoint("a PyTorch checkpoint with a pickle in it"),
            ZipContents::Arrays => format!(
                "It is an archive of NumPy arrays. Convert it in Python: `import numpy; from \
                 safetensors.numpy import save_file; save_file(dict(numpy.load({from})), {to})`."
            ),
            ZipContents::Other => "It is a zip archive. Unpack it, and use the file of weights in it.".to_owned(),
            ZipContents::Cut => checkpoint(
                "a zip archive that is cut off, so get it again; if it is a PyTorch checkpoint, it contains a \
                 pickle",
            ),
        },
        [0x93, b'N', b'U', b'M', b'P', b'Y', ..] => format!(
            "It is one NumPy array without a name. Convert it in Python, with the variable's name instead of \
             NAME: `import numpy; from safetensors.numpy import save_file; save_file({{\"NAME\": \
             numpy.load({from})}}, {to})`."
        ),
        // The first bytes of PyTorch's format before 1.6.
        [0x80, 2, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, ..] => {
            checkpoint("a PyTorch checkpoint, a pickle,")
        }
        // The next byte of a pickle is an instruction, which is never 0. In a header's length it is.
        [0x80, 2..=5, next, ..] if next != 0 && !is_header(&start) => {
            "It is a pickle, which can run any program when it is loaded, so it is not read. In the program that \
             wrote it, save its arrays with `safetensors.numpy.save_file`, or tensors with \
             `safetensors.torch.save_file`."
                .to_owned()
        }
        [0x1f, 0x8b, ..] => "It is compressed. Run `gunzip` on it.".to_owned(),
        [0x89, b'H', b'D', b'F', ..] => format!(
            "It is an HDF5 file, as Keras writes. Convert it in Python; the names and orders of its arrays will \
             differ from this program's: `import h5py; from safetensors.numpy import save_file; w = {{}}; \
             h5py.File({from}).visititems(lambda k, v: w.update({{k.replace(\"/\", \".\"): v[()]}}) if \
             isinstance(v, h5py.Dataset) else None); save_file(w, {to})`."
        ),
        [b'{', ..] if contains(&start, b"\"weight_map\"") || contains(&start, b"\"metadata\"") => {
            "It is the index of weights in several files. Use one of them with `--init-partial`, or join them in one \
             file."
                .to_owned()
        }
        _ => return None,
    })
}

/// Why a file is not a TorchScript module, and how to make one of it. `None` if it looks like one.
pub fn of_module(path: &Path) -> Option<String> {
    const SCRIPT: &str = "`torch.jit.script(net).save(\"net.pt\")`";
    let (mut file, start) = opened(path)?;
    if let Some(sentence) = stand_in(&start) {
        return Some(sentence.to_owned());
    }
    let contents = start.starts_with(b"PK\x03\x04").then(|| zip_contents(&mut file));
    Some(match contents {
        Some(ZipContents::TorchScript) => return None,
        Some(ZipContents::Cut) => "It is a zip archive that is cut off. Get it again.".to_owned(),
        None if !matches!(start[..], [0x80, 2..=5, ..]) => {
            format!("It is not a TorchScript file. Make one in Python: {SCRIPT}.")
        }
        Some(ZipContents::PyTorch) | None => format!(
            "It is a PyTorch checkpoint, which has weights but no code. Make a TorchScript file in Python, with the \
             network's class: `net.load_state_dict(torch.load({}, \"cpu\")); torch.jit.script(net).save(\"net.pt\")`.",
            python_string(path)
        ),
        Some(_) => format!(
            "It is a zip archive without TorchScript in it, for example a program of `torch.export`, which can't be \
             trained. Make a TorchScript file in Python: {SCRIPT}."
        ),
    })
}

/// Whether a text is a table of data: lines with the same separators, two or more, and no `=`.
pub fn is_table(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let (Some(first), Some(second)) = (lines.next(), lines.next()) else { return false };
    let is_row = |line: &str| !line.contains('=') && !line.starts_with(['[', '#', '{']);
    is_row(first)
        && is_row(second)
        && [',', ';', '\t'].into_iter().any(|separator| {
            let count = first.matches(separator).count();
            count > 0 && count == second.matches(separator).count()
        })
}

/// A sentence about a file of arrays or weights where a config is expected. `None` if it is not one.
pub fn instead_of_config(path: &Path) -> Option<String> {
    let (_, start) = opened(path)?;
    let is_arrays = is_header(&start)
        || start.starts_with(b"PK\x03\x04")
        || start.starts_with(b"\x93NUMPY")
        || matches!(start[..], [0x80, 2..=5, next, ..] if next != 0);
    is_arrays.then(|| {
        let sentence = not_a_config(path, "a file of arrays or weights", "arrays");
        format!("{sentence} Weights are for `train CONFIG --init-from FILE`.")
    })
}

/// A sentence about a file of data where a config is expected, with the command that writes one.
pub fn not_a_config(path: &Path, what: &str, kind: &str) -> String {
    format!(
        "It is {what}, and a config is a TOML file that names it. Write one: `{} init {kind} --data {}`.",
        program_name(),
        quoted(path)
    )
}

/// A file and its first bytes.
fn opened(path: &Path) -> Option<(File, Vec<u8>)> {
    let mut file = lookahead_run::open_plain(path).ok()?;
    let mut start = Vec::new();
    Read::by_ref(&mut file).take(512).read_to_end(&mut start).ok()?;
    Some((file, start))
}

/// Whether a file begins like a safetensors file: with the length of the header, and its brace.
fn is_header(start: &[u8]) -> bool {
    matches!(start, [_, _, _, _, 0, 0, 0, 0, b'{', ..])
}

fn contains(bytes: &[u8], word: &[u8]) -> bool {
    bytes.windows(word.len()).any(|found| found == word)
}

fn python_string(path: &Path) -> String {
    format!("{:?}", path.display().to_string())
}

enum ZipContents {
    TorchScript,
    PyTorch,
    Arrays,
    Other,
    Cut,
}

/// The most bytes at an archive's end that are searched for names.
const DIRECTORY: u64 = 4 << 20;

/// The contents of a zip archive, by the names in the directory at its end.
fn zip_contents(file: &mut (impl Read + Seek)) -> ZipContents {
    let mut end = Vec::new();
    let read = file.seek(SeekFrom::End(0)).and_then(|size| {
        file.seek(SeekFrom::Start(size.saturating_sub(DIRECTORY)))?;
        file.take(DIRECTORY).read_to_end(&mut end)
    });
    let directory = end.windows(4).position(|found| found == b"PK\x01\x02").map(|at| &end[at..]);
    if read.is_err() || !contains(&end, b"PK\x05\x06") {
        return ZipContents::Cut;
    }
    let has = |name: &[u8]| directory.is_some_and(|directory| contains(directory, name));
    if has(b"/constants.pkl") {
        ZipContents::TorchScript
    } else if has(b"/data.pkl") {
        ZipContents::PyTorch
    } else if has(b".npy") {
        ZipContents::Arrays
    } else {
        ZipContents::Other
    }
}

#[cfg(test)]
mod tests;
