//! What readers return: samples in chunks.

use std::path::Path;

use tch::Tensor;

use super::preparation::Preparation;

/// Samples for a model, and where they come from.
#[derive(Debug)]
pub(crate) struct Chunk<'a> {
    /// The prepared inputs, of shape (n, …).
    pub(crate) inputs: Tensor,
    /// Where they come from.
    pub(crate) origin: Origin<'a>,
}

/// Where the samples of a chunk come from.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Origin<'a> {
    /// Consecutive samples of one file.
    File {
        /// The file.
        name: &'a str,
        /// The number of the first one, counted from 1.
        first: usize,
    },
    /// A file each.
    Files(&'a [&'a Path]),
}

impl Origin<'_> {
    /// A sample of the chunk, for messages.
    pub(crate) fn describe(&self, index: usize) -> String {
        match self {
            Origin::File { name, first } => format!("sample {} of {name}", first + index),
            Origin::Files(files) => files[index].display().to_string(),
        }
    }
}

/// Where chunks go.
pub(crate) type Take<'a> = dyn FnMut(Chunk<'_>) -> anyhow::Result<()> + 'a;

/// Collects the values of one sample after the other, and hands them on in chunks.
pub(super) struct Chunks<'a> {
    name: &'a str,
    preparation: &'a Preparation,
    most: usize,
    take: &'a mut Take<'a>,
    values: Vec<f32>,
    /// The number of the first sample in `values`, counted from 1.
    first: usize,
    samples: usize,
}

impl<'a> Chunks<'a> {
    /// Chunks of at most `most` samples of the file `name`.
    pub(super) fn new(
        name: &'a str,
        preparation: &'a Preparation,
        most: usize,
        take: &'a mut Take<'a>,
    ) -> Self {
        Chunks { name, preparation, most, take, values: Vec::new(), first: 1, samples: 0 }
    }

    /// Adds a sample. `append` appends its raw values, as many as a sample has.
    ///
    /// # Errors
    /// Those of `append`, and of the receiver of a chunk that is now full.
    pub(super) fn add(
        &mut self,
        append: impl FnOnce(&mut Vec<f32>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        append(&mut self.values)?;
        self.samples += 1;
        if self.samples == self.most { self.flush() } else { Ok(()) }
    }

    /// Hands on the samples that are left.
    ///
    /// # Errors
    /// Those of the receiver.
    pub(super) fn finish(mut self) -> anyhow::Result<()> {
        self.flush()
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        if self.samples == 0 {
            return Ok(());
        }
        let inputs = self.preparation.batch(&Tensor::from_slice(&self.values), self.samples)?;
        (self.take)(Chunk { inputs, origin: Origin::File { name: self.name, first: self.first } })?;
        self.values.clear();
        self.first += std::mem::take(&mut self.samples);
        Ok(())
    }
}
