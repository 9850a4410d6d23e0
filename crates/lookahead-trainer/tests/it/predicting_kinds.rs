//! `lookahead predict` for each kind of data: the predictions have the metrics of `eval`, without the training data.

use std::collections::BTreeMap;
use std::path::Path;

use crate::common::{Sandbox, failed, sets, succeeded};
use crate::predicting::{digits, predict, rows};
use lookahead_trainer::tensor_file::{entries, write_new};
use serde_json::Value;
use tch::Tensor;

fn eval(sandbox: &Sandbox) -> Value {
    let output = succeeded(sandbox.lookahead(&["eval", "runs/run", "--json"])).stdout;
    serde_json::from_slice(&output).unwrap()
}

const TABLE: &str = r#"
[data]
kind = "csv"
file = "table.csv"
test_file = "test.csv"
target = "sold"
ignore = ["id"]
missing = "mean"
delimiter = ";"
batch_size = 8

[model]
kind = "mlp"
hidden = [8]

[train]
max_steps = 30
threads = 1
"#;

/// Rows with a number that may be missing, a text, and the class.
fn table(rows: std::ops::Range<usize>) -> Vec<[String; 4]> {
    let row = |i: usize| {
        let number = if i % 7 == 3 { "NA".to_owned() } else { format!("{}.5", i * 37 % 50) };
        let city = ["Bonn", "Rome", "\"Frankfurt; Main\""][i % 3];
        [i.to_string(), number, city.to_owned(), ["yes", "no"][i * 37 % 50 / 25].to_owned()]
    };
    rows.map(row).collect()
}

/// A file with these columns of a table.
fn columns(rows: &[[String; 4]], columns: &[usize]) -> String {
    let names = ["id", "price", "city", "sold"].map(str::to_owned);
    let line = |row: &[String; 4]| {
        let cells: Vec<&str> = columns.iter().map(|&column| row[column].as_str()).collect();
        cells.join(";") + "\n"
    };
    line(&names) + &rows.iter().map(line).collect::<String>()
}

#[test]
fn a_table_by_names_of_columns() {
    let sandbox = Sandbox::new(TABLE);
    let write = |name: &str, text: &str| std::fs::write(sandbox.path().join(name), text).unwrap();
    let (train, test) = (table(0..90), table(200..240));
    write("table.csv", &columns(&train, &[0, 1, 2, 3]));
    write("test.csv", &columns(&test, &[0, 1, 2, 3]));
    sandbox.train("run", &[]);
    let eval = eval(&sandbox);
    for name in ["table.csv", "test.csv"] {
        std::fs::remove_file(sandbox.path().join(name)).unwrap();
    }

    write("with.csv", &columns(&test, &[3, 1, 0, 2]));
    let found = rows(predict(&sandbox, &["with.csv"]));
    assert_eq!(found[0], "class,p_no,p_yes");
    let correct = found[1..].iter().zip(&test).filter(|(row, [.., class])| row.starts_with(class));
    assert_eq!(correct.count() as f64 / 40.0, eval["accuracy"].as_f64().unwrap());
    // The columns of the model in another order.
    write("without.csv", &columns(&test, &[2, 1]));
    assert_eq!(rows(predict(&sandbox, &["without.csv"])), found);

    write("lacks.csv", &columns(&test, &[0, 2, 3]));
    write("word.csv", "price;city\n1;Rome\nmuch;Rome\n");
    write("comma.csv", "price,city\n1,Rome\n");
    write("header.csv", "price;city\n");
    write("ragged.csv", "price;city\n1;Rome;2\n");
    for (file, words) in [
        ("lacks.csv", &["no column `price`", "columns are `id`, `city`, `sold`"][..]),
        ("word.csv", &["word.csv can't be used. Line 3, column `price`: \"much\""]),
        ("comma.csv", &["comma.csv can't be used"]),
        ("header.csv", &["header.csv has no samples"]),
        ("ragged.csv", &["Line 2 has 3 cells"]),
    ] {
        failed(&predict(&sandbox, &[file, "--output", "out.csv"]), 2, words);
    }
}

const PICTURES: &str = r#"
[data]
kind = "images"
dir = "digits"
validation = 60
batch_size = 50

[model]
kind = "mlp"
hidden = [16]

[train]
max_steps = 30
threads = 1
"#;

#[test]
fn a_folder_of_images() {
    let sandbox = Sandbox::new(PICTURES);
    let (images, labels) = digits();
    for (i, (image, label)) in images.iter().zip(&labels).enumerate() {
        let part = if i < 200 { "train" } else { "test" };
        let folder = sandbox.path().join(format!("digits/{part}/digit {label}"));
        std::fs::create_dir_all(&folder).unwrap();
        let pixels = image.iter().map(|&p| p * 15).collect();
        let picture = image::GrayImage::from_raw(8, 8, pixels).unwrap();
        picture.save(folder.join(format!("{i}.png"))).unwrap();
    }
    sandbox.train("run", &[]);
    let eval = eval(&sandbox);
    std::fs::remove_dir_all(sandbox.path().join("digits/train")).unwrap();
    let found = rows(predict(&sandbox, &["digits/test"]));
    assert!(found[0].starts_with("file,class,p_digit 0,p_digit 1,"), "{}", found[0]);
    let correct = found[1..].iter().filter(|row| {
        let mut cells = row.split(',');
        let (file, class) = (cells.next().unwrap(), cells.next().unwrap());
        Path::new(file).parent().unwrap().ends_with(class)
    });
    let accuracy = correct.count() as f64 / (found.len() - 1) as f64;
    assert_eq!((found.len(), accuracy), (1 + 56, eval["accuracy"].as_f64().unwrap()));
    assert!(accuracy > 0.3, "{accuracy}");
    std::fs::create_dir(sandbox.path().join("empty")).unwrap();
    failed(&predict(&sandbox, &["empty"]), 2, &["empty has no image"]);
    std::fs::write(sandbox.path().join("a.csv"), "1\n").unwrap();
    failed(&predict(&sandbox, &["a.csv"]), 2, &["Line 1 has 1 values, and a sample"]);
}

const ARRAYS: &str = r#"
[data]
kind = "arrays"
file = "all.safetensors"
inputs = "x"
targets = "y"
test_file = "test.safetensors"

[model]
kind = "mlp"
hidden = [16]

[train]
max_steps = 30
threads = 1
"#;

#[test]
fn an_array_and_rows_of_numbers() {
    let sandbox = Sandbox::new(ARRAYS);
    let (images, labels) = digits();
    for (name, part) in [("all.safetensors", 0..200), ("test.safetensors", 200..256)] {
        let pixels = Tensor::from_slice(&images[part.clone()].concat()).reshape([-1, 8, 8]);
        let classes: Vec<i64> = labels[part].iter().map(|&label| label.into()).collect();
        let classes = Tensor::from_slice(&classes);
        let tensors = BTreeMap::from([("x".to_owned(), pixels), ("y".to_owned(), classes)]);
        write_new(&sandbox.path().join(name), None, entries(tensors)).unwrap();
    }
    sandbox.train("run", &[]);
    let eval = eval(&sandbox);
    std::fs::remove_file(sandbox.path().join("all.safetensors")).unwrap();
    let found = rows(predict(&sandbox, &["test.safetensors"]));
    let test = found[1..].iter().zip(&labels[200..]);
    let correct = test.filter(|(row, label)| row.starts_with(&format!("{label},"))).count();
    assert_eq!(correct as f64 / 56.0, eval["accuracy"].as_f64().unwrap());
    let wrong = predict(&sandbox, &["test.safetensors", "--array", "y"]);
    failed(&wrong, 2, &["It has the shape [56], and the model takes (n, 8, 8)"]);
    // Rows of numbers are standardized as the array is.
    let numbers = |image: &Vec<u8>| format!("{image:?}").replace(['[', ']', ' '], "") + "\n";
    let text: String = images[200..].iter().map(numbers).collect();
    std::fs::write(sandbox.path().join("test.csv"), text).unwrap();
    assert_eq!(rows(predict(&sandbox, &["test.csv"])), found);
}

/// A target of 1,000 ± 50 that two of three columns decide.
#[test]
fn values_in_their_own_units() {
    let config = TABLE.replace("target = \"sold\"", "target = \"size\"");
    let sandbox = Sandbox::new(&config.replace("max_steps = 30", "max_steps = 200"));
    let table = |rows: std::ops::Range<usize>| -> Vec<(String, f64)> {
        let row = |i: usize| {
            let (a, b, city) =
                ((i * 37 % 50) as f64, (i * 11 % 30) as f64, ["Bonn", "Rome"][i % 2]);
            let size = 950.25 + a + 0.5 * b;
            (format!("{i};{a};{b};{city};{size}\n"), size)
        };
        rows.map(row).collect()
    };
    let test = table(100..140);
    for (name, rows) in [("table.csv", table(0..100)), ("test.csv", test.clone())] {
        let lines: String = rows.into_iter().map(|(line, _)| line).collect();
        std::fs::write(sandbox.path().join(name), format!("id;a;b;city;size\n{lines}")).unwrap();
    }
    sandbox.train("run", &sets(&["optimizer.kind=adam", "optimizer.lr=0.05"]));
    let eval = eval(&sandbox);
    std::fs::remove_file(sandbox.path().join("table.csv")).unwrap();
    let found = rows(predict(&sandbox, &["test.csv"]));
    assert_eq!((found[0].as_str(), found.len()), ("size", 41));
    let errors = found[1..].iter().zip(&test);
    let errors = errors.map(|(row, (_, size))| (row.parse::<f64>().unwrap() - size).abs());
    let mae = errors.sum::<f64>() / 40.0;
    let expected = eval["metrics"]["mae"].as_f64().unwrap();
    assert!((mae - expected).abs() < 1e-4 * expected && mae < 10.0, "{mae} {expected}");
    let lines = rows(predict(&sandbox, &["test.csv", "--format", "jsonl"]));
    let line: Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["size"].as_f64(), Some(found[1].parse().unwrap()));
}

#[test]
fn probabilities_of_labels() {
    let config = ARRAYS.replace("targets = \"y\"", "targets = \"y\"\ntask = \"multilabel\"");
    let sandbox = Sandbox::new(&config);
    let (images, labels) = digits();
    // Whether a digit is even, and whether it is above 4.
    let of = |digit: u8| [f32::from(digit.is_multiple_of(2)), f32::from(digit > 4)];
    for (name, part) in [("all.safetensors", 0..200), ("test.safetensors", 200..256)] {
        let pixels = Tensor::from_slice(&images[part.clone()].concat()).reshape([-1, 8, 8]);
        let targets: Vec<f32> = labels[part].iter().flat_map(|&digit| of(digit)).collect();
        let targets = Tensor::from_slice(&targets).reshape([-1, 2]);
        let tensors = BTreeMap::from([("x".to_owned(), pixels), ("y".to_owned(), targets)]);
        write_new(&sandbox.path().join(name), None, entries(tensors)).unwrap();
    }
    sandbox.train("run", &[]);
    let found = rows(predict(&sandbox, &["test.safetensors"]));
    assert_eq!(found[0], "p_0,p_1");
    let mut correct = 0;
    for (row, &digit) in found[1..].iter().zip(&labels[200..]) {
        for (probability, label) in row.split(',').zip(of(digit)) {
            let probability: f32 = probability.parse().unwrap();
            assert!((0.0..=1.0).contains(&probability), "{row}");
            correct += usize::from((probability > 0.5) == (label > 0.5));
        }
    }
    let accuracy = correct as f64 / 112.0;
    assert_eq!(accuracy, eval(&sandbox)["metrics"]["accuracy"].as_f64().unwrap());
    assert!(accuracy > 0.6, "{accuracy}");
}
