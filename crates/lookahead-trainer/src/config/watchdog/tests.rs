use super::*;

#[test]
fn what_can_not_be_rolled_back_is_refused() {
    let around = LookaheadConfig::default();
    let stalled = WatchdogConfig { stall: WatchdogAction::RollBack, ..WatchdogConfig::default() };
    let spike = WatchdogConfig { spike: WatchdogAction::RollBack, ..WatchdogConfig::default() };
    for (config, lookahead, key, fix) in [
        (&stalled, Some(&around), "watchdog.stall", "Use off, note or stop"),
        (&spike, None, "watchdog.spike", "Add that section"),
    ] {
        let issue = config.check(lookahead).unwrap_err();
        assert_eq!(issue.key, key);
        assert!(issue.message.contains(fix), "{}", issue.message);
    }
}

#[test]
fn roll_backs_have_a_limit_by_default_if_the_watchdog_makes_them() {
    let limit = |spike, max_roll_backs| {
        WatchdogConfig { spike, max_roll_backs, ..WatchdogConfig::default() }.roll_back_limit()
    };
    assert_eq!(limit(WatchdogAction::Note, None), None, "as before there was a watchdog");
    assert_eq!(limit(WatchdogAction::RollBack, None), Some(3));
    assert_eq!(limit(WatchdogAction::RollBack, Some(7)), Some(7));
}
