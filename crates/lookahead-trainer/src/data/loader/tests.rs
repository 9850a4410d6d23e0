use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::bail;
use tch::Tensor;

use super::*;

/// Ten samples that are read on demand, some of them slowly. One gather may fail: with a sentence, or by a panic.
#[derive(Debug, Default)]
struct OnDemand {
    in_memory: bool,
    slowness: u64,
    read: AtomicUsize,
    /// Which gather fails, and how: 0 is a sentence.
    broken: Option<(usize, usize)>,
}

impl Samples for OnDemand {
    fn len(&self) -> usize {
        10
    }

    fn slice(&self, _: Range<usize>, _: Device) -> anyhow::Result<Batch> {
        unreachable!("there is no evaluation")
    }

    /// The samples' numbers, and the key.
    fn gather(&self, indices: &[usize], key: SampleKey, _: Device) -> anyhow::Result<Batch> {
        let count = self.read.fetch_add(1, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(self.slowness * (indices[0] as u64 % 3)));
        match self.broken {
            Some((at, 0)) if at == count => bail!("The image cat.png is cut off."),
            Some((at, _)) if at == count => panic!("no such sample"),
            _ => {}
        }
        let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        let key = [key.seed, key.epoch, key.cursor].map(|part| part as i64);
        Ok(Batch { inputs: Tensor::from_slice(&indices), targets: Tensor::from_slice(&key) })
    }

    fn is_on_demand(&self) -> bool {
        !self.in_memory
    }
}

fn numbers(batch: Batch) -> (Vec<i64>, Vec<i64>) {
    (Vec::try_from(batch.inputs).unwrap(), Vec::try_from(batch.targets).unwrap())
}

/// Steps of 3 samples, or of two times 2, from the middle of an epoch on, over three ends of epochs.
fn taken(samples: &Arc<OnDemand>, rank: usize, size: usize) -> Vec<(Vec<i64>, Vec<i64>)> {
    let mut all = Vec::new();
    for batches in [Batches::new(10, 3, 7, 1, 1), Batches::new(10, 2, 7, 1, 1).accumulating(2)] {
        let mut loader = Loader::new(samples.clone(), batches.for_rank(rank, size));
        for _ in 0..3 * loader.batches().per_epoch() {
            loop {
                let batch = loader.load(Device::Cpu).unwrap();
                // A batch that takes a while, or none.
                std::thread::sleep(Duration::from_millis(loader.batches().cursor()));
                all.push(numbers(batch));
                if !loader.next_part() {
                    break;
                }
            }
            loader.advance();
        }
    }
    all
}

#[test]
fn the_order_does_not_depend_on_who_is_faster() {
    for (rank, size) in [(0, 1), (0, 2), (1, 2)] {
        let direct = Arc::new(OnDemand { in_memory: true, ..OnDemand::default() });
        let expected = taken(&direct, rank, size);
        assert_eq!(direct.read.load(Ordering::SeqCst), expected.len(), "nothing is read ahead");
        for slowness in [0, 3] {
            let samples = Arc::new(OnDemand { slowness, ..OnDemand::default() });
            assert_eq!(taken(&samples, rank, size), expected, "rank {rank} of {size}");
            // The loader is gone, and its thread with it.
            assert_eq!(Arc::strong_count(&samples), 1);
        }
    }
}

#[test]
fn the_next_batches_are_read_during_a_step_and_no_more() {
    let samples = Arc::new(OnDemand::default());
    let mut loader = Loader::new(samples.clone(), Batches::new(10, 2, 0, 0, 0));
    drop(loader.load(Device::Cpu).unwrap());
    for _ in 0..500 {
        if samples.read.load(Ordering::SeqCst) == 3 {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    std::thread::sleep(Duration::from_millis(20));
    // One is taken, one is ready, and one waits for its place.
    assert_eq!(samples.read.load(Ordering::SeqCst), 3);
    drop(loader);
    assert_eq!(Arc::strong_count(&samples), 1);
}

#[test]
fn a_new_position_holds_at_once() {
    let samples = Arc::new(OnDemand::default());
    let mut loader = Loader::new(samples.clone(), Batches::new(10, 4, 7, 0, 0));
    drop(loader.load(Device::Cpu).unwrap());
    let elsewhere = Batches::new(10, 4, 7, 5, 1);
    let expected: Vec<i64> = elsewhere.current().iter().map(|&index| index as i64).collect();
    loader.set_position(elsewhere);
    assert_eq!(numbers(loader.load(Device::Cpu).unwrap()), (expected.clone(), vec![7, 5, 1]));
    // The same batch again, and one that is left out.
    assert_eq!(numbers(loader.load(Device::Cpu).unwrap()).0, expected);
    loader.advance();
    loader.advance();
    let (_, key) = numbers(loader.load(Device::Cpu).unwrap());
    assert_eq!(key, [7, 6, 0]);
}

#[test]
fn an_error_or_a_panic_is_that_of_its_own_step() {
    for (kind, sentence) in [(0, "The image cat.png is cut off."), (1, "no such sample")] {
        let samples = Arc::new(OnDemand { broken: Some((2, kind)), ..OnDemand::default() });
        let mut loader = Loader::new(samples.clone(), Batches::new(10, 3, 0, 0, 0));
        for _ in 0..2 {
            drop(loader.load(Device::Cpu).unwrap());
            loader.advance();
        }
        let error = loader.load(Device::Cpu).unwrap_err();
        assert!(format!("{error:#}").contains(sentence), "{error:#}");
        // It was broken only once.
        let (_, key) = numbers(loader.load(Device::Cpu).unwrap());
        assert_eq!(key, [0, 0, 2]);
    }
}
