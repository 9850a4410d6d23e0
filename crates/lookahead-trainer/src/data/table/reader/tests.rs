use super::*;
use crate::data::array::Values;
use crate::data::table::encoding::{Column, ColumnValues, Missing};

fn encoding() -> Encoding {
    let values = ColumnValues::Number { mean: 0.0, std: 1.0 };
    let inputs = vec![Column { name: "x".to_owned(), values }];
    Encoding { inputs, target: "y".to_owned(), missing: Missing::Error, delimiter: ';' }
}

#[test]
fn rows_come_in_chunks_until_the_end() {
    let text = "y;x;z\n?;1;a\n?;2;b\n?;3;c\n";
    let mut reader = TableReader::new(text.as_bytes(), &encoding()).unwrap();
    let mut next = || reader.next_chunk(2).unwrap();
    assert_eq!(next(), Some(Array::new(&[2, 1], vec![1.0f32, 2.0]).unwrap()));
    assert_eq!(next(), Some(Array::new(&[1, 1], vec![3.0f32]).unwrap()));
    assert_eq!((next(), next()), (None, None));
}

#[test]
fn a_million_rows_need_no_more_memory_than_a_chunk() {
    /// A header, and then a row over and over.
    #[derive(Debug)]
    struct Endless(usize);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let row = if self.0 == 0 { &b"x\n"[..] } else { b"4\n" };
            self.0 += 1;
            buffer[..2].copy_from_slice(row);
            Ok(if self.0 > 1_000_001 { 0 } else { 2 })
        }
    }
    let mut reader = TableReader::new(Endless(0), &encoding()).unwrap();
    let mut rows = 0;
    while let Some(chunk) = reader.next_chunk(1000).unwrap() {
        assert_eq!(chunk.shape(), [1000, 1]);
        assert!(matches!(chunk.values(), Values::Floats(values) if values[999] == 4.0));
        rows += chunk.rows();
    }
    assert_eq!(rows, 1_000_000);
}

#[test]
fn a_column_that_is_not_there_is_named() {
    let error = TableReader::new(&b"X;y\n1;2\n"[..], &encoding()).map(drop).unwrap_err();
    assert!(
        error.contains("It has no column `x`") && error.contains("Did you mean `X`?"),
        "{error}"
    );
}
