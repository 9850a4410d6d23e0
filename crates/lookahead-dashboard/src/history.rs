//! A series of any length in bounded memory, in which no spike is lost.
//!
//! It is a pyramid. The lowest level holds buckets of equally many neighbouring points, each with its
//! minimum and maximum; every level above holds one bucket for two of the level below. A picture
//! takes the level whose buckets are about as fine as its columns, so that its cost depends on its
//! width and not on the length of the run. When the lowest level is full it is dropped, and the next
//! one, of half as many buckets, takes its place: at most 4 MiB at any length.

use std::collections::VecDeque;

/// Most buckets of the lowest level. At least 16,384 remain after a level is dropped, so a run can be
/// zoomed into thirty times before buckets are wider than the columns of a screen of 250 cells.
pub(crate) const CAPACITY: usize = 1 << 15;
/// Most gaps that are kept apart.
const GAPS: usize = 1024;

/// A summary of some neighbouring points.
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

    /// Adds a later bucket.
    pub(crate) fn absorb(&mut self, later: &Bucket) {
        self.last_step = later.last_step;
        self.last = later.last;
        self.min = self.min.min(later.min);
        self.max = self.max.max(later.max);
        self.sum += later.sum;
        self.count = self.count.saturating_add(later.count);
        self.gap_inside |= later.gap_before || later.gap_inside;
    }

    pub(crate) fn mean(&self) -> f64 {
        let mean = self.sum / f64::from(self.count);
        // The sum of huge values may have overflowed.
        if mean.is_finite() { mean } else { self.last }
    }
}

/// A range of steps without a finite value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gap {
    pub(crate) from: u64,
    pub(crate) to: u64,
    /// Values in it.
    count: u64,
}

/// The points of one series, in the order of their steps.
#[derive(Debug, Clone)]
pub(crate) struct History {
    /// Full buckets, the finest level first. Each level has one bucket for every two of the level
    /// below, rounded down.
    levels: VecDeque<Vec<Bucket>>,
    /// Points in a full bucket of the lowest level: a power of two.
    width: u32,
    /// The points after the last full bucket.
    open: Option<Bucket>,
    capacity: usize,
    /// The last value was non-finite.
    in_gap: bool,
    /// The last point.
    newest: Option<(u64, f64)>,
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
            in_gap: false,
            newest: None,
            gaps: Vec::new(),
        }
    }

    /// Adds one point. A non-finite value is counted and leaves a gap; a step before the last one is
    /// ignored.
    pub(crate) fn push(&mut self, step: u64, value: f64) {
        if self.newest.is_some_and(|(newest, _)| step < newest) {
            return;
        }
        self.newest = Some((step, value));
        if !value.is_finite() {
            self.push_gap(step);
            return;
        }
        let mut point = Bucket::of(step, value);
        point.gap_before = std::mem::take(&mut self.in_gap);
        match &mut self.open {
            Some(open) => open.absorb(&point),
            None => self.open = Some(point),
        }
        if let Some(full) = self.open.take_if(|open| open.count >= self.width) {
            self.close(full);
        }
    }

    fn push_gap(&mut self, step: u64) {
        match self.gaps.last_mut().filter(|_| self.in_gap) {
            Some(gap) => (gap.to, gap.count) = (step, gap.count + 1),
            None => self.gaps.push(Gap { from: step, to: step, count: 1 }),
        }
        self.in_gap = true;
        if self.gaps.len() > GAPS {
            // Neighbouring gaps are closer together than the columns of a screen.
            let join = |pair: &[Gap]| Gap {
                from: pair[0].from,
                to: pair[pair.len() - 1].to,
                count: pair.iter().map(|gap| gap.count).sum(),
            };
            self.gaps = self.gaps.chunks(2).map(join).collect();
        }
    }

    /// Adds a full bucket to the lowest level, and to each level above that it completes a pair for.
    fn close(&mut self, mut bucket: Bucket) {
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
            // A last bucket without a partner is missing in the level above.
            let odd = self.levels[0].len() % 2 == 1;
            self.open = self.levels[0].last().copied().filter(|_| odd);
            self.levels.pop_front();
            self.width *= 2;
        }
    }

    /// A bucket of the lowest level; the open one comes last.
    fn bucket(&self, index: usize) -> Option<&Bucket> {
        let open = self.open.as_ref().filter(|_| index == self.levels[0].len());
        self.levels[0].get(index).or(open)
    }

    /// How many buckets of the lowest level come before the first for which `is_before` is false.
    fn count_while(&self, is_before: impl Fn(&Bucket) -> bool) -> usize {
        let count = self.levels[0].partition_point(&is_before);
        let all = count == self.levels[0].len() && self.open.as_ref().is_some_and(is_before);
        count + usize::from(all)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bucket(0).is_none()
    }

    /// The value of the last point, finite or not.
    pub(crate) fn newest(&self) -> Option<f64> {
        self.newest.map(|(_, value)| value)
    }

    /// The step of the first finite point.
    pub(crate) fn first_step(&self) -> Option<u64> {
        self.bucket(0).map(|first| first.first_step)
    }

    /// The step of the last finite point.
    pub(crate) fn last_step(&self) -> Option<u64> {
        self.open.as_ref().or(self.levels[0].last()).map(|last| last.last_step)
    }

    /// All finite points as one bucket.
    fn whole(&self) -> Option<Bucket> {
        self.slice(0, u64::MAX, 1).into_iter().reduce(|mut whole, bucket| {
            whole.absorb(&bucket);
            whole
        })
    }

    pub(crate) fn max(&self) -> Option<f64> {
        self.whole().map(|whole| whole.max)
    }

    pub(crate) fn min(&self) -> Option<f64> {
        self.whole().map(|whole| whole.min)
    }

    pub(crate) fn mean(&self) -> Option<f64> {
        self.whole().map(|whole| whole.mean())
    }

    pub(crate) fn non_finite(&self) -> u64 {
        self.gaps.iter().map(|gap| gap.count).sum()
    }

    pub(crate) fn gaps(&self) -> &[Gap] {
        &self.gaps
    }

    /// The points between two steps, in buckets of the coarsest level that still has `at_least` of
    /// them there: so at most about twice as many, and a few at either end that reach beyond. If
    /// fewer points are kept, all buckets of the lowest level.
    pub(crate) fn slice(&self, first: u64, last: u64, at_least: usize) -> Vec<Bucket> {
        self.slice_after(first, last, at_least, 0)
    }

    /// As [`slice`](Self::slice), with `points_before` more points in front.
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
        let (count, at_least) = (to.saturating_sub(from), at_least.max(1));
        let level = (0..self.levels.len()).rev().find(|level| count >> level >= at_least);
        let level = level.unwrap_or(0);
        let before = points_before.div_ceil(u64::from(self.width)) as usize;
        let from = from.saturating_sub(before);
        let mut found = Vec::new();
        if from < to {
            // A bucket that spans many more steps than most, for example over a gap, is split. There
            // is only room for half as many of these, however the points are distributed.
            let end = last.min(self.newest.map_or(0, |(step, _)| step));
            let widest = (end.saturating_sub(first) / at_least as u64).saturating_mul(2);
            let (start, end) = (from >> level, to.div_ceil(1 << level));
            let end = end.min(self.levels[level].len());
            (start..end).for_each(|index| self.refine(level, index, widest, &mut found));
            // The last buckets of the lower levels are missing in the upper ones: one of each.
            let mut reached = end << level;
            for lower in (0..level).rev() {
                let next = reached >> lower;
                if reached < to && next < self.levels[lower].len() {
                    self.refine(lower, next, widest, &mut found);
                    reached += 1 << lower;
                }
            }
        }
        found.extend(self.open.filter(|open| open.first_step <= last));
        found
    }

    /// Adds a bucket, or those below it if it spans more than `widest` steps.
    fn refine(&self, level: usize, index: usize, widest: u64, found: &mut Vec<Bucket>) {
        let bucket = &self.levels[level][index];
        if level == 0 || bucket.last_step - bucket.first_step <= widest {
            found.push(*bucket);
        } else {
            self.refine(level - 1, 2 * index, widest, found);
            self.refine(level - 1, 2 * index + 1, widest, found);
        }
    }

    /// The bucket of the last point at or before a step.
    pub(crate) fn at(&self, step: u64) -> Option<Bucket> {
        let count = self.count_while(|bucket| bucket.first_step <= step);
        self.bucket(count.checked_sub(1)?).copied()
    }

    /// The value at a step, on the line between the points around it.
    pub(crate) fn interpolate(&self, step: u64) -> Option<f64> {
        let index = self.count_while(|bucket| bucket.first_step <= step).checked_sub(1)?;
        let [from, to] = self.line(index, |bucket| step <= bucket.last_step)?;
        let part = (step - from.0) as f64 / (to.0 - from.0).max(1) as f64;
        Some(from.1 + (to.1 - from.1) * part.min(1.0))
    }

    /// For values that never fall: the last step at which the value is at most `value`.
    pub(crate) fn step_where(&self, value: f64) -> Option<u64> {
        let index = self.count_while(|bucket| bucket.first <= value).checked_sub(1)?;
        let [from, to] = self.line(index, |bucket| value <= bucket.last)?;
        let height = to.1 - from.1;
        let part = if height > 0.0 { ((value - from.1) / height).clamp(0.0, 1.0) } else { 1.0 };
        Some(from.0 + ((to.0 - from.0) as f64 * part).round() as u64)
    }

    /// The ends of the line through a bucket, or of the one from its end to the next bucket.
    fn line(&self, index: usize, inside: impl Fn(&Bucket) -> bool) -> Option<[(u64, f64); 2]> {
        let bucket = self.bucket(index)?;
        let end = (bucket.last_step, bucket.last);
        if inside(bucket) {
            return Some([(bucket.first_step, bucket.first), end]);
        }
        let next = self.bucket(index + 1).map(|next| (next.first_step, next.first));
        Some([end, next.unwrap_or(end)])
    }
}

#[cfg(test)]
mod tests;
