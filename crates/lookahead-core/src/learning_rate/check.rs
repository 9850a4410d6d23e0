//! The defaults and ranges of a schedule of the learning rate.

use super::{
    DECAY_FRACTION, DIV_FACTOR, FACTOR, FINAL_DIV_FACTOR, LearningRateKind, LearningRateSchedule,
    MIN_LR, PCT_START, POWER,
};
use crate::range::short;
use crate::{Error, Result};

impl LearningRateKind {
    /// Its name in a config file.
    pub fn name(self) -> &'static str {
        match self {
            LearningRateKind::Constant => "constant",
            LearningRateKind::Cosine => "cosine",
            LearningRateKind::Steps => "steps",
            LearningRateKind::Linear => "linear",
            LearningRateKind::Polynomial => "polynomial",
            LearningRateKind::Wsd => "wsd",
            LearningRateKind::OneCycle => "one_cycle",
        }
    }

    /// The keys that it has besides `kind` and `warmup_steps`.
    pub fn keys(self) -> &'static [&'static str] {
        match self {
            LearningRateKind::Constant => &[],
            LearningRateKind::Cosine | LearningRateKind::Linear => &["min_lr"],
            LearningRateKind::Steps => &["milestones", "factor"],
            LearningRateKind::Polynomial => &["min_lr", "power"],
            LearningRateKind::Wsd => &["min_lr", "decay_fraction", "decay_shape"],
            LearningRateKind::OneCycle => {
                &["pct_start", "div_factor", "final_div_factor", "anneal"]
            }
        }
    }
}

impl LearningRateSchedule {
    /// Fills in the defaults of its kind, and checks all keys for the learning rate η.
    ///
    /// # Errors
    /// [`LearningRateKey`](Error::LearningRateKey) for a key of another kind,
    /// [`LearningRateSchedule`](Error::LearningRateSchedule) for a value out of range.
    ///
    /// ```
    /// use lookahead_core::{LearningRateKind, LearningRateSchedule};
    /// let mut schedule = LearningRateSchedule::new(LearningRateKind::Cosine);
    /// schedule.power = Some(2.0);
    /// let refused = schedule.resolve(0.1).unwrap_err();
    /// assert!(refused.to_string().starts_with("The learning-rate schedule is cosine, which has no `power`."));
    /// ```
    pub fn resolve(&mut self, learning_rate: f64) -> Result<()> {
        let kind = self.kind;
        own(kind, "min_lr", &mut self.min_lr, MIN_LR)?;
        own(kind, "milestones", &mut self.milestones, Vec::new())?;
        own(kind, "factor", &mut self.factor, FACTOR)?;
        own(kind, "power", &mut self.power, POWER)?;
        own(kind, "decay_fraction", &mut self.decay_fraction, DECAY_FRACTION)?;
        own(kind, "decay_shape", &mut self.decay_shape, Default::default())?;
        own(kind, "pct_start", &mut self.pct_start, PCT_START)?;
        own(kind, "div_factor", &mut self.div_factor, DIV_FACTOR)?;
        own(kind, "final_div_factor", &mut self.final_div_factor, FINAL_DIV_FACTOR)?;
        own(kind, "anneal", &mut self.anneal, Default::default())?;

        let allowed = format!("0 to the learning rate, which is {}", short(learning_rate));
        number("min_lr", self.min_lr, &allowed, |least| (0.0..=learning_rate).contains(&least))?;
        if let Some(milestones) = &self.milestones {
            let fits = milestones.first().is_some_and(|&first| first > 0)
                && milestones.is_sorted_by(|a, b| a < b);
            let allowed = "epochs from 1, each later than the one before";
            require("milestones", fits, format!("{milestones:?}"), allowed)?;
        }
        let in_part = |value: f64| value > 0.0 && value <= 1.0;
        number("factor", self.factor, "a number above 0, up to 1", in_part)?;
        let positive = |value: f64| value > 0.0 && value.is_finite();
        number("power", self.power, "a finite number above 0", positive)?;
        number("decay_fraction", self.decay_fraction, "a number above 0, up to 1", in_part)?;
        let in_whole = |value: f64| (0.0..=1.0).contains(&value);
        number("pct_start", self.pct_start, "a number from 0 to 1", in_whole)?;
        let divides = |value: f64| value >= 1.0 && value.is_finite();
        number("div_factor", self.div_factor, "a finite number of at least 1", divides)?;
        number("final_div_factor", self.final_div_factor, "a finite number of at least 1", divides)
    }
}

/// Sets a key to its default if the kind has it.
fn own<T>(
    kind: LearningRateKind,
    key: &'static str,
    value: &mut Option<T>,
    default: T,
) -> Result<()> {
    if kind.keys().contains(&key) {
        value.get_or_insert(default);
    } else if value.is_some() {
        return Err(Error::LearningRateKey { key, kind: kind.name() });
    }
    Ok(())
}

fn number(
    key: &'static str,
    value: Option<f64>,
    allowed: &str,
    fits: impl Fn(f64) -> bool,
) -> Result<()> {
    value.map_or(Ok(()), |value| require(key, fits(value), short(value), allowed))
}

fn require(key: &'static str, fits: bool, found: String, allowed: &str) -> Result<()> {
    if fits {
        return Ok(());
    }
    Err(Error::LearningRateSchedule { key, found, allowed: allowed.to_owned() })
}
