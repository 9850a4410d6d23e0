//! Markdown and its figures.

use std::fmt::Write as _;

use lookahead_chart::Figure;

use crate::findings::{Claim, Findings, judged};
use crate::study::Machine;
use lookahead_study::compare::table::Table;

/// The chapters so far, and the figures in them by the names of their files.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    pub(super) figures: Vec<(String, Figure)>,
}

impl Page {
    pub(super) fn heading(&mut self, text: &str) {
        let _ = write!(self.text, "\n## {text}\n");
    }

    pub(super) fn subheading(&mut self, text: &str) {
        let _ = write!(self.text, "\n### {text}\n");
    }

    pub(super) fn text(&mut self, text: &str) {
        let _ = write!(self.text, "\n{text}\n");
    }

    pub(super) fn table(&mut self, table: &Table) {
        if !table.rows.is_empty() {
            let _ = write!(self.text, "\n{}", table.to_markdown());
        }
    }

    pub(super) fn figure(&mut self, name: &str, figure: Figure) {
        let _ = write!(self.text, "\n![{}](evidence/{name}.svg)\n", figure.title);
        self.figures.push((name.to_owned(), figure));
    }
}

/// The whole report.
pub(super) fn whole(findings: &Findings, machines: &[Machine], page: &Page) -> String {
    let mut text = String::from(
        "# What Lookahead does, and what it does not\n\n\
         Written by `just reproduce`, which trains the runs below and computes every number from \
         their logs.\n\n\
         Each comparison pairs runs with equal seeds, each optimizer at its own \
         best learning rate of a common grid, chosen on validation data; accuracies and losses \
         are on test data. An interval is the wider of Student's and the bootstrap 95 % interval \
         of the mean difference over seeds. *Better* and *worse* mean that it lies on one side of \
         0, *undecided* that it contains 0: of forty comparisons of equals, one comes out better \
         and one worse by chance. A claim *held* if more comparisons came out better than chance \
         explains (binomial distribution, at the 5 % level) and not more came out worse; it was \
         *not held* in the opposite case; *mixed* is both, *not decided* neither. Comparisons \
         that share runs are not independent of each other, so this is a summary rule, not a \
         proof. Intervals cover the seeds alone: all runs share one test set (256 images of \
         digits, so that one is 0.39 points; 10,000 of Fashion-MNIST), and they include neither \
         the sampling error of that set nor the choice of the learning rate. Unless noted \
         otherwise, k is 5 and α 0.5. These are small problems: what holds here need not hold on \
         large ones, and vice versa.\n\n\
         ## The claims\n\n| claim | verdict | comparisons | of what |\n\
         |---|---|---|---|\n",
    );
    for claim in Claim::ALL {
        let (sentence, what) = claim.sentence();
        let (word, counts) = match &findings.of(claim)[..] {
            [] => ("not decided", "none was run".to_owned()),
            all => judged(all),
        };
        let _ = writeln!(text, "| {sentence} | **{word}** | {counts} | {what} |");
    }
    text += "\n<details><summary>Every comparison</summary>\n\n";
    for claim in Claim::ALL {
        let all = findings.of(claim);
        if all.is_empty() {
            continue;
        }
        let _ = writeln!(text, "**{}**\n", claim.sentence().0);
        for finding in all {
            let _ = writeln!(text, "- {} ({})", finding.text, finding.verdict.name());
        }
        text += "\n";
    }
    text += "</details>\n\n## The runs\n\n\
             | sweep | runs | without a result | hours of one process | libtorch | kernels | threads |\n\
             |---|---:|---:|---:|---|---|---:|\n";
    for of in machines {
        let Machine { sweep, runs, failed, hours, libtorch, capability, threads } = of;
        let _ = writeln!(
            text,
            "| [{sweep}](../configs/sweeps/{sweep}.toml) | {runs} | {failed} | {hours:.2} | {libtorch} | \
             {capability} | {threads} |"
        );
    }
    text += "\nRuns without a result diverged: grids extend beyond what some optimizers tolerate. \
             Times are from a machine that did other work too.\n";
    let _ = writeln!(text, "\nWritten on {}.", this_machine());
    text + &page.text
}

/// The machine that wrote the report, as far as the system knows it.
fn this_machine() -> String {
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == "model name").then(|| value.trim().to_owned())
    });
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let model = model.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    format!("a machine with {processors} processors ({model})")
}
