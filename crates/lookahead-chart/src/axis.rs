//! The range of an axis, its ticks, and their labels.

#[cfg(test)]
mod tests;

use crate::text;

/// The numbers from one end of an axis to the other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    /// Ends of the axis; of a logarithmic one, powers of ten.
    low: f64,
    high: f64,
    log: bool,
    pub(crate) ticks: Vec<Tick>,
}

/// A line of the grid, and a number beside the axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tick {
    /// From 0 at the low to 1 at the high end.
    pub(crate) part: f64,
    /// None if there would be too many.
    pub(crate) label: Option<String>,
}

/// Beyond this the arithmetic of ranges would overflow.
const HUGE: f64 = 1e300;
/// Below this a difference counts as 0: dividing by it would overflow.
const TINY: f64 = 1e-300;

impl Axis {
    /// An axis that shows all finite values (only those above 0 if it is logarithmic), with at most
    /// `labels` labels. `margin` is the part of the range that stays free at either end.
    pub(crate) fn new(
        values: impl Iterator<Item = f64>,
        log: bool,
        margin: f64,
        labels: usize,
    ) -> Self {
        let range = values
            .filter(|value| value.is_finite() && (!log || *value > 0.0))
            .map(|value| if log { value.log10() } else { value.clamp(-HUGE, HUGE) })
            .map(|value| (value, value))
            .reduce(|(low, high), (value, _)| (low.min(value), high.max(value)));
        let (low, high) = if log { log_ends(range, margin) } else { ends(range, margin) };
        let mut axis = Axis { low, high, log, ticks: Vec::new() };
        let labels = labels.max(2);
        axis.ticks = if log && high - low >= 2.0 {
            axis.decades(labels)
        } else if log {
            axis.short_log_ticks(labels)
        } else {
            let values = Round::above((high - low) / labels as f64).multiples(low, high);
            axis.ticks_at(&values, 0)
        };
        axis
    }

    /// An axis that has names at 0, 1, 2 …, at most `labels` of them.
    pub(crate) fn named(names: &[String], labels: usize) -> Self {
        let (low, high) = (-0.5, names.len() as f64 - 0.5);
        let mut axis = Axis { low, high, log: false, ticks: Vec::new() };
        let stride = names.len().div_ceil(labels.max(1)).max(1);
        let tick = |(index, name): (usize, &String)| Tick {
            part: axis.place(index as f64),
            label: (index % stride == 0 && !name.is_empty()).then(|| name.clone()),
        };
        axis.ticks = names.iter().enumerate().map(tick).collect();
        axis
    }

    /// The ticks that have labels.
    pub(crate) fn labels(&self) -> impl Iterator<Item = (f64, &str)> {
        self.ticks.iter().filter_map(|tick| Some((tick.part, tick.label.as_deref()?)))
    }

    pub(crate) fn widest_label(&self, em: f64) -> f64 {
        self.labels().map(|(_, label)| text::width(label, em)).fold(0.0, f64::max)
    }

    /// The place of a value, from 0 at the low to 1 at the high end; one beyond an end is at the end.
    pub(crate) fn part(&self, value: f64) -> Option<f64> {
        if value.is_nan() || (self.log && value < 0.0) {
            return None;
        }
        Some(self.place(if self.log { value.log10() } else { value }))
    }

    /// As [`part`](Self::part), but below 0 or above 1 for a value beyond an end.
    pub(crate) fn unbounded_part(&self, value: f64) -> Option<f64> {
        let place = if self.log { value.log10() } else { value.clamp(-HUGE, HUGE) };
        Some((place - self.low) / (self.high - self.low)).filter(|part| part.is_finite())
    }

    /// The part of a value, or of the power of ten on a logarithmic axis.
    fn place(&self, value: f64) -> f64 {
        let value = value.clamp(self.low, self.high);
        ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    /// Ticks at values, each times 10 to the power of `shift`.
    fn ticks_at(&self, values: &[Round], shift: i32) -> Vec<Tick> {
        let shifted: Vec<Round> =
            values.iter().map(|round| Round { power: round.power + shift, ..*round }).collect();
        let part = |round: &Round| {
            let value = round.value();
            self.place(if self.log { value.log10() + f64::from(shift) } else { value })
        };
        let labels = labels_of(&shifted).into_iter().map(Some);
        values.iter().map(part).zip(labels).map(|(part, label)| Tick { part, label }).collect()
    }

    /// Powers of ten.
    fn decades(&self, labels: usize) -> Vec<Tick> {
        let (first, last) = (self.low.ceil() as i32, self.high.floor() as i32);
        let stride = (1..).find(|stride| (last - first) / stride < labels as i32).unwrap_or(1);
        let plain = (-4..=6).contains(&first) && (-4..=6).contains(&last);
        let tick = |power: i32| {
            let round = Round { digits: 1, power };
            let label = if plain { decimal(round, 0) } else { format!("10{}", exponent(power)) };
            Tick { part: self.place(f64::from(power)), label: Some(label) }
        };
        let powers = (first..=last).filter(|power| power.rem_euclid(stride) == 0);
        let mut ticks: Vec<Tick> = powers.map(tick).collect();
        // Between labels that are further apart the grid would be a wall.
        if stride == 1 && last - first <= 8 {
            let digits = (2..=9).map(|digit| f64::from(digit).log10());
            let minor = (first - 1..=last)
                .flat_map(|power| digits.clone().map(move |digit| f64::from(power) + digit))
                .filter(|place| (self.low..=self.high).contains(place));
            ticks.extend(minor.map(|place| Tick { part: self.place(place), label: None }));
        }
        ticks
    }

    /// Ticks for a range in which powers of ten alone would be too few: 1, 2 and 5 times these, or even
    /// steps.
    fn short_log_ticks(&self, labels: usize) -> Vec<Tick> {
        // Even steps need numbers of a moderate size, so the power of ten of the range is set apart.
        let shift = self.low.floor();
        let (low, high) = (10_f64.powf(self.low - shift), 10_f64.powf(self.high - shift));
        let digits: &[i64] = if self.high - self.low > 1.0 { &[1, 2, 5] } else { &[1, 2, 3, 5, 7] };
        let mut values: Vec<Round> = (0..=2)
            .flat_map(|power| digits.iter().map(move |digits| Round { digits: *digits, power }))
            // A power of a logarithm is off in the last digits.
            .filter(|round| (low * (1.0 - 1e-9)..=high * (1.0 + 1e-9)).contains(&round.value()))
            .collect();
        if values.len() > labels {
            values.retain(|round| round.digits == 1 || labels > 3 && round.digits != 3);
        }
        if values.len() < 3 {
            let mut step = Round::above((high - low) / labels as f64);
            values = step.multiples(low, high);
            while values.len() > labels {
                step = Round::above(step.value() * 1.5);
                values = step.multiples(low, high);
            }
        }
        self.ticks_at(&values, shift as i32)
    }
}

/// Ends of an even axis; a flat range gets some height.
fn ends(range: Option<(f64, f64)>, margin: f64) -> (f64, f64) {
    let Some((low, high)) = range else { return (0.0, 1.0) };
    let (size, span) = (low.abs().max(high.abs()), high - low);
    if span <= size * 1e-9 || span < TINY {
        let around = if size < TINY { 1.0 } else { size * 0.1 };
        return (low - around, high + around);
    }
    // A curve that ends near zero reads best from zero.
    let from_zero = low >= 0.0 && low < span / 10.0 && margin > 0.0;
    (if from_zero { 0.0 } else { low - span * margin }, high + span * margin)
}

/// Ends of a logarithmic axis, as powers of ten.
fn log_ends(range: Option<(f64, f64)>, margin: f64) -> (f64, f64) {
    let Some((low, high)) = range else { return (-1.0, 0.0) };
    let around = if high - low < 1e-3 { 0.25 } else { (high - low) * margin };
    (low - around, high + around)
}

/// A whole number times a power of ten: exact, unlike a sum of steps.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Round {
    digits: i64,
    power: i32,
}

impl Round {
    /// 1, 2 or 5 times a power of ten, not below `value`.
    fn above(value: f64) -> Round {
        let power = value.log10().floor() as i32;
        [(1, power), (2, power), (5, power)]
            .map(|(digits, power)| Round { digits, power })
            .into_iter()
            .find(|round| round.value() >= value * 0.999_999)
            .unwrap_or(Round { digits: 1, power: power + 1 })
    }

    /// Parsed, since a product with a power of ten is off in the last digit.
    fn value(self) -> f64 {
        format!("{}e{}", self.digits, self.power).parse().unwrap_or(0.0)
    }

    fn multiples(self, low: f64, high: f64) -> Vec<Round> {
        let step = self.value();
        // An end that is itself a multiple counts, whatever the last digit of the quotient.
        let first = (low / step - 1e-6).ceil() as i64;
        let last = (high / step + 1e-6).floor() as i64;
        let multiple = |count: i64| Round { digits: count.saturating_mul(self.digits), ..self };
        (first..=last).map(multiple).collect()
    }

    /// The power of ten of its first digit: 2 of 123.
    fn order(self) -> i32 {
        let order = self.digits.unsigned_abs().checked_ilog10();
        order.map_or(i32::MIN, |order| order as i32).saturating_add(self.power)
    }
}

/// The numbers of one axis, all in the same notation.
fn labels_of(values: &[Round]) -> Vec<String> {
    let order = values.iter().map(|round| round.order()).max().unwrap_or(0);
    let power = values.iter().map(|round| round.power).min().unwrap_or(0);
    // 1,000,000.25 is not shorter with a power of ten.
    let plain = (-4..7).contains(&order) && power > -10 || order == i32::MIN;
    let label = |round: &Round| match (plain, round.digits) {
        (true, _) => decimal(*round, power),
        (false, 0) => "0".to_owned(),
        // `2.5×10⁻⁷`
        (false, digits) => {
            let mantissa = Round { digits, power: round.power - order };
            format!("{}×10{}", decimal(mantissa, power - order), exponent(order))
        }
    };
    values.iter().map(label).collect()
}

/// `−1,234.50`, with decimals down to that power of ten.
fn decimal(round: Round, power: i32) -> String {
    let decimals = (-power.min(round.power)).clamp(0, 300) as usize;
    let text = format!("{:.decimals$}", round.value().abs());
    let (whole, rest) = text.split_once('.').unwrap_or((&text, ""));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        // Four digits need no comma.
        if index > 0 && whole.len() > 4 && (whole.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    let sign = if round.digits < 0 { "−" } else { "" };
    let point = if rest.is_empty() { "" } else { "." };
    format!("{sign}{grouped}{point}{rest}")
}

fn exponent(power: i32) -> String {
    const DIGITS: [char; 10] = ['⁰', '¹', '²', '³', '⁴', '⁵', '⁶', '⁷', '⁸', '⁹'];
    let raised = |c: char| c.to_digit(10).map_or('⁻', |digit| DIGITS[digit as usize]);
    power.to_string().chars().map(raised).collect()
}
