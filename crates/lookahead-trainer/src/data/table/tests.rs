use super::*;
use lookahead_run::event::Split;
use tch::{Device, Tensor};

/// A data set of these files, with 20 % for tests, and 2 rows for validation.
fn loaded(
    file: &str,
    test_file: Option<&str>,
    change: impl FnOnce(&mut TableOptions),
) -> anyhow::Result<Dataset> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).map(|()| path)
    };
    let mut options = TableOptions {
        file: Some(write("train.csv", file)?),
        test_file: test_file.map(|text| write("test.csv", text)).transpose()?,
        target: Some("y".to_owned()),
        ..Default::default()
    };
    change(&mut options);
    let context = LoadContext { name: "csv", batch_size: 4, validation: Some(2) };
    load(options, &context)
}

fn rows(count: usize, y: impl Fn(usize) -> String) -> String {
    let rows: String = (0..count).map(|i| format!("{i},{},{}\n", i % 3, y(i))).collect();
    format!("x,z,y\n{rows}")
}

fn floats(tensor: Tensor) -> Vec<f32> {
    Vec::try_from(tensor.reshape([-1])).unwrap()
}

#[test]
fn rows_are_shuffled_and_split_and_the_training_part_is_standardized() {
    let text = rows(20, |i| ["no", "yes"][i % 2].to_owned());
    let data = loaded(&text, None, |_| {}).unwrap();
    let lengths = (data.train.len(), data.validation.len(), data.test.len());
    assert_eq!(lengths, (14, 2, 4));
    assert_eq!(data.spec.inputs.shape, [2]);
    assert_eq!(data.spec.classes.as_deref(), Some(&["no".to_owned(), "yes".to_owned()][..]));
    let train = data.train.slice(0..14, Device::Cpu).unwrap();
    let x = floats(train.inputs.select(1, 0));
    let mean = x.iter().sum::<f32>() / 14.0;
    let variance = x.iter().map(|x| x * x).sum::<f32>() / 14.0;
    assert!(mean.abs() < 1e-6 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
    assert!(!x.is_sorted(), "the rows are shuffled");
    // Each row still has its own class: that of an even or an odd x.
    let table = data.spec.table.clone().unwrap();
    let encoding::ColumnValues::Number { mean, std } = table.inputs[0].values else { panic!() };
    let classes = Vec::<i64>::try_from(train.targets).unwrap();
    for (x, class) in x.iter().zip(classes) {
        let raw = (f64::from(*x) * std + mean).round() as i64;
        assert_eq!(raw % 2, class, "{raw}");
    }
    // Carriage returns, a byte order mark and quotes change nothing.
    let other = format!("\u{feff}{}", text.replace("no\n", "\"no\"\n").replace('\n', "\r\n"));
    let again = loaded(&other, None, |_| {}).unwrap();
    assert_eq!(again.train.fingerprint(), data.train.fingerprint());
    let other = loaded(&text.replace("17,", "18,"), None, |_| {}).unwrap();
    assert_ne!(other.train.fingerprint(), data.train.fingerprint());
}

#[test]
fn a_test_file_is_the_test_set_in_its_order() {
    let text = rows(20, |i| format!("{}.5", 10 * i));
    let data = loaded(&text, Some("y,x,z\n95.5,9,1\n0.5,0,2\n"), |_| {}).unwrap();
    assert_eq!((data.train.len(), data.split(Split::Test).unwrap().len()), (18, 2));
    assert_eq!((data.spec.task, data.spec.outputs), (Task::Regression, Some(1)));
    let Scale { mean, std } = data.spec.target.clone().unwrap();
    let targets = data.test.slice(0..2, Device::Cpu).unwrap().targets;
    assert_eq!(targets.size(), [2, 1]);
    for (value, expected) in floats(targets).into_iter().zip([95.5, 0.5]) {
        assert!((f64::from(value) * std[0] + mean[0] - expected).abs() < 1e-4);
    }
    let written = serde_json::to_string(&data.spec).unwrap();
    assert_eq!(serde_json::from_str::<DataSpec>(&written).unwrap(), data.spec);
    assert!(data.spec.describe().contains("columns: x, z\n"), "{}", data.spec.describe());
}

#[test]
fn errors_name_the_file_and_its_key() {
    let text = rows(20, |i| ["no", "yes"][i % 2].to_owned());
    let error = |test_file: &str| {
        let error = loaded(&text, Some(test_file), |_| {}).unwrap_err();
        assert!(error.is::<UsageError>());
        error.to_string()
    };
    let found = error("x,z,y\n1,1,no\n1,1,maybe\n");
    assert!(found.contains("test.csv of `data.test_file`"), "{found}");
    assert!(
        found.contains("Line 3, column `y`: no training row has the class \"maybe\""),
        "{found}"
    );
    assert!(error("x,z,label\n1,1,no\n").contains("It has no column `y`, which `data.target`"));
    assert!(error("x,y\n1,no\n").contains("It has no column `z`, which is an input"));
    assert!(error("x,z,y\n").contains("It has no rows"));
    let none = loaded(&text, None, |options| options.file = Some("/none".into())).unwrap_err();
    assert!(none.to_string().contains("The table /none of `data.file` can't be used"), "{none}");
    let small = loaded("x,y\n1,a\n", None, |_| {}).unwrap_err().to_string();
    assert!(small.contains("It has 1 samples, of which 1 are for tests"), "{small}");
    // The only row of a class is in the test part.
    let rare =
        |rare: usize| rows(20, |i| if i == rare { "rare" } else { ["a", "b"][i % 2] }.to_owned());
    let errors = (0..20).filter_map(|i| loaded(&rare(i), None, |_| {}).err());
    let errors: Vec<String> = errors.map(|error| error.to_string()).collect();
    assert_eq!(errors.len(), 6);
    assert!(errors.iter().all(|error| error.contains("no training row has the class \"rare\"")));
}

#[test]
fn keys_that_do_not_fit_are_refused() {
    let options = || TableOptions {
        file: Some("a.csv".into()),
        target: Some("y".to_owned()),
        ..Default::default()
    };
    options().check().unwrap();
    for (options, words) in [
        (TableOptions { file: None, ..options() }, "`data.file` is missing"),
        (TableOptions { target: None, ..options() }, "`data.target` is missing"),
        (TableOptions { delimiter: '→', ..options() }, "`data.delimiter` is '→'. Use one ASCII"),
        (TableOptions { delimiter: '"', ..options() }, "`data.delimiter` is '\"'"),
        (
            TableOptions { test_fraction: Some(0.5), test_file: Some("b".into()), ..options() },
            "both set",
        ),
    ] {
        let issue = options.check().unwrap_err();
        assert!(issue.message.contains(words), "{}", issue.message);
    }
}
