use super::*;

fn layout(missing: Missing) -> Layout {
    Layout {
        delimiter: b',',
        target: "y".to_owned(),
        ignore: Vec::new(),
        categorical: Vec::new(),
        missing,
        task: None,
    }
}

fn fitted(text: &str, layout: Layout) -> Result<(Encoding, TargetValues), String> {
    Table::scan(text.as_bytes(), layout)?.fit(text.as_bytes(), |_| true)
}

fn texts<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_owned).to_vec()
}

#[test]
fn columns_are_numbers_or_categories() {
    let text = "id,age,city,zone,y\na,1,Rome,2,no\nb,3,Bonn,1,yes\nc,,Bonn,2,no\nd,5,NA,1,no\n";
    let layout =
        Layout { ignore: texts(["id"]), categorical: texts(["zone"]), ..layout(Missing::Mean) };
    let (encoding, target) = fitted(text, layout).unwrap();
    let column = |name: &str, values| Column { name: name.to_owned(), values };
    // The mean and the deviation of 1, 3 and 5.
    let std = (8.0f64 / 3.0).sqrt();
    assert_eq!(
        encoding.inputs,
        [
            column("age", ColumnValues::Number { mean: 3.0, std }),
            column("city", ColumnValues::Categories(texts(["Bonn", "Rome"]))),
            column("zone", ColumnValues::Categories(texts(["1", "2"]))),
        ]
    );
    assert_eq!(target, TargetValues::Classes(texts(["no", "yes"])));
}

#[test]
fn only_training_rows_decide() {
    let text = "x,y\n1,a\n3,b\n100,c\n";
    let table = Table::scan(text.as_bytes(), layout(Missing::Error)).unwrap();
    assert_eq!(table.rows(), 3);
    let (encoding, target) = table.fit(text.as_bytes(), |row| row < 2).unwrap();
    assert_eq!(encoding.inputs[0].values, ColumnValues::Number { mean: 2.0, std: 1.0 });
    assert_eq!(target, TargetValues::Classes(texts(["a", "b"])));

    let mut rows = Rows::open(text.as_bytes(), b',').unwrap();
    let mut encode = || target.encode(rows.next().unwrap().unwrap(), 1, "y");
    assert_eq!((encode(), encode()), (Ok(0.0), Ok(1.0)));
    let error = encode().unwrap_err();
    assert!(error.contains("Line 4, column `y`: no training row has the class \"c\""), "{error}");
    assert!(error.contains("Their classes are `a`, `b`."), "{error}");
}

#[test]
fn the_target_decides_the_task() {
    let task = |values: &[&str], task| {
        let rows: String = values.iter().enumerate().map(|(i, y)| format!("{i},{y}\n")).collect();
        let (_, target) =
            fitted(&format!("x,y\n{rows}"), Layout { task, ..layout(Missing::Error) })?;
        Ok::<_, String>(target)
    };
    let number = |mean, std| Ok(TargetValues::Number { mean, std });
    let (classes, numbers) = (Some(TableTask::Classification), Some(TableTask::Regression));
    assert_eq!(task(&["b", "a"], None), Ok(TargetValues::Classes(texts(["a", "b"]))));
    assert_eq!(task(&["10", "9", "9.0"], None), Ok(TargetValues::Classes(texts(["9", "10"]))));
    assert_eq!(task(&["0.5", "1.5"], None), number(1.0, 0.5));
    assert_eq!(task(&["0.5", "1.5"], classes), Ok(TargetValues::Classes(texts(["0.5", "1.5"]))));
    assert_eq!(task(&["1", "3"], numbers), number(2.0, 1.0));
    let many: Vec<String> = (0..21).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert!(matches!(task(&many, None), Ok(TargetValues::Number { .. })));
    assert!(matches!(task(&many[1..], None), Ok(TargetValues::Classes(_))));
    for (values, wanted, words) in [
        (
            &["a", "b"][..],
            numbers,
            "`data.task` is regression, and column `y`, the target, holds texts",
        ),
        (&["a", "a"], None, "Column `y`, the target, has \"a\" in all training rows"),
        (&["1", "1.0"], numbers, "has \"1\" in all training rows"),
    ] {
        let error = task(values, wanted).unwrap_err();
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn bad_tables_are_refused_with_line_and_column() {
    for (text, words) in [
        (
            "x,z\n1,2\n",
            "It has no column `y`, which `data.target` names. Its columns are `x`, `z`.",
        ),
        ("x,Y\n1,2\n", "Did you mean `Y`?"),
        ("x,y\n", "It has no rows below the first line"),
        ("y\na\nb\n", "It has no column besides the target `y`"),
        ("x,y\n1,a\n2,b\nNaN,a\n", "Line 4, column `x`: \"NaN\" counts as missing."),
        ("x,y\n1,a\n,b\n", "Line 3, column `x`: the cell is empty."),
        ("x,y\n1,a\n2,\n", "Line 3, column `y`: the cell is empty. The target can't be missing"),
        ("x,y\n1,a\ninf,b\n", "Line 3, column `x`: \"inf\" isn't a finite number."),
        ("x,y\n1,a\n2,b\nthree,b\n", "Line 4, column `x`: \"three\" isn't a number, and 2 of"),
        (
            "x,y\n\"1,5\",a\n\"2,5\",b\n",
            "Line 2, column `x`: \"1,5\" has a comma instead of a decimal point",
        ),
        (
            "x,y\n1,a\n1,b\n",
            "Column `x` is constant: it has \"1\" in all training rows. Leave it out",
        ),
        ("x,y\nu,a\nu,b\n", "Column `x` is constant: it has \"u\""),
        ("x,y\n,a\n,b\n", "Column `x` has no values. Leave it out with `data.ignore = [\"x\"]`."),
        ("x,y\n1,\n2,\n", "Column `y`, the target, has no values."),
        ("x,y\n1e300,a\n-1e300,b\n", "Column `x` has numbers too large"),
    ] {
        let error = fitted(text, layout(Missing::Error)).unwrap_err();
        assert!(error.contains(words), "{text:?}: {error}");
    }
    let ignored = Layout { ignore: texts(["y"]), ..layout(Missing::Error) };
    let error = fitted("x,y\n1,a\n2,b\n", ignored).unwrap_err();
    assert!(error.contains("`y` is the target, and `data.ignore` names it too"), "{error}");

    let many: String = (0..=MOST_CATEGORIES).map(|i| format!("text {i},{i},{}\n", i % 2)).collect();
    let error = fitted(&format!("x,z,y\n{many}"), layout(Missing::Error)).unwrap_err();
    assert!(error.contains("Column `x` has more than 1000 different texts"), "{error}");
    let task = Some(TableTask::Classification);
    let classes =
        Layout { target: "z".to_owned(), ignore: texts(["x"]), task, ..layout(Missing::Error) };
    let error = fitted(&format!("x,z,y\n{many}"), classes).unwrap_err();
    assert!(error.contains("at most 1000 classes are allowed"), "{error}");
}
