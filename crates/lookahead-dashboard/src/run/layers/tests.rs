use super::*;

fn layers(names: &[&str], value: f64) -> Layers {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let count = names.len();
    Layers { sync: 1, names, distance: vec![value; count], gradient_norm: vec![2.0 * value; count] }
}

#[test]
fn a_step_reads_the_last_moment_before_it() {
    let mut series = LayerSeries::default();
    series.push(10, layers(&["a", "b"], 1.0));
    series.push(20, layers(&["a", "b", "new"], 3.0));
    // Of an abandoned line of time.
    series.push(15, layers(&["a", "b"], 9.0));
    assert_eq!(series.names(), ["a", "b", "new"]);
    assert!(series.at(9).is_none());
    let first = series.at(19).unwrap();
    assert_eq!((first.mean(1, Norm::Distance), first.mean(1, Norm::Gradient)), (1.0, 2.0));
    assert!(first.mean(2, Norm::Distance).is_nan());
    assert_eq!(series.at(1000).unwrap().mean(2, Norm::Gradient), 6.0);
}

#[test]
fn many_syncs_and_layers_take_bounded_memory() {
    let names: Vec<String> = (0..5000).map(|index| format!("layer{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut series = LayerSeries::default();
    for step in 1..=500u64 {
        series.push(step, layers(&names, step as f64));
        assert!(series.moments.len() * names.len() <= CAPACITY);
    }
    let [first, .., last] = series.moments() else { panic!() };
    assert_eq!((first.first_step, last.last_step), (1, 500));
    // Steps 1 to 8 are taken together.
    assert_eq!((first.syncs, first.mean(4999, Norm::Distance)), (8, 4.5));
    let syncs: u32 = series.moments().iter().map(|moment| moment.syncs).sum();
    assert_eq!(syncs, 500);
}
