use super::*;

fn push(ema: &mut Ema, value: f64) -> f64 {
    ema.push(&Bucket::of(0, value))
}

/// By hand with β = 1/2: 4, then (4/2 + 8) / (1/2 + 1) = 10 / 1.5, then
/// (10/2 + 1) / (1.5/2 + 1) = 6 / 1.75.
#[test]
fn the_first_values_are_not_drawn_towards_zero() {
    let mut ema = Ema::new(0.5);
    assert_eq!(push(&mut ema, 4.0), 4.0);
    assert_eq!(push(&mut ema, 8.0), 10.0 / 1.5);
    assert_eq!(push(&mut ema, 1.0), 6.0 / 1.75);
}

#[test]
fn it_is_the_textbook_form_with_bias_correction() {
    for beta in DECAYS {
        let (mut ema, mut mean) = (Ema::new(beta), 0.0);
        for n in 1..=500_i32 {
            let value = f64::from(n).sin();
            mean = beta * mean + (1.0 - beta) * value;
            let corrected = mean / (1.0 - beta.powi(n));
            assert!((push(&mut ema, value) - corrected).abs() < 1e-10, "{beta}");
        }
    }
}

#[test]
fn a_bucket_of_equal_points_counts_as_its_points() {
    for beta in DECAYS {
        let (mut one_by_one, mut at_once) = (Ema::new(beta), Ema::new(beta));
        for (value, count) in [(3.0, 1), (5.0, 7), (-2.0, 30)] {
            let mut bucket = Bucket::of(0, value);
            let mut last = push(&mut one_by_one, value);
            for _ in 1..count {
                bucket.absorb(&Bucket::of(0, value));
                last = push(&mut one_by_one, value);
            }
            assert!((at_once.push(&bucket) - last).abs() < 1e-12, "{beta}");
        }
    }
}

#[test]
fn after_the_warm_up_what_came_before_hardly_counts() {
    for beta in &DECAYS[1..] {
        let mut ema = Ema::new(*beta);
        push(&mut ema, 1e3);
        let last = (0..warm_up(*beta)).map(|_| push(&mut ema, 0.0)).last().unwrap();
        assert!(last < 1.0 * 1e3 * 1e-3, "{beta}: {last}");
    }
}
