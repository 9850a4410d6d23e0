use super::*;

fn heatmap() -> Panel {
    let cell = |value: f64| Cell { value, text: format!("{value}") };
    let rows = [[1.0, 2.0, 3.0], [4.0, 5.0, f64::NAN]].map(|row| row.map(cell).to_vec());
    Panel {
        x_names: ["5", "10", "20"].map(str::to_owned).to_vec(),
        y_names: ["0.5", "0.8"].map(str::to_owned).to_vec(),
        heatmap: Some(Heatmap { rows: rows.to_vec(), label: "accuracy in %".into() }),
        ..panel(vec![])
    }
}

#[test]
fn cells_have_the_colors_of_their_numbers() {
    let figure = figure(vec![heatmap()]);
    let svg = svg(&figure);
    let document = Document::parse(&svg).unwrap();
    let place = |wanted: &str, last: bool| {
        let mut all: Vec<(f64, f64)> = document
            .descendants()
            .filter(|node| node.has_tag_name("text") && node.text().unwrap_or("").trim() == wanted)
            .map(|node| {
                let of = |name| node.attribute(name).unwrap().parse::<f64>().unwrap();
                (of("x"), of("y"))
            })
            .collect();
        if last { all.pop() } else { all.drain(..).next() }.unwrap()
    };
    let pixels = Pixels::of(&figure, Size::default());
    // Beside the text: the least has the first color, the most the last, and NaN is grey.
    let beside = |text: &str| {
        let (x, y) = place(text, false);
        pixels.at((x - 40.0, y))
    };
    assert_eq!(
        [beside("1"), beside("5"), beside("NaN")],
        [(68, 1, 84), (253, 231, 37), (214, 214, 214)]
    );
    let (low, high) = (place("1", false), place("4", false));
    assert!(low.1 > high.1 && (low.0 - high.0).abs() < 0.2, "the first row is at the bottom");
    // The bar's numbers are to the right of all cells.
    assert!(place("1.0", true).0 > place("3", false).0 + 100.0);
    assert!(texts(&svg).contains(&"accuracy in %".to_owned()));
}

#[test]
fn odd_cells_and_names_give_pictures_too() {
    let size = Size { width: 240, height: 200 };
    let cell = |value: f64| Cell { value, text: "a text that is far too long for its cell".into() };
    let wild = [f64::NAN, f64::INFINITY, f64::MIN, f64::MAX, 0.0, 5e-324];
    let many: Vec<String> = (0..200).map(|index| format!("{index} ").repeat(30)).collect();
    for (rows, names) in [
        (vec![], vec![]),
        (vec![vec![]], vec!["a".to_owned()]),
        (vec![wild.map(cell).to_vec(), vec![cell(1.0)]], many.clone()),
        (vec![wild.map(cell).to_vec()], vec![]),
    ] {
        let heatmap = Some(Heatmap { rows, label: "long ".repeat(100) });
        let panel = Panel { x_names: names.clone(), y_names: names, heatmap, ..panel(vec![]) };
        let figure = figure(vec![panel]);
        let svg = String::from_utf8(render(&figure, Format::Svg, size).unwrap()).unwrap();
        assert!(Document::parse(&svg).is_ok() && !svg.contains("NaN") && !svg.contains("inf"));
        Pixels::of(&figure, size);
    }
}
