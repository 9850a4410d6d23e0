use super::*;

fn run(values: impl IntoIterator<Item = (u64, f64)>) -> Run {
    let mut run = Run::new("r");
    for (step, value) in values {
        run.series.loss.push(step, value);
        run.summary.step = step;
    }
    run
}

fn of_steps(run: &Run, start: f64, end: f64, count: usize) -> Columns {
    columns(run, &run.series.loss, None, Axis::Step, Span { start, end }, count)
}

#[test]
fn one_outlier_among_a_million_points_shows_at_every_zoom() {
    let at = 654_321;
    let value = |step| if step == at { 50.0 } else { (step % 7) as f64 };
    let run = run((0..1_000_000).map(|step| (step, value(step))));
    let mut width = 1_000_000.0;
    while width >= 8.0 {
        let start = (at as f64 - 0.3 * width).max(0.0);
        let columns = of_steps(&run, start, start + width, 320);
        let high: Vec<usize> = (0..320)
            .filter(|index| columns[*index].is_some_and(|column| column.max == 50.0))
            .collect();
        let exact = (at as f64 - start) / width * 319.0;
        assert!(!high.is_empty(), "at a width of {width}");
        let (first, last) = (high[0] as f64, high[high.len() - 1] as f64);
        assert!(first <= exact + 1.0 && last >= exact - 1.0, "{high:?} and not {exact}");
        // No wider than the finest buckets that are kept.
        let finest = 64.0 / width * 320.0;
        assert!(last - first <= finest.max(2.0), "{high:?} at a width of {width}");
        width /= 3.0;
    }
}

#[test]
fn the_edges_hold_the_first_and_the_last_step() {
    let run = run([(10, 10.0), (20, 20.0)]);
    let found = of_steps(&run, 10.0, 20.0, 5);
    assert_eq!(found[0].unwrap().last, 10.0);
    assert_eq!(found[4].unwrap().last, 20.0);
    assert!(found[1..4].iter().all(Option::is_none));
    assert!(of_steps(&run, 10.0, 20.0, 0).is_empty());
}

#[test]
fn a_smoothed_line_is_the_mean_of_all_points_up_to_there() {
    let run = run((0..200).map(|step| (step, (step as f64).sin())));
    let span = Span { start: 100.0, end: 119.0 };
    let found = columns(&run, &run.series.loss, Some(0.9), Axis::Step, span, 20);
    for (index, column) in found.iter().enumerate() {
        let (mut sum, mut weight) = (0.0, 0.0);
        for step in 0..=100 + index {
            sum = sum * 0.9 + (step as f64).sin();
            weight = weight * 0.9 + 1.0;
        }
        // What lies before the warm-up has no weight that shows.
        assert!((column.unwrap().last - sum / weight).abs() < 2e-3, "{index}");
    }
}

#[test]
fn a_bucket_that_reaches_over_a_gap_does_not_fill_it() {
    // Too few buckets for the points, so that one holds some of either side.
    let mut run = Run::new("r");
    run.series.loss = History::new(8);
    for step in 0..1003 {
        run.series.loss.push(step, if (301..700).contains(&step) { f64::NAN } else { 1.0 });
        run.summary.step = step;
    }
    let straddling = run.series.loss.slice(0, 2000, 1000);
    assert!(straddling.iter().any(|b| b.first_step < 301 && b.last_step >= 700), "the case");
    let found = of_steps(&run, 0.0, 1002.0, 101);
    let filled: Vec<usize> = (35..65).filter(|index| found[*index].is_some()).collect();
    assert!(filled.is_empty(), "{filled:?}");
}

#[test]
fn gaps_are_where_the_values_are_missing() {
    let run =
        run((0..100).map(|step| (step, if (40..60).contains(&step) { f64::NAN } else { 1.0 })));
    let span = Span { start: 0.0, end: 99.0 };
    let cells = gaps(&run, &run.series.loss, Axis::Step, span, 100);
    assert_eq!(cells, (40..60).collect::<Vec<_>>());
}
