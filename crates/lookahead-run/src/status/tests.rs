use super::*;

/// As in earlier versions, where all of it was one struct.
#[test]
fn a_status_is_flat_in_json() {
    let text = concat!(
        r#"{"run":"mnist","process":7,"state":"paused","step":3,"total_steps":9,"epoch":1,"#,
        r#""phase":2,"loss":"Infinity","learning_rate":0.1,"samples_per_second":900.0,"k":5,"#,
        r#""next_k":6,"alpha":0.5,"probe_every_syncs":1,"checkpoint":null,"settings":["a"]}"#
    );
    let status = Status {
        run: "mnist".into(),
        process: 7,
        state: State::Paused,
        step: 3,
        total_steps: 9,
        epoch: 1,
        phase: 2,
        last_step: LastStep {
            loss: Some(f64::INFINITY),
            learning_rate: Some(0.1),
            samples_per_second: Some(900.0),
        },
        lookahead: LookaheadStatus { k: Some(5), next_k: Some(6), alpha: Some(0.5) },
        probe_every_syncs: 1,
        settings: vec!["a".into()],
        ..Status::default()
    };
    assert_eq!(serde_json::to_string(&status).unwrap(), text);
    assert_eq!(serde_json::from_str::<Status>(text).unwrap(), status);
    assert_eq!(serde_json::from_str::<Status>("{}").unwrap(), Status::default());
}
