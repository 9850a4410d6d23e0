//! What any bytes may be given to: each function takes them as one kind of input and must neither
//! panic nor hang. Shared by the tests and the fuzz targets in `fuzz/`.
#![allow(dead_code, unreachable_pub)] // each fuzz target uses one of them

use std::io::{Cursor, Read, Write};
use std::path::Path;

use lookahead_run::checkpoint::sha256_of;
use lookahead_run::{EventLog, Manifest, control, log};
use lookahead_trainer::config::{Config, Override};
use lookahead_trainer::data::arrays::file::ArrayReader;
use lookahead_trainer::data::table::encoding::{Encoding, Missing};
use lookahead_trainer::data::table::fit::{Layout, Table};
use lookahead_trainer::data::table::reader::TableReader;
use lookahead_trainer::data::text::Text;
use lookahead_trainer::data::{archive, cifar, csv, gzip, idx};
use lookahead_trainer::registry::Registry;
use lookahead_trainer::tensor_file::TensorFile;
use serde_json::Value;

/// A target's name, and what is done with the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 13] = [
    ("config", config),
    ("idx", idx_file),
    ("cifar", cifar_file),
    ("csv", csv_file),
    ("table", table),
    ("npy", npy_file),
    ("gzip", gzip_file),
    ("archive", archive_file),
    ("text", text_file),
    ("safetensors", safetensors_file),
    ("manifest", manifest),
    ("event_log", event_log),
    ("control", control_message),
];

/// A config, and after a line of `%%` the values of `--set`, one a line.
pub fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, sets) = text.split_once("%%\n").unwrap_or((text, ""));
    let sets: Vec<Override> = sets.lines().filter_map(|line| line.parse().ok()).collect();
    if let Ok(loaded) = Config::parse(Registry::builtin().kinds(), "fuzzed.toml", text, &sets) {
        // What is accepted can be written, and is the same when it is read again.
        let written = loaded.config.to_toml();
        let again = Config::parse(Registry::builtin().kinds(), "written.toml", &written, &[]);
        assert_eq!(again.map(|loaded| loaded.config), Ok(loaded.config), "{written}");
    }
}

pub fn idx_file(bytes: &[u8]) {
    if let Ok(found) = idx::parse(bytes) {
        assert_eq!(found.dimensions.iter().product::<usize>(), found.values.len());
    }
}

pub fn cifar_file(bytes: &[u8]) {
    for (classes, coarse) in [(10, false), (100, true)] {
        if let Ok(batch) = cifar::parse(bytes, classes, coarse) {
            let found = batch.classes();
            assert!(found.iter().all(|class| *class < classes));
            assert_eq!(batch.pixels().len(), found.len() * 3072);
        }
    }
}

pub fn csv_file(bytes: &[u8]) {
    if let Ok(rows) = csv::parse(bytes, 3, 10) {
        assert_eq!(rows.pixels.len(), 3 * rows.labels.len());
        assert!(rows.labels.iter().all(|class| *class < 10));
    }
}

/// A table, and after a line of `%%` another one, to be read as the first one is encoded.
pub fn table(bytes: &[u8]) {
    let cut = bytes.windows(3).position(|found| found == b"%%\n");
    let (training, other) = cut.map_or((bytes, bytes), |at| (&bytes[..at], &bytes[at + 3..]));
    for missing in [Missing::Error, Missing::Zero] {
        let layout = Layout {
            delimiter: b',',
            target: "y".to_owned(),
            ignore: Vec::new(),
            categorical: Vec::new(),
            missing,
            task: None,
        };
        let Ok(table) = Table::scan(training, layout) else { continue };
        let Ok((encoding, _)) = table.fit(training, |row| row % 3 != 2) else { continue };
        // What a checkpoint keeps is the same when it is read again.
        let written = serde_json::to_string(&encoding).unwrap();
        let encoding: Encoding = serde_json::from_str(&written).unwrap();
        for file in [training, other] {
            let Ok(mut reader) = TableReader::new(file, &encoding) else { continue };
            while let Ok(Some(chunk)) = reader.next_chunk(2) {
                assert!((1..=2).contains(&chunk.rows()));
                assert_eq!(chunk.row_shape(), [encoding.width()]);
            }
        }
    }
}

/// A NumPy array, or what follows its first six bytes.
pub fn npy_file(bytes: &[u8]) {
    for file in [bytes.to_vec(), [b"\x93NUMPY", bytes].concat()] {
        let length = file.len();
        let Ok(reader) = ArrayReader::of_npy(Cursor::new(file)) else { continue };
        if let Ok(array) = reader.read_all() {
            // An empty dimension makes any other possible.
            let count: usize = array.shape().iter().product();
            assert!(count <= length, "{:?}", array.shape());
        }
    }
}

pub fn gzip_file(bytes: &[u8]) {
    const MOST: u64 = 1 << 16;
    if let Ok(found) = gzip::decompress(bytes, MOST) {
        assert!(found.len() as u64 <= MOST);
    }
}

/// A compressed archive, or one that is still to be compressed: by chance alone hardly any input
/// would be the former.
pub fn archive_file(bytes: &[u8]) {
    const MOST: u64 = 1 << 20;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
    encoder.write_all(bytes).unwrap();
    for archive in [bytes, &encoder.finish().unwrap()] {
        let mut found = 0;
        let take = |name: &str, file: &mut dyn Read| {
            assert!(["one", "two"].contains(&name));
            let cause = |cause: std::io::Error| cause.to_string();
            found += std::io::copy(file, &mut std::io::sink()).map_err(cause)?;
            Ok(())
        };
        let _ = archive::unpack(archive, "set", &["one", "two"], MOST, take);
        assert!(found <= MOST);
    }
}

pub fn text_file(bytes: &[u8]) {
    for length in [1, 7] {
        if let Ok(text) = Text::parse(bytes, length) {
            let characters = text.codes.iter().map(|&code| text.alphabet[code as usize]);
            assert_eq!(characters.collect::<String>().as_bytes(), bytes);
        }
    }
}

/// A file, or a header alone.
pub fn safetensors_file(bytes: &[u8]) {
    read_tensors(bytes);
    if let Some(file) = with_lengths(bytes) {
        read_tensors(&file);
    }
}

fn read_tensors(bytes: &[u8]) {
    let Ok(mut file) = TensorFile::new(Cursor::new(bytes)) else { return };
    let there = file.descriptions();
    if let Ok(tensors) = file.tensors() {
        assert!(tensors.iter().all(|(name, tensor)| tensor.size() == there[name].shape));
    }
}

/// A file with such a header and as much data as that promises: by chance alone hardly any input
/// would have the right lengths.
pub fn with_lengths(header: &[u8]) -> Option<Vec<u8>> {
    let value: Value = serde_json::from_slice(header).ok()?;
    let end = |tensor: &Value| tensor.get("data_offsets")?.get(1)?.as_u64();
    let end = value.as_object()?.values().filter_map(end).max().unwrap_or(0);
    let data = vec![1; usize::try_from(end).ok().filter(|&end| end <= 1 << 16)?];
    Some([&(header.len() as u64).to_le_bytes(), header, &data].concat())
}

pub fn manifest(bytes: &[u8]) {
    read_manifest(bytes);
    if let Some(text) = sealed(bytes) {
        read_manifest(text.as_bytes());
    }
}

fn read_manifest(bytes: &[u8]) {
    if let Ok(found) = Manifest::parse(Path::new("step-00000001"), bytes) {
        assert!(found.files.keys().all(|name| !name.contains('/') && !name.starts_with('.')));
        found.bytes();
    }
}

/// The manifest with a seal that is right, or else nothing that was changed would be read any further.
pub fn sealed(bytes: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(bytes).ok()?;
    let value: Value = serde_json::from_str(text).ok()?;
    let (before, after) = text.rsplit_once(value.get("sha256")?.as_str()?)?;
    let seal = sha256_of(format!("{before}{}{after}", "0".repeat(64)).as_bytes());
    Some(format!("{before}{seal}{after}"))
}

pub fn event_log(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("events.jsonl");
    std::fs::write(&path, bytes).unwrap();
    let Ok(before) = log::read(&path) else { return };
    // What can be read can be gone on with.
    let record = lookahead_run::event::Record::now(u64::MAX, lookahead_run::event::Event::Paused);
    EventLog::open(&path).and_then(|mut log| log.append(&record)).unwrap();
    assert_eq!(log::read(&path).unwrap().len(), before.len() + 1);
}

pub fn control_message(bytes: &[u8]) {
    let _ = control::parse(bytes);
}
