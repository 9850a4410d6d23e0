//! The training batches, one after the other. If the data is read on demand, a thread prepares the next ones while a
//! step computes.
//!
//! The thread walks the same [`Batches`] as the training, ahead of it, so the order and the random changes don't
//! depend on how fast it is.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;

use anyhow::Context;
use tch::Device;

use super::batches::Batches;
use super::dataset::{Batch, Samples, on_device};
use super::random::SampleKey;
use crate::panics::caught;

/// Batches that are ready before they are needed, besides the one in preparation. One evens out samples that take
/// longer than others.
const READY: usize = 1;

/// The training batches, and the position in them.
#[derive(Debug)]
pub struct Loader {
    samples: Arc<dyn Samples>,
    batches: Batches,
    ahead: Option<Ahead>,
}

/// A thread that prepares batches.
#[derive(Debug)]
struct Ahead {
    /// Until the thread is stopped.
    prepared: Option<Receiver<Prepared>>,
    thread: Option<JoinHandle<()>>,
}

/// A batch in the CPU's memory, or why there is none.
#[derive(Debug)]
struct Prepared {
    key: SampleKey,
    batch: anyhow::Result<Batch>,
}

impl Loader {
    /// The batches of these samples from a position on.
    pub fn new(samples: Arc<dyn Samples>, batches: Batches) -> Self {
        Loader { samples, batches, ahead: None }
    }

    /// The position.
    pub fn batches(&self) -> &Batches {
        &self.batches
    }

    /// The current batch, on a device.
    ///
    /// # Errors
    /// If a sample can't be read.
    pub fn load(&mut self, device: Device) -> anyhow::Result<Batch> {
        let key = self.batches.key();
        if !self.samples.is_on_demand() {
            return self.samples.gather(self.batches.current(), key, device);
        }
        let batch = loop {
            let ahead = match self.ahead.take() {
                Some(ahead) => ahead,
                None => Ahead::of(Arc::clone(&self.samples), self.batches.clone())?,
            };
            let prepared = ahead.next()?;
            // It is elsewhere if a batch was left out, for example. Then it restarts here.
            if prepared.key == key {
                // After an error it restarts too.
                let batch = prepared.batch?;
                self.ahead = Some(ahead);
                break batch;
            }
        };
        Ok(Batch {
            inputs: on_device(batch.inputs, device),
            targets: on_device(batch.targets, device),
        })
    }

    /// Moves to the next batch of this step; false if there is none.
    pub fn next_part(&mut self) -> bool {
        self.batches.next_part()
    }

    /// Moves to the next step; whether that completed an epoch.
    pub fn advance(&mut self) -> bool {
        self.batches.advance()
    }

    /// Moves to another position.
    pub fn set_position(&mut self, batches: Batches) {
        self.ahead = None;
        self.batches = batches;
    }
}

impl Ahead {
    fn of(samples: Arc<dyn Samples>, mut batches: Batches) -> anyhow::Result<Self> {
        let (sender, prepared) = sync_channel(READY);
        let work = move || loop {
            let key = batches.key();
            let batch = caught(|| samples.gather(batches.current(), key, Device::Cpu));
            let failed = batch.is_err();
            // The training ends, or is elsewhere.
            if sender.send(Prepared { key, batch }).is_err() || failed {
                return;
            }
            if !batches.next_part() {
                batches.advance();
            }
        };
        let thread = std::thread::Builder::new().name("loader".to_owned()).spawn(work);
        let thread = thread.context("The system refuses a thread that reads the data.")?;
        Ok(Ahead { prepared: Some(prepared), thread: Some(thread) })
    }

    /// Waits for the next batch.
    fn next(&self) -> anyhow::Result<Prepared> {
        let prepared = self.prepared.as_ref().and_then(|prepared| prepared.recv().ok());
        prepared.context("The thread that reads the data has ended without a batch.")
    }
}

impl Drop for Ahead {
    /// Stops the thread. A batch in preparation is finished first: the thread must not call libtorch while the
    /// process ends.
    fn drop(&mut self) {
        self.prepared = None;
        if let Some(thread) = self.thread.take() {
            // Its panics have become errors.
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests;
