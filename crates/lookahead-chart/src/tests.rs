//! Whole pictures, as an XML parser and a PNG decoder read them.

use std::fs;
use std::path::Path;

use resvg::tiny_skia::Pixmap;
use roxmltree::{Document, Node};
use tempfile::tempdir;

use super::*;

mod heatmaps;
mod marks;

const RED: Rgb = (213, 94, 0);
const BLUE: Rgb = (0, 114, 178);

fn line(name: &str, color: Rgb, points: &[(f64, f64)]) -> Line {
    let points = points.iter().map(|(x, y)| Point::new(*x, *y)).collect();
    Line { name: name.into(), color, points, width: 3, ..Line::default() }
}

fn panel(lines: Vec<Line>) -> Panel {
    Panel {
        x_label: "step".into(),
        y_label: "loss".into(),
        lines,
        legend: true,
        ..Panel::default()
    }
}

fn figure(panels: Vec<Panel>) -> Figure {
    Figure { title: "A title".into(), panels }
}

fn svg(figure: &Figure) -> String {
    let bytes = render(figure, Format::Svg, Size::default()).unwrap();
    String::from_utf8(bytes).unwrap()
}

fn texts(svg: &str) -> Vec<String> {
    let document = Document::parse(svg).unwrap();
    let texts = document.descendants().filter(|node| node.has_tag_name("text"));
    texts.map(|node| node.text().unwrap_or("").trim().to_owned()).collect()
}

/// The points of all open lines of a color, in pixels.
fn paths(svg: &str, color: Rgb) -> Vec<Vec<(f64, f64)>> {
    let (red, green, blue) = color;
    let color = format!("#{red:02x}{green:02x}{blue:02x}");
    let document = Document::parse(svg).unwrap();
    let spots = |node: Node<'_, '_>| {
        let points = node.attribute("points").unwrap();
        let number = |text: &str| text.parse::<f64>().unwrap();
        let pair = |text: &str| text.split_once(',').map(|(x, y)| (number(x), number(y))).unwrap();
        points.split_whitespace().map(pair).collect()
    };
    document
        .descendants()
        .filter(|node| node.has_tag_name("polyline"))
        .filter(|node| node.attribute("stroke") == Some(color.as_str()))
        .map(spots)
        .collect()
}

struct Pixels(Pixmap);

impl Pixels {
    fn of(figure: &Figure, size: Size) -> Pixels {
        let pixels = Pixmap::decode_png(&render(figure, Format::Png, size).unwrap()).unwrap();
        assert_eq!((pixels.width(), pixels.height()), (size.width, size.height));
        assert!(pixels.pixels().iter().all(|pixel| pixel.alpha() == 255), "it is opaque");
        Pixels(pixels)
    }

    fn at(&self, (x, y): (f64, f64)) -> Rgb {
        let pixel = self.0.pixel(x as u32, y as u32).unwrap();
        (pixel.red(), pixel.green(), pixel.blue())
    }

    fn count(&self, color: Rgb) -> usize {
        let all = self.0.pixels().iter();
        all.filter(|pixel| (pixel.red(), pixel.green(), pixel.blue()) == color).count()
    }
}

#[test]
fn an_svg_is_well_formed_and_has_all_names() {
    let name = "<a & \"b\" 'c'> θ\u{0}\u{1b}\u{ffff}";
    let mut odd = line(name, RED, &[(0.0, 1.0), (1.0, 0.0)]);
    odd.marker = Some(Marker::Circle);
    let mut panel = panel(vec![odd]);
    panel.title = "panel ]]>".into();
    panel.note = Some("a note".into());
    let svg = svg(&figure(vec![panel]));
    let texts = texts(&svg);
    for text in ["<a & \"b\" 'c'> θ", "panel ]]>", "a note", "A title", "step", "loss"] {
        assert!(texts.iter().any(|found| found == text), "{text} {texts:?}");
    }
    let document = Document::parse(&svg).unwrap();
    let root = document.root_element();
    assert_eq!(root.attribute("width"), Some("1200"));
    assert_eq!(root.attribute("viewBox"), Some("0 0 1200 700"));
    let family = document.descendants().find_map(|node| node.attribute("font-family")).unwrap();
    assert!(family.starts_with("DejaVu Sans, ") && family.ends_with(", sans-serif"));
}

#[test]
fn pixels_are_where_the_data_say() {
    let figure = figure(vec![panel(vec![
        line("falls", RED, &[(0.0, 10.0), (50.0, 2.0), (100.0, 1.0)]),
        line("rises", BLUE, &[(0.0, 1.0), (100.0, 9.0)]),
    ])]);
    let (svg, pixels) = (svg(&figure), Pixels::of(&figure, Size::default()));
    for color in [RED, BLUE] {
        // The first is the data's, the last the legend's.
        let path = &paths(&svg, color)[0];
        for pair in path.windows(2) {
            for part in [0.05, 0.3, 0.5, 0.7, 0.95] {
                let between = |a: f64, b: f64| a + (b - a) * part;
                let spot = (between(pair[0].0, pair[1].0), between(pair[0].1, pair[1].1));
                // Where both cross, the later one is seen.
                let crossing = paths(&svg, BLUE)[0].windows(2).any(|other| {
                    let along = (spot.0 - other[0].0) / (other[1].0 - other[0].0);
                    color == RED
                        && (other[0].1 + (other[1].1 - other[0].1) * along - spot.1).abs() < 6.0
                });
                assert!(crossing || pixels.at(spot) == color, "{spot:?} {:?}", pixels.at(spot));
                assert_ne!(pixels.at((spot.0, spot.1 - 12.0)), color);
            }
        }
    }
    // Equal steps of data are equal steps of pixels.
    let path = &paths(&svg, RED)[0];
    assert!((path[1].0 - path[0].0 - (path[2].0 - path[1].0)).abs() < 0.2);
    let scale = (path[1].1 - path[0].1) / 8.0;
    assert!((path[2].1 - path[1].1 - scale).abs() < 0.2);
    assert_eq!(pixels.at((3.0, 3.0)), (255, 255, 255));
}

#[test]
fn equal_ratios_are_equal_heights_on_a_log_axis() {
    let mut panel = panel(vec![line("", RED, &[(0.0, 1e-6), (1.0, 1e-3), (2.0, 1.0)])]);
    panel.log_y = true;
    let svg = svg(&figure(vec![panel]));
    let path = &paths(&svg, RED)[0];
    assert!(path[0].1 > path[1].1);
    assert!((path[0].1 - path[1].1 - (path[1].1 - path[2].1)).abs() < 0.2, "{path:?}");
    assert!(texts(&svg).contains(&"10⁻³".to_owned()), "{:?}", texts(&svg));
}

#[test]
fn a_gap_breaks_the_line_without_a_mark() {
    let mut broken = line("", RED, &[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0)]);
    broken.points[2].gap_before = true;
    let paths = paths(&svg(&figure(vec![panel(vec![broken])])), RED);
    assert_eq!(paths.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
}

#[test]
fn a_band_covers_the_extremes_in_a_pale_color() {
    let mut band = line("", BLUE, &[(0.0, 1.0), (1.0, 1.0), (2.0, 1.0)]);
    for point in &mut band.points {
        (point.low, point.high) = (0.0, 2.0);
    }
    let figure = figure(vec![panel(vec![band])]);
    let pixels = Pixels::of(&figure, Size::default());
    let path = &paths(&svg(&figure), BLUE)[0];
    // Off the lines of the grid.
    let spot = (path[1].0 + 21.0, path[1].1);
    assert_eq!(pixels.at(spot), BLUE);
    for side in [-90.0, 90.0] {
        let (red, green, blue) = pixels.at((spot.0, spot.1 + side));
        assert!((200..=208).contains(&red) && green > 220 && blue > 236, "{red} {green} {blue}");
    }
}

#[test]
fn a_translucent_line_is_even_at_its_joints() {
    let zigzag: Vec<_> = (0..400).map(|step| (f64::from(step), f64::from(step % 2))).collect();
    let mut pale = line("", (0, 0, 0), &zigzag);
    pale.opacity = 0.5;
    let mut panel = panel(vec![pale]);
    (panel.x_label, panel.y_label, panel.legend) = (String::new(), String::new(), false);
    let figure = Figure { title: String::new(), panels: vec![panel] };
    let pixels = Pixels::of(&figure, Size::default());
    let plot = 100..650;
    let darkest = plot.map(|y| pixels.at((600.0, f64::from(y))).0).min().unwrap();
    // Half of the grid's grey or of white at the least; the axes are not in this column.
    assert!((110..=128).contains(&darkest), "{darkest}");
}

#[test]
fn markers_are_on_the_line_and_at_its_end() {
    let points: Vec<_> = (0..1000).map(|step| (f64::from(step), 1.0)).collect();
    let mut marked = line("", RED, &points);
    marked.marker = Some(Marker::Disc);
    let mut panel = panel(vec![marked]);
    panel.legend = false;
    let svg = svg(&figure(vec![panel]));
    let document = Document::parse(&svg).unwrap();
    let circles: Vec<f64> = document
        .descendants()
        .filter(|node| node.has_tag_name("circle"))
        .map(|node| node.attribute("cx").unwrap().parse::<f64>().unwrap())
        .collect();
    assert!((9..=12).contains(&circles.len()), "{circles:?}");
    assert_eq!(*circles.last().unwrap(), paths(&svg, RED)[0].last().unwrap().0);
}

#[test]
fn dashes_leave_a_part_of_the_line_out() {
    let mut dashed = line("", RED, &[(0.0, 0.0), (1.0, 1.0)]);
    let solid = figure(vec![panel(vec![dashed.clone()])]);
    dashed.dashed = true;
    let dashed = figure(vec![panel(vec![dashed])]);
    let [solid, dashed] =
        [solid, dashed].map(|figure| Pixels::of(&figure, Size::default()).count(RED) as f64);
    assert!((0.3..0.8).contains(&(dashed / solid)), "{dashed} of {solid}");
}

#[test]
fn the_legend_is_above_the_axes() {
    let rising = line("rises", RED, &[(0.0, 0.0), (1.0, 1.0)]);
    let hidden = Line { in_legend: false, ..line("hidden", BLUE, &[(0.0, 1.0)]) };
    let svg = svg(&figure(vec![panel(vec![rising, hidden])]));
    let document = Document::parse(&svg).unwrap();
    let text = |name: &str| document.descendants().find(|node| node.text() == Some(name));
    assert!(text("hidden").is_none());
    let y: f64 = text("rises").unwrap().attribute("y").unwrap().parse().unwrap();
    // The lines of the axes, from the upper left over the corner to the lower right.
    let axes = paths(&svg, (120, 120, 120)).into_iter().find(|path| path.len() == 3).unwrap();
    assert!(axes[0].1 > y + 5.0, "{y} {axes:?}");
}

#[test]
fn what_has_no_room_in_the_legend_is_counted() {
    let lines: Vec<Line> = (0..500)
        .map(|index| {
            let points: Vec<_> =
                (0..30).map(|x| (f64::from(x), f64::from(x * index % 31))).collect();
            line(&format!("line {index}"), RED, &points)
        })
        .collect();
    let texts = texts(&svg(&figure(vec![panel(lines)])));
    let named = texts.iter().filter(|text| text.starts_with("line ")).count();
    let more = texts.iter().find(|text| text.starts_with("… and ")).unwrap();
    assert!(named > 20);
    assert_eq!(*more, format!("… and {} more", 500 - named));
}

#[test]
fn odd_numbers_give_pictures_too() {
    let wild = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        1.0 + 1e-15,
        5e-324,
        -5e-324,
        1e-300,
        1e300,
        f64::MAX,
        f64::MIN,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let mut series: Vec<Vec<Point>> = vec![vec![]];
    for a in wild {
        series.push(vec![Point::new(a, a)]);
        for b in wild {
            let odd = Point { x: b, low: b, high: a, y: a, gap_before: true };
            series.push(vec![Point::new(a, b), odd, Point { x: a, low: a, high: b, ..odd }]);
        }
    }
    let size = Size { width: 240, height: 200 };
    for points in series {
        for log_y in [false, true] {
            let line = Line {
                points: points.clone(),
                opacity: f64::NAN,
                dashed: log_y,
                width: u32::MAX,
                marker: Some(Marker::Diamond),
                name: "odd".into(),
                ..Line::default()
            };
            let mut panel = panel(vec![line]);
            panel.log_y = log_y;
            let figure = figure(vec![panel]);
            let svg = render(&figure, Format::Svg, size).unwrap();
            let svg = String::from_utf8(svg).unwrap();
            assert!(Document::parse(&svg).is_ok());
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{points:?}");
            Pixels::of(&figure, size);
        }
    }
}

#[test]
fn the_same_figure_gives_the_same_bytes() {
    let figure = figure(vec![panel(vec![line("a", RED, &[(0.0, 1.0), (3.0, 0.5)])])]);
    for format in [Format::Svg, Format::Png] {
        let [first, second] = [(); 2].map(|()| render(&figure, format, Size::default()).unwrap());
        assert!(first == second, "{format:?}");
    }
}

#[test]
fn panels_are_below_each_other_with_one_left_edge() {
    let upper = panel(vec![line("", RED, &[(0.0, 1.0), (1.0, 2.0)])]);
    let lower = panel(vec![line("", BLUE, &[(0.0, 1e-20), (1.0, 2e-20)])]);
    let edge = |panels: Vec<Panel>, upper, lower| {
        let svg = svg(&figure(panels));
        let (upper, lower) = (&paths(&svg, upper)[0], paths(&svg, lower).pop().unwrap());
        assert_eq!(upper[0].0, lower[0].0);
        assert!(upper.iter().all(|spot| spot.1 < 350.0) && lower.iter().all(|spot| spot.1 > 350.0));
        upper[0].0
    };
    // The widest numbers decide, whichever panel has them.
    let first = edge(vec![upper.clone(), lower.clone()], RED, BLUE);
    assert_eq!(first, edge(vec![lower, upper.clone()], BLUE, RED));
    assert!(first > edge(vec![upper.clone(), upper], RED, RED) + 10.0);
}

#[test]
fn a_size_is_checked() {
    let figure = figure(vec![panel(vec![])]);
    for (width, height, word) in [(199, 700, "width"), (1200, 10_001, "height"), (0, 0, "width")] {
        let error = render(&figure, Format::Svg, Size { width, height }).unwrap_err().to_string();
        assert!(error.contains(word) && error.contains("200 to 10000"), "{error}");
        assert!(Size::new(width, height).is_err());
    }
    assert!(Size::new(200, 10_000).is_ok());
    for format in [Format::Svg, Format::Png] {
        assert!(render(&figure, format, Size { width: 200, height: 200 }).is_ok());
    }
}

#[test]
fn an_error_names_the_height_that_would_fit() {
    let error = render(&figure(vec![]), Format::Png, Size::default()).unwrap_err();
    assert!(matches!(error, ChartError::NoPanels));
    let many = figure(vec![panel(vec![line("a", RED, &[(0.0, 1.0)])]); 9]);
    let error = render(&many, Format::Svg, Size { width: 600, height: 300 }).unwrap_err();
    let ChartError::TooLow { panels: 9, height: 300, needed: Some(needed) } = error else {
        panic!("{error}")
    };
    assert!(render(&many, Format::Svg, Size { width: 600, height: needed }).is_ok(), "{needed}");
    let error = render(&figure(vec![panel(vec![]); 5000]), Format::Svg, Size::default());
    let error = error.unwrap_err().to_string();
    assert!(error.contains("5000 panel(s)") && error.ends_with("draw fewer panels."), "{error}");
}

#[test]
fn the_format_is_that_of_the_name() {
    assert_eq!(Format::of(Path::new("a/b.SVG")).unwrap(), Format::Svg);
    assert_eq!(Format::of(Path::new("b.png")).unwrap(), Format::Png);
    for (name, found) in [("a.jpg", "`.jpg`"), ("svg", "no extension"), ("a.svg.", "`.`")] {
        let error = Format::of(Path::new(name)).unwrap_err().to_string();
        assert!(error.contains(found) && error.contains("`.svg` or `.png`"), "{error}");
    }
}

#[test]
fn a_file_is_replaced_only_on_request() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("a.svg");
    let figure = figure(vec![panel(vec![line("a", RED, &[(0.0, 1.0), (1.0, 2.0)])])]);
    fs::write(&path, "mine").unwrap();
    let error = save(&figure, &path, Size::default(), false).unwrap_err();
    assert!(matches!(error, ChartError::Exists { .. }));
    assert_eq!(fs::read(&path).unwrap(), b"mine");
    save(&figure, &path, Size::default(), true).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), svg(&figure));
    let other = folder.path().join("b.png");
    save(&figure, &other, Size::default(), false).unwrap();
    assert!(fs::read(&other).unwrap().starts_with(b"\x89PNG"));
    // Nothing else is left behind, even after a failure.
    let bad = Size { width: 1, height: 1 };
    save(&figure, &folder.path().join("c.png"), bad, false).unwrap_err();
    fs::create_dir(folder.path().join("d.png")).unwrap();
    let error = save(&figure, &folder.path().join("d.png"), Size::default(), true).unwrap_err();
    assert!(matches!(error, ChartError::Write { .. }), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    let error = save(&figure, &folder.path().join("no/e.svg"), Size::default(), true);
    assert!(matches!(error, Err(ChartError::NoFolder(_))));
}

#[cfg(unix)]
#[test]
fn a_picture_is_as_readable_as_other_files() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempdir().unwrap();
    let (path, usual) = (folder.path().join("a.svg"), folder.path().join("usual"));
    fs::write(&usual, "").unwrap();
    save(&figure(vec![panel(vec![])]), &path, Size::default(), false).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&path), mode(&usual));
}

#[test]
fn equal_ratios_are_equal_widths_on_a_log_axis() {
    let mut panel =
        panel(vec![line("", RED, &[(0.001, 1.0), (0.01, 2.0), (0.1, 1.5), (0.0, 1.0)])]);
    panel.log_x = true;
    let paths = paths(&svg(&figure(vec![panel])), RED);
    assert_eq!(paths.len(), 1, "what has no place is left out: {paths:?}");
    let path = &paths[0];
    assert!((path[1].0 - path[0].0 - (path[2].0 - path[1].0)).abs() < 0.2, "{path:?}");
}

#[test]
fn panels_may_share_their_ends() {
    let whole = panel(vec![line("", RED, &[(0.0, 1.0), (50.0, 2.0), (100.0, 1.0)])]);
    let mut part = panel(vec![line("", BLUE, &[(50.0, 1.0), (80.0, 2.0)])]);
    let middle = |part: &Panel| {
        let svg = svg(&figure(vec![whole.clone(), part.clone()]));
        (paths(&svg, RED)[0][1].0, paths(&svg, BLUE)[0][0].0)
    };
    let (upper, lower) = middle(&part);
    assert!((upper - lower).abs() > 100.0);
    part.x_ends = Some((0.0, 100.0));
    let (upper, lower) = middle(&part);
    assert!((upper - lower).abs() < 0.2, "{upper} {lower}");
}

#[test]
fn bars_and_points_that_are_not_joined() {
    let mut measured = line("", RED, &[(0.0, 1.0), (1.0, 2.0), (2.0, 3.0)]);
    for point in &mut measured.points {
        (point.low, point.high) = (point.y - 0.5, point.y + 0.5);
    }
    (measured.joined, measured.bars, measured.marker) = (false, true, Some(Marker::Disc));
    let mut panel = panel(vec![measured]);
    panel.legend = false;
    let svg = svg(&figure(vec![panel]));
    // Three strokes for each bar, and none from point to point.
    let paths = paths(&svg, RED);
    assert_eq!(paths.len(), 9);
    assert!(paths.iter().all(|path| path[0].0 == path[1].0 || path[0].1 == path[1].1));
    let document = Document::parse(&svg).unwrap();
    assert_eq!(document.descendants().filter(|node| node.has_tag_name("circle")).count(), 3);
    assert!(!svg.contains("polygon"), "no band");
}
