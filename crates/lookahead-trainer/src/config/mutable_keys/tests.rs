use super::*;

#[test]
fn what_may_change() {
    for key in ["train.epochs", "probe.samples", "schedule.kind", "optimizer.lr"] {
        assert!(may_change(key), "{key}");
    }
    for key in ["train.seed", "model.hidden", "optimizer.kind", "data.batch_size", "optimizer.lrx"]
    {
        assert!(!may_change(key), "{key}");
    }
    // Otherwise a run could not be resumed after the change.
    assert!(LIVE.into_iter().all(may_change));
}
