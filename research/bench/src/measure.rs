//! What is measured of each workload, and the rows that come of it.

mod alone;

use std::path::Path;

use anyhow::{Context, bail};

use crate::compare::{self, Agreement, Tolerance};
use crate::contest::Contest;
use crate::peers::{Peer, Program};
use crate::plan::{FORMS, OURS, PEERS, Plan, Programs};
use crate::protocol::{Command, Job, Worker};
use crate::report::{Report, Row, Unit};
use crate::statistics::{Aim, Meaning};
use crate::whole;
use crate::worker::adapt;
use crate::workload::{TRAININGS, Training, Work};

use alone::Alone;

/// Steps of a cycle: five syncs at k 5, so that every slice has as many probes.
pub(crate) const CYCLE: u64 = 25;

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
    let mut contenders = None;
    for workload in alone::workloads() {
        let name = workload.name();
        if plan.takes(&name, true, workload.quick) {
            found = true;
            eprintln!("{name} …");
            let rows = report.rows.len();
            let started = match &mut contenders {
                Some(started) => Ok(started),
                none => Alone::start(programs, folder.path()).map(|started| none.insert(started)),
            };
            let measured = started.and_then(|alone| alone.measure(plan, &workload, report));
            if let Err(error) = measured {
                report.refuse(&name, &error);
                contenders = None;
            }
            show(report, rows);
        }
    }
    if !found {
        let names = TRAININGS.iter().map(|training| training.name.to_owned());
        let alone = alone::workloads().into_iter().map(|workload| workload.name());
        let names: Vec<String> = names.chain(alone).collect();
        bail!("There is no workload {}. There are: {}.", plan.only.join(", "), names.join(", "));
    }
    Ok(())
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
    let [initial, order, samples] = ["initial", "order", "samples"]
        .map(|what| folder.join(format!("{name}-{what}.safetensors")));
    let samples = peers.iter().any(|peer| Peer::named(peer).is_some()).then_some(samples);
    let job = |contender: &str| Job {
        contender: contender.to_owned(),
        threads,
        form: FORMS[0].to_owned(),
        storage: "floats".to_owned(),
        work: work.clone(),
        initial: Some(initial.clone()),
        order: Some(order.clone()),
        samples: samples.clone(),
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
            let (initial, order, samples) = (initial.clone(), order.clone(), samples.clone());
            worker.ask(&Command::Export { initial, order, samples })?;
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

/// Has a contender in PyTorch prepare with the form of its inner optimizer that is the quicker. Others have one form.
fn prepare_quickest(worker: &mut Worker, job: &Job) -> anyhow::Result<String> {
    if Peer::named(worker.name()).is_some_and(|peer| peer.program() != Program::Python) {
        return worker.prepare(job.clone());
    }
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
