//! A text in UTF-8, character by character: which one comes next?
//!
//! The symbols are the distinct characters of the whole file, in the order of their numbers. The file
//! is cut into pieces of `data.length`, each with the symbols that come after those of it. The last
//! twentieth of the pieces is for tests, those just before it are for validation.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use lookahead_run::checkpoint::fingerprint_of;
use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::dataset::{
    Batch, Dataset, LoadContext, Problem, Samples, on_device, validation_samples,
};
use super::gzip;
use super::random::SampleKey;
use super::signature::{Inputs, Signature};
use crate::config::check::{ConfigIssue, require};
use crate::config::kinds::KindOptions;
use crate::file_kind::stand_in;
use crate::usage::UsageError;

/// Options of the data set.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextOptions {
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// Characters in a sequence.
    pub length: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        TextOptions { file: None, length: 64 }
    }
}

/// Most bytes of a text.
const LARGEST: usize = 1 << 26;

/// Most symbols of a piece.
const LONGEST: usize = 1 << 16;

impl KindOptions for TextOptions {
    fn check(&self) -> Result<(), ConfigIssue> {
        if self.file.is_none() {
            return Err(ConfigIssue::new(
                "data.kind",
                "`data.kind` is text, and `data.file` is missing: name a file of text in UTF-8, such as \
             by `--set data.file=README.md`.",
            ));
        }
        let length = self.length;
        let allowed = format!("from 1 to {LONGEST}: characters in a piece");
        require((1..=LONGEST).contains(&length), "data.length", length, &allowed)
    }
}

/// Reads the text and cuts it into sequences.
///
/// # Errors
/// If it can't be read, is not text in UTF-8, or is too short.
pub fn load(options: TextOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let path = options.file.unwrap_or_default();
    let length = options.length;
    let text = gzip::read(&path).and_then(|bytes| {
        // A page is a text; a pointer is none that anyone wants to learn from.
        if let Some(sentence) = stand_in(&bytes).filter(|_| bytes.starts_with(b"version ")) {
            return Err(sentence.to_owned());
        }
        Text::parse(lookahead_run::text::decode(bytes)?.as_bytes(), length)
    });
    let text = text.map_err(|reason| {
        anyhow!("The text {} can't be used. {reason} `data.file` names it.", path.display())
    })?;
    let text = Arc::new(text);
    let pieces = (text.symbols.len() - 1) / length;
    let test = (pieces / 20).max(1);
    let before = pieces - test;
    let train =
        before - validation_samples(context, before).map_err(|usage| too_short(&usage, pieces))?;
    let part = |range: Range<usize>| Box::new(Pieces { text: Arc::clone(&text), range });
    Ok(Dataset {
        name: context.name,
        problem: Problem::Text { symbols: text.alphabet.len(), length },
        signature: Signature {
            data: context.name.to_owned(),
            task: Task::Language,
            inputs: Inputs::raw(&[length], &["character"], "int64"),
            outputs: Some(text.alphabet.len()),
            classes: None,
            alphabet: Some(text.alphabet.iter().collect()),
        },
        train: part(0..train),
        validation: part(train..before),
        test: part(before..pieces),
    })
}

fn too_short(usage: &UsageError, pieces: usize) -> UsageError {
    UsageError::new(format!(
        "{usage} (The text makes {pieces} pieces of `data.length`, of which the last twentieth, and \
         at least one, is for tests: shorter pieces are more of them.)"
    ))
}

/// A text in symbols.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    /// The character of each symbol.
    pub alphabet: Vec<char>,
    /// The number of each character.
    pub symbols: Vec<i32>,
    /// Symbols in a piece.
    length: usize,
    fingerprint: i64,
}

impl Text {
    /// Reads a text that is to be cut into pieces.
    ///
    /// # Errors
    /// A sentence, where it is no text in UTF-8, or too long or too short to learn from.
    pub fn parse(bytes: &[u8], length: usize) -> Result<Self, String> {
        if bytes.len() > LARGEST {
            let found = bytes.len();
            return Err(format!("It has {found} bytes, and it may have at most {LARGEST}."));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            format!("It is no text in UTF-8: the byte {at}, counted from 0, begins no character.")
        })?;
        let mut alphabet: Vec<char> = text.chars().collect();
        // One more than two pieces: the last symbol is only a target.
        let (found, least) = (alphabet.len(), 2 * length + 1);
        if found < least {
            return Err(format!(
                "It has {found} characters, and at least {least} are needed: a piece of \
                 `data.length`, {length}, to train on, another for tests, and one more."
            ));
        }
        alphabet.sort_unstable();
        alphabet.dedup();
        if let [only] = alphabet[..] {
            return Err(format!("It has no character but {only:?}: there is nothing to learn."));
        }
        let symbol = |c| alphabet.binary_search(&c).unwrap_or_default() as i32;
        let symbols = text.chars().map(symbol).collect();
        Ok(Text { alphabet, symbols, length, fingerprint: fingerprint_of(bytes) })
    }
}

/// Consecutive pieces of a text.
#[derive(Debug)]
struct Pieces {
    text: Arc<Text>,
    range: Range<usize>,
}

impl Pieces {
    /// `i64` of shape (n, length), and the symbol after each.
    fn batch(&self, pieces: impl Iterator<Item = usize> + Clone, device: Device) -> Batch {
        let length = self.text.length;
        let from = |ahead: usize| {
            let piece = |piece| {
                let start = (self.range.start + piece) * length + ahead;
                &self.text.symbols[start..start + length]
            };
            let symbols: Vec<i64> =
                pieces.clone().flat_map(piece).map(|&symbol| symbol.into()).collect();
            on_device(Tensor::from_slice(&symbols), device).reshape([-1, length as i64])
        };
        Batch { inputs: from(0), targets: from(1) }
    }
}

impl Samples for Pieces {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn slice(&self, range: Range<usize>, device: Device) -> Batch {
        self.batch(range, device)
    }

    fn gather(&self, indices: &[usize], _: SampleKey, device: Device) -> Batch {
        self.batch(indices.iter().copied(), device)
    }

    fn fingerprint(&self) -> Option<i64> {
        Some(self.text.fingerprint)
    }
}

#[cfg(test)]
mod tests;
