use super::*;
use crate::data::table::rows::Rows;

fn encoding(missing: Missing) -> Encoding {
    let number = ColumnValues::Number { mean: 2.0, std: 0.5 };
    let categories = ColumnValues::Categories(vec!["Bonn".to_owned(), "Rome".to_owned()]);
    let column = |name: &str, values| Column { name: name.to_owned(), values };
    let inputs = vec![column("age", number), column("city", categories)];
    Encoding { inputs, target: "label".to_owned(), missing, delimiter: ',' }
}

fn encoded(text: &str, missing: Missing) -> Result<Vec<f32>, String> {
    let encoding = encoding(missing);
    let mut rows = Rows::open(text.as_bytes(), b',')?;
    let positions = encoding.positions(rows.header())?;
    let mut inputs = Vec::new();
    while let Some(row) = rows.next()? {
        encoding.encode(row, &positions, &mut inputs)?;
    }
    Ok(inputs)
}

#[test]
fn cells_become_inputs_whatever_the_order_of_the_columns() {
    let text = "more,city,age\nx,Rome,3\nx,Oslo,1e0\n";
    let expected = [2.0, 0.0, 1.0, -2.0, 0.0, 0.0];
    assert_eq!(encoded(text, Missing::Error).unwrap(), expected);
    assert_eq!(encoding(Missing::Error).width(), 3);
    let missing = "age,city\n,\n NA , ? \n";
    assert_eq!(encoded(missing, Missing::Mean).unwrap(), [0.0; 6]);
    assert_eq!(encoded(missing, Missing::Zero).unwrap(), [-4.0, 0.0, 0.0, -4.0, 0.0, 0.0]);
}

#[test]
fn cells_that_cannot_be_used_are_named() {
    for (text, words) in [
        ("age,town\n1,Bonn\n", "It has no column `city`, which is an input of the model."),
        ("age,city\n1,Bonn\n,Rome\n", "Line 3, column `age`: the cell is empty. Fill it in"),
        ("age,city\nNaN,Bonn\n", "Line 2, column `age`: \"NaN\" counts as missing."),
        ("age,city\n1,null\n", "Line 2, column `city`: \"null\" counts as missing."),
        ("age,city\n1,Bonn\nold,Rome\n", "Line 3, column `age`: \"old\" isn't a finite number."),
        ("age,city\ninf,Bonn\n", "Line 2, column `age`: \"inf\" isn't a finite number."),
        ("age,city\n1e300,Bonn\n", "\"1e300\" is too far from the mean of the training rows, 2e0."),
    ] {
        let error = encoded(text, Missing::Error).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn a_checkpoint_keeps_the_encoding() {
    let written = serde_json::to_value(encoding(Missing::Mean)).unwrap();
    let expected = serde_json::json!({
        "inputs": [
            { "name": "age", "number": { "mean": 2.0, "std": 0.5 } },
            { "name": "city", "categories": ["Bonn", "Rome"] },
        ],
        "target": "label",
        "missing": "mean",
        "delimiter": ",",
    });
    assert_eq!(written, expected);
    let read: Encoding = serde_json::from_value(written).unwrap();
    assert_eq!(read, encoding(Missing::Mean));
}
