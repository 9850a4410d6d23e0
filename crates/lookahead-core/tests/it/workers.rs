//! Several processes that train together on loopback, compared with plain arithmetic for all of them in one.

use std::env;
use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use lookahead_core::distributed::{self, ProcessGroup, Reduce, Rendezvous};
use lookahead_core::{
    Error, GradientAverage, InnerOptimizer, Lookahead, MomentumPolicy, NonFinite, TchOptimizer,
    TransferDtype, fused,
};
use rustix::process::{Pid, Signal, kill_process};
use tch::{Device, Kind, Tensor, nn};

/// The processes of a group, each running `rank` below.
struct Ranks(Vec<Child>);

impl Ranks {
    fn start(scenario: &str, size: usize) -> Ranks {
        Ranks::start_some(scenario, size, 0..size)
    }

    fn start_some(scenario: &str, size: usize, which: impl IntoIterator<Item = usize>) -> Ranks {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let start = |rank: usize| {
            Command::new(env::current_exe().unwrap())
                .args([
                    "--exact",
                    "workers::rank",
                    "--ignored",
                    "--nocapture",
                    "--test-threads",
                    "1",
                ])
                .env("SCENARIO", scenario)
                .env("RANK", rank.to_string())
                .env("WORLD_SIZE", size.to_string())
                .env("MASTER_ADDR", "127.0.0.1")
                .env("MASTER_PORT", port.to_string())
                .env("OMP_NUM_THREADS", "1")
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        };
        Ranks(which.into_iter().map(start).collect())
    }

    fn signal(&self, which: usize, signal: Signal) {
        kill_process(Pid::from_child(&self.0[which]), signal).unwrap();
    }

    /// What each reported, in the order of their start.
    fn reports(&mut self) -> Vec<Vec<String>> {
        self.0.iter_mut().map(reports_of).collect()
    }
}

fn reports_of(child: &mut Child) -> Vec<String> {
    let (mut text, mut errors) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut errors).unwrap();
    let status = child.wait().unwrap();
    let reports: Vec<String> =
        text.lines().filter_map(|line| Some(line.split_once("> ")?.1.to_owned())).collect();
    assert!(status.success() || !errors.contains("panicked"), "{text}\n{errors}");
    reports
}

impl Drop for Ranks {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for a line of a process.
fn wait_for(child: &mut Child, line: &str) {
    let out = child.stdout.as_mut().unwrap();
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !String::from_utf8_lossy(&text).contains(line) {
        assert_eq!(out.read(&mut byte).unwrap(), 1, "{}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
}

fn report(what: impl std::fmt::Display) {
    println!("> {what}");
}

const K: u64 = 3;
const ALPHA: f64 = 0.6;
const LR: f64 = 0.05;
const MOMENTUM: f64 = 0.9;
const OUTER: f64 = 0.5;
/// Of the two parameters; the second is channels last.
const SHAPES: [&[i64]; 2] = [&[7], &[2, 3, 2, 2]];

/// The minimum of a rank's loss in a step: different for every element.
fn target(rank: usize, step: u64, element: usize) -> f64 {
    let x = rank as f64 * 0.7 + step as f64 * 0.31 + element as f64 * 0.13;
    x.sin() * 2.0
}

/// One rank has no gradient for the second parameter in one step.
fn parts(rank: usize, step: u64) -> usize {
    if (rank, step) == (0, 2) { 1 } else { SHAPES.len() }
}

struct Model {
    vs: nn::VarStore,
    parameters: Vec<Tensor>,
}

impl Model {
    /// With values that differ between ranks, as if each drew its own.
    fn new(rank: usize, kind: Kind) -> Model {
        Model::on(Device::Cpu, rank, kind)
    }

    fn on(device: Device, rank: usize, kind: Kind) -> Model {
        let mut vs = nn::VarStore::new(device);
        let parameters: Vec<Tensor> = SHAPES
            .iter()
            .enumerate()
            .map(|(i, shape)| {
                vs.root().var(&format!("w{i}"), shape, nn::Init::Const(1.0 + rank as f64))
            })
            .collect();
        vs.set_kind(kind);
        let permuted = parameters[1].permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]);
        parameters[1].shallow_clone().set_data(&permuted);
        Model { vs, parameters }
    }

    fn loss(&self, rank: usize, step: u64) -> Tensor {
        self.loss_of(rank, step, SHAPES.len())
    }

    /// The loss in the first `parts` parameters.
    fn loss_of(&self, rank: usize, step: u64, parts: usize) -> Tensor {
        let mut loss = Tensor::zeros([], (Kind::Double, self.vs.device()));
        let mut element = 0;
        for w in &self.parameters[..parts] {
            let count = w.numel();
            let targets: Vec<f64> =
                (element..element + count).map(|i| target(rank, step, i)).collect();
            element += count;
            let targets = Tensor::from_slice(&targets).view(&w.size()[..]).to_device(w.device());
            loss += (w.to_kind(Kind::Double) - targets).square().sum(Kind::Double) * 0.5;
        }
        loss
    }

    fn values(&self) -> Vec<f64> {
        let flat = |w: &Tensor| Vec::<f64>::try_from(w.to_kind(Kind::Double).reshape([-1]));
        self.parameters.iter().flat_map(|w| flat(w).unwrap()).collect()
    }
}

fn hex(values: &[f64]) -> String {
    values.iter().map(|value| format!("{:016x}", value.to_bits())).collect::<Vec<_>>().join(" ")
}

fn unhex(line: &str) -> Vec<f64> {
    let bits = |word| f64::from_bits(u64::from_str_radix(word, 16).unwrap());
    line.split(' ').map(bits).collect()
}

fn assert_follows(lines: &[String], expected: &[Vec<f64>], tolerance: f64) {
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        for (found, expected) in unhex(line).iter().zip(expected) {
            assert!((found - expected).abs() < tolerance, "{found}, not {expected}");
        }
    }
}

/// φ after each sync, of all ranks, in plain arithmetic.
fn simulated(size: usize, syncs: u64, outer: f64) -> Vec<Vec<f64>> {
    let count: usize = SHAPES.iter().map(|s| s.iter().product::<i64>() as usize).sum();
    let mut slow = vec![1.0; count];
    let mut velocity = vec![0.0; count];
    let mut buffers = vec![vec![0.0; count]; size];
    let mut all = Vec::new();
    for sync in 0..syncs {
        let mut mean = vec![0.0; count];
        for (rank, buffer) in buffers.iter_mut().enumerate() {
            let mut fast = slow.clone();
            for step in sync * K..(sync + 1) * K {
                for i in 0..count {
                    let gradient = fast[i] - target(rank, step, i);
                    buffer[i] = MOMENTUM * buffer[i] + gradient;
                    fast[i] -= LR * buffer[i];
                }
            }
            mean.iter_mut().zip(&fast).for_each(|(mean, fast)| *mean += fast / size as f64);
        }
        for i in 0..count {
            let difference = slow[i] - mean[i];
            velocity[i] = outer * velocity[i] + difference;
            let nesterov = difference + outer * velocity[i];
            slow[i] -= ALPHA * if outer > 0.0 { nesterov } else { difference };
        }
        all.push(slow.clone());
    }
    all
}

#[test]
fn any_number_of_ranks_follows_the_algorithm_and_repeats_to_the_bit() {
    for (scenario, outer) in [("local", 0.0), ("diloco", OUTER)] {
        for size in [1, 2, 4] {
            let reports = Ranks::start(scenario, size).reports();
            let expected = simulated(size, 5, outer);
            assert!(reports.iter().all(|lines| *lines == reports[0]), "to the bit on all ranks");
            assert_follows(&reports[0], &expected, 1e-12);
            assert_eq!(Ranks::start(scenario, size).reports(), reports, "and again");
        }
    }
}

/// Through NCCL, which needs one GPU per rank.
#[test]
fn on_gpus_ranks_follow_the_algorithm_too() {
    let gpus = tch::Cuda::device_count();
    if gpus < 2 {
        eprintln!("skipped: this needs 2 GPUs, and there are {gpus}.");
        return;
    }
    let reports = Ranks::start("gpus", 2).reports();
    let expected = simulated(2, 5, 0.0);
    assert_eq!(reports[0], reports[1], "to the bit on all ranks");
    assert_follows(&reports[0], &expected, 1e-12);
}

/// Whatever is averaged.
#[test]
fn one_rank_is_plain_lookahead_to_the_bit() {
    let mut found = Vec::new();
    for workers in [false, true] {
        let model = Model::new(0, Kind::Float);
        let mut builder = Lookahead::builder(fused::sgd(MOMENTUM, 0., 0., false)).k(K).alpha(ALPHA);
        if workers {
            builder = builder.workers(Arc::new(ProcessGroup::single()), TransferDtype::BFloat16);
        }
        let mut opt = builder.build(&model.vs, LR).unwrap();
        for step in 0..10 {
            opt.backward_step(&model.loss(0, step)).unwrap();
        }
        assert_eq!(opt.last_all_reduce_seconds(), 0.0);
        found.push(hex(&model.values()));
    }
    assert_eq!(found[0], found[1]);
}

#[test]
fn differences_in_bfloat16_are_the_same_on_all_ranks_and_near_the_mean() {
    let reports = Ranks::start("bf16", 3).reports();
    assert!(reports.iter().all(|lines| *lines == reports[0] && lines.len() == 5), "{reports:?}");
    assert_follows(&reports[0], &simulated(3, 5, 0.0), 0.02);
    // They are rounded: not equal to the full type.
    assert_ne!(reports[0], Ranks::start("local", 3).reports()[0]);
}

#[test]
fn averaged_gradients_are_those_of_all_samples_together() {
    let reports = Ranks::start("gradients", 3).reports();
    // The mean of the ranks' losses, weighted 1, 2, 3, by one process.
    let model = Model::new(0, Kind::Double);
    let mut opt = TchOptimizer::new(fused::sgd(MOMENTUM, 0., 0., false), &model.vs, LR).unwrap();
    for step in 0..4 {
        opt.zero_grad().unwrap();
        let all: Vec<Tensor> = (0..3)
            .map(|rank| model.loss_of(rank, step, parts(rank, step)) * ((rank + 1) as f64 / 6.0))
            .collect();
        Tensor::stack(&all, 0).sum(Kind::Double).backward();
        opt.step().unwrap();
        for lines in &reports {
            for (found, expected) in unhex(&lines[step as usize]).iter().zip(model.values()) {
                assert!((found - expected).abs() < 1e-12, "{found} {expected}");
            }
        }
    }
}

#[test]
fn all_ranks_react_alike_to_nan_on_one() {
    for (scenario, expected) in [
        // φ is unchanged.
        ("nan-error", "The weights `w0`, or their moments"),
        ("nan-roll-back", "rolled back true, phase 0, syncs 1"),
        ("nan-pullback", "rolled back true, phase 0, syncs 0"),
        ("nan-skip", "taken [true, false, true], phase 2"),
    ] {
        let reports = Ranks::start(scenario, 3).reports();
        for lines in &reports {
            assert!(lines[0].contains(expected), "{scenario}: {reports:?}");
            assert_eq!(lines[1], reports[0][1], "{scenario}: the same φ");
            assert!(unhex(&lines[1]).iter().all(|value| value.is_finite()), "{scenario}");
        }
    }
}

#[test]
fn the_adaptive_step_size_is_common_to_all() {
    let reports = Ranks::start("adaptive", 2).reports();
    assert_eq!(reports[0].len(), 4);
    assert_eq!(reports[0], reports[1]);
}

#[test]
fn a_rank_with_other_slow_weights_or_steps_is_named() {
    for (scenario, what) in [
        ("diverged-phi", "Rank 2 has other slow weights of rank 0 before sync"),
        ("diverged-steps", "Rank 1 has 4 inner steps taken and not 5 of rank 0 before sync 2"),
    ] {
        let reports = Ranks::start(scenario, 3).reports();
        for lines in &reports {
            assert!(lines[0].contains(what), "{scenario}: {reports:?}");
        }
    }
}

#[test]
fn small_values_and_bytes_are_exchanged() {
    let reports = Ranks::start("exchange", 3).reports();
    for lines in &reports {
        assert_eq!(lines[0], "[[0.5, 0.0], [1.5, 1.0], [2.5, 2.0]]");
        assert_eq!(lines[1], r#"["rank 0", "rank 1", "rank 2"]"#);
        assert_eq!(lines[2], "3 2 and 7");
    }
}

#[test]
fn absent_ranks_are_named() {
    let started = Instant::now();
    let reports = Ranks::start_some("short", 4, [0, 2]).reports();
    for (lines, rank) in reports.iter().zip([0, 2]) {
        assert!(lines[0].starts_with("Ranks 1 and 3 did not join at 127.0.0.1:"), "{reports:?}");
        assert!(lines[0].contains(&format!("which rank {rank} of 4 waited for")), "{reports:?}");
    }
    let reports = Ranks::start_some("short", 2, [1]).reports();
    assert!(
        reports[0][0].starts_with("Rank 1 of 2 could not join the others at 127"),
        "{reports:?}"
    );
    assert!(started.elapsed() < Duration::from_secs(60), "not beyond the timeout");
}

#[test]
fn a_rank_that_is_killed_or_frozen_ends_the_others_with_its_name() {
    for (signal, operation) in [(Signal::KILL, "killed"), (Signal::STOP, "frozen")] {
        let mut ranks = Ranks::start("lost", 3);
        for rank in 0..3 {
            wait_for(&mut ranks.0[rank], "> begun");
        }
        ranks.signal(1, signal);
        for rank in [0, 2] {
            let reports = reports_of(&mut ranks.0[rank]);
            let error = &reports[reports.len() - 2];
            assert!(error.contains(&format!("of rank {rank} of 3 failed after")), "{error}");
            assert!(error.contains("Rank 1 does not answer."), "{operation}: {error}");
            let after = reports.last().unwrap();
            assert!(after.starts_with(&format!("Rank {rank} of 3 has lost the others")), "{after}");
        }
    }
}

/// Then not even the store answers, which is in its process.
#[test]
fn a_frozen_rank_0_ends_the_others_too() {
    let mut ranks = Ranks::start("lost", 2);
    for rank in 0..2 {
        wait_for(&mut ranks.0[rank], "> begun");
    }
    ranks.signal(0, Signal::STOP);
    let started = Instant::now();
    let reports = reports_of(&mut ranks.0[1]);
    let error = &reports[reports.len() - 2];
    assert!(error.contains("Rank 0 does not answer at 127.0.0.1:"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(40), "not for ever");
}

#[test]
fn a_rank_that_ends_with_an_error_reports_it_to_the_others() {
    for scenario in ["abort 0", "abort 2"] {
        let started = Instant::now();
        let reports = Ranks::start(scenario, 3).reports();
        let who = if scenario.ends_with('0') { 0 } else { 2 };
        for (rank, lines) in reports.iter().enumerate() {
            if rank == who {
                assert!(lines[0].contains("has lost the others"), "{reports:?}");
                continue;
            }
            let expected =
                format!("Rank {who} of 3 ended, and with it rank {rank}: No more paper.");
            assert_eq!(lines[0], expected, "{reports:?}");
        }
        assert!(started.elapsed() < Duration::from_secs(50), "at once, not at the timeout");
    }
}

/// One process of a group.
#[test]
#[ignore = "the other tests start it, several times at once"]
fn rank() {
    let place = Rendezvous::from_env().unwrap().unwrap();
    let scenario = env::var("SCENARIO").unwrap();
    let timeout = match scenario.as_str() {
        "short" => Duration::from_secs(2),
        "lost" => Duration::from_secs(4),
        _ => Duration::from_secs(60),
    };
    let group = match ProcessGroup::join(&place, timeout, &mut |_| {}) {
        Ok(group) => Arc::new(group),
        Err(error) => return report(error),
    };
    if let Err(error) = play(&scenario, &group) {
        report(error);
    }
    if scenario == "lost" {
        report(group.barrier().unwrap_err());
    }
    group.leave().unwrap();
}

fn play(scenario: &str, group: &Arc<ProcessGroup>) -> Result<(), Error> {
    let rank = group.rank();
    let dtype = if scenario == "bf16" { TransferDtype::BFloat16 } else { TransferDtype::Full };
    let sgd = fused::sgd(MOMENTUM, 0., 0., false);
    let builder = || Lookahead::builder(sgd).k(K).alpha(ALPHA).workers(group.clone(), dtype);
    let nan = |model: &Model| (model.parameters[0].sum(Kind::Double) * f64::NAN).sum(Kind::Double);
    match scenario {
        "local" | "diloco" | "bf16" | "gpus" => {
            let kind = if scenario == "bf16" { Kind::Float } else { Kind::Double };
            let device = if scenario == "gpus" { Device::Cuda(rank) } else { Device::Cpu };
            let model = Model::on(device, rank, kind);
            let momentum = if scenario == "diloco" { OUTER } else { 0.0 };
            let mut opt =
                builder().outer_momentum(momentum).outer_nesterov(true).build(&model.vs, LR)?;
            assert_eq!(group.uses_nccl(), scenario == "gpus" && distributed::has_nccl());
            for step in 0..5 * K {
                opt.zero_grad()?;
                model.loss(rank, step).backward();
                if opt.step()? {
                    report(hex(&model.values()));
                    assert_eq!(opt.last_all_reduce_seconds() > 0.0, !group.is_single());
                    // Targets differ between ranks, and so does θ before each sync.
                    assert_eq!(
                        opt.distance_from_mean().is_some_and(|d| d > 0.0),
                        !group.is_single()
                    );
                }
            }
        }
        "abort 0" | "abort 2" => {
            group.barrier()?;
            if scenario.ends_with(&rank.to_string()) {
                group.abort("No more paper.");
            }
            group.barrier()?;
        }
        "gradients" => {
            let model = Model::new(0, Kind::Double);
            let mut opt = TchOptimizer::new(sgd, &model.vs, LR)?;
            let mut average = GradientAverage::new(group.clone());
            for step in 0..4 {
                opt.zero_grad()?;
                model.loss_of(rank, step, parts(rank, step)).backward();
                let weight = 3.0 * (rank + 1) as f64 / 6.0;
                average.average(&model.parameters.iter().collect::<Vec<_>>(), weight)?;
                opt.step()?;
                report(hex(&model.values()));
            }
        }
        "nan-error" | "nan-roll-back" => {
            let model = Model::new(rank, Kind::Double);
            let policy = match scenario {
                "nan-error" => NonFinite::Error,
                _ => NonFinite::RollBack,
            };
            let mut opt = builder().non_finite(policy).build(&model.vs, LR)?;
            for step in 0..2 * K {
                opt.zero_grad()?;
                match (rank, step) {
                    (1, 4) => nan(&model).backward(),
                    _ => model.loss(rank, step).backward(),
                }
                opt.inner_step()?;
                match opt.sync_if_due() {
                    Ok(_) => {}
                    Err(error) => report(error),
                }
            }
            let rolled_back = opt.non_finite() == 1;
            if policy == NonFinite::RollBack {
                report(format!(
                    "rolled back {rolled_back}, phase {}, syncs {}",
                    opt.phase(),
                    opt.syncs()
                ));
            }
            opt.with_slow_weights(|| report(hex(&model.values())))?;
        }
        "nan-pullback" => {
            let model = Model::new(rank, Kind::Double);
            let mut opt = builder()
                .momentum_policy(MomentumPolicy::Pullback)
                .non_finite(NonFinite::RollBack)
                .build(&model.vs, LR)?;
            for step in 0..K {
                opt.zero_grad()?;
                model.loss(rank, step).backward();
                opt.inner_step()?;
            }
            if rank == 2 {
                let moments = opt.inner_mut().moments(0)?;
                let _ = moments[0].tensor.shallow_clone().fill_(f64::INFINITY);
            }
            let synced = opt.sync_if_due()?;
            report(format!(
                "rolled back {}, phase {}, syncs {}",
                !synced,
                opt.phase(),
                opt.syncs()
            ));
            report(hex(&model.values()));
        }
        "nan-skip" => {
            let model = Model::new(rank, Kind::Double);
            let mut opt = builder().non_finite(NonFinite::SkipStep).build(&model.vs, LR)?;
            let mut taken = Vec::new();
            for step in 0..3 {
                opt.zero_grad()?;
                match (rank, step) {
                    (1, 1) => nan(&model).backward(),
                    _ => model.loss(rank, step).backward(),
                }
                taken.push(opt.inner_step()?);
            }
            report(format!("taken {taken:?}, phase {}", opt.phase()));
            opt.with_slow_weights(|| report(hex(&model.values())))?;
        }
        "adaptive" => {
            let model = Model::new(rank, Kind::Double);
            let mut opt = Lookahead::builder(fused::Adam::default())
                .k(K)
                .adaptive_alpha(0.1)
                .workers(group.clone(), dtype)
                .build(&model.vs, LR)?;
            for step in 0..2 * K {
                opt.zero_grad()?;
                model.loss(rank, step).backward();
                if opt.step()? {
                    report(hex(&[opt.alpha_used().unwrap()]));
                    report(hex(&model.values()));
                }
            }
        }
        "diverged-phi" => {
            let model = Model::new(0, Kind::Double);
            let mut opt = builder().build(&model.vs, LR)?;
            if rank == 2 {
                tch::no_grad(|| {
                    let _ = model.parameters[1].shallow_clone().get(0).g_add_scalar_(1e-15);
                });
                opt.reset_slow_weights()?;
            }
            // Sixteen syncs compare all of φ.
            for step in 0..17 * K {
                opt.backward_step(&model.loss(rank, step))?;
            }
        }
        "diverged-steps" => {
            let model = Model::new(0, Kind::Double);
            let mut opt = builder().build(&model.vs, LR)?;
            for step in 0..K {
                opt.backward_step(&model.loss(rank, step))?;
            }
            opt.set_k(if rank == 1 { 1 } else { 2 })?;
            // The others sync here after step 5, and rank 1 after step 4.
            for step in K..K + 2 {
                opt.backward_step(&model.loss(rank, step))?;
            }
        }
        "exchange" => {
            report(format!("{:?}", group.all_gather(&[rank as f64 + 0.5, rank as f64])?));
            let words = group.exchange("greeting", format!("rank {rank}").as_bytes())?;
            let words: Vec<_> = words.into_iter().map(|w| String::from_utf8(w).unwrap()).collect();
            report(format!("{words:?}"));
            let (sum, most) = (Tensor::from_slice(&[1i64]), Tensor::from_slice(&[rank as f64]));
            group.all_reduce(&sum, Reduce::Sum)?;
            group.all_reduce(&most, Reduce::Max)?;
            let from = Tensor::from_slice(&[if rank == 1 { 7i64 } else { 0 }]);
            group.broadcast(&from, 1)?;
            group.barrier()?;
            report(format!(
                "{} {} and {}",
                sum.int64_value(&[0]),
                most.double_value(&[0]),
                from.int64_value(&[0])
            ));
        }
        "lost" => {
            let values = Tensor::zeros([1 << 16], (Kind::Float, Device::Cpu));
            group.barrier()?;
            report("begun");
            loop {
                group.all_reduce(&values, Reduce::Sum)?;
            }
        }
        other => panic!("There is no scenario {other}."),
    }
    Ok(())
}
