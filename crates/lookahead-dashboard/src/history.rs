//! A series of any length in bounded memory, in which no spike is ever lost.
//!
//! Points fall into buckets of an equal number of steps, each of which keeps the smallest and
//! the largest value. When the buckets run out their width doubles and neighbours merge, so a
//! run of any length costs the same memory, and a screen column, which is always wider than a
//! bucket of a full history, still shows the extremes of its steps.

/// Buckets of a series that is drawn: eight for each dot of a screen 250 columns wide, and about
/// 230 kB.
pub(crate) const DRAWN: usize = 4096;
/// Buckets of a series that is only looked up.
pub(crate) const LOOKED_UP: usize = 1024;

/// What is kept of some neighbouring points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) first_step: u64,
    pub(crate) last_step: u64,
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    /// A non-finite value came before some point of this bucket: no line leads here.
    pub(crate) gap_before: bool,
}

impl Bucket {
    /// Takes in a later bucket.
    pub(crate) fn absorb(&mut self, later: &Bucket) {
        self.last_step = later.last_step;
        self.last = later.last;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.gap_before |= later.gap_before;
    }
}

/// The points of one series, in the order of their steps.
#[derive(Debug, Clone)]
pub(crate) struct History {
    buckets: Vec<Bucket>,
    capacity: usize,
    /// Steps that share a bucket: a power of two.
    width: u64,
    gap: bool,
    newest: Option<f64>,
    non_finite: u64,
    first_non_finite: u64,
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        History {
            buckets: Vec::new(),
            capacity: capacity.max(2),
            width: 1,
            gap: false,
            newest: None,
            non_finite: 0,
            first_non_finite: 0,
        }
    }

    /// Takes in one point. A non-finite value is counted and leaves a gap; a step before the
    /// last one is not taken in, since a log that goes back says so with `resumed`.
    pub(crate) fn push(&mut self, step: u64, value: f64) {
        if self.buckets.last().is_some_and(|last| step < last.last_step) {
            return;
        }
        self.newest = Some(value);
        if !value.is_finite() {
            if self.non_finite == 0 {
                self.first_non_finite = step;
            }
            self.non_finite += 1;
            self.gap = true;
            return;
        }
        let point = Bucket {
            first_step: step,
            last_step: step,
            first: value,
            last: value,
            min: value,
            max: value,
            gap_before: std::mem::take(&mut self.gap),
        };
        match self.buckets.last_mut() {
            Some(last) if last.first_step / self.width == step / self.width => last.absorb(&point),
            _ => self.buckets.push(point),
        }
        if self.buckets.len() > self.capacity {
            self.coarsen();
        }
    }

    /// Doubles the width of the buckets until a quarter of them is free again; once is not
    /// enough where the points lie further apart than the width.
    fn coarsen(&mut self) {
        while self.buckets.len() > self.capacity / 4 * 3 && self.width < 1 << 62 {
            self.width *= 2;
            let width = self.width;
            self.buckets.dedup_by(|later, kept| {
                let same = later.first_step / width == kept.first_step / width;
                if same {
                    kept.absorb(later);
                }
                same
            });
        }
    }

    /// Forgets every point with a later step. A bucket that reaches beyond it goes as a whole:
    /// losing a sliver of the kept line is better than showing a value of the abandoned one.
    pub(crate) fn truncate_after(&mut self, step: u64) {
        while self.buckets.last().is_some_and(|last| last.last_step > step) {
            self.buckets.pop();
        }
        self.gap = false;
        self.newest = self.buckets.last().map(|last| last.last);
        if self.first_non_finite > step {
            self.non_finite = 0;
        }
    }

    pub(crate) fn buckets(&self) -> &[Bucket] {
        &self.buckets
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    /// The value of the last point, non-finite or not.
    pub(crate) fn newest(&self) -> Option<f64> {
        self.newest
    }

    /// The step of the last finite point.
    pub(crate) fn last_step(&self) -> Option<u64> {
        self.buckets.last().map(|last| last.last_step)
    }

    /// The largest finite value.
    pub(crate) fn max(&self) -> Option<f64> {
        self.buckets.iter().map(|bucket| bucket.max).reduce(f64::max)
    }

    /// How many values were not finite.
    pub(crate) fn non_finite(&self) -> u64 {
        self.non_finite
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator of the tests' own (Knuth's MMIX constants), so that they need no crate.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 = self
                .0
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            self.0 >> 33
        }
    }

    fn in_order(history: &History) {
        for bucket in history.buckets() {
            assert!(bucket.first_step <= bucket.last_step);
            assert!(bucket.min <= bucket.first && bucket.first <= bucket.max);
            assert!(bucket.min <= bucket.last && bucket.last <= bucket.max);
        }
        for pair in history.buckets().windows(2) {
            assert!(pair[0].last_step < pair[1].first_step);
        }
    }

    #[test]
    fn extremes_order_and_bound_survive_any_sequence() {
        for seed in 0..200 {
            let mut random = Random(seed);
            let capacity = 2 + (random.next() % 60) as usize;
            let mut history = History::new(capacity);
            let (mut step, mut min, mut max) = (0, f64::INFINITY, f64::NEG_INFINITY);
            let mut last = None;
            for _ in 0..random.next() % 3000 {
                step += random.next() % 7;
                let value = random.next() as f64 - 1e9;
                (min, max, last) = (min.min(value), max.max(value), Some(value));
                history.push(step, value);
                assert!(history.buckets().len() <= capacity);
            }
            in_order(&history);
            let kept = history.buckets();
            assert_eq!(kept.iter().map(|b| b.min).fold(f64::INFINITY, f64::min), min);
            assert_eq!(history.max().unwrap_or(f64::NEG_INFINITY), max);
            assert_eq!(history.newest(), last);
            assert_eq!(kept.last().map(|b| b.last), last);
        }
    }

    #[test]
    fn two_million_points_fit_into_the_same_memory() {
        let mut history = History::new(DRAWN);
        for step in 0..2_000_000 {
            let value = if step == 1_234_567 { 99.0 } else { 1.0 };
            history.push(step, value);
        }
        assert!(history.buckets().len() <= DRAWN);
        assert!(history.buckets().len() >= DRAWN / 4);
        assert!(history.buckets.capacity() * size_of::<Bucket>() < 600_000);
        assert_eq!(history.max(), Some(99.0));
        let spike = history.buckets().iter().find(|b| b.max == 99.0).unwrap();
        assert!(spike.first_step <= 1_234_567 && 1_234_567 <= spike.last_step);
        in_order(&history);
    }

    #[test]
    fn non_finite_values_split_and_are_counted() {
        let mut history = History::new(8);
        for (step, value) in [1.0, f64::NAN, f64::INFINITY, 2.0, 3.0].into_iter().enumerate() {
            history.push(step as u64, value);
        }
        assert_eq!(history.non_finite(), 2);
        let gaps: Vec<bool> = history.buckets().iter().map(|b| b.gap_before).collect();
        assert_eq!(gaps, [false, true, false]);
        history.push(9, f64::NAN);
        assert!(history.newest().unwrap().is_nan());
        assert_eq!(history.last_step(), Some(4));
    }

    #[test]
    fn a_gap_survives_merging() {
        let mut history = History::new(4);
        for step in 0..100 {
            history.push(step, if step == 40 { f64::NAN } else { 1.0 });
        }
        let gaps = history.buckets().iter().filter(|b| b.gap_before).count();
        assert_eq!(gaps, 1);
    }

    #[test]
    fn nothing_of_the_abandoned_line_stays() {
        for kept in [0, 1, 17, 500, 998, 999] {
            let mut history = History::new(16);
            for step in 0..1000 {
                history.push(step, if step > kept { 1e9 } else { step as f64 });
            }
            history.truncate_after(kept);
            assert!(history.max().is_none_or(|max| max <= kept as f64));
            assert!(history.newest().is_none_or(|newest| newest <= kept as f64));
            history.push(kept + 1, 5.0);
            in_order(&history);
        }
    }

    #[test]
    fn resuming_before_the_first_non_finite_value_forgets_its_count() {
        let mut history = History::new(16);
        history.push(1, 1.0);
        history.push(5, f64::NAN);
        history.truncate_after(5);
        assert_eq!(history.non_finite(), 1);
        history.truncate_after(4);
        assert_eq!(history.non_finite(), 0);
    }

    #[test]
    fn a_step_that_goes_back_is_not_taken_in() {
        let mut history = History::new(16);
        history.push(5, 1.0);
        history.push(3, 7.0);
        assert_eq!(history.buckets().len(), 1);
        assert_eq!(history.newest(), Some(1.0));
    }
}
