//! The optimizer alone: inner steps and syncs against PyTorch's, and what a wrapper adds to its inner optimizer.

use std::path::Path;

use anyhow::{Context, bail};

use crate::alone::{ADD, LIBRARY, LOOKING, NOT_LOOKING, NOTHING, SUM, UNCHECKED};
use crate::compare::{self, Agreement, Tolerance};
use crate::contest::rounds;
use crate::machine;
use crate::plan::{FORMS, PEERS, Plan, Programs};
use crate::protocol::{Command, Job, Worker};
use crate::report::{Report, Row, Unit};
use crate::statistics::{Aim, Meaning};
use crate::workload::{RULE_SIZES, SIZES, WRAPPER_SIZE, Work};

/// A workload of the optimizer alone.
#[derive(Debug, Clone, Copy)]
pub(super) struct Workload {
    kind: Kind,
    parameters: i64,
    tensors: i64,
    /// Whether it is measured in the quick benchmark.
    pub(super) quick: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// Steps of SGD and AdamW, and syncs.
    Optimizer,
    /// Steps of the other rules; `aim` is the speed-up over the fastest peer.
    Rules { aim: f64 },
    /// What wrappers add to their inner optimizer.
    Wrappers,
}

/// All of them.
pub(super) fn workloads() -> Vec<Workload> {
    let sizes = SIZES.iter().map(|&(parameters, tensors, quick)| Workload {
        kind: Kind::Optimizer,
        parameters,
        tensors,
        quick,
    });
    let rules = RULE_SIZES.iter().map(|&(parameters, tensors, aim)| Workload {
        kind: Kind::Rules { aim },
        parameters,
        tensors,
        quick: false,
    });
    let (parameters, tensors) = WRAPPER_SIZE;
    let wrappers = Workload { kind: Kind::Wrappers, parameters, tensors, quick: false };
    sizes.chain(rules).chain([wrappers]).collect()
}

impl Workload {
    pub(super) fn name(&self) -> String {
        let kind = match self.kind {
            Kind::Optimizer => "optimizer",
            Kind::Rules { .. } => "rules",
            Kind::Wrappers => "wrappers",
        };
        format!("{kind}-1e{}-in-{}", self.parameters.ilog10(), self.tensors)
    }

    fn work(&self, inner: &str, sync: bool) -> Work {
        let Workload { parameters, tensors, .. } = *self;
        Work::Optimizer { parameters, tensors, inner: inner.to_owned(), sync }
    }
}

/// A step rule, apart from SGD and AdamW, which are measured at more sizes.
struct Rule {
    name: &'static str,
    inner: &'static str,
    /// The packages that have it, each with a form of it.
    peers: &'static [(&'static str, &'static str)],
}

const RULES: [Rule; 10] = [
    Rule {
        name: "Adagrad",
        inner: "adagrad",
        peers: &[("torch", "fused"), ("torch", "foreach"), ("torch", "loop")],
    },
    Rule {
        name: "Adam",
        inner: "adam",
        peers: &[("torch", "fused"), ("torch", "foreach"), ("torch", "loop")],
    },
    Rule {
        name: "Adan",
        inner: "adan",
        // pytorch_optimizer's loop takes other steps from the second on.
        peers: &[("timm", "foreach"), ("timm", "loop"), ("pytorch_optimizer", "foreach")],
    },
    Rule {
        name: "cautious AdamW",
        inner: "cautious_adam",
        peers: &[("timm", "foreach"), ("timm", "loop")],
    },
    Rule {
        name: "cautious Lion",
        inner: "cautious_lion",
        peers: &[("timm", "foreach"), ("timm", "loop")],
    },
    Rule {
        name: "Lion",
        inner: "lion",
        peers: &[
            ("timm", "foreach"),
            ("timm", "loop"),
            ("pytorch_optimizer", "foreach"),
            ("pytorch_optimizer", "loop"),
        ],
    },
    Rule { name: "Muon", inner: "muon", peers: &[("torch", "only form")] },
    Rule { name: "NAdam", inner: "nadam", peers: &[("torch", "foreach"), ("torch", "loop")] },
    Rule { name: "RAdam", inner: "radam", peers: &[("torch", "foreach"), ("torch", "loop")] },
    Rule { name: "RMSprop", inner: "rmsprop", peers: &[("torch", "foreach"), ("torch", "loop")] },
];

/// Wrappers, which are contenders by these names, what they are compared with, and what their averages alone are.
const WRAPPERS: [(&str, &str, Option<Pass>); 8] = [
    ("Lookahead", LIBRARY, None),
    (LOOKING, NOT_LOOKING, None),
    (NOT_LOOKING, LIBRARY, None),
    ("PrimalAveraging", LIBRARY, Some(Pass { against: SUM, aim: Some(PRIMAL_PASS) })),
    ("EmaNesterov", LIBRARY, Some(Pass { against: ADD, aim: None })),
    ("TailAverage", LIBRARY, Some(Pass { against: ADD, aim: Some(MEAN_PASS) })),
    ("MasterWeights", LIBRARY, None),
    ("Composite", LIBRARY, None),
];

/// A pass over the weights, and the most that the average may take of its time.
struct Pass {
    against: &'static str,
    aim: Option<f64>,
}

/// x is read and written, z read and y written: 20 bytes for each parameter, where a sum into a third moves 12. Both
/// write an array that they do not read, which costs more than to overwrite one that they do.
const PRIMAL_PASS: f64 = 20.0 / 12.0;
/// The bytes of `add_`, and a look for NaN in the same pass.
const MEAN_PASS: f64 = 1.1;

/// Steps between two looks at the clock: a cycle of Lookahead.
const CYCLE: u64 = 5;

/// The contenders' processes: two of this project's, and one for each peer. PyTorch without either package runs in timm's.
pub(super) struct Alone {
    ours: Worker,
    inner: Worker,
    timm: Worker,
    pytorch_optimizer: Worker,
}

/// A comparison of two contenders, but for their values.
struct Comparison<'a> {
    workload: &'a str,
    quantity: &'a str,
    names: (&'a str, &'a str),
    meaning: Meaning,
    aim: Option<f64>,
}

impl Comparison<'_> {
    /// Times two contenders that have prepared.
    fn run(
        &self,
        workers: &mut [&mut Worker; 2],
        plan: &Plan,
        cycle: u64,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let found = rounds(workers, plan.rounds, plan.seconds / 2.0, cycle)?;
        let values = (&found[0][..], &found[1][..]);
        let aim = self.aim.map(Aim::median);
        let (unit, meaning) = (Unit::Seconds, self.meaning);
        report.rows.extend(Row::new(
            self.workload,
            self.quantity,
            self.names,
            values,
            unit,
            meaning,
            aim,
        ));
        Ok(())
    }
}

fn job(plan: &Plan, contender: &str, form: &str, work: Work) -> Job {
    Job {
        contender: contender.to_owned(),
        threads: plan.threads,
        form: form.to_owned(),
        storage: String::new(),
        work,
        initial: None,
        order: None,
        samples: None,
    }
}

impl Alone {
    pub(super) fn start(programs: &Programs, folder: &Path) -> anyhow::Result<Alone> {
        Ok(Alone {
            ours: programs.ours("library", folder)?,
            inner: programs.ours("inner", folder)?,
            timm: programs.peer(PEERS[0], folder)?,
            pytorch_optimizer: programs.peer(PEERS[1], folder)?,
        })
    }

    /// This project's first process and that of a package.
    fn pair(&mut self, package: &str) -> [&mut Worker; 2] {
        let peer = if package == PEERS[1] { &mut self.pytorch_optimizer } else { &mut self.timm };
        [&mut self.ours, peer]
    }

    /// Measures a workload. A rule or sync whose losses differ from the peer's is an error.
    pub(super) fn measure(
        &mut self,
        plan: &Plan,
        workload: &Workload,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        // Weights, gradients and up to four moments on either side, and what is there for a moment.
        let needed = 64 * workload.parameters.unsigned_abs();
        let available = machine::available_memory();
        if available < needed {
            bail!("It needs {needed} bytes of memory, and {available} are available.");
        }
        match workload.kind {
            Kind::Optimizer => self.optimizers(plan, workload, report),
            Kind::Rules { aim } => {
                RULES.iter().try_for_each(|rule| self.rule(plan, workload, rule, aim, report))
            }
            Kind::Wrappers if plan.losses => Ok(()),
            Kind::Wrappers => WRAPPERS
                .iter()
                .try_for_each(|wrapper| self.wrapper(plan, workload, wrapper, report)),
        }
    }

    /// PyTorch's optimizers in both forms, and syncs of both packages.
    fn optimizers(
        &mut self,
        plan: &Plan,
        workload: &Workload,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let steps = FORMS.map(|form| ("torch", form));
        let syncs = PEERS.map(|package| (package, FORMS[0]));
        for (quantity, inner, sync) in [
            ("inner step, SGD with momentum", "sgd", false),
            ("inner step, AdamW", "adamw", false),
            ("sync", "sgd", true),
            ("sync without the look for NaN", UNCHECKED, true),
        ] {
            let aim = match (sync, workload.parameters) {
                (false, _) => Some(1.0),
                (true, 10_000_000) => Some(1.7),
                (true, _) => None,
            };
            for (package, form) in if sync { syncs } else { steps } {
                let theirs = if sync { package.to_owned() } else { format!("{package}, {form}") };
                let [ours, peer] = &mut self.pair(package);
                let losses = prepared(ours, job(plan, LIBRARY, form, workload.work(inner, sync)))?;
                // The peers never look.
                let theirs_of_it = if inner == UNCHECKED { "sgd" } else { inner };
                let work = workload.work(theirs_of_it, sync);
                let what = (workload, quantity, theirs.as_str());
                prepared_alike(peer, job(plan, package, form, work), what, &losses, report)?;
                if !plan.losses {
                    let comparison = Comparison {
                        workload: &workload.name(),
                        quantity,
                        names: (LIBRARY, &theirs),
                        meaning: Meaning::Faster,
                        aim,
                    };
                    comparison.run(&mut [ours, peer], plan, 1, report)?;
                }
                // Memory may not hold two pairs.
                ours.ask(&Command::Release)?;
                peer.ask(&Command::Release)?;
            }
        }
        Ok(())
    }

    /// A step rule against the peer that is the fastest of all, tried before the rounds.
    fn rule(
        &mut self,
        plan: &Plan,
        workload: &Workload,
        rule: &Rule,
        aim: f64,
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let quantity = format!("inner step, {}", rule.name);
        let work = || workload.work(rule.inner, false);
        let losses = prepared(&mut self.ours, job(plan, LIBRARY, "", work()))?;
        let mut tried = Vec::new();
        for &(package, form) in rule.peers {
            let theirs = format!("{package}, {form}");
            let [_, peer] = self.pair(package);
            let what = (workload, quantity.as_str(), theirs.as_str());
            prepared_alike(peer, job(plan, package, form, work()), what, &losses, report)?;
            if !plan.losses {
                peer.seconds_per_step(0.1, 1)?;
                tried.push((peer.seconds_per_step(0.3, 1)?, package, form));
            }
            peer.ask(&Command::Release)?;
        }
        tried.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let Some(&(_, package, form)) = tried.first() {
            // Muon's is bound by products of matrices, however many there are.
            let aim = if rule.inner == "muon" { 1.0 } else { aim };
            let [ours, peer] = self.pair(package);
            peer.prepare(job(plan, package, form, work()))?;
            let comparison = Comparison {
                workload: &workload.name(),
                quantity: &quantity,
                names: (LIBRARY, &format!("{package}, {form}")),
                meaning: Meaning::Faster,
                aim: Some(aim),
            };
            comparison.run(&mut [ours, peer], plan, 1, report)?;
            peer.ask(&Command::Release)?;
        }
        self.ours.ask(&Command::Release)?;
        Ok(())
    }

    /// A wrapper around AdamW and SGD with momentum against these alone or in another wrapper, and its average, around an
    /// optimizer that does nothing, against a pass.
    fn wrapper(
        &mut self,
        plan: &Plan,
        workload: &Workload,
        (wrapper, against, pass): &(&'static str, &'static str, Option<Pass>),
        report: &mut Report,
    ) -> anyhow::Result<()> {
        let name = |inner: &'static str| if *against == LIBRARY { inner } else { *against };
        let around = [
            ("AdamW with it", "adamw", (*against, name("AdamW alone")), None),
            ("SGD with it", "sgd", (*against, name("SGD alone")), None),
        ];
        let alone = pass
            .as_ref()
            .map(|pass| ("its average alone", NOTHING, (pass.against, pass.against), pass.aim));
        for (quantity, inner, (second, name), aim) in around.into_iter().chain(alone) {
            let workers = &mut [&mut self.ours, &mut self.inner];
            workers[0].prepare(job(plan, wrapper, "", workload.work(inner, false)))?;
            workers[1].prepare(job(plan, second, "", workload.work(inner, false)))?;
            let comparison = Comparison {
                workload: &workload.name(),
                quantity: &format!("{wrapper}, {quantity}"),
                names: (wrapper, name),
                meaning: Meaning::Takes,
                aim,
            };
            comparison.run(workers, plan, CYCLE, report)?;
            for worker in workers {
                worker.ask(&Command::Release)?;
            }
        }
        Ok(())
    }
}

/// Steps whose losses are compared.
const STEPS: u64 = 5;

fn prepared(worker: &mut Worker, job: Job) -> anyhow::Result<Vec<f64>> {
    worker.prepare(job)?;
    worker.losses(STEPS)
}

/// Has a peer prepare, and notes how its losses agree with ours.
///
/// # Errors
/// If they do not.
fn prepared_alike(
    peer: &mut Worker,
    job: Job,
    (workload, quantity, theirs): (&Workload, &str, &str),
    ours: &[f64],
    report: &mut Report,
) -> anyhow::Result<()> {
    report.take_versions(&[peer.prepare(job)?]);
    let losses = peer.losses(STEPS)?;
    let allowed = match workload.kind {
        Kind::Rules { .. } => Tolerance::RULES,
        Kind::Optimizer | Kind::Wrappers => Tolerance::ALONE,
    };
    let greatest = compare::compare(ours, &losses, allowed)
        .with_context(|| format!("{quantity}, library against {theirs}"))?;
    report.agreements.push(Agreement {
        workload: format!("{}, {quantity}", workload.name()),
        contender: theirs.to_owned(),
        steps: losses.len(),
        greatest,
        at_slow: None,
    });
    Ok(())
}
