use super::*;
use lookahead_run::event::{Split, Weights};

fn found(loss: f64, accuracy: f64) -> Evaluation {
    let (weights, split) = (Weights::Slow, Split::Validation);
    Evaluation { loss, accuracy, samples: 10, ..Evaluation::new(weights, split) }
}

#[test]
fn the_first_of_equal_ones_is_the_best_and_nan_never_is() {
    let mut best = Best::default();
    let values = [(f64::NAN, 0.9), (1.0, 0.5), (0.5, 0.5), (2.0, 0.6), (f64::INFINITY, 0.9)];
    let taken = |best: &mut Best, by: &MetricInfo| {
        let all = values.iter().zip(1..);
        all.map(|(&(loss, accuracy), step)| best.update(by, step, &found(loss, accuracy)))
            .collect::<Vec<_>>()
    };
    assert_eq!(taken(&mut best, &MetricInfo::accuracy()), [false, true, false, true, false]);
    assert_eq!(best, Best { value: Some(0.6), step: 4, since: 1 });
    let mut best = Best::default();
    assert_eq!(taken(&mut best, &MetricInfo::loss()), [false, true, true, false, false]);
    assert_eq!(best, Best { value: Some(0.5), step: 3, since: 2 });
}
