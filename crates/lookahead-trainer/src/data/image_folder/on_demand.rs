//! Images that are decoded when a batch needs them.

use std::ops::Range;
use std::path::Path;

use anyhow::bail;
use tch::Device;

use super::on_error::with_remedy;
use super::scan::ImageFile;
use crate::data::dataset::{Batch, Samples};
use crate::data::image_file::{PixelLayout, decode, for_each_file};
use crate::data::images::Images;
use crate::data::random::SampleKey;

/// Image files. A batch of them is equal, to the bit, to one of [`Images`] in memory.
#[derive(Debug)]
pub(super) struct OnDemand {
    pub(super) files: Vec<ImageFile>,
    pub(super) layout: PixelLayout,
    /// What the images of a batch are read into: labels of all files, and no pixels.
    pub(super) images: Images,
}

impl OnDemand {
    /// The images with these indices.
    fn read(&self, indices: &[usize]) -> anyhow::Result<Images> {
        let files: Vec<&ImageFile> = indices.iter().map(|&index| &self.files[index]).collect();
        let mut pixels = vec![0; files.len() * self.layout.bytes()];
        let out = (&mut pixels[..], self.layout.bytes());
        let decode = |path: &Path, out: &mut [u8]| decode(path, self.layout, out);
        if let Some(broken) = for_each_file(&files, out, false, decode).first() {
            bail!(with_remedy(&broken.error));
        }
        let labels = indices.iter().map(|&index| self.images.labels[index]).collect();
        Ok(self.images.with(pixels, labels))
    }
}

impl Samples for OnDemand {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn slice(&self, range: Range<usize>, device: Device) -> anyhow::Result<Batch> {
        let indices: Vec<usize> = range.collect();
        self.read(&indices)?.slice(0..indices.len(), device)
    }

    fn gather(&self, indices: &[usize], key: SampleKey, device: Device) -> anyhow::Result<Batch> {
        let all: Vec<usize> = (0..indices.len()).collect();
        self.read(indices)?.gather(&all, key, device)
    }

    fn is_on_demand(&self) -> bool {
        true
    }

    fn fingerprint(&self) -> Option<i64> {
        self.images.fingerprint
    }
}
