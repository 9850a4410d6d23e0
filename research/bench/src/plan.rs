//! What is measured, and by which programs.

use std::path::{Path, PathBuf};
use std::process::Command as Process;

use crate::peers::{Peer, Program};
use crate::protocol::Worker;

/// The programs that contend.
#[derive(Debug, Clone)]
pub struct Programs {
    /// This one.
    pub bench: PathBuf,
    /// The trainer.
    pub lookahead: PathBuf,
    /// A Python with torch, timm and pytorch_optimizer.
    pub python: PathBuf,
}

impl Programs {
    /// Starts one of this project's contenders.
    ///
    /// # Errors
    /// If the program can't be started.
    pub fn ours(&self, name: &str, folder: &Path) -> anyhow::Result<Worker> {
        Worker::start(name, Process::new(&self.bench).arg("worker"), folder)
    }

    /// Starts one of the other side: in PyTorch, unless it is another [`Peer`]'s.
    ///
    /// # Errors
    /// If the program can't be started.
    pub fn peer(&self, name: &str, folder: &Path) -> anyhow::Result<Worker> {
        let research = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut program = match Peer::named(name).map(Peer::program) {
            Some(Program::Cpp) => Process::new(self.bench.with_file_name("lookahead-bench-cpp")),
            Some(Program::Rust) => Process::new(self.bench.with_file_name("lookahead-peers")),
            Some(Program::Python) | None => {
                let mut python = Process::new(&self.python);
                // Without `__pycache__` in the source tree.
                python.arg("-B").arg(research.join("python/peer.py"));
                // Compile times that no earlier run has shortened.
                python.env("TORCHINDUCTOR_CACHE_DIR", folder.join("inductor"));
                python
            }
        };
        Worker::start(name, &mut program, folder)
    }
}

/// How much is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Only what takes minutes.
    pub quick: bool,
    /// Only the losses are compared, and nothing is timed.
    pub losses: bool,
    /// Names of workloads, or parts of names; empty selects all.
    pub only: Vec<String>,
    /// Rounds.
    pub rounds: usize,
    /// Seconds of a contender's slice in a round, at least.
    pub seconds: f64,
    /// Threads inside an operation, on both sides.
    pub threads: usize,
}

impl Plan {
    /// With the usual numbers.
    pub fn usual(quick: bool, threads: usize) -> Plan {
        let (rounds, seconds) = if quick { (4, 0.25) } else { (9, 0.4) };
        Plan { quick, losses: false, only: Vec::new(), rounds, seconds, threads }
    }

    /// Whether a workload is selected.
    pub(crate) fn takes(&self, name: &str, usual: bool, quick: bool) -> bool {
        if self.only.is_empty() {
            return usual && (quick || !self.quick);
        }
        self.only.iter().any(|part| name == part || (usual && name.contains(part.as_str())))
    }

    /// Rounds of what takes longer than a slice: evaluations and whole processes.
    pub(crate) fn few_rounds(&self) -> usize {
        self.rounds.div_ceil(3)
    }
}

/// This project's contenders in a training.
pub const OURS: [&str; 5] =
    ["library", "bare", "trainer", "trainer-without-checkpoints", "trainer-without-probe"];
/// PyTorch's forms of an inner optimizer.
pub(crate) const FORMS: [&str; 2] = ["fused", "foreach"];
/// Those of the other side.
pub const PEERS: [&str; 2] = ["timm", "pytorch_optimizer"];
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_takes_what_it_names_or_what_is_usual() {
        let mut plan = Plan::usual(true, 2);
        assert!(plan.takes("mlp-32", true, true) && !plan.takes("mlp-128", true, false));
        assert!(!plan.takes("cnn-128-bf16", false, false));
        plan.only = vec!["cnn-128".to_owned()];
        assert!(plan.takes("cnn-128", true, false) && !plan.takes("mlp-32", true, true));
        assert!(!plan.takes("cnn-128-bf16", false, false), "a part of its name is not enough");
        plan.only = vec!["cnn-128-bf16".to_owned()];
        assert!(plan.takes("cnn-128-bf16", false, false));
        assert!(Plan::usual(false, 2).takes("mlp-128", true, false));
    }
}
