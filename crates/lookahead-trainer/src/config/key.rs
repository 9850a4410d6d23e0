//! What is known of a key besides its Rust type: from here come `lookahead config`, `lookahead init`, the tables of
//! `docs/configuration.md` and what error messages say of a key.
//!
//! Each section, and each kind of data, model and optimizer, has a list of these beside its serde type.

use std::fmt;

use super::bounds::Bounds;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueType {
    /// An integer.
    Whole,
    /// An integer or a float.
    Number,
    /// A boolean.
    Switch,
    /// A string.
    Text,
    /// A string that is a path.
    Path,
    /// A list of integers.
    Wholes,
    /// A list of numbers.
    Numbers,
    /// A list of strings.
    Texts,
    /// A table with a `kind`: how a value changes over the run.
    Schedule,
    /// A list of tables.
    Tables,
    /// Unknown: a key without documentation and default.
    Any,
}

impl ValueType {
    /// The type of a value.
    pub(super) fn of(value: &toml::Value) -> Self {
        use toml::Value::{Array, Boolean, Float, Integer, String};
        match value {
            Integer(_) => ValueType::Whole,
            Float(_) => ValueType::Number,
            Boolean(_) => ValueType::Switch,
            String(_) => ValueType::Text,
            Array(items) => match items.first() {
                Some(Integer(_)) => ValueType::Wholes,
                Some(Float(_)) => ValueType::Numbers,
                Some(String(_)) => ValueType::Texts,
                Some(toml::Value::Table(_)) => ValueType::Tables,
                _ => ValueType::Any,
            },
            _ => ValueType::Any,
        }
    }
}

/// In a sentence, after "needs".
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ValueType::Whole => "a whole number",
            ValueType::Number => "a number",
            ValueType::Switch => "true or false",
            ValueType::Text => "a string",
            ValueType::Path => "a path",
            ValueType::Wholes => "a list of whole numbers",
            ValueType::Numbers => "a list of numbers",
            ValueType::Texts => "a list of strings",
            ValueType::Schedule => "a schedule",
            ValueType::Tables => "a list of tables",
            ValueType::Any => "a value",
        })
    }
}

/// The documentation of a key.
///
/// ```
/// use lookahead_trainer::Key;
///
/// const KEYS: &[Key] = &[
///     Key::number("mass", "the part of the velocity that a step keeps").at_least(0.0).below(1.0),
///     Key::choice("form", &["plain", "nesterov"], "where the gradient is taken"),
/// ];
/// assert_eq!(KEYS[0].allowed_words(), "0 to below 1");
/// # assert_eq!(KEYS[1].choices, ["plain", "nesterov"]);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct Key {
    /// Its name within its section.
    pub name: &'static str,
    /// What its value is.
    pub value: ValueType,
    /// The numbers that are allowed. Others are refused, also those of a kind of your own.
    pub bounds: Bounds,
    /// The values that are allowed, in words after "Use", if `bounds` and `choices` don't describe them well.
    pub allowed: &'static str,
    /// The form of a text, as a regular expression for the JSON Schema. Empty: any text.
    pub pattern: &'static str,
    /// Of a choice: the names that can be chosen.
    pub choices: &'static [&'static str],
    /// What names that can be chosen are: each with a phrase.
    pub explained: &'static [(&'static str, &'static str)],
    /// The kinds of `[averaging]` or `[schedule]` that have it. Empty: all.
    pub kinds: &'static [&'static str],
    /// The default in words, where the serde type has no value.
    pub default: &'static str,
    /// An example of a value, as TOML. Empty: the default is a good one.
    pub example: &'static str,
    /// What it does: a phrase without capital letter and full stop, and perhaps more sentences. Markdown.
    pub meaning: &'static str,
}

/// The [default](Key::default) of a key that must be set.
pub const REQUIRED: &str = "required";

impl Key {
    /// A key whose values are of the type `value`.
    pub const fn new(name: &'static str, value: ValueType, meaning: &'static str) -> Self {
        Key {
            name,
            value,
            bounds: Bounds::ANY,
            allowed: "",
            pattern: "",
            choices: &[],
            explained: &[],
            kinds: &[],
            default: "",
            example: "",
            meaning,
        }
    }

    /// A whole number.
    pub const fn whole(name: &'static str, meaning: &'static str) -> Self {
        Key::new(name, ValueType::Whole, meaning)
    }

    /// A number.
    pub const fn number(name: &'static str, meaning: &'static str) -> Self {
        Key::new(name, ValueType::Number, meaning)
    }

    /// `true` or `false`.
    pub const fn switch(name: &'static str, meaning: &'static str) -> Self {
        Key::new(name, ValueType::Switch, meaning)
    }

    /// A string.
    pub const fn text(name: &'static str, meaning: &'static str) -> Self {
        Key::new(name, ValueType::Text, meaning)
    }

    /// A path.
    pub const fn path(name: &'static str, meaning: &'static str) -> Self {
        Key::new(name, ValueType::Path, meaning)
    }

    /// A list of whole numbers.
    pub const fn wholes(name: &'static str, meaning: &'static str) -> Self {
        Key::new(name, ValueType::Wholes, meaning)
    }

    /// A list of numbers.
    pub const fn numbers(name: &'static str, meaning: &'static str) -> Self {
        Key::new(name, ValueType::Numbers, meaning)
    }

    /// A list of strings.
    pub const fn texts(name: &'static str, meaning: &'static str) -> Self {
        Key::new(name, ValueType::Texts, meaning)
    }

    /// A list of tables.
    pub const fn tables(name: &'static str, meaning: &'static str) -> Self {
        Key::new(name, ValueType::Tables, meaning)
    }

    /// One of several names.
    pub const fn choice(
        name: &'static str,
        choices: &'static [&'static str],
        meaning: &'static str,
    ) -> Self {
        Key { choices, ..Key::new(name, ValueType::Text, meaning) }
    }

    /// With what the names are that can be chosen, each with a phrase.
    #[must_use]
    pub const fn explained(self, explained: &'static [(&'static str, &'static str)]) -> Self {
        Key { explained, ..self }
    }

    /// The values that are allowed, in words after "Use". Empty if all values of the type are.
    pub fn allowed_words(&self) -> String {
        if !self.allowed.is_empty() {
            return self.allowed.to_owned();
        }
        if !self.choices.is_empty() {
            return self.choices.join(", ");
        }
        let is_whole = matches!(self.value, ValueType::Whole | ValueType::Wholes);
        let is_list = matches!(self.value, ValueType::Wholes | ValueType::Numbers);
        self.bounds.words(is_whole, is_list)
    }

    /// With numbers from `least` on.
    #[must_use]
    pub const fn at_least(self, least: f64) -> Self {
        Key { bounds: Bounds { least: Some((least, false)), ..self.bounds }, ..self }
    }

    /// With numbers above `least`.
    #[must_use]
    pub const fn above(self, least: f64) -> Self {
        Key { bounds: Bounds { least: Some((least, true)), ..self.bounds }, ..self }
    }

    /// With numbers up to `most`.
    #[must_use]
    pub const fn at_most(self, most: f64) -> Self {
        Key { bounds: Bounds { most: Some((most, false)), ..self.bounds }, ..self }
    }

    /// With numbers below `most`.
    #[must_use]
    pub const fn below(self, most: f64) -> Self {
        Key { bounds: Bounds { most: Some((most, true)), ..self.bounds }, ..self }
    }

    /// With lists of `fewest` to `longest` values.
    #[must_use]
    pub const fn values(self, fewest: usize, longest: usize) -> Self {
        Key { bounds: Bounds { fewest, longest: Some(longest), ..self.bounds }, ..self }
    }

    /// With lists that have a value.
    #[must_use]
    pub const fn not_empty(self) -> Self {
        Key { bounds: Bounds { fewest: 1, ..self.bounds }, ..self }
    }

    /// With texts of a form, as a regular expression for the JSON Schema.
    #[must_use]
    pub const fn pattern(self, pattern: &'static str) -> Self {
        Key { pattern, ..self }
    }

    /// With the values that are allowed, in words after "Use".
    #[must_use]
    pub const fn allowed(self, allowed: &'static str) -> Self {
        Key { allowed, ..self }
    }

    /// With the default in words, where it is not one value.
    #[must_use]
    pub const fn default(self, default: &'static str) -> Self {
        Key { default, ..self }
    }

    /// With an example of a value, as TOML.
    #[must_use]
    pub const fn example(self, example: &'static str) -> Self {
        Key { example, ..self }
    }

    /// Only for some kinds of its section.
    #[must_use]
    pub(super) const fn only(self, kinds: &'static [&'static str]) -> Self {
        Key { kinds, ..self }
    }

    /// A key that must be set, with an example of a value, as TOML.
    #[must_use]
    pub const fn required(self, example: &'static str) -> Self {
        Key { default: REQUIRED, example, ..self }
    }
}
