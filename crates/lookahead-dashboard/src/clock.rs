//! How long a run has trained, and how fast it goes.

use crate::history::History;

/// Over how many seconds of training the step rate is averaged: long enough to hold an evaluation
/// and a checkpoint, so that the time left does not jump at each.
const RATE_SPAN: f64 = 60.0;
/// Steps before the rate is shown: the first few hold warm-up costs.
const STEPS_BEFORE_RATE: u64 = 10;
/// How exactly the beginning and the end of a stop are known, in seconds, with room to spare.
const UNSURE: f64 = 1.0;

/// Time spent on training: without pauses, without the time between two processes, and without the
/// time for which the process was stopped.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    before: f64,
    running_since: Option<f64>,
    /// Unix time of the last event.
    latest: f64,
    /// The last time for which the process, and as far as is known the run, stood still.
    still: Option<(f64, f64)>,
    /// Elapsed seconds at each step, to find one's way back on a resume.
    at_step: History,
    rate: Rate,
}

#[derive(Debug, Clone, Default)]
struct Rate {
    last: Option<(u64, f64)>,
    seen: u64,
    steps: f64,
    seconds: f64,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Clock {
            before: 0.0,
            running_since: None,
            latest: f64::NEG_INFINITY,
            still: None,
            at_step: History::default(),
            rate: Rate::default(),
        }
    }

    /// Seconds of training at Unix time `now`.
    pub(crate) fn elapsed(&self, now: f64) -> f64 {
        // A clock that is set back must not take away what has been counted.
        self.before + self.running_since.map_or(0.0, |since| self.between(since, now))
    }

    fn between(&self, since: f64, now: f64) -> f64 {
        let still = self.still.map_or(0.0, |(from, to)| (to.min(now) - from.max(since)).max(0.0));
        (now - since - still).max(0.0)
    }

    /// The process was stopped from Unix time `from` to `to`.
    pub(crate) fn stand_still(&mut self, from: f64, to: f64) {
        // An earlier one is settled: what has elapsed by its end is counted.
        if let (Some(since), Some((_, end))) = (self.running_since, self.still)
            && since < end
        {
            self.before = self.elapsed(end);
            self.running_since = Some(end);
        }
        self.still = (from < to).then_some((from, to));
        // A step that came before this news has been taken for a very long one.
        let elapsed = self.elapsed(to);
        if let Some((step, _)) = self.rate.last.filter(|(_, taken)| *taken > elapsed) {
            self.at_step.truncate_after(step.saturating_sub(1));
            self.at_step.push(step, elapsed);
            self.rate = Rate::default();
        }
    }

    /// Something happened in the run at Unix time `time`. If that was in the middle of a stop, then
    /// the run is another process's, and has not stood still; if it was before the last event, then
    /// the machine's clock was set back, and counts from there.
    pub(crate) fn happened(&mut self, time: f64) {
        if time + UNSURE < self.latest && self.running_since.is_some() {
            self.before = self.elapsed(self.latest);
            self.running_since = Some(time);
            self.still = None;
        }
        self.latest = time;
        self.still.take_if(|(from, to)| (*from + UNSURE..*to - UNSURE).contains(&time));
    }

    pub(crate) fn start(&mut self, now: f64) {
        self.running_since.get_or_insert(now);
    }

    pub(crate) fn stop(&mut self, now: f64) {
        self.before = self.elapsed(now);
        self.running_since = None;
    }

    /// Goes back to what had elapsed at the last step, and runs from `now`.
    pub(crate) fn resume(&mut self, now: f64) {
        self.before = self.at_step.newest().unwrap_or(0.0);
        self.running_since = Some(now);
        self.rate = Rate::default();
    }

    /// One inner step, the `step`-th, was finished at `now`.
    pub(crate) fn step(&mut self, step: u64, now: f64) {
        // Never less than before, so that a time has its step.
        let elapsed = self.elapsed(now).max(self.at_step.newest().unwrap_or(0.0));
        self.at_step.push(step, elapsed);
        if let Some((last_step, last_elapsed)) = self.rate.last {
            let (steps, seconds) =
                (step.saturating_sub(last_step), (elapsed - last_elapsed).max(0.0));
            let kept = (-seconds / RATE_SPAN).exp();
            self.rate.seen += steps;
            self.rate.steps = self.rate.steps * kept + steps as f64;
            self.rate.seconds = self.rate.seconds * kept + seconds;
        }
        self.rate.last = Some((step, elapsed));
    }

    /// Seconds of training up to a step.
    pub(crate) fn at(&self, step: u64) -> f64 {
        self.at_step.interpolate(step).unwrap_or(0.0)
    }

    /// The last step that was taken within so many seconds of training.
    pub(crate) fn step_at(&self, seconds: f64) -> u64 {
        self.at_step.step_where(seconds).unwrap_or(0)
    }

    /// Seconds until `total` steps are taken, once enough of them have been seen.
    pub(crate) fn left(&self, total: u64) -> Option<f64> {
        let (step, _) = self.rate.last?;
        let known = total > 0 && self.rate.seen >= STEPS_BEFORE_RATE && self.rate.steps > 0.0;
        known.then(|| total.saturating_sub(step) as f64 * self.rate.seconds / self.rate.steps)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_does_not_count() {
        let mut clock = Clock::new();
        clock.start(100.0);
        assert_eq!(clock.elapsed(110.0), 10.0);
        clock.stop(110.0);
        assert_eq!(clock.elapsed(500.0), 10.0);
        clock.start(500.0);
        assert_eq!(clock.elapsed(505.0), 15.0);
    }

    #[test]
    fn what_follows_the_last_step_of_a_process_does_not_count() {
        let mut clock = Clock::new();
        clock.start(0.0);
        for step in 1..=100 {
            clock.step(step, step as f64);
        }
        clock.resume(1000.0);
        assert_eq!(clock.elapsed(1003.0), 103.0);
    }

    #[test]
    fn time_left_comes_from_the_time_spent_training() {
        let mut clock = Clock::new();
        clock.start(0.0);
        clock.step(1, 2.0);
        assert_eq!(clock.left(100), None);
        for step in 2..=20 {
            clock.step(step, step as f64 * 2.0);
        }
        assert!((clock.left(100).unwrap() - 160.0).abs() < 1e-9);
        clock.stop(40.0);
        clock.start(4000.0);
        clock.step(21, 4002.0);
        assert!((clock.left(100).unwrap() - 158.0).abs() < 1e-9);
        assert_eq!(clock.left(5), Some(0.0));
    }

    /// A step a second up to 20, a stop of about 1000 seconds, and ten steps more.
    fn stopped(late: bool) -> Clock {
        let mut clock = Clock::new();
        clock.start(0.0);
        (1..=20).for_each(|step| clock.step(step, step as f64));
        if late {
            clock.happened(1020.0);
            clock.step(21, 1020.0);
        }
        clock.stand_still(20.0, 1019.5);
        for step in 21 + u64::from(late)..=35 {
            let time = 999.5 + step as f64;
            clock.happened(time);
            clock.step(step, time);
        }
        clock
    }

    #[test]
    fn a_stop_of_the_process_does_not_count() {
        for late in [false, true] {
            let mut clock = stopped(late);
            assert_eq!(clock.elapsed(1034.5), 35.0, "{late}");
            let left = clock.left(135).unwrap();
            assert!((left - 100.0).abs() < 5.0, "{left} {late}");
            clock.stand_still(1034.5, 5000.0);
            assert_eq!(clock.elapsed(5010.0), 45.0, "{late}");
            clock.stop(5010.0);
            assert_eq!(clock.elapsed(9000.0), 45.0, "{late}");
            // A stop of long ago says nothing of a clock that starts later.
            clock.start(9000.0);
            assert_eq!(clock.elapsed(9001.0), 46.0, "{late}");
        }
    }

    #[test]
    fn what_happened_meanwhile_shows_that_the_run_went_on() {
        let mut clock = stopped(false);
        clock.stand_still(1034.5, 2000.0);
        for step in 36..=1000 {
            let time = 999.5 + step as f64;
            clock.happened(time);
            clock.step(step, time);
        }
        assert_eq!(clock.elapsed(1999.5), 1000.0);
        let left = clock.left(1100).unwrap();
        assert!((left - 100.0).abs() < 5.0, "{left}");
    }

    #[test]
    fn a_clock_that_jumps_back_in_a_run_goes_on_from_what_was_counted() {
        let mut clock = Clock::new();
        clock.start(1000.0);
        for step in 1..=20 {
            // Set back by an hour after ten steps, and by a fraction of a second at the fifth.
            let jump = if step > 10 { 3600.0 } else { 0.0 } + if step == 5 { 0.9 } else { 0.0 };
            let time = 1000.0 + step as f64 - jump;
            clock.happened(time);
            clock.step(step, time);
        }
        // A second less than there were steps: how long the tenth took is not known.
        assert!((clock.elapsed(1020.0 - 3600.0) - 19.0).abs() < 1e-9, "{}", clock.elapsed(-2580.0));
        assert!((1..20).all(|step| clock.at(step) <= clock.at(step + 1)));
        assert_eq!(clock.step_at(clock.at(15)), 15);
        assert!((clock.left(40).unwrap() - 20.0).abs() < 2.0, "{:?}", clock.left(40));
    }

    #[test]
    fn a_clock_set_back_takes_nothing_away() {
        let mut clock = Clock::new();
        clock.start(100.0);
        clock.stop(90.0);
        assert_eq!(clock.elapsed(90.0), 0.0);
    }
}
