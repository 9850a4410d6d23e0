//! A text in UTF-8, from which a model learns to predict the next character.
//!
//! The alphabet is the distinct characters of the whole file, in the order of their code points. The file is
//! cut into sequences of `data.length` characters; the targets are the characters that follow. The last
//! sequences, by default a twentieth, are the test set, and those just before it are the validation set.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::anyhow;
use lookahead_run::checkpoint::fingerprint_of;
use lookahead_run::event::Task;
use serde::{Deserialize, Serialize};
use tch::{Device, Tensor};

use super::dataset::{Batch, Dataset, LoadContext, Samples, on_device};
use super::gzip;
use super::random::SampleKey;
use super::spec::{DataSpec, Inputs};
use super::split::test_samples;
use crate::config::issue::ConfigIssue;
use crate::config::key::Key;
use crate::config::kinds::KindOptions;
use crate::file_kind::stand_in;
use crate::usage::UsageError;

/// The keys of `[data]` for a text.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TextOptions {
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<PathBuf>,
    /// The part of the sequences that is the test set. Without it, a twentieth, rounded down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub test_fraction: Option<f64>,
    /// Characters in a sequence.
    pub length: usize,
}

impl Default for TextOptions {
    fn default() -> Self {
        TextOptions { file: None, test_fraction: None, length: 64 }
    }
}

/// The most bytes of a text.
const LARGEST: usize = 1 << 26;

impl KindOptions for TextOptions {
    const KEYS: &'static [Key] = &[
        Key::path(
            "file",
            "any text in UTF-8, or in UTF-16 with a byte order mark; stored as an absolute path. Its characters are \
             the tokens. The test set is the end of it, and the validation set comes just before",
        )
        .required("\"book.txt\""),
        Key::number("test_fraction", "the part that becomes the test set: the last sequences")
            .at_least(0.0)
            .below(1.0)
            .default("0.05, rounded down")
            .example("0.1"),
        Key::whole("length", "characters per sequence").at_least(1.0).at_most(65536.0),
    ];
    const TASKS: &'static [Task] = &[Task::Language];
    const VALIDATION: Option<usize> = Some(100);

    fn about(_kind: &str) -> &'static str {
        "a text of your own, learned character by character"
    }

    fn starter(_kind: &str) -> &'static str {
        r#"
[data]
batch_size = 16

[model]
kind = "lstm"
dropout = 0.2

[optimizer]
kind = "adam"
lr = 0.002

[train]
epochs = 30
"#
    }

    fn check(&self) -> Result<(), ConfigIssue> {
        if self.file.is_none() {
            return Err(ConfigIssue::new(
                "data.kind",
                "`data.kind` is text, but `data.file` is missing. Name a file of text in UTF-8, for example \
                 `--set data.file=README.md`.",
            ));
        }
        Ok(())
    }
}

/// Reads the text and cuts it into sequences.
pub fn load(options: TextOptions, context: &LoadContext) -> anyhow::Result<Dataset> {
    let path = options.file.unwrap_or_default();
    let length = options.length;
    let text = gzip::read(&path).and_then(|bytes| {
        // A web page is a text to learn from, but a Git LFS pointer is not.
        if let Some(sentence) = stand_in(&bytes).filter(|_| bytes.starts_with(b"version ")) {
            return Err(sentence.to_owned());
        }
        Text::parse(lookahead_run::text::decode(bytes)?.as_bytes(), length)
    });
    let text = text.map_err(|reason| {
        anyhow!("The text {} of `data.file` can't be used. {reason}", path.display())
    })?;
    let text = Arc::new(text);
    let count = (text.codes.len() - 1) / length;
    let test = match options.test_fraction {
        Some(fraction) => test_samples(count, fraction),
        None => (count / 20).max(1),
    };
    let before = count - test;
    let validation = context.validation_samples(before).map_err(|usage| {
        UsageError::new(format!(
            "{usage} (The text makes {count} sequences of `data.length` {length}, of which {test} are for tests. \
             A smaller `data.length` makes more.)"
        ))
    })?;
    let train = before - validation;
    let part = |range: Range<usize>| Arc::new(Sequences { text: Arc::clone(&text), range });
    let inputs = Inputs::raw(&[length], &["character"], "int64");
    Ok(Dataset {
        name: context.name,
        spec: DataSpec {
            alphabet: Some(text.alphabet.iter().collect()),
            ..DataSpec::new(context.name, Task::Language, inputs, text.alphabet.len())
        },
        train: part(0..train),
        validation: part(train..before),
        test: part(before..count),
    })
}

/// A text as numbers.
#[derive(Debug, PartialEq, Eq)]
pub struct Text {
    /// The distinct characters, sorted.
    pub alphabet: Vec<char>,
    /// The position of each character of the text in the alphabet.
    pub codes: Vec<i32>,
    /// Characters in a sequence.
    length: usize,
    fingerprint: i64,
}

impl Text {
    /// Reads a text that will be cut into sequences.
    ///
    /// # Errors
    /// A sentence, if it is not text in UTF-8, or too long or too short to learn from.
    pub fn parse(bytes: &[u8], length: usize) -> Result<Self, String> {
        if bytes.len() > LARGEST {
            let found = bytes.len();
            return Err(format!("It has {found} bytes, and it may have at most {LARGEST}."));
        }
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            format!("It is not text in UTF-8: the byte {at}, counted from 0, begins no character.")
        })?;
        let mut alphabet: Vec<char> = text.chars().collect();
        // One more than two sequences: the last character is only a target.
        let (found, least) = (alphabet.len(), 2 * length + 1);
        if found < least {
            return Err(format!(
                "It has {found} characters, and at least {least} are needed: a sequence of `data.length`, \
                 {length}, for training, another for tests, and one more."
            ));
        }
        alphabet.sort_unstable();
        alphabet.dedup();
        if let [only] = alphabet[..] {
            return Err(format!("It has no character but {only:?}, so there is nothing to learn."));
        }
        let code = |c| alphabet.binary_search(&c).unwrap_or_default() as i32;
        let codes = text.chars().map(code).collect();
        Ok(Text { alphabet, codes, length, fingerprint: fingerprint_of(bytes) })
    }
}

/// Consecutive sequences of a text.
#[derive(Debug)]
struct Sequences {
    text: Arc<Text>,
    range: Range<usize>,
}

impl Sequences {
    /// `i64` of shape (n, length), and the character after each one.
    fn batch(&self, sequences: impl Iterator<Item = usize> + Clone, device: Device) -> Batch {
        let length = self.text.length;
        let shifted = |shift: usize| {
            let sequence = |sequence| {
                let start = (self.range.start + sequence) * length + shift;
                &self.text.codes[start..start + length]
            };
            let codes: Vec<i64> =
                sequences.clone().flat_map(sequence).map(|&code| code.into()).collect();
            on_device(Tensor::from_slice(&codes), device).reshape([-1, length as i64])
        };
        Batch { inputs: shifted(0), targets: shifted(1) }
    }
}

impl Samples for Sequences {
    fn len(&self) -> usize {
        self.range.len()
    }

    fn slice(&self, range: Range<usize>, device: Device) -> anyhow::Result<Batch> {
        Ok(self.batch(range, device))
    }

    fn gather(&self, indices: &[usize], _: SampleKey, device: Device) -> anyhow::Result<Batch> {
        Ok(self.batch(indices.iter().copied(), device))
    }

    fn fingerprint(&self) -> Option<i64> {
        Some(self.text.fingerprint)
    }
}

#[cfg(test)]
mod tests;
