//! A series of any length in bounded memory, in which no spike is ever lost.
//!
//! It is a pyramid. The lowest level holds buckets of an equal number of neighbouring points, each
//! with its smallest and largest value; every level above holds one bucket for two of the level
//! below. A picture takes the level whose buckets are about as fine as its columns, so its cost
//! depends on its width and not on the length of the run. Once the lowest level is full it goes, and
//! the next one, of half as many buckets, takes its place: 4 MiB at most, at any length.

use std::collections::VecDeque;

/// Buckets of the lowest level at most. With 16,384 of them left after each time the level goes, a
/// run can be zoomed into at least thirty times before buckets are wider than the columns of a
/// screen of 250 cells.
pub(crate) const CAPACITY: usize = 1 << 15;
/// Stretches of non-finite values that are told apart.
const GAPS: usize = 1024;

/// What is kept of some neighbouring points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Bucket {
    pub(crate) first_step: u64,
    pub(crate) last_step: u64,
    pub(crate) first: f64,
    pub(crate) last: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    sum: f64,
    pub(crate) count: u32,
    /// A non-finite value came just before its first point: no line leads here.
    pub(crate) gap_before: bool,
    /// One came between two of its points.
    pub(crate) gap_inside: bool,
}

impl Bucket {
    pub(crate) fn of(step: u64, value: f64) -> Self {
        Bucket {
            first_step: step,
            last_step: step,
            first: value,
            last: value,
            min: value,
            max: value,
            sum: value,
            count: 1,
            gap_before: false,
            gap_inside: false,
        }
    }

    /// Takes in a later bucket.
    pub(crate) fn absorb(&mut self, later: &Bucket) {
        self.last_step = later.last_step;
        self.last = later.last;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.sum += later.sum;
        self.count = self.count.saturating_add(later.count);
        self.gap_inside |= later.gap_before || later.gap_inside;
    }

    /// The mean of its points.
    pub(crate) fn mean(&self) -> f64 {
        let mean = self.sum / f64::from(self.count);
        // The sum of huge values may have overflowed.
        if mean.is_finite() { mean } else { self.last }
    }
}

/// A stretch of steps without a finite value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Values in it.
    count: u64,
}

/// Which part of a series, and how finely.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    first: u64,
    last: u64,
    at_least: usize,
}

/// The points of one series, in the order of their steps.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// Full buckets, the finest first. A level has one for every two of the level below, rounded
    /// down.
    levels: VecDeque<Vec<Bucket>>,
    /// Points in a full bucket of the lowest level: a power of two.
    width: u32,
    /// The points after the last full bucket.
    open: Option<Bucket>,
    capacity: usize,
    gap: bool,
    newest: Option<f64>,
    newest_step: Option<u64>,
    gaps: Vec<Gap>,
}

impl Default for History {
    fn default() -> Self {
        History::new(CAPACITY)
    }
}

impl History {
    pub(crate) fn new(capacity: usize) -> Self {
        History {
            levels: VecDeque::from([Vec::new()]),
            width: 1,
            open: None,
            capacity: capacity.max(2),
            gap: false,
            newest: None,
            newest_step: None,
            gaps: Vec::new(),
        }
    }

    /// Takes in one point. A non-finite value is counted and leaves a gap; a step before the
    /// last one is not taken in, since a log that goes back says so with `resumed`.
    pub(crate) fn push(&mut self, step: u64, value: f64) {
        if self.newest_step.is_some_and(|newest| step < newest) {
            return;
        }
        self.newest = Some(value);
        self.newest_step = Some(step);
        if !value.is_finite() {
            self.push_gap(step);
            return;
        }
        let mut point = Bucket::of(step, value);
        point.gap_before = std::mem::take(&mut self.gap);
        match &mut self.open {
            Some(open) => open.absorb(&point),
            None => self.open = Some(point),
        }
        if let Some(full) = self.open.take_if(|open| open.count >= self.width) {
            self.close(full);
        }
    }

    fn push_gap(&mut self, step: u64) {
        match self.gaps.last_mut() {
            Some(gap) if self.gap => {
                gap.to = step;
                gap.count += 1;
            }
            _ => self.gaps.push(Gap { from: step, to: step, count: 1 }),
        }
        self.gap = true;
        if self.gaps.len() > GAPS {
            // So many lie closer together than a screen has columns.
            let join = |pair: &[Gap]| Gap {
                from: pair[0].from,
                to: pair[pair.len() - 1].to,
                count: pair.iter().map(|gap| gap.count).sum(),
            };
            self.gaps = self.gaps.chunks(2).map(join).collect();
        }
    }

    /// Adds a full bucket to the lowest level, and to each level above that gets one by it.
    fn close(&mut self, bucket: Bucket) {
        let mut bucket = bucket;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push_back(Vec::new());
            }
            let buckets = &mut self.levels[level];
            buckets.push(bucket);
            let [.., before, last] = &buckets[..] else { break };
            if !buckets.len().is_multiple_of(2) {
                break;
            }
            bucket = *before;
            bucket.absorb(last);
        }
        if self.levels[0].len() >= self.capacity && self.width < 1 << 30 {
            // What the upper level does not have yet: a last bucket without a partner.
            let odd = self.levels[0].len() % 2 == 1;
            self.open = odd.then(|| self.levels[0].last().copied()).flatten();
            self.levels.pop_front();
            self.width *= 2;
        }
    }

    /// Forgets every point with a later step. A bucket that reaches beyond it goes as a whole:
    /// losing a sliver of the kept line is better than showing a value of the abandoned one.
    pub(crate) fn truncate_after(&mut self, step: u64) {
        if self.newest_step.is_none_or(|newest| newest <= step) {
            return;
        }
        self.open.take_if(|open| open.last_step > step);
        let kept = self.levels[0].partition_point(|bucket| bucket.last_step <= step);
        if kept < self.levels[0].len() {
            self.open = None;
        }
        for (level, buckets) in self.levels.iter_mut().enumerate() {
            buckets.truncate(kept >> level);
        }
        self.gaps.retain(|gap| gap.from <= step);
        if let Some(gap) = self.gaps.last_mut().filter(|gap| gap.to > step) {
            gap.to = step;
            // There is at most one for each step.
            gap.count = gap.count.min(step - gap.from + 1);
        }
        self.gap = false;
        self.newest = self.last_bucket().map(|last| last.last);
        self.newest_step = self.last_step();
    }

    fn last_bucket(&self) -> Option<&Bucket> {
        self.open.as_ref().or(self.levels[0].last())
    }

    fn first_bucket(&self) -> Option<&Bucket> {
        self.levels[0].first().or(self.open.as_ref())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.last_bucket().is_none()
    }

    /// The value of the last point, non-finite or not.
    pub(crate) fn newest(&self) -> Option<f64> {
        self.newest
    }

    /// The step of the first finite point.
    pub(crate) fn first_step(&self) -> Option<u64> {
        self.first_bucket().map(|first| first.first_step)
    }

    /// The step of the last finite point.
    pub(crate) fn last_step(&self) -> Option<u64> {
        self.last_bucket().map(|last| last.last_step)
    }

    /// The largest finite value.
    pub(crate) fn max(&self) -> Option<f64> {
        self.slice(0, u64::MAX, 1).iter().map(|bucket| bucket.max).reduce(f64::max)
    }

    /// The mean of all finite values.
    pub(crate) fn mean(&self) -> Option<f64> {
        let whole = self.slice(0, u64::MAX, 1).into_iter().reduce(|mut whole, bucket| {
            whole.absorb(&bucket);
            whole
        })?;
        Some(whole.mean())
    }

    /// How many values were not finite.
    pub(crate) fn non_finite(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.count).sum()
    }

    /// Where there was no finite value.
    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The points between two steps, in buckets of the coarsest level that still has `at_least` of
    /// them there: so there are at most about twice as many, and some at either end that reach
    /// beyond. Where fewer points are kept than that, each of the lowest level.
    pub(crate) fn slice(&self, first: u64, last: u64, at_least: usize) -> Vec<Bucket> {
        let lowest = &self.levels[0];
        let from = lowest.partition_point(|bucket| bucket.last_step < first);
        let to = lowest.partition_point(|bucket| bucket.first_step <= last);
        let level = self.level(to.saturating_sub(from), at_least);
        self.gather(from, to, level, Wanted { first, last, at_least })
    }

    /// As [`slice`](Self::slice), with so many points before it as well.
    pub(crate) fn slice_after(
        &self,
        first: u64,
        last: u64,
        at_least: usize,
        points_before: u64,
    ) -> Vec<Bucket> {
        let lowest = &self.levels[0];
        let from = lowest.partition_point(|bucket| bucket.last_step < first);
        let to = lowest.partition_point(|bucket| bucket.first_step <= last);
        let level = self.level(to.saturating_sub(from), at_least);
        let before = points_before.div_ceil(u64::from(self.width)) as usize;
        self.gather(from.saturating_sub(before), to, level, Wanted { first, last, at_least })
    }

    /// The coarsest level that has `at_least` buckets for so many of the lowest.
    fn level(&self, count: usize, at_least: usize) -> usize {
        (0..self.levels.len()).rev().find(|level| count >> level >= at_least.max(1)).unwrap_or(0)
    }

    fn gather(&self, from: usize, to: usize, level: usize, wanted: Wanted) -> Vec<Bucket> {
        let mut found = Vec::new();
        if from < to {
            // Buckets that reach over many more steps than most, such as over a gap, are taken
            // apart. However they lie, there is only room for half as many of these.
            let last = wanted.last.min(self.newest_step.unwrap_or(0));
            let span = last.saturating_sub(wanted.first);
            let widest = (span / wanted.at_least.max(1) as u64).saturating_mul(2);
            let (start, end) = (from >> level, to.div_ceil(1 << level));
            let end = end.min(self.levels[level].len());
            (start..end).for_each(|index| self.refine(level, index, widest, &mut found));
            // The last of the lower levels that the upper ones don't have yet: one of each.
            let mut reached = end << level;
            for lower in (0..level).rev() {
                let next = reached >> lower;
                if reached < to && next < self.levels[lower].len() {
                    self.refine(lower, next, widest, &mut found);
                    reached += 1 << lower;
                }
            }
        }
        found.extend(self.open.filter(|open| open.first_step <= wanted.last));
        found
    }

    fn refine(&self, level: usize, index: usize, widest: u64, found: &mut Vec<Bucket>) {
        let bucket = &self.levels[level][index];
        if level == 0 || bucket.last_step - bucket.first_step <= widest {
            found.push(*bucket);
        } else {
            self.refine(level - 1, 2 * index, widest, found);
            self.refine(level - 1, 2 * index + 1, widest, found);
        }
    }

    /// What is known of the last point at or before a step.
    pub(crate) fn at(&self, step: u64) -> Option<Bucket> {
        if let Some(open) = self.open.filter(|open| open.first_step <= step) {
            return Some(open);
        }
        let count = self.levels[0].partition_point(|bucket| bucket.first_step <= step);
        self.levels[0][..count].last().copied()
    }

    /// The value at a step, on the line between the points around it.
    pub(crate) fn interpolate(&self, step: u64) -> Option<f64> {
        let before = self.at(step)?;
        let line = |from: (u64, f64), to: (u64, f64)| {
            let part = (step - from.0) as f64 / (to.0 - from.0).max(1) as f64;
            from.1 + (to.1 - from.1) * part.min(1.0)
        };
        if step <= before.last_step {
            return Some(line((before.first_step, before.first), (before.last_step, before.last)));
        }
        let next = self.levels[0].partition_point(|bucket| bucket.first_step <= step);
        let next = self.levels[0].get(next).copied().or(self.open);
        Some(match next.filter(|next| next.first_step > step) {
            Some(next) => line((before.last_step, before.last), (next.first_step, next.first)),
            None => before.last,
        })
    }

    /// For values that never fall: the last step at which the value is at most this one.
    pub(crate) fn step_where(&self, value: f64) -> Option<u64> {
        let lowest = &self.levels[0];
        let count = lowest.partition_point(|bucket| bucket.first <= value);
        let bucket = match self.open.filter(|open| open.first <= value) {
            Some(open) => open,
            None => *lowest[..count].last()?,
        };
        let next = match lowest.get(count) {
            Some(next) => Some((next.first_step, next.first)),
            None => self.open.filter(|open| open.first > value).map(|o| (o.first_step, o.first)),
        };
        let (from, to) = match value <= bucket.last {
            true => ((bucket.first_step, bucket.first), (bucket.last_step, bucket.last)),
            false => {
                ((bucket.last_step, bucket.last), next.unwrap_or((bucket.last_step, bucket.last)))
            }
        };
        let height = to.1 - from.1;
        let part = if height > 0.0 { ((value - from.1) / height).clamp(0.0, 1.0) } else { 1.0 };
        Some(from.0 + ((to.0 - from.0) as f64 * part).round() as u64)
    }

    /// Bytes of memory that the points take.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        let buckets: usize = self.levels.iter().map(Vec::capacity).sum();
        buckets * size_of::<Bucket>() + self.gaps.capacity() * size_of::<Gap>()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: impl IntoIterator<Item = f64>, capacity: usize) -> History {
        let mut history = History::new(capacity);
        for (step, value) in values.into_iter().enumerate() {
            history.push(step as u64, value);
        }
        history
    }

    /// Every slice holds each point between its ends exactly once, with the extremes, the sum and
    /// the ends of the points that it stands for.
    fn check(history: &History, points: &[(u64, f64)], first: u64, last: u64, at_least: usize) {
        let found = history.slice(first, last, at_least);
        let inside = |step: u64| (first..=last).contains(&step);
        let finite: Vec<_> = points.iter().filter(|point| point.1.is_finite()).collect();
        let mut next = match found.first() {
            Some(bucket) => finite.iter().position(|p| p.0 == bucket.first_step).unwrap(),
            None => 0,
        };
        assert!(finite[..next].iter().all(|point| !inside(point.0)), "a point is missing before");
        for bucket in &found {
            let these = &finite[next..next + bucket.count as usize];
            next += these.len();
            let values = || these.iter().map(|point| point.1);
            assert_eq!((bucket.first_step, bucket.first), *these[0]);
            assert_eq!((bucket.last_step, bucket.last), *these[these.len() - 1]);
            assert_eq!(bucket.min, values().fold(f64::INFINITY, f64::min));
            assert_eq!(bucket.max, values().fold(f64::NEG_INFINITY, f64::max));
            let mean = values().sum::<f64>() / these.len() as f64;
            assert!((bucket.mean() - mean).abs() <= 1e-9 * mean.abs().max(1.0));
        }
        assert!(finite[next..].iter().all(|point| !inside(point.0)), "a point is missing after");
        let count = finite.iter().filter(|point| inside(point.0)).count();
        let wanted = at_least.min(count / (history.width as usize)).saturating_sub(1);
        assert!(found.len() >= wanted, "{} buckets of {wanted}", found.len());
        assert!(found.len() <= 4 * at_least + 64, "{} buckets for {at_least}", found.len());
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn every_slice_is_what_the_raw_series_says(
            steps in prop::collection::vec((0_u64..5, prop_oneof![9 => -1e3..1e3_f64, 1 => Just(f64::NAN)]), 0..1500),
            capacity in 2_usize..100,
            ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
            at_least in 1_usize..80,
        ) {
            let (mut history, mut step, mut points) = (History::new(capacity), 0, Vec::new());
            for (gap, value) in steps {
                step += gap + 1;
                points.push((step, value));
                history.push(step, value);
                assert!(history.levels[0].len() < capacity.max(2));
            }
            let all = step as usize + 2;
            let (a, b) = (ends.0.index(all) as u64, ends.1.index(all) as u64);
            check(&history, &points, a.min(b), a.max(b), at_least);
            check(&history, &points, 0, u64::MAX, at_least);
            let finite = points.iter().filter(|point| point.1.is_finite());
            let max = finite.clone().map(|point| point.1).reduce(f64::max);
            assert_eq!(history.max(), max);
            let lost = points.len() - finite.count();
            assert_eq!(history.non_finite(), lost as u64);
            let in_gap = |step| history.gaps().iter().any(|gap| (gap.from..=gap.to).contains(&step));
            for (step, value) in &points {
                assert_eq!(in_gap(*step), !value.is_finite(), "step {step}");
            }

            // Going back leaves what a shorter run would have, but for the last bucket.
            let kept = a.min(b);
            history.truncate_after(kept);
            points.retain(|point| point.0 <= kept);
            assert!(history.last_step().is_none_or(|last| last <= kept));
            let width = history.width as usize;
            let finite = points.iter().filter(|point| point.1.is_finite()).count();
            let there: u32 = history.slice(0, u64::MAX, 1).iter().map(|bucket| bucket.count).sum();
            assert!(there as usize <= finite && there as usize + width > finite, "{there} of {finite}");
            points.retain(|point| history.last_step().is_some_and(|last| point.0 <= last));
            for step in kept + 1..kept + 300 {
                points.push((step, step as f64));
                history.push(step, step as f64);
            }
            check(&history, &points, 0, u64::MAX, at_least);
        }
    }

    #[test]
    fn ten_million_points_fit_into_the_same_memory() {
        let mut history = History::default();
        let mut most = 0;
        for step in 0..10_000_000_u64 {
            history.push(step, if step == 1_234_567 { 99.0 } else { 1.0 });
            if step.is_multiple_of(4096) {
                most = most.max(history.bytes());
            }
        }
        assert!(most <= 8 << 20, "{most}");
        assert!(history.levels[0].len() >= CAPACITY / 2 - 1);
        assert_eq!(history.max(), Some(99.0));
        // Found at every zoom, down to the finest that is kept.
        let mut span = 10_000_000;
        while span > 1000 {
            let first = 1_234_567_u64.saturating_sub(span / 3);
            let found = history.slice(first, first + span, 320);
            let spike = found.iter().find(|bucket| bucket.max == 99.0).expect("the spike");
            assert!(spike.first_step <= 1_234_567 && 1_234_567 <= spike.last_step);
            span /= 2;
        }
    }

    #[test]
    fn non_finite_values_split_and_are_counted() {
        let mut history = of([1.0, f64::NAN, f64::INFINITY, 2.0, 3.0], 8);
        assert_eq!(history.non_finite(), 2);
        assert_eq!(history.gaps(), [Gap { from: 1, to: 2, count: 2 }]);
        let gaps: Vec<bool> = history.slice(0, 9, 9).iter().map(|b| b.gap_before).collect();
        assert_eq!(gaps, [false, true, false]);
        history.push(9, f64::NAN);
        assert!(history.newest().unwrap().is_nan());
        assert_eq!(history.last_step(), Some(4));
    }

    #[test]
    fn a_gap_survives_merging() {
        let history = of((0..100).map(|step| if step == 40 { f64::NAN } else { 1.0 }), 4);
        let gaps = history.slice(0, 100, 100).into_iter().filter(|b| b.gap_before || b.gap_inside);
        assert_eq!(gaps.count(), 1);
    }

    #[test]
    fn no_bucket_reaches_over_a_gap_that_can_be_seen() {
        let history =
            of((0..1000).map(|n| if (399..600).contains(&n) { f64::NAN } else { 1.0 }), 4096);
        for at_least in [20, 50, 100] {
            let found = history.slice(0, 999, at_least);
            assert!(found.iter().all(|bucket| bucket.last_step < 399 || bucket.first_step >= 600));
            assert_eq!(found.iter().filter(|bucket| bucket.gap_before).count(), 1);
        }
    }

    #[test]
    fn very_many_gaps_stay_bounded_and_keep_their_ends() {
        let history = of((0..9999).map(|step| if step % 2 == 0 { f64::NAN } else { 1.0 }), 64);
        assert!(history.gaps().len() <= GAPS);
        assert_eq!(history.gaps()[0].from, 0);
        assert_eq!(history.gaps().last().unwrap().to, 9998);
    }

    #[test]
    fn resuming_before_the_first_non_finite_value_forgets_its_count() {
        let mut history = History::new(16);
        history.push(1, 1.0);
        history.push(5, f64::NAN);
        history.truncate_after(5);
        assert_eq!(history.non_finite(), 1);
        history.truncate_after(4);
        assert_eq!((history.non_finite(), history.gaps()), (0, &[][..]));
        let mut history = of((0..10).map(|step| if step < 5 { 1.0 } else { f64::NAN }), 16);
        history.truncate_after(6);
        assert_eq!(history.non_finite(), 2);
    }

    #[test]
    fn a_step_that_goes_back_is_not_taken_in() {
        let mut history = History::new(16);
        history.push(5, 1.0);
        history.push(3, 7.0);
        assert_eq!(history.slice(0, 9, 9).len(), 1);
        assert_eq!(history.newest(), Some(1.0));
    }

    #[test]
    fn values_between_points_lie_on_the_line() {
        for capacity in [4, 1000] {
            let history = of((0..200).map(|step| step as f64 * 2.0), capacity);
            for step in 0..200 {
                assert!((history.interpolate(step).unwrap() - step as f64 * 2.0).abs() < 1e-9);
                assert_eq!(history.step_where(step as f64 * 2.0), Some(step), "{capacity}");
            }
            assert_eq!(history.interpolate(500), Some(398.0));
            assert_eq!(history.step_where(1e9), Some(199));
            assert_eq!(history.step_where(-1.0), None);
        }
        assert_eq!(History::new(4).interpolate(3), None);
    }
}
