use super::*;
use std::collections::HashMap;

const FOUR: [(&str, &str); 4] =
    [(RANK, "1"), (WORLD_SIZE, "4"), (MASTER_ADDR, "127.0.0.1"), (MASTER_PORT, "29500")];

fn with(changes: &[(&str, &str)]) -> Result<Option<Rendezvous>> {
    let mut all: HashMap<&str, &str> = FOUR.into();
    all.extend(changes.iter().copied());
    let get = |name: &str| all.get(name).filter(|v| !v.is_empty()).map(|v| (*v).to_owned());
    Rendezvous::from_variables(get)
}

#[test]
fn reads_the_environment_and_an_empty_one_means_one_process() {
    let found = with(&[]).unwrap().unwrap();
    let expected = Rendezvous {
        rank: 1,
        size: 4,
        address: "127.0.0.1".to_owned(),
        port: 29500,
        hosted: false,
        restart: 0,
        local_rank: 0,
        interface: None,
    };
    assert_eq!(found, expected);
    let of_torchrun = [
        ("TORCHELASTIC_USE_AGENT_STORE", "True"),
        ("TORCHELASTIC_RESTART_COUNT", "3"),
        ("GLOO_SOCKET_IFNAME", "eth1"),
    ];
    let found = with(&of_torchrun).unwrap().unwrap();
    assert!(found.hosted && found.restart == 3);
    assert_eq!(found.interface.as_deref(), Some("eth1"));
    assert_ne!(found.prefix(), expected.prefix());
    assert_eq!(Rendezvous::from_variables(|_| None), Ok(None));
}

#[test]
fn a_partial_environment_and_invalid_values_are_refused() {
    let error = with(&[(RANK, ""), (MASTER_PORT, "")]).unwrap_err().to_string();
    assert!(error.contains("sets WORLD_SIZE, MASTER_ADDR and not RANK, MASTER_PORT"), "{error}");
    for (name, value, allowed) in [
        (RANK, "4", "from 0 to 3"),
        (RANK, "-1", "from 0 to 3"),
        (WORLD_SIZE, "0", "at least 1"),
        (WORLD_SIZE, "two", "at least 1"),
        (MASTER_PORT, "65536", "from 1 to 65535"),
        ("TORCHELASTIC_RESTART_COUNT", "x", "a whole number"),
        ("LOCAL_RANK", "-1", "a whole number"),
    ] {
        let error = with(&[(name, value)]).unwrap_err().to_string();
        assert!(error.contains(&format!("{name} is `{value}`")), "{error}");
        assert!(error.contains(allowed), "{error}");
    }
}

#[test]
fn an_address_is_only_a_host() {
    for (given, host) in [
        ("node-1.cluster_2", "node-1.cluster_2"),
        (" 10.0.0.1 ", "10.0.0.1"),
        ("[::1]", "::1"),
        ("fe80::1%eth0", "fe80::1%eth0"),
    ] {
        let found = with(&[(MASTER_ADDR, given)]).unwrap().unwrap();
        assert_eq!(found.address, host);
    }
    assert_eq!(with(&[(MASTER_ADDR, "::1")]).unwrap().unwrap().host_and_port(), "[::1]:29500");
    for given in ["tcp://h", "h:29500", "[h]", "[::1", "a b", " ", "10.0.0.1/24"] {
        let error = with(&[(MASTER_ADDR, given)]).unwrap_err().to_string();
        assert!(error.contains(&format!("MASTER_ADDR is `{given}`")), "{error}");
        assert!(error.contains("without scheme or port"), "{error}");
    }
}

#[test]
fn only_rank_0_listens_and_only_at_the_address() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let here = |rank, hosted| Rendezvous {
        rank,
        size: 2,
        address: "127.0.0.1".to_owned(),
        port: free,
        hosted,
        restart: 0,
        local_rank: 0,
        interface: None,
    };
    let listener = here(0, false).listen().unwrap().unwrap();
    assert_eq!(listener.local_addr().unwrap(), ([127, 0, 0, 1], free).into());
    assert!(here(1, false).listen().unwrap().is_none());
    assert!(here(0, true).listen().unwrap().is_none());
    assert_eq!(here(1, false).own_address().unwrap(), IpAddr::from([127, 0, 0, 1]));
}
