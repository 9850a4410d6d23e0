//! The table, `benchmarks.md` and `benchmarks.json`.

mod row;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::compare::Agreement;
use crate::machine::{Machine, load_average, today};
use crate::plan::Plan;

pub use row::{Row, Side, Unit};

/// A workload that could not be measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refusal {
    /// Which.
    pub workload: String,
    /// Why.
    pub why: String,
}

/// All that was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The day, in UTC.
    pub date: String,
    /// Whether it is the quick benchmark, or of a part.
    pub partial: bool,
    /// The machine.
    pub machine: Machine,
    /// Versions of the other side.
    pub peers: Vec<String>,
    /// Threads inside an operation, on both sides.
    pub threads: usize,
    /// Rounds.
    pub rounds: usize,
    /// Seconds of a slice, at least.
    pub seconds: f64,
    /// The load average before.
    pub load_before: Option<f64>,
    /// And after.
    pub load_after: Option<f64>,
    /// The fraction of the processors' time that went to other programs.
    pub others: Option<f64>,
    /// The comparisons.
    pub rows: Vec<Row>,
    /// How the losses agreed.
    pub agreements: Vec<Agreement>,
    /// What could not be measured.
    pub refusals: Vec<Refusal>,
}

/// What a person has written into the page.
const BEGIN: &str = "<!-- by hand: begin -->";
const END: &str = "<!-- by hand: end -->";

impl Report {
    /// An empty one.
    pub fn new(plan: &Plan) -> Report {
        Report {
            date: today(),
            partial: plan.quick || plan.losses || !plan.only.is_empty(),
            machine: Machine::this(),
            peers: Vec::new(),
            threads: plan.threads,
            rounds: plan.rounds,
            seconds: plan.seconds,
            load_before: load_average(),
            load_after: None,
            others: None,
            rows: Vec::new(),
            agreements: Vec::new(),
            refusals: Vec::new(),
        }
    }

    /// Records and prints that a workload could not be measured.
    pub fn refuse(&mut self, workload: &str, error: &anyhow::Error) {
        let why = format!("{error:#}");
        eprintln!("{workload} is left out: {why}");
        self.refusals.push(Refusal { workload: workload.to_owned(), why });
    }

    /// Notes versions, each once.
    pub fn take_versions(&mut self, versions: &[String]) {
        for version in versions.iter().flat_map(|words| words.split(", ")) {
            if !self.peers.iter().any(|known| known == version) {
                self.peers.push(version.to_owned());
            }
        }
    }

    /// The comparisons as a table in Markdown, aligned to be read as it is.
    pub fn table(&self) -> String {
        self.table_from(0)
    }

    /// As [`table`](Self::table), without the first comparisons.
    pub fn table_from(&self, first: usize) -> String {
        comparisons(&self.rows[first.min(self.rows.len())..])
    }

    /// How the losses agreed, as a table in Markdown.
    pub fn agreement_table(&self) -> String {
        let head =
            ["workload", "contender", "steps", "greatest difference", "at φ"].map(str::to_owned);
        let rows = self.agreements.iter().map(|agreement| {
            let small = |difference: f64| format!("{difference:.1e}");
            [
                agreement.workload.clone(),
                agreement.contender.clone(),
                agreement.steps.to_string(),
                small(agreement.greatest),
                agreement.at_slow.map_or_else(String::new, small),
            ]
        });
        aligned(&[head].into_iter().chain(rows).collect::<Vec<_>>())
    }

    /// The page; `kept` is the text between the marks.
    pub fn markdown(&self, kept: &str) -> String {
        let Machine {
            processor,
            processors,
            memory,
            kernel,
            capability,
            lookahead,
            rustc,
            libtorch,
        } = &self.machine;
        let load =
            |load: Option<f64>| load.map_or_else(|| "unknown".to_owned(), |l| format!("{l:.2}"));
        let mut page = String::from(HEAD);
        let others = match self.others {
            Some(share) => {
                format!("; other programs took {:.0} % of the processors' time", 100.0 * share)
            }
            None => String::new(),
        };
        let partial = if self.partial { ", and only a part of all" } else { "" };
        let _ = write!(
            page,
            "## Where\n\n\
             - {}{partial}: {} rounds, slices of {} s\n\
             - {processor}, {processors} processors, {:.0} GB of memory, Linux {kernel}; libtorch uses {capability}\n\
             - {} threads on both sides; load average {} before and {} after{others}\n\
             - lookahead {lookahead}, {rustc}, libtorch {libtorch}\n\
             - {}\n\n## Results\n\n{}\n",
            self.date,
            self.rounds,
            self.seconds,
            *memory as f64 / 1e9,
            self.threads,
            load(self.load_before),
            load(self.load_after),
            self.peers.join(", "),
            self.table(),
        );
        if !self.refusals.is_empty() {
            page.push_str("Left out:\n\n");
            for Refusal { workload, why } in &self.refusals {
                let _ = writeln!(page, "- {workload}: {why}");
            }
            page.push('\n');
        }
        page.push_str(AGREE);
        page.push_str(&self.agreement_table());
        let _ = write!(page, "\n{BEGIN}{kept}{END}\n");
        page
    }

    /// Writes `benchmarks.json` and `benchmarks.md` into a folder. The text between the marks of the
    /// page that is there stays.
    ///
    /// # Errors
    /// If a file can't be read or written.
    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        let put = |name: &str, text: String| {
            let path = folder.join(name);
            std::fs::write(&path, text)
                .with_context(|| format!("{} can't be written.", path.display()))
        };
        std::fs::create_dir_all(folder)
            .with_context(|| format!("The folder {} can't be made.", folder.display()))?;
        let page = folder.join("benchmarks.md");
        let old = match std::fs::read_to_string(&page) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => {
                return Err(error).with_context(|| format!("{} can't be read.", page.display()));
            }
        };
        let kept = kept(&old).with_context(|| format!("{} is left as it is.", page.display()))?;
        put("benchmarks.json", serde_json::to_string_pretty(self)? + "\n")?;
        put("benchmarks.md", self.markdown(&kept))
    }
}

/// The text between the marks of a page; an empty line if there are none.
///
/// # Errors
/// If one marker is missing, or they are in the wrong order.
fn kept(page: &str) -> anyhow::Result<String> {
    if !page.contains(BEGIN) && !page.contains(END) {
        return Ok("\n".to_owned());
    }
    let between = page.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let (kept, _) = between.with_context(|| {
        format!(
            "It must have `{BEGIN}` and, after it, `{END}`, but does not. Fix that, or remove both."
        )
    })?;
    Ok(kept.to_owned())
}

/// Comparisons as a table in Markdown, aligned to be read as it is.
pub(crate) fn comparisons(rows: &[Row]) -> String {
    let head = [
        "workload",
        "what",
        "of",
        "value",
        "against",
        "ratio [quartiles]",
        "aim",
        "reached",
        "rounds",
    ];
    let head = [head.map(str::to_owned)];
    aligned(&head.into_iter().chain(rows.iter().map(Row::cells)).collect::<Vec<_>>())
}

fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |i: usize| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..N).map(width).collect();
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        let cells: Vec<String> =
            row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(text, "| {} |", cells.join(" | "));
        if i == 0 {
            let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
            let _ = writeln!(text, "| {} |", rules.join(" | "));
        }
    }
    text
}

const HEAD: &str = "\
# Benchmarks

Written by `just bench`, except for the part between the marks at the end. `just bench quick` measures a part of it
in minutes, and `just bench-parts` measures parts of this project against what they replace.

## How

Contenders are processes that run in turns, one time slice each, in an order that rotates from round to round.
Ratios are taken within a round; the table has the median of the rounds' ratios and their quartiles. Both sides
have the same model, initial weights, batches in the same order, and number of threads; no dropout, no augmentation,
a constant learning rate, and no evaluation in the measured time. Losses are compared first: see the end.

| contender | what it is |
|---|---|
| `trainer` | what `lookahead train` does by default: the probe, the event log, a checkpoint every 500 steps; without a terminal |
| `trainer-without-checkpoints` | the same without checkpoints, which no other contender writes |
| `trainer-without-probe` | the same without checkpoints and probe |
| `library` | lookahead-core alone: a plain loop over the same model and data |
| `bare` | the same loop, with the inner optimizer and no Lookahead |
| `lookahead train` | the whole program, from its start to its end |
| `timm`, `pytorch_optimizer` | a plain loop in PyTorch, with the package's Lookahead |

The PyTorch loops are the fastest that these packages allow on a CPU without `torch.compile`. Data is in memory
as normalized floats, from which `index_select` takes a batch: no `DataLoader`. The inner optimizer is the faster
of `fused=True` and `foreach=True`, tried before the rounds. Every loop, ours too, reads the loss of every step.
Evaluation runs under `torch.inference_mode()`, with the fastest of several batch sizes; θ is replaced by φ as each
package does it, with timm by `sync_lookahead()`. timm creates φ only at the first sync, from θ at that time, so that
its first sync does nothing; here φ is initialized correctly, or the losses would differ.

Whole processes: PyTorch starts with its import and that of one of the two packages, reads the same files, and draws
its weights; then 50 steps and the test set, with images stored as bytes, which takes less memory. PyPI's PyTorch for
Linux is built with CUDA: a CPU-only build would start a little faster and use a little less memory.

Step rules that libtorch lacks (`rules-…`) run against the fastest form that PyTorch, timm or pytorch_optimizer has,
tried before the rounds: `fused`, `foreach`, or `loop`, which calls each operation for each tensor. Muon moves square
matrices, about as many parameters in as many tensors. Wrappers (`wrappers-…`) run against the AdamW or SGD
that they are around; then the average alone, around an optimizer that does nothing, against `a.add_(b)` of as many parameters, the
cheapest pass over two sets of weights. Primal averaging also writes an array that it does not read, so it runs against
a sum into a third tensor; in bytes moved it takes 20/12 of it.

Images of CIFAR's size are noise here, and the text is synthetic: neither changes the cost of a step.

";

const AGREE: &str = "\
## Losses

Before anything is timed, the losses of the first steps are compared with those of `library`, step by step, and the
loss on the test set at φ after them, between two syncs, when θ differs from φ. Contenders that differ by more than
rounding explains are not measured. `bare` is compared up to the first sync; for the optimizer alone, the mean square
of the weights replaces the loss.

";

#[cfg(test)]
mod tests;
