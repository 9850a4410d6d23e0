//! Two machines, as two network namespaces on one: what goes over the wire, and a link that fails. Needs
//! the right to make namespaces (root), `ip` and, for a slow link, `tc`; skipped without.

use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::common::{Sandbox, train};
use lookahead_run::event::{Event, Record};

/// Two namespaces with a wire between them, removed after the test.
struct Wire {
    hosts: [String; 2],
}

const ADDRESSES: [&str; 2] = ["10.77.0.1", "10.77.0.2"];

fn run(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|output| output.status.success())
}

impl Wire {
    fn new(name: &str) -> Option<Wire> {
        let hosts = ["a", "b"].map(|end| format!("la-{name}-{}-{end}", std::process::id()));
        let wire = Wire { hosts };
        let [a, b] = &wire.hosts;
        let made = run("ip", &["netns", "add", a])
            && run("ip", &["netns", "add", b])
            && run("ip", &["-n", a, "link", "add", "w0", "type", "veth", "peer", "w0", "netns", b]);
        if !made {
            eprintln!("Skipped: no network namespace can be created here.");
            return None;
        }
        for (host, address) in wire.hosts.iter().zip(ADDRESSES) {
            let address = format!("{address}/24");
            assert!(run("ip", &["-n", host, "address", "add", &address, "dev", "w0"]));
            assert!(run("ip", &["-n", host, "link", "set", "w0", "up"]));
            assert!(run("ip", &["-n", host, "link", "set", "lo", "up"]));
        }
        Some(wire)
    }

    /// Limits both ends to a rate, for example `10mbit`.
    fn limit(&self, rate: &str) -> bool {
        let bucket = ["tbf", "rate", rate, "burst", "64kb", "latency", "200ms"];
        self.hosts.iter().all(|host| {
            let place = ["-n", host, "qdisc", "replace", "dev", "w0", "root"];
            run("tc", &[&place[..], &bucket].concat())
        })
    }

    fn set(&self, state: &str) {
        assert!(run("ip", &["-n", &self.hosts[1], "link", "set", "w0", state]));
    }

    /// Bytes sent so far, in both directions.
    fn bytes(&self) -> u64 {
        let read = |counter: &str| -> u64 {
            let path = format!("/sys/class/net/w0/statistics/{counter}");
            let output = Command::new("ip")
                .args(["netns", "exec", &self.hosts[0], "cat", &path])
                .output()
                .unwrap();
            String::from_utf8_lossy(&output.stdout).trim().parse().unwrap()
        };
        read("tx_bytes") + read("rx_bytes")
    }

    fn start(&self, sandbox: &Sandbox, run: &str, more: &[&str]) -> [Child; 2] {
        [0, 1].map(|rank| {
            Command::new("ip")
                .args(["netns", "exec", &self.hosts[rank], env!("CARGO_BIN_EXE_lookahead")])
                .args(train(run, more))
                .current_dir(sandbox.path())
                .env("RANK", rank.to_string())
                .env("WORLD_SIZE", "2")
                .env("MASTER_ADDR", ADDRESSES[0])
                .env("MASTER_PORT", "29500")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
    }

    fn train(&self, sandbox: &Sandbox, run: &str, more: &[&str]) {
        for child in self.start(sandbox, run, more) {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for host in &self.hosts {
            let _ = run("ip", &["netns", "delete", host]);
        }
    }
}

/// 50,890 parameters, 204 KB.
const NET: &str = r#"
[data]
kind = "digits"
batch_size = 32
validation = 0

[model]
kind = "mlp"
hidden = [512, 32]

[optimizer]
kind = "sgd"
lr = 0.05

[lookahead]
k = 5
alpha = 0.5

[train]
threads = 1
max_steps = 40
evaluate_every_epochs = 0

[probe]
every_syncs = 0

[checkpoint]
every_steps = 0

[distributed]
mode = "local"
timeout_seconds = 30
"#;

const PARAMETERS: u64 = 64 * 512 + 512 + 512 * 32 + 32 + 32 * 10 + 10;

/// Bytes on the wire per step, without start and end.
fn bytes_per_step(wire: &Wire, sandbox: &Sandbox, name: &str, more: &[&str]) -> f64 {
    let steps = [40u64, 240];
    let bytes = steps.map(|steps| {
        let before = wire.bytes();
        let limit = format!("train.max_steps={steps}");
        let more = [more, &["--set", &limit]].concat();
        wire.train(sandbox, &format!("{name}-{steps}"), &more);
        wire.bytes() - before
    });
    (bytes[1] - bytes[0]) as f64 / (steps[1] - steps[0]) as f64
}

/// In an all-reduce of two, each sends its values to the other, in halves: twice the model's size on the wire.
#[test]
fn local_training_sends_one_kth_of_the_bytes() {
    let Some(wire) = Wire::new("bytes") else { return };
    let sandbox = Sandbox::new(NET);
    let mode = ["--set", "distributed.mode=data_parallel"];
    let each_step = bytes_per_step(&wire, &sandbox, "parallel", &mode);
    let model = (PARAMETERS * 4) as f64;
    println!(
        "data_parallel: {each_step:.0} bytes a step, {:.2} times the model",
        each_step / model
    );
    assert!((2.0..2.2).contains(&(each_step / model)), "{each_step}");
    for k in [1u32, 5, 20] {
        let key = format!("lookahead.k={k}");
        let found = bytes_per_step(&wire, &sandbox, &format!("local-{k}"), &["--set", &key]);
        let part = found * f64::from(k) / each_step;
        println!("local, k {k}: {found:.0} bytes a step, {part:.3} / {k} of it");
        assert!((0.95..1.1).contains(&part), "k {k}: {found} of {each_step}");
    }
    let half = ["--set", "distributed.wire=bf16"];
    let found = bytes_per_step(&wire, &sandbox, "bf16", &half) * 5.0 / each_step;
    println!("local, k 5, bf16: {found:.3} / 5 of it");
    assert!((0.47..0.6).contains(&found), "{found}");
}

/// Cuts the wire of a run for a while; returns its outputs and how long the run took afterwards.
fn cut(
    wire: &Wire,
    sandbox: &Sandbox,
    run: &str,
    outage: Duration,
    timeout: &str,
) -> (Vec<Output>, Duration) {
    let timeout = format!("distributed.timeout_seconds={timeout}");
    let more = ["--set", "train.max_steps=3000", "--set", &timeout];
    let mut ranks = wire.start(sandbox, run, &more);
    sandbox.wait_for(run, &mut ranks[0], |record: &Record| {
        record.step > 100 && matches!(record.event, Event::Step(_))
    });
    let started = Instant::now();
    wire.set("down");
    std::thread::sleep(outage);
    wire.set("up");
    let ends = ranks.map(|child| child.wait_with_output().unwrap());
    (ends.into(), started.elapsed())
}

#[test]
fn a_link_may_fail_for_less_than_the_timeout() {
    let Some(wire) = Wire::new("link") else { return };
    let sandbox = Sandbox::new(NET);
    let (ends, _) = cut(&wire, &sandbox, "short", Duration::from_secs(3), "60");
    for output in ends {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let records = sandbox.records("short");
    assert_eq!(records.last().unwrap().step, 3000);
    let pauses = records.windows(2).map(|pair| pair[1].time - pair[0].time);
    assert!(pauses.fold(0.0, f64::max) > 2.0, "it did not wait for the link");

    let (ends, took) = cut(&wire, &sandbox, "long", Duration::from_secs(12), "4");
    for (rank, output) in ends.iter().enumerate() {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(&format!("of rank {rank} of 2 failed after 4.")), "{errors}");
    }
    assert!(took < Duration::from_secs(60), "{took:?}");
}

/// The speed over a slow link is printed; only that training works is asserted.
#[test]
#[ignore = "minutes; `cargo test --test program -- --ignored --nocapture network::`"]
fn speed_over_a_slow_link() {
    let Some(wire) = Wire::new("slow") else { return };
    let sandbox = Sandbox::new(NET);
    for (rate, steps) in [("1gbit", 400), ("100mbit", 200), ("10mbit", 60)] {
        assert!(wire.limit(rate), "`tc` has no token bucket here");
        let mode = ["--set", "distributed.mode=data_parallel"];
        let contenders = [
            ("parallel", "5", &mode[..]),
            ("local", "1", &[]),
            ("local", "5", &[]),
            ("local", "20", &[]),
        ];
        for (name, k, more) in contenders {
            let (run, k) = (format!("{rate}-{name}-{k}"), format!("lookahead.k={k}"));
            let limit = format!("train.max_steps={steps}");
            wire.train(&sandbox, &run, &[more, &["--set", &k, "--set", &limit]].concat());
            let times: Vec<f64> = sandbox
                .records(&run)
                .iter()
                .filter_map(|record| matches!(record.event, Event::Step(_)).then_some(record.time))
                .collect();
            let seconds = times.last().unwrap() - times[0];
            let samples = 64.0 * (times.len() - 1) as f64;
            println!("{rate}, {name}, {k}: {:.0} samples/s", samples / seconds);
        }
    }
}
