use super::*;
use crossbeam_channel::{Sender, never, unbounded};

const SHORT: Duration = Duration::from_millis(1);

fn controls(keys: Receiver<Command>) -> (Sender<Command>, Controls) {
    let (remote_in, remote) = unbounded();
    let pending = VecDeque::new();
    let (signalled, hung_up) = (Arc::default(), Arc::default());
    let continued = Arc::default();
    let unsaved = None;
    (remote_in, Controls { keys, remote, pending, signalled, hung_up, continued, unsaved })
}

#[test]
fn a_closed_dashboard_is_reported_once() {
    let (sender, keys) = unbounded();
    sender.send(Command::Checkpoint).unwrap();
    drop(sender);
    let (remote, mut controls) = controls(keys);
    assert_eq!(controls.wait(SHORT), Request::Command(Command::Checkpoint));
    assert_eq!(controls.wait(SHORT), Request::DashboardClosed);
    assert_eq!(controls.poll(), None);
    // Others can still end a pause.
    assert_eq!(controls.wait(SHORT), Request::Timeout);
    remote.send(Command::Continue).unwrap();
    assert_eq!(controls.wait(SHORT), Request::Command(Command::Continue));
}

#[test]
fn other_processes_and_signals_are_listened_to_as_well() {
    let (remote, mut controls) = controls(never());
    assert_eq!(controls.wait(SHORT), Request::Timeout);
    remote.send(Command::Continue).unwrap();
    assert_eq!(controls.wait(SHORT), Request::Command(Command::Continue));
    controls.signalled.store(true, Ordering::Relaxed);
    assert_eq!(controls.wait(SHORT), Request::Command(Command::Stop));
    assert_eq!(controls.poll(), Some(Command::Stop));
    assert!(controls.stop_is_requested());
}

#[test]
fn ignored_signals_are_recognized() {
    let status = "Name:\tx\nSigBlk:\t0000000000000001\nSigIgn:\t0000000000001001\nSigCgt:\t0\n";
    assert!(ignored_in(status, SIGHUP) && ignored_in(status, 13));
    assert!(!ignored_in(status, SIGINT) && !ignored_in(status, SIGTERM));
    assert!(!ignored_in("", SIGHUP));
}

#[test]
fn a_look_for_a_stop_loses_nothing_before_it() {
    let (keys_in, keys) = unbounded();
    let (remote, mut controls) = controls(keys);
    keys_in.send(Command::Checkpoint).unwrap();
    assert!(!controls.stop_is_requested());
    remote.send(Command::Stop).unwrap();
    assert!(controls.stop_is_requested());
    assert_eq!(controls.poll(), Some(Command::Checkpoint));
    assert_eq!(controls.poll(), Some(Command::Stop));
    assert_eq!(controls.poll(), None);
}
