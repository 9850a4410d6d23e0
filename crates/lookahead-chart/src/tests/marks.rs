use super::*;

#[test]
fn what_is_not_finite_breaks_the_line_and_is_marked_at_the_top() {
    let points = [(0.0, 1.0), (1.0, 2.0), (2.0, f64::NAN), (3.0, 2.0), (4.0, 1.0)];
    let svg = svg(&figure(vec![panel(vec![line("", RED, &points)])]));
    let paths = paths(&svg, RED);
    // Two parts of the line and the two strokes of the cross.
    assert_eq!(paths.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 2]);
    let highest = paths[..2].iter().flatten().map(|spot| spot.1).fold(f64::INFINITY, f64::min);
    assert!(paths[2..].iter().flatten().all(|spot| spot.1 < highest), "{paths:?}");
    let middle = (paths[2][0].0 + paths[2][1].0) / 2.0;
    assert!((middle - (paths[0][0].0 + paths[1][1].0) / 2.0).abs() < 0.2);
}

#[test]
fn zero_on_a_log_axis_is_marked_at_the_bottom() {
    let mut panel = panel(vec![line("", RED, &[(0.0, 1.0), (1.0, 2.0), (2.0, 0.0), (3.0, -1.0)])]);
    panel.log_y = true;
    let paths = paths(&svg(&figure(vec![panel])), RED);
    assert_eq!(paths.len(), 5);
    let lowest = paths[0].iter().map(|spot| spot.1).fold(0.0, f64::max);
    assert!(paths[1..].iter().flatten().all(|spot| spot.1 > lowest), "{paths:?}");
}

#[test]
fn a_line_is_cut_off_at_the_ends_of_the_axis_and_marked() {
    let points = [(0.0, 1e4), (1.0, 100.0), (2.0, 0.5), (3.0, 0.2), (4.0, 0.3), (5.0, -90.0)];
    let mut panel = panel(vec![line("", RED, &points)]);
    panel.y_ends = Some((0.2, 0.5));
    let svg = svg(&figure(vec![panel]));
    let paths = paths(&svg, RED);
    // One part, from the upper edge to the lower.
    let [part] = &paths[..] else { panic!("{paths:?}") };
    let heights: Vec<f64> = part.iter().map(|spot| spot.1).collect();
    assert!(part.len() == 5 && heights[0] < heights[1] && heights[4] > heights[2], "{part:?}");
    let document = Document::parse(&svg).unwrap();
    let marks = document.descendants().filter(|node| node.has_tag_name("polygon"));
    assert_eq!(marks.count(), 3, "two above, one below");
}

#[test]
fn lost_values_may_be_marked_in_rows_at_the_bottom() {
    let points = [(0.0, 1.0), (1.0, f64::NAN), (2.0, 2.0)];
    let mut panel = panel(vec![line("a", RED, &points), line("b", BLUE, &points)]);
    (panel.lost_below, panel.legend) = (true, false);
    let svg = svg(&figure(vec![panel]));
    let crosses = |color| {
        let strokes = paths(&svg, color).split_off(0);
        strokes.into_iter().filter(|path| path.len() == 2).flatten().map(|spot| spot.1).collect()
    };
    let (red, blue): (Vec<f64>, Vec<f64>) = (crosses(RED), crosses(BLUE));
    assert!(!red.is_empty() && !blue.is_empty());
    let most = |all: &[f64]| all.iter().copied().fold(0.0, f64::max);
    let least = |all: &[f64]| all.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(most(&red) < least(&blue), "{red:?} {blue:?}");
    let document = Document::parse(&svg).unwrap();
    let data = document.descendants().filter(|node| node.has_tag_name("circle"));
    let lowest = data.map(|node| node.attribute("cy").unwrap().parse::<f64>().unwrap());
    assert!(lowest.fold(0.0, f64::max) < least(&red));
}
