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
        let same = |found: f64| found.to_bits() == one.to_bits() || found.is_nan() && one.is_nan();
        assert!(same(found.one) && found.maybe.is_some_and(same), "{text}");
        assert_eq!(text.matches('"').count(), if one.is_finite() { 4 } else { 8 }, "{text}");
    }
    let text = serde_json::to_string(&Numbers { one: 1.0, maybe: None }).unwrap();
    assert_eq!(text, "{\"one\":1.0}");
}

#[test]
fn absent_and_null_are_none_and_anything_else_is_an_error() {
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
fn none_is_written_as_null() {
    #[derive(Serialize)]
    struct Number(#[serde(with = "super::option")] Option<f64>);

    assert_eq!(serde_json::to_string(&Number(None)).unwrap(), "null");
    assert_eq!(serde_json::to_string(&Number(Some(f64::NAN))).unwrap(), "\"NaN\"");
}
