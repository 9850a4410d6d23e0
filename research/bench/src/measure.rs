//! The rounds, and what is made of them.

use std::path::Path;

use anyhow::{Context, bail};

use crate::compare::{self, Agreement, Tolerance};
use crate::machine;
use crate::plan::{OURS, PEERS, Plan, Programs};
use crate::protocol::{Command, Job, Worker};
use crate::report::{Report, Row, Unit};
use crate::statistics::{Aim, Meaning};
use crate::whole;
use crate::worker::UNCHECKED;
use crate::worker::adapt;
use crate::workload::{SIZES, TRAININGS, Training, Work};

/// PyTorch's forms of an inner optimizer.
const FORMS: [&str; 2] = ["fused", "foreach"];
/// Steps of a cycle: five syncs at k 5, so that every slice has as many probes.
const CYCLE: u64 = 25;

/// Measures all of the plan, with its progress on stderr. What fails or does not agree is noted in the
/// report, and the rest continues.
///
/// # Errors
/// If a name in the plan is not a workload's, or nothing can be written.
pub fn all(programs: &Programs, plan: &Plan, report: &mut Report) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut found = false;
    // Print each result at once: the whole benchmark takes long.
    let show = |report: &Report, rows: usize| {
        if report.rows.len() > rows {
            eprintln!("{}", report.table_from(rows));
        }
    };
    for training in TRAININGS {
        if plan.takes(training.name, training.usual, training.quick) {
            found = true;
            eprintln!("{} …", training.name);
            let rows = report.rows.len();
            if let Err(error) = self::training(programs, plan, training, folder.path(), report) {
                report.rows.truncate(rows);
                report.refuse(training.name, &error);
            }
            show(report, rows);
        }
    }
    let mut alone = None;
    for &(parameters, tensors, quick) in SIZES {
        let name = size_name(parameters, tensors);
        if plan.takes(&name, true, quick) {
            found = true;
            eprintln!("{name} …");
            let rows = report.rows.len();
            let started = match &mut alone {
                Some(alone) => Ok(alone),
                none => Alone::start(programs, folder.path()).map(|started| none.insert(started)),
            };
            let measured =
                started.and_then(|alone| alone.measure(plan, &name, (parameters, tensors), report));
            if let Err(error) = measured {
                report.refuse(&name, &error);
                alone = None;
            }
            show(report, rows);
        }
    }
    if !found {
        let names = TRAININGS.iter().map(|training| training.name.to_owned());
        let sizes = SIZES.iter().map(|(parameters, tensors, _)| size_name(*parameters, *tensors));
        let names: Vec<String> = names.chain(sizes).collect();
        bail!("There is no workload {}. There are: {}.", plan.only.join(", "), names.join(", "));
    }
    Ok(())
}

fn size_name(parameters: i64, tensors: i64) -> String {
    format!("optimizer-1e{}-in-{tensors}", parameters.ilog10())
}

/// The contenders of one workload, ready to run, and what they came to.
#[derive(Debug)]
pub struct Contest {
    workers: Vec<Worker>,
    /// Seconds of each contender's step in each round.
    seconds: Vec<Vec<f64>>,
}

impl Contest {
    /// Of contenders that have prepared.
    pub fn new(workers: Vec<Worker>) -> Contest {
        let seconds = vec![Vec::new(); workers.len()];
        Contest { workers, seconds }
    }

    fn place(&self, name: &str) -> anyhow::Result<usize> {
        let found = self.workers.iter().position(|worker| worker.name() == name);
        found.with_context(|| format!("There is no contender {name}."))
    }

    fn worker(&mut self, name: &str) -> anyhow::Result<&mut Worker> {
        let place = self.place(name)?;
        Ok(&mut self.workers[place])
    }

    /// Seconds of a contender's step, round by round.
    ///
    /// # Errors
    /// If there is no such contender.
    pub fn of(&self, name: &str) -> anyhow::Result<&[f64]> {
        Ok(&self.seconds[self.place(name)?])
    }

    /// Runs the rounds.
    ///
    /// # Errors
    /// If a contender fails.
    pub fn run(&mut self, rounds: usize, seconds: f64, cycle: u64) -> anyhow::Result<()> {
        let mut workers: Vec<&mut Worker> = self.workers.iter_mut().collect();
        self.seconds = self::rounds(&mut workers, rounds, seconds, cycle)?;
        Ok(())
    }
}

/// Seconds of each contender's step in each round. Each round begins with another contender; one before the
/// first does not count.
fn rounds(
    workers: &mut [&mut Worker],
    rounds: usize,
    seconds: f64,
    cycle: u64,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let count = workers.len();
    let mut found = vec![Vec::new(); count];
    for round in 0..=rounds {
        for turn in 0..count {
            let i = (round + turn) % count;
            let took = workers[i].seconds_per_step(seconds, cycle)?;
            if round > 0 {
                found[i].push(took);
            }
        }
    }
    Ok(found)
}

fn tolerance(work: &Work) -> Tolerance {
    let Work::Training { config, .. } = work else { return Tolerance::SINGLE };
    match config.to_json()["train"]["autocast"].as_str() {
        Some("bf16") => Tolerance::HALF,
        _ => Tolerance::SINGLE,
    }
}

/// Prepares the contenders of a training with equal weights and batches, and compares their losses.
///
/// # Errors
/// If a contender fails, or the losses of two differ.
pub fn ready(
    programs: &Programs,
    (name, work): (&str, &Work),
    (ours, peers): (&[&str], &[&str]),
    threads: usize,
    folder: &Path,
) -> anyhow::Result<(Contest, Vec<Agreement>, Vec<String>)> {
    let [initial, order] =
        ["initial", "order"].map(|what| folder.join(format!("{name}-{what}.safetensors")));
    let job = |contender: &str| Job {
        contender: contender.to_owned(),
        threads,
        form: FORMS[0].to_owned(),
        storage: "floats".to_owned(),
        work: work.clone(),
        initial: Some(initial.clone()),
        order: Some(order.clone()),
    };
    let mut workers = Vec::new();
    for contender in ours {
        let mut job = job(contender);
        if let Work::Training { config, .. } = &mut job.work {
            adapt(contender, config)?;
        }
        let mut worker = programs.ours(contender, folder)?;
        worker.prepare(job)?;
        if *contender == "library" {
            worker.ask(&Command::Export { initial: initial.clone(), order: order.clone() })?;
        }
        workers.push(worker);
    }
    let mut versions = Vec::new();
    for contender in peers {
        let mut worker = programs.peer(contender, folder)?;
        versions.push(prepare_quickest(&mut worker, &job(contender))?);
        workers.push(worker);
    }

    let allowed = tolerance(work);
    let k = match work {
        Work::Training { config, .. } => config.lookahead.as_ref().map_or(u64::MAX, |l| l.k),
        Work::Optimizer { .. } => u64::MAX,
    };
    let mut contest = Contest::new(workers);
    let reference = contest.worker("library")?.losses(compare::STEPS)?;
    let (at_slow, _) = contest.worker("library")?.evaluate(true)?;
    let mut agreements = Vec::new();
    for worker in contest.workers.iter_mut().filter(|worker| worker.name() != "library") {
        // Without Lookahead the losses are the same up to the first sync.
        let steps = if worker.name() == "bare" { compare::STEPS.min(k) } else { compare::STEPS };
        let losses = worker.losses(steps)?;
        let mut agree = || -> anyhow::Result<Agreement> {
            let greatest = compare::compare(&reference[..steps as usize], &losses, allowed)?;
            let at_slow = if peers.contains(&worker.name()) {
                let (theirs, _) = worker.evaluate(true)?;
                Some(compare::compare_at_slow(at_slow, theirs, allowed)?)
            } else {
                None
            };
            let contender = worker.name().to_owned();
            let steps = steps as usize;
            Ok(Agreement { workload: name.to_owned(), contender, steps, greatest, at_slow })
        };
        let agreement = agree();
        let whom = worker.name();
        agreements.push(agreement.with_context(|| format!("library against {whom}"))?);
    }
    Ok((contest, agreements, versions))
}

/// Has a contender in PyTorch prepare with the form of its inner optimizer that is the quicker.
fn prepare_quickest(worker: &mut Worker, job: &Job) -> anyhow::Result<String> {
    let mut tried = Vec::new();
    for form in FORMS {
        worker.prepare(Job { form: form.to_owned(), ..job.clone() })?;
        worker.seconds_per_step(0.1, 5)?;
        tried.push((worker.seconds_per_step(0.3, 5)?, form));
    }
    tried.sort_by(|a, b| a.0.total_cmp(&b.0));
    worker.prepare(Job { form: tried[0].1.to_owned(), ..job.clone() })
}

fn training(
    programs: &Programs,
    plan: &Plan,
    training: &Training,
    folder: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let work = training.work(plan.threads, folder)?;
    let named = (training.name, &work);
    let (mut contest, agreements, versions) =
        ready(programs, named, (&OURS, &PEERS), plan.threads, folder)?;
    report.agreements.extend(agreements);
    report.take_versions(&versions);
    if plan.losses {
        return Ok(());
    }
    contest.run(plan.rounds, plan.seconds, CYCLE)?;

    let Work::Training { config, .. } = &work else { bail!("{} is a training.", training.name) };
    let unit = Unit::Step { samples: config.data.batch_size };
    let speed = Aim { bound: training.aim, within_spread: training.within_spread };
    let own_cost = training.own_cost.map(Aim::median);
    use Meaning::{Faster, Takes};
    for (quantity, ours, theirs, meaning, aim) in [
        ("training", "trainer", "timm", Faster, Some(speed)),
        ("training", "trainer", "pytorch_optimizer", Faster, None),
        ("training", "trainer-without-checkpoints", "timm", Faster, None),
        ("training", "library", "timm", Faster, None),
        ("training", "library", "pytorch_optimizer", Faster, None),
        ("Lookahead's own cost", "library", "bare", Takes, own_cost),
        (
            "probe and event log",
            "trainer-without-checkpoints",
            "library",
            Takes,
            Some(Aim::median(1.03)),
        ),
        ("event log", "trainer-without-probe", "library", Takes, Some(Aim::median(1.01))),
        ("checkpoints", "trainer", "trainer-without-checkpoints", Takes, None),
    ] {
        let values = (contest.of(ours)?, contest.of(theirs)?);
        report.rows.extend(Row::new(
            training.name,
            quantity,
            (ours, theirs),
            values,
            unit,
            meaning,
            aim,
        ));
    }

    let step = contest.of("trainer")?.iter().copied().fold(f64::INFINITY, f64::min);
    evaluation(plan, training.name, contest, report)?;
    whole::measure(programs, plan, training, &work, step, folder, report)
}

/// The test set at φ.
fn evaluation(
    plan: &Plan,
    name: &str,
    mut contest: Contest,
    report: &mut Report,
) -> anyhow::Result<()> {
    let contenders = ["library", PEERS[0], PEERS[1]];
    let mut seconds = vec![Vec::new(); contenders.len()];
    // The first one does not count, and may try several sizes of batches.
    for round in 0..=plan.few_rounds() {
        for turn in 0..contenders.len() {
            let i = (round + turn) % contenders.len();
            let (_, took) = contest.worker(contenders[i])?.evaluate(false)?;
            if round > 0 {
                seconds[i].push(took);
            }
        }
    }
    for peer in 1..contenders.len() {
        let names = (contenders[0], contenders[peer]);
        let values = (&seconds[0][..], &seconds[peer][..]);
        let aim = Some(Aim::median(1.0));
        report.rows.extend(Row::new(
            name,
            "evaluation of the test set at φ",
            names,
            values,
            Unit::Seconds,
            Meaning::Faster,
            aim,
        ));
    }
    Ok(())
}

/// The contenders of the optimizer alone: this project's, and a process for each peer. PyTorch without either
/// runs in that of the first.
struct Alone([Worker; 3]);

impl Alone {
    fn start(programs: &Programs, folder: &Path) -> anyhow::Result<Alone> {
        let peer = |i: usize| programs.peer(PEERS[i], folder);
        Ok(Alone([programs.ours("library", folder)?, peer(0)?, peer(1)?]))
    }

    /// Inner steps and syncs of `parameters` parameters in `tensors` tensors.
    fn measure(
        &mut self,
        plan: &Plan,
        name: &str,
        (parameters, tensors): (i64, i64),
        report: &mut Report,
    ) -> anyhow::Result<()> {
        // Weights, gradients and two moments on either side, and what is there for a moment.
        let needed = 48 * parameters.unsigned_abs();
        let available = machine::available_memory();
        if available < needed {
            bail!("It needs {needed} bytes of memory, and {available} are available.");
        }
        let steps = FORMS.map(|form| (1, "torch", form));
        let syncs = [(1, PEERS[0], FORMS[0]), (2, PEERS[1], FORMS[0])];
        for (quantity, inner, sync) in [
            ("inner step, SGD with momentum", "sgd", false),
            ("inner step, AdamW", "adamw", false),
            ("sync", "sgd", true),
            ("sync without the look for NaN", UNCHECKED, true),
        ] {
            let aim = match (sync, parameters) {
                (false, _) => Some(Aim::median(1.0)),
                (true, 10_000_000) => Some(Aim::median(1.7)),
                (true, _) => None,
            };
            for (place, contender, form) in if sync { syncs } else { steps } {
                let theirs = if sync { contender.to_owned() } else { format!("torch, {form}") };
                let job = |contender: &str, inner: &str| Job {
                    contender: contender.to_owned(),
                    threads: plan.threads,
                    form: form.to_owned(),
                    storage: String::new(),
                    work: Work::Optimizer { parameters, tensors, inner: inner.to_owned(), sync },
                    initial: None,
                    order: None,
                };
                let (ours, peers) = self.0.split_at_mut(1);
                let (ours, peer) = (&mut ours[0], &mut peers[place - 1]);
                ours.prepare(job("library", inner))?;
                // The peers never look.
                let theirs_of_it = if inner == UNCHECKED { "sgd" } else { inner };
                report.take_versions(&[peer.prepare(job(contender, theirs_of_it))?]);
                let losses = (ours.losses(5)?, peer.losses(5)?);
                let greatest = compare::compare(&losses.0, &losses.1, Tolerance::ALONE)
                    .with_context(|| format!("{quantity}, library against {theirs}"))?;
                report.agreements.push(Agreement {
                    workload: format!("{name}, {quantity}"),
                    contender: theirs.clone(),
                    steps: losses.0.len(),
                    greatest,
                    at_slow: None,
                });
                if !plan.losses {
                    let found = rounds(&mut [ours, peer], plan.rounds, plan.seconds / 2.0, 1)?;
                    let values = (&found[0][..], &found[1][..]);
                    let names = ("library", theirs.as_str());
                    let (unit, meaning) = (Unit::Seconds, Meaning::Faster);
                    report.rows.extend(Row::new(name, quantity, names, values, unit, meaning, aim));
                }
                // Memory may not hold two pairs.
                ours.ask(&Command::Release)?;
                peer.ask(&Command::Release)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_name_that_is_none_is_told_with_all_there_are() {
        let programs = ["a", "b", "c"].map(PathBuf::from);
        let [bench, lookahead, python] = programs;
        let plan = Plan { only: vec!["mpl".to_owned()], ..Plan::usual(true, 1) };
        let mut report = Report::new(&plan);
        let programs = Programs { bench, lookahead, python };
        let said = all(&programs, &plan, &mut report).unwrap_err().to_string();
        assert!(said.contains("no workload mpl") && said.contains("optimizer-1e7-in-60"), "{said}");
    }
}
