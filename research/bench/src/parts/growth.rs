//! How cost grows: with the parameters and tensors of a model, the steps of a run, and the runs in a folder.
//!
//! Each curve has a table, and an exponent: the slope of a straight line through the upper half of its points in log–log
//! scale, by least squares. 1 is linear. Sizes are measured in turns, smallest first, round by round.
//!
//! With `LOOKAHEAD_BENCH_LARGE=1` also 10⁹ parameters, which take 8 GB of memory, and 10⁷ steps, which take 2 GB on the
//! disk.

mod runs;

use std::path::Path;
use std::time::{Duration, Instant};

use lookahead_core::NonFinite;

use super::sync;
use crate::statistics::{Short, Spread};

/// Rounds of a curve.
const ROUNDS: usize = 7;
/// What is shorter is repeated within a round.
const SHORTEST: Duration = Duration::from_millis(5);
/// An exponent up to this counts as linear: times of shared machines differ by more from round to round.
const LINEAR: f64 = 1.1;

/// What is measured at one size: runs it once, and returns the bytes of memory that it took, if known.
type Run = Box<dyn FnMut() -> anyhow::Result<Option<u64>>>;

/// A cost over a size.
struct Curve {
    what: &'static str,
    unit: &'static str,
    points: Vec<Point>,
}

struct Point {
    size: u64,
    seconds: Spread,
    /// The most memory that was seen.
    bytes: Option<u64>,
}

/// Measures all curves and prints them. Those whose name lacks `filter` are left out.
pub(super) fn measure(lookahead: &Path, folder: &Path, filter: Option<&str>) -> anyhow::Result<()> {
    let large = std::env::var_os("LOOKAHEAD_BENCH_LARGE").is_some();
    let up_to = |first: u32, last: u32| half_decades(first, last + u32::from(large));
    let step = |parameters: u64, tensors: u64| -> anyhow::Result<Run> {
        let mut step = sync::lookahead(parameters as i64, tensors as i64, NonFinite::Error);
        Ok(Box::new(move || {
            step();
            Ok(None)
        }))
    };
    let show = |what, unit, sizes: &[u64], set_up: &mut dyn FnMut(u64) -> anyhow::Result<Run>| {
        if filter.is_none_or(|filter| str::contains(what, filter)) {
            Curve::measure(what, unit, sizes, set_up)?.print();
        }
        anyhow::Ok(())
    };
    show("sync, in 60 tensors", "parameters", &up_to(5, 8), &mut |size| step(size, 60))?;
    show("sync, of 10⁶ parameters", "tensors", &half_decades(1, 5), &mut |size| {
        step(1_000_000, size)
    })?;
    let steps = up_to(3, 6);
    show("reading a log", "steps", &steps, &mut |size| runs::summary(folder, size))?;
    show("opening the dashboard", "steps", &steps, &mut |size| runs::dashboard(folder, size))?;
    show("resuming, the whole process", "steps", &steps, &mut |size| {
        runs::resume(lookahead, folder, size)
    })?;
    let counts = half_decades(1, 4);
    show("`lookahead list`, the whole process", "runs", &counts, &mut |size| {
        runs::list(lookahead, folder, size)
    })?;
    show("the run table, all rows and a frame", "runs", &counts, &mut |size| {
        runs::table(folder, size)
    })
}

/// 10ⁿ and 3 × 10ⁿ, from 10 to the power of `first` up to that of `last`.
fn half_decades(first: u32, last: u32) -> Vec<u64> {
    let both = (first..last).flat_map(|power| [10u64.pow(power), 3 * 10u64.pow(power)]);
    both.chain([10u64.pow(last)]).collect()
}

impl Curve {
    fn measure(
        what: &'static str,
        unit: &'static str,
        sizes: &[u64],
        set_up: &mut dyn FnMut(u64) -> anyhow::Result<Run>,
    ) -> anyhow::Result<Curve> {
        eprintln!("{what} …");
        let (mut runs, mut bytes, mut repeats) = (Vec::new(), Vec::new(), Vec::new());
        for &size in sizes {
            let mut run = set_up(size)?;
            // The first run does not count. It has the memory, which later ones find allocated.
            bytes.push(run()?);
            let start = Instant::now();
            run()?;
            let once = start.elapsed().max(Duration::from_nanos(100));
            repeats.push(SHORTEST.div_duration_f64(once).ceil().max(1.0) as u32);
            runs.push(run);
        }
        let mut seconds = vec![Vec::new(); sizes.len()];
        for _ in 0..ROUNDS {
            for ((run, seconds), &repeats) in runs.iter_mut().zip(&mut seconds).zip(&repeats) {
                let start = Instant::now();
                for _ in 0..repeats {
                    run()?;
                }
                seconds.push(start.elapsed().as_secs_f64() / f64::from(repeats));
            }
        }
        let spreads = seconds.iter().filter_map(|seconds| Spread::of(seconds));
        let points = sizes.iter().zip(spreads).zip(bytes);
        let points = points.map(|((&size, seconds), bytes)| Point { size, seconds, bytes });
        Ok(Curve { what, unit, points: points.collect() })
    }

    /// The slope of the upper half.
    fn exponent(&self) -> f64 {
        let upper = &self.points[self.points.len() / 2..];
        let logs: Vec<(f64, f64)> = upper
            .iter()
            .map(|point| ((point.size as f64).ln(), point.seconds.median.ln()))
            .collect();
        slope(&logs)
    }

    fn print(&self) {
        let exponent = self.exponent();
        let judged = if exponent > LINEAR { ": **worse than linear**" } else { "" };
        println!("\n{} (exponent {exponent:.2}{judged})\n", self.what);
        let has_memory = self.points.iter().any(|point| point.bytes.is_some());
        let (head, rule) = if has_memory { (" memory |", "---|") } else { ("", "") };
        println!("| {} | time [quartiles] | of one |{head}", self.unit);
        println!("|---|---|---|{rule}");
        for Point { size, seconds, bytes } in &self.points {
            let Spread { low, median, high, .. } = *seconds;
            let (scale, unit) = match median {
                m if m >= 1.0 => (1.0, "s"),
                m if m >= 1e-3 => (1e3, "ms"),
                _ => (1e6, "µs"),
            };
            let [low, middle, high] = [low, median, high].map(|value| Short(scale * value));
            let of_one = 1e9 * median / *size as f64;
            let memory =
                bytes.map_or_else(String::new, |bytes| format!(" {:.0} MB |", bytes as f64 / 1e6));
            println!("| {size} | {middle} {unit} [{low}, {high}] | {} ns |{memory}", Short(of_one));
        }
    }
}

/// Of the straight line through points by least squares.
fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let covariance: f64 = points.iter().map(|point| (point.0 - x) * (point.1 - y)).sum();
    covariance / points.iter().map(|point| (point.0 - x).powi(2)).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponent_is_that_of_the_upper_half() {
        // A constant start-up hides the square below.
        let at = |size: u64| {
            let seconds = if size < 1000 { 0.5 } else { 1e-6 * (size * size) as f64 };
            let seconds = Spread { low: seconds, median: seconds, high: seconds, rounds: 1 };
            Point { size, seconds, bytes: None }
        };
        let sizes = half_decades(1, 5);
        assert_eq!(sizes[..4], [10, 30, 100, 300]);
        assert_eq!((sizes.len(), sizes[8]), (9, 100_000));
        let points = sizes.into_iter().map(at).collect();
        let exponent = Curve { what: "squares", unit: "", points }.exponent();
        assert!((exponent - 2.0).abs() < 1e-9, "{exponent}");
    }
}
