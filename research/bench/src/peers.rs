//! Training loops besides those of timm and pytorch_optimizer: how near this library comes to plain C++, to what compiles
//! a step, and how far it is from libraries in Rust that compute without libtorch.

use std::path::Path;

use clap::ValueEnum;

use crate::measure;
use crate::plan::{Plan, Programs};
use crate::report::{Report, Row, Unit};
use crate::statistics::{Aim, Meaning};
use crate::workload::{TRAININGS, Work};

/// A training loop to compare with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// C++ on the same libtorch
    Cpp,
    /// PyTorch, with Lookahead as its paper has it
    Torch,
    /// The same, compiled by `torch.compile`
    TorchCompiled,
    /// candle, which has no Lookahead
    Candle,
    /// burn with its own backend for CPUs, without Lookahead
    BurnFlex,
}

/// What a peer runs in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Cpp,
    Python,
    Rust,
}

/// What the library reaches of the speed of plain C++, at least.
const OF_CPP: f64 = 0.98;

/// The workloads, both with SGD and momentum, which all peers have.
const WORKLOADS: [&str; 2] = ["mlp-32-sgd", "cnn-32"];
/// The same without Lookahead, for libraries that have none.
const PLAIN: [&str; 2] = ["mlp-32-plain", "cnn-32-plain"];

impl Peer {
    /// By the name of its contender.
    pub(crate) fn named(name: &str) -> Option<Peer> {
        Peer::from_str(name, false).ok()
    }

    /// The name of its contender.
    fn name(self) -> &'static str {
        match self {
            Peer::Cpp => "cpp",
            Peer::Torch => "torch",
            Peer::TorchCompiled => "torch-compiled",
            Peer::Candle => "candle",
            Peer::BurnFlex => "burn-flex",
        }
    }

    /// Whether it needs a Python.
    pub fn is_python(self) -> bool {
        self.program() == Program::Python
    }

    pub(crate) fn program(self) -> Program {
        match self {
            Peer::Cpp => Program::Cpp,
            Peer::Torch | Peer::TorchCompiled => Program::Python,
            Peer::Candle | Peer::BurnFlex => Program::Rust,
        }
    }

    /// What it trains if no workload is named.
    fn workloads(self) -> [&'static str; 2] {
        if self.program() == Program::Rust { PLAIN } else { WORKLOADS }
    }
}

/// Measures the library against these peers.
///
/// # Errors
/// If a contender fails, or its losses differ.
pub fn run(
    peers: &[Peer],
    programs: &Programs,
    plan: &Plan,
    report: &mut Report,
) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    for training in TRAININGS {
        let is_wanted = |peer: &Peer| match &plan.only[..] {
            [] => peer.workloads().contains(&training.name),
            names => names.iter().any(|name| name == training.name),
        };
        let wanted: Vec<Peer> = peers.iter().copied().filter(is_wanted).collect();
        if !wanted.is_empty() {
            let work = training.work(plan.threads, folder.path())?;
            contest(training.name, &work, &wanted, (programs, plan), folder.path(), report)?;
        }
    }
    Ok(())
}

/// Measures some peers in one workload.
fn contest(
    name: &str,
    work: &Work,
    peers: &[Peer],
    (programs, plan): (&Programs, &Plan),
    folder: &Path,
    report: &mut Report,
) -> anyhow::Result<()> {
    let Work::Training { config, .. } = work else { anyhow::bail!("{name} is a training.") };
    let names: Vec<&str> = peers.iter().map(|peer| peer.name()).collect();
    let (mut contest, agreements, versions) =
        measure::ready(programs, (name, work), (&["library"], &names), plan.threads, folder)?;
    report.agreements.extend(agreements);
    report.take_versions(&versions);
    if plan.losses {
        return Ok(());
    }
    contest.run(plan.rounds, plan.seconds, measure::CYCLE)?;
    let unit = Unit::Step { samples: config.data.batch_size };
    for peer in peers {
        let values = (contest.of("library")?, contest.of(peer.name())?);
        let aim = (*peer == Peer::Cpp).then_some(Aim::median(OF_CPP));
        let names = ("library", peer.name());
        report.rows.extend(Row::new(name, "training", names, values, unit, Meaning::Faster, aim));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_is_known_by_the_name_of_its_contender() {
        for peer in Peer::value_variants() {
            assert_eq!(Peer::named(peer.name()), Some(*peer));
        }
        assert_eq!(Peer::named("timm"), None);
    }

    #[test]
    fn the_workloads_exist() {
        for name in WORKLOADS.into_iter().chain(PLAIN) {
            assert!(TRAININGS.iter().any(|training| training.name == name), "{name}");
        }
    }
}
