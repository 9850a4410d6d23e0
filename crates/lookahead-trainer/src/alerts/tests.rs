use std::collections::BTreeSet;

use lookahead_run::event::{Reason, Warning};

use super::*;
use crate::config::alert::{KINDS, host_of};

fn ended(status: Status, message: Option<&str>) -> Event {
    Event::RunEnded(RunEnded { message: message.map(str::to_owned), ..RunEnded::new(status) })
}

fn warning(message: &str) -> Event {
    Event::Warning(Warning { message: message.to_owned() })
}

#[test]
fn an_event_alerts_to_what_it_means() {
    let failed = ended(Status::Failed, Some("The loss is NaN."));
    assert_eq!(alert_of(&failed), Some(("failed", "The loss is NaN.".to_owned())));
    let mut finished = RunEnded::new(Status::Finished);
    finished.reason = Some(Reason::EarlyStopping);
    let all = ("finished", "It took all its steps.".to_owned());
    assert_eq!(alert_of(&Event::RunEnded(finished)), Some(all));
    assert_eq!(alert_of(&ended(Status::Stopped, None)), None);
    for code in [28, 122, 27] {
        let cause = reason(&io::Error::from_raw_os_error(code));
        let message = format!("It could not be saved: {cause}. Training continues.");
        assert_eq!(alert_of(&warning(&message)), Some(("disk_full", message)));
    }
    let denied = io::Error::from_raw_os_error(13).to_string();
    assert_eq!(alert_of(&warning(&denied)), None);
    assert_eq!(alert_of(&Event::Paused), None);
    let rolled_back = |cause| {
        let message = "The loss jumped.".to_owned();
        Event::RolledBack(RolledBack { cause, message, count: 1, lr_scale: 1.0 })
    };
    assert_eq!(alert_of(&rolled_back(RollBackCause::Requested)), None);
    let stalled = |in_evaluation| {
        Event::Stalled(Stalled { seconds: 90.0, usual_seconds: 0.00039, in_evaluation })
    };
    for (in_evaluation, what) in [
        (false, "A step has taken 1m 30s so far"),
        (true, "An evaluation has stood still for 1m 30s"),
    ] {
        let reason = format!("{what}, and steps usually take 0.39 ms.");
        assert_eq!(alert_of(&stalled(in_evaluation)), Some(("stalled", reason)));
    }
    let all = [
        failed,
        ended(Status::Finished, None),
        warning("No space left on device."),
        rolled_back(RollBackCause::Spike),
        stalled(false),
    ];
    let found = all.map(|event| alert_of(&event).unwrap().0);
    let kinds: BTreeSet<&str> = KINDS.iter().copied().collect();
    assert_eq!(BTreeSet::from(found), kinds);
}

/// Two kinds in turn are each left out too.
#[test]
fn each_kind_alerts_once_in_a_while() {
    let temporary = tempfile::tempdir().unwrap();
    let received = temporary.path().join("received");
    let folder = RunFolder::create(temporary.path(), "run").unwrap();
    let script = format!("echo $(cat) >> '{}'", received.display());
    let command = ["sh", "-c", &script].map(str::to_owned).to_vec();
    let config = AlertConfig { command, ..AlertConfig::default() };
    let mut alerts = Alerts::new(&folder, &config).unwrap().unwrap();
    let stalled =
        Event::Stalled(Stalled { seconds: 90.0, usual_seconds: 2.0, in_evaluation: false });
    for event in [warning("No space left on device."), stalled].iter().cycle().take(6) {
        alerts.on_event(&Record::now(7, event.clone()));
    }
    assert_eq!(alerts.finish(), Vec::<String>::new());
    let received = std::fs::read_to_string(received).unwrap();
    assert_eq!(received.lines().count(), 2, "{received}");
}

#[test]
fn an_address_is_shown_without_its_secrets() {
    for (address, shown) in [
        ("https://hooks.example.com/services/T0/SECRET", "https://hooks.example.com/…"),
        ("http://user:secret@127.0.0.1:8080?token=secret", "http://127.0.0.1:8080/…"),
        ("$LOOKAHEAD_WEBHOOK", "$LOOKAHEAD_WEBHOOK"),
        ("", ""),
    ] {
        assert_eq!(host_of(address), shown);
    }
}
