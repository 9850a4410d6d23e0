use super::*;

fn epoch(position: &mut Batches) -> Vec<Vec<usize>> {
    let mut all = Vec::new();
    loop {
        all.push(position.current().to_vec());
        if position.advance() {
            return all;
        }
    }
}

#[test]
fn every_sample_once_an_epoch_in_a_new_order() {
    let mut walk = Batches::new(10, 4, 7, 0, 0);
    assert_eq!(walk.per_epoch(), 3);
    let first = epoch(&mut walk);
    assert_eq!(first.iter().map(Vec::len).collect::<Vec<_>>(), [4, 4, 2]);
    let mut all = first.concat();
    all.sort_unstable();
    assert_eq!(all, (0..10).collect::<Vec<_>>());
    assert_eq!((walk.epoch(), walk.cursor()), (1, 0));
    assert_ne!(first, epoch(&mut walk));
}

#[test]
fn batches_resume_from_any_position() {
    let mut whole = Batches::new(100, 7, 3, 0, 0);
    let all: Vec<Vec<usize>> = (0..40)
        .map(|_| {
            let batch = whole.current().to_vec();
            whole.advance();
            batch
        })
        .collect();
    for (taken, batch) in all.iter().enumerate() {
        let per_epoch = whole.per_epoch();
        let walk = Batches::new(100, 7, 3, taken as u64 / per_epoch, taken as u64 % per_epoch);
        assert_eq!(walk.current(), &batch[..]);
    }
}

#[test]
fn several_processes_take_every_sample_once_and_each_gets_some() {
    for (count, batch_size, size) in
        [(100, 7, 3), (101, 10, 2), (9, 4, 2), (25, 4, 3), (24, 4, 3), (3, 8, 3), (50, 1, 4)]
    {
        let walk = |rank| Batches::new(count, batch_size, 7, 0, 0).for_rank(rank, size);
        let ranks: Vec<_> = (0..size).map(|rank| epoch(&mut walk(rank))).collect();
        assert!(ranks.iter().all(|batches| batches.len() == ranks[0].len()));
        assert_eq!(ranks[0].len() as u64, walk(0).per_epoch());
        let batches = || ranks.iter().flatten();
        assert_eq!(batches().map(Vec::len).min().unwrap(), walk(0).smallest_batch());
        assert!(batches().all(|batch| !batch.is_empty() && batch.len() <= batch_size + 1));
        let mut all: Vec<usize> = batches().flatten().copied().collect();
        // Each step has the samples of a single process with larger batches.
        let mut alone = Batches::new(count, batch_size * size, 7, 0, 0);
        let mut first: Vec<usize> = ranks.iter().flat_map(|batches| batches[0].clone()).collect();
        first.sort_unstable();
        let mut expected = alone.current().to_vec();
        expected.sort_unstable();
        if ranks[0].len() > 1 {
            assert_eq!(first, expected);
        }
        all.sort_unstable();
        assert_eq!(all, (0..count).collect::<Vec<_>>(), "{count}, {batch_size}, {size}");
        assert!(alone.per_epoch() >= walk(0).per_epoch());
        alone.advance();
    }
}

/// Runs of other versions can only resume if this order doesn't change: it is part of the checkpoint format. The
/// values come from `tests/golden/order.py`, an independent ChaCha8.
#[test]
fn the_order_of_seed_0_is_fixed() {
    assert_eq!(Batches::new(10, 10, 0, 0, 0).current(), FIRST);
    assert_eq!(Batches::new(10, 10, 0, 1, 0).current(), SECOND);
}

const FIRST: [usize; 10] = [8, 7, 1, 9, 0, 6, 4, 3, 2, 5];
const SECOND: [usize; 10] = [4, 2, 0, 1, 3, 8, 5, 6, 7, 9];

#[test]
fn shares_are_even_and_complete() {
    for (count, size) in [(10, 1), (10, 3), (2, 4), (0, 2), (12, 4)] {
        let shares: Vec<_> = (0..size).map(|rank| share(5..5 + count, rank, size)).collect();
        let all: Vec<usize> = shares.iter().cloned().flatten().collect();
        assert_eq!(all, (5..5 + count).collect::<Vec<_>>());
        let lengths: Vec<usize> = shares.iter().map(Range::len).collect();
        assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
    }
}

#[test]
fn a_step_has_the_samples_of_a_larger_batch_in_parts_of_almost_equal_size() {
    for (count, batch_size, accumulate, size) in [
        (100, 7, 3, 1),
        (101, 5, 4, 2),
        (9, 4, 2, 2),
        (25, 2, 3, 3),
        (3, 8, 5, 3),
        (50, 1, 4, 4),
        (12, 5, 4, 1),
    ] {
        let mut keys = std::collections::HashSet::new();
        let mut smallest = usize::MAX;
        for rank in 0..size {
            let walk = || Batches::new(count, batch_size, 7, 0, 0).for_rank(rank, size);
            let mut walk = walk().accumulating(accumulate);
            let mut large =
                Batches::new(count, batch_size * accumulate, 7, 0, 0).for_rank(rank, size);
            for _ in 0..2 * walk.per_epoch() {
                assert_eq!(walk.step_len(), large.current().len());
                let mut parts = Vec::new();
                loop {
                    assert!(keys.insert((walk.key().epoch, walk.key().cursor)), "drawn twice");
                    parts.push(walk.current().to_vec());
                    if !walk.next_part() {
                        break;
                    }
                }
                assert_eq!(parts.concat(), large.current());
                let sizes: Vec<usize> = parts.iter().map(Vec::len).collect();
                let (least, most) = (sizes.iter().min().unwrap(), sizes.iter().max().unwrap());
                assert!(parts.len() <= accumulate && most - least <= 1, "{sizes:?}");
                assert!(*most <= batch_size + 1, "{sizes:?}");
                smallest = smallest.min(*least);
                assert_eq!(walk.advance(), large.advance());
                assert_eq!((walk.epoch(), walk.cursor()), (large.epoch(), large.cursor()));
            }
        }
        let walk =
            Batches::new(count, batch_size, 7, 0, 0).for_rank(0, size).accumulating(accumulate);
        assert_eq!(smallest, walk.smallest_batch(), "{count} {batch_size} {accumulate} {size}");
    }
}
