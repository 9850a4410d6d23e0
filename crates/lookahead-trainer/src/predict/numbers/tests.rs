use super::*;
use crate::config::data::DataConfig;
use crate::data::{DataSpec, Inputs};
use crate::predict::chunks::Chunk;
use lookahead_run::event::Task;
use tch::Device;

/// The number of the first sample of each chunk, and its values.
fn chunks(text: &str, most: usize) -> Result<Vec<(String, Vec<f32>)>, String> {
    let inputs = Inputs::raw(&[3], &["feature"], "float32");
    let spec = DataSpec::new("mine", Task::Classification, inputs, 3);
    let preparation = Preparation::new(&spec, &DataConfig::default(), None, Device::Cpu).unwrap();
    let mut chunks = Vec::new();
    let mut take = |chunk: Chunk<'_>| {
        let values = Vec::try_from(chunk.inputs.reshape([-1]))?;
        chunks.push((chunk.origin.describe(0), values));
        Ok(())
    };
    read(text.as_bytes(), "a.csv", b',', &preparation, most, &mut take)
        .map_err(|error| error.to_string())?;
    Ok(chunks)
}

#[test]
fn rows_come_in_chunks_with_or_without_a_header() {
    let expected = [
        ("sample 1 of a.csv".to_owned(), vec![1.0, -2.5, 3000.0, 4.0, 5.0, 6.0]),
        ("sample 3 of a.csv".to_owned(), vec![7.0, 8.0, 9.0]),
    ];
    for text in
        ["1,-2.5,3e3\n4,5,6\n7,8,9", "\u{feff}a,b,c\r\n1, -2.5 ,3e3\r\n\r\n4,5,6\r\n7,\"8\",9\r\n"]
    {
        assert_eq!(chunks(text, 2).unwrap(), expected, "{text}");
    }
    assert_eq!(chunks("", 2).unwrap(), []);
    assert_eq!(chunks("a,b,c\n", 2).unwrap(), []);
}

#[test]
fn a_bad_cell_is_named_by_line_and_column() {
    for (text, words) in [
        ("1,2,3\n4,x,6\n", "a.csv can't be used. Line 2, column 2: \"x\" is not a finite number"),
        ("1,y,3\n", "Line 1, column 2: \"y\""),
        ("a,b,c\n\n1,2,\n", "Line 3, column 3: \"\""),
        ("1,2,3\r\n\r\n\n4,\"5\n\",6\r\n7,8,x", "Line 6, column 3"),
        ("1,2,NaN\n", "\"NaN\" is not"),
        ("1,2,1e39\n", "\"1e39\" is not"),
        ("a,b,c\n1,2,3\n1,2\n", "Line 3 has 2 values, and a sample of this model has 3"),
        ("1,2,3,4\n", "Line 1 has 4 values"),
    ] {
        let error = chunks(text, 8).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}
