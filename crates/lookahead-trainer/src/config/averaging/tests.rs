use super::*;

fn config(kind: AveragingKind, of: Option<AveragedWeights>) -> AveragingConfig {
    AveragingConfig { kind, of, ..AveragingConfig::default() }
}

#[test]
fn what_is_averaged_follows_from_lookahead() {
    let around = LookaheadConfig::default();
    for (lookahead, set, of, decay) in [
        (None, None, None, 0.999),
        (Some(&around), None, Some(AveragedWeights::Slow), 0.995),
        (Some(&around), Some(AveragedWeights::Fast), Some(AveragedWeights::Fast), 0.999),
    ] {
        let mut ema = config(AveragingKind::Ema, set);
        ema.resolve(lookahead).unwrap();
        assert_eq!((ema.of, ema.decay), (of, Some(decay)), "{lookahead:?}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let around = LookaheadConfig::default();
    let rolling_back = LookaheadConfig { non_finite: NonFinite::RollBack, ..around.clone() };
    let recalibrating = LookaheadConfig { recalibrate: 2, ..around.clone() };
    let interpolating = LookaheadConfig { interpolate_statistics: true, ..around.clone() };
    let (fast, slow) = (Some(AveragedWeights::Fast), Some(AveragedWeights::Slow));
    let (none, ema) = (AveragingKind::None, AveragingKind::Ema);
    for (kind, of, lookahead, key, fix) in [
        (none, slow, Some(&around), "averaging.of", "choose a kind"),
        (AveragingKind::Primal, fast, None, "averaging.of", "choose a kind"),
        (ema, slow, None, "averaging.of", "Set it to fast"),
        (AveragingKind::Primal, None, Some(&around), "averaging.kind", "none, polyak or ema"),
        (ema, fast, Some(&rolling_back), "averaging.of", "Set `averaging.of` to slow"),
        (ema, None, Some(&recalibrating), "lookahead.recalibrate", "to 0"),
        (ema, fast, Some(&interpolating), "lookahead.interpolate_statistics", "to false"),
    ] {
        let refused = config(kind, of).resolve(lookahead).unwrap_err();
        assert_eq!(refused.key, key);
        assert!(refused.message.contains(fix), "{}", refused.message);
    }
    config(ema, slow).resolve(Some(&rolling_back)).unwrap();
    let own = config(ema, fast);
    assert!(own.check_processes(DistributedMode::Local).is_err());
    own.check_processes(DistributedMode::DataParallel).unwrap();
    config(ema, slow).check_processes(DistributedMode::Local).unwrap();
}
