//! JSON has no word for NaN and infinity, and a run that diverges needs one.
//!
//! Finite numbers are JSON numbers that round-trip to the same bits; the others are the strings
//! `"NaN"`, `"Infinity"` and `"-Infinity"`. For `#[serde(with = "lookahead_run::number")]` on an
//! `f64`, so that other output of the program writes numbers as the event log does.

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;

/// Writes a number.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.is_finite() {
        serializer.serialize_f64(*value)
    } else if value.is_nan() {
        serializer.serialize_str("NaN")
    } else if *value > 0.0 {
        serializer.serialize_str("Infinity")
    } else {
        serializer.serialize_str("-Infinity")
    }
}

/// Reads a number.
///
/// # Errors
/// For anything but a number and the three strings, and those of the deserializer.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Number;

    impl Visitor<'_> for Number {
        type Value = f64;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a number, \"NaN\", \"Infinity\" or \"-Infinity\"")
        }

        fn visit_f64<E: Error>(self, value: f64) -> Result<f64, E> {
            Ok(value)
        }

        fn visit_i64<E: Error>(self, value: i64) -> Result<f64, E> {
            Ok(value as f64)
        }

        fn visit_u64<E: Error>(self, value: u64) -> Result<f64, E> {
            Ok(value as f64)
        }

        fn visit_str<E: Error>(self, value: &str) -> Result<f64, E> {
            match value {
                "NaN" => Ok(f64::NAN),
                "Infinity" => Ok(f64::INFINITY),
                "-Infinity" => Ok(f64::NEG_INFINITY),
                other => Err(E::invalid_value(Unexpected::Str(other), &self)),
            }
        }
    }

    deserializer.deserialize_any(Number)
}

/// The same for an `Option<f64>`.
pub mod option {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Number(#[serde(with = "super")] f64);

    /// Writes a number, or null.
    ///
    /// # Errors
    /// Those of the serializer.
    pub fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
        value.map(Number).serialize(serializer)
    }

    /// Reads a number, or null.
    ///
    /// # Errors
    /// As [`super::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Option<f64>, D::Error> {
        Ok(Option::<Number>::deserialize(input)?.map(|number| number.0))
    }
}

#[cfg(test)]
mod tests {
    use serde::{Deserialize, Serialize};

    #[derive(Serialize, Deserialize)]
    struct Numbers {
        #[serde(with = "super")]
        one: f64,
        #[serde(default, skip_serializing_if = "Option::is_none", with = "super::option")]
        maybe: Option<f64>,
    }

    #[test]
    fn numbers_come_back_to_the_bit_whether_they_may_be_absent_or_not() {
        for one in crate::testing::tricky_numbers() {
            let text = serde_json::to_string(&Numbers { one, maybe: Some(one) }).unwrap();
            let found: Numbers = serde_json::from_str(&text).unwrap();
            let same =
                |found: f64| found.to_bits() == one.to_bits() || found.is_nan() && one.is_nan();
            assert!(same(found.one) && found.maybe.is_some_and(same), "{text}");
            assert_eq!(text.matches('"').count(), if one.is_finite() { 4 } else { 8 }, "{text}");
        }
        let text = serde_json::to_string(&Numbers { one: 1.0, maybe: None }).unwrap();
        assert_eq!(text, "{\"one\":1.0}");
    }

    #[test]
    fn what_is_absent_or_null_is_none_and_what_is_no_number_is_an_error() {
        let read = |maybe: &str| {
            let text = format!("{{\"one\":1,\"maybe\":{maybe}}}");
            serde_json::from_str::<Numbers>(&text).map(|found| found.maybe)
        };
        assert_eq!(read("null").unwrap(), None);
        assert_eq!(serde_json::from_str::<Numbers>("{\"one\":1}").unwrap().maybe, None);
        assert_eq!(read("-7").unwrap(), Some(-7.0));
        assert_eq!(read("18446744073709551615").unwrap(), Some(u64::MAX as f64));
        assert_eq!(read("\"-Infinity\"").unwrap(), Some(f64::NEG_INFINITY));
        for bad in ["\"nan\"", "\"\"", "\"1.0\"", "true", "[]", "{}"] {
            let error = read(bad).unwrap_err().to_string();
            assert!(error.contains("a number, \"NaN\", \"Infinity\""), "{bad}: {error}");
        }
        assert!(serde_json::from_str::<Numbers>("{\"one\":null}").is_err(), "it may not be absent");
        assert!(serde_json::from_str::<Numbers>("{}").is_err());
    }

    #[test]
    fn none_is_null_where_it_is_written() {
        #[derive(Serialize)]
        struct Number(#[serde(with = "super::option")] Option<f64>);

        assert_eq!(serde_json::to_string(&Number(None)).unwrap(), "null");
        assert_eq!(serde_json::to_string(&Number(Some(f64::NAN))).unwrap(), "\"NaN\"");
    }
}
