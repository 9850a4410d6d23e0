use super::*;

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

#[test]
fn a_frame_that_costs_nothing_is_followed_by_another_after_a_tenth_of_a_second() {
    assert_eq!(rest(ms(0), ms(0)), ms(100));
    assert_eq!(rest(ms(1), ms(1)), ms(100));
}

#[test]
fn beside_a_training_the_screen_takes_one_percent_of_a_processor() {
    assert_eq!(rest(ms(3), ms(3)), ms(300));
    // Two frames a second are the fewest, however much there was to apply.
    assert_eq!(rest(ms(80), ms(70)), ms(800));
    assert_eq!(rest(ms(20), ms(70)), ms(500));
}

#[test]
fn a_slow_line_gets_fewer_frames() {
    assert_eq!(rest(ms(50), ms(0)), ms(500));
    assert_eq!(rest(ms(900), ms(0)), ms(2000));
}

#[test]
fn only_the_time_since_the_last_frame_counts() {
    let mut pace = Pace::new(true);
    assert!(pace.is_due());
    let before = processor_time();
    while processor_time() < before + ms(3) {
        std::hint::spin_loop();
    }
    pace.drawn(Instant::now());
    assert!(!pace.is_due());
    assert!(pace.used.is_some_and(|used| used >= before + ms(3)));
    // Nothing counts where no training is disturbed.
    assert_eq!(Pace::new(false).used, None);
}
