use super::*;

/// As versions before tables and regression wrote them, for images and for a text.
#[test]
fn signatures_of_earlier_versions_are_read() {
    let images = r#"{"data": "digits", "task": "classification", "inputs": {"shape": [1, 8, 8],
        "axes": ["channel", "row", "column"], "dtype": "float32", "range": [0.0, 16.0],
        "mean": [4.8916], "std": [6.0189]}, "outputs": 10, "classes": ["a", "b"]}"#;
    let text = r#"{"data": "text", "task": "language", "inputs": {"shape": [4],
        "axes": ["character"], "dtype": "int64"}, "outputs": 9, "alphabet": "\n \"chilßä"}"#;
    let read = |json: &str| {
        let value = serde_json::from_str::<serde_json::Value>(json).unwrap();
        let spec = parse(&value, "step-00000004").unwrap();
        assert_eq!(serde_json::to_value(&spec).unwrap(), value);
        spec
    };
    let images = read(images);
    assert_eq!((images.outputs, images.inputs.range), (Some(10), Some([0.0, 16.0])));
    assert_eq!((images.table, images.target), (None, None));
    assert_eq!(read(text).text().unwrap(), (9, 4));

    let error = parse(&serde_json::json!({"data": 3}), "step-00000004").unwrap_err().to_string();
    assert!(error.contains("step-00000004 can't be used"), "{error}");
}
