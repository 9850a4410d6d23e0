use super::*;

fn after(steps: u64, k: u64) -> Cycles {
    let mut cycles = Cycles::default();
    for step in 1..=steps {
        let phase = (step - 1) % k + 1;
        cycles.step(step, phase, step as f64);
        if phase == k {
            cycles.sync(step);
            cycles.probe(step, 2.0, 1.0);
        }
    }
    cycles
}

#[test]
fn each_cycle_has_its_losses_by_phase_and_its_probe() {
    let cycles = after(12, 5);
    let found: Vec<&Cycle> = cycles.complete().collect();
    assert_eq!(found.len(), 2, "the third is not complete");
    assert_eq!(found[1].losses, [(1, 6.0), (2, 7.0), (3, 8.0), (4, 9.0), (5, 10.0)]);
    assert_eq!(found[1].probe, Some((2.0, 1.0)));
    assert_eq!(cycles.k(), Some(5));
}

#[test]
fn the_newest_is_there_before_the_next_begins() {
    assert_eq!(after(5, 5).complete().count(), 1);
}

#[test]
fn memory_is_bounded_for_any_k() {
    for k in [1, 7, 600, 5000] {
        let cycles = after(40_000, k);
        assert!(cycles.done.len() <= CYCLES && cycles.values <= VALUES);
        let newest = cycles.complete().last().unwrap();
        assert!(newest.losses.len() <= LONGEST && newest.losses.len() as u64 >= k.min(200));
        assert!(newest.losses.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}

#[test]
fn without_lookahead_there_are_none() {
    let mut cycles = Cycles::default();
    (1..100).for_each(|step| cycles.step(step, 0, 1.0));
    assert_eq!(cycles.complete().count(), 0);
}

/// By hand: phases 1 and 2 of two cycles, of which one loss is NaN; a cycle of another k.
#[test]
fn the_mean_is_over_cycles_of_the_same_length() {
    let cycle = |losses: &[(u64, f64)], probe, k| Cycle {
        losses: losses.to_vec(),
        probe,
        k,
        ..Cycle::default()
    };
    let cycles = [
        cycle(&[(1, 4.0), (2, 2.0)], Some((3.0, 2.0)), 2),
        cycle(&[(1, f64::NAN), (2, 1.0)], None, 2),
        cycle(&[(1, 100.0)], Some((9.0, 9.0)), 1),
    ];
    let mean = mean_cycle(cycles.iter(), 2);
    assert_eq!(mean.losses, [(1, 4.0), (2, 1.5)]);
    assert_eq!((mean.probe, mean.count), (Some((3.0, 2.0)), 2));
    assert!(mean_cycle(cycles.iter(), 7).probe.is_none());
}
