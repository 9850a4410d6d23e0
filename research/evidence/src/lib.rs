//! The evidence report: which claims for Lookahead hold in the runs of a folder of sweeps, with the
//! numbers.
//!
//! | module | what is in it |
//! |---|---|
//! | `study` | the runs of one sweep, and how to select some of them |
//! | `findings` | single comparisons, and the verdicts on claims |
//! | `optimizers` | each inner optimizer alone, inside Lookahead, and averaged, at its best |
//! | `robustness` | learning rates and momenta other than the best |
//! | `steadiness` | how much losses move, at three batch sizes, with right and wrong labels |
//! | `settings` | k, α and the inner optimizer's moments at a sync |
//! | [`quadratics`] | runs on quadratic functions against theory |
//! | [`theory`] | what theory predicts for SGD and Lookahead on quadratic functions |
//! | `chart`, `page` | figures, and the Markdown around them |
//!
//! Every number in the report is computed here from the logs of runs. A chapter whose sweep is missing or
//! unfinished is left out, with a note.

mod chart;
mod error;
mod findings;
#[cfg(test)]
#[path = "../../../crates/lookahead-study/src/compare/fixture.rs"]
mod fixture;
mod optimizers;
mod page;
pub mod quadratics;
mod robustness;
mod settings;
mod steadiness;
mod study;
#[cfg(test)]
mod tests;
pub mod theory;

pub use error::{Error, Result};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use lookahead_chart::{Size, save};
use lookahead_run::event::Status;

use findings::Findings;
use lookahead_study::Summary;
use lookahead_study::compare::planned;
use page::Page;
use study::Study;

/// The sweeps that the report is made of, by the names of their folders.
pub const SWEEPS: [&str; 9] = [
    "digits-optimizers",
    "mlp-optimizers",
    "cnn-optimizers",
    "digits-momentum",
    "mlp-stability",
    "digits-k-alpha",
    "digits-policies",
    "noisy-quadratic",
    "quadratic",
];

/// Writes `evidence.md` and the figures in `evidence/` into a folder, from the sweeps in another.
/// Returns the report's path, and notes on what is left out.
///
/// # Errors
/// If there is no sweep, or, unless the report may be `partial`, one is missing or unfinished; if runs
/// can't be read or compared, or the report can't be written.
pub fn write(sweeps: &Path, docs: &Path, partial: bool) -> Result<(PathBuf, Vec<String>)> {
    let lacking: BTreeMap<&str, String> =
        SWEEPS.iter().filter_map(|name| Some((*name, lack(&sweeps.join(name))?))).collect();
    if lacking.len() == SWEEPS.len() {
        return Err(Error::NoSweeps(sweeps.to_owned()));
    }
    if !lacking.is_empty() && !partial {
        let all = lacking.iter().map(|(name, why)| format!("{name} ({why})"));
        return Err(Error::LackingSweeps(all.collect::<Vec<_>>().join(", ")));
    }
    let mut findings = Findings::default();
    let mut page = Page::default();
    let mut machines = Vec::new();
    // One after the other: all logs together take some memory.
    for name in SWEEPS {
        if let Some(why) = lacking.get(name) {
            page.heading(name);
            page.text(&format!("Left out: {why}."));
            continue;
        }
        let study = Study::read(name, &sweeps.join(name))?;
        match name {
            "digits-optimizers" | "mlp-optimizers" | "cnn-optimizers" => {
                optimizers::chapter(&study, &mut page, &mut findings);
                if name != "cnn-optimizers" {
                    robustness::learning_rates(&study, &mut page, &mut findings);
                }
            }
            "digits-momentum" => robustness::momenta(&study, &mut page, &mut findings),
            "mlp-stability" => steadiness::chapter(&study, &mut page, &mut findings),
            "digits-k-alpha" => settings::periods(&study, &mut page, &mut findings),
            "digits-policies" => settings::policies(&study, &mut page, &mut findings),
            "noisy-quadratic" => quadratics::noisy(&study, &mut page, &mut findings),
            _ => quadratics::deterministic(&study, &mut page, &mut findings),
        }
        machines.push(study.machine());
    }
    let report = docs.join("evidence.md");
    let figures = docs.join("evidence");
    let io = |path: &Path, cause| Error::Write { path: path.to_owned(), cause };
    std::fs::create_dir_all(&figures).map_err(|cause| io(&figures, cause))?;
    for (name, figure) in &page.figures {
        let path = figures.join(format!("{name}.svg"));
        let height = 420 * figure.panels.len() as u32;
        save(figure, &path, Size::new(1100, height)?, true)?;
    }
    let text = page::whole(&findings, &machines, &page);
    std::fs::write(&report, text).map_err(|cause| io(&report, cause))?;
    let notes = lacking.iter().map(|(name, why)| format!("{name} is left out: {why}."));
    Ok((report, notes.collect()))
}

/// Why a sweep can't be reported, if it can't: part of a grid would be compared with a whole one.
fn lack(folder: &Path) -> Option<String> {
    if !folder.join("sweep.toml").is_file() {
        return Some("its sweep was not run".to_owned());
    }
    let Some(planned) = planned(folder) else {
        return Some("its sweep's file can't be read".to_owned());
    };
    let finished = planned.iter().filter(|name| {
        let ended = |run: Summary| run.ended.is_some_and(|ended| ended.status != Status::Stopped);
        Summary::read(&folder.join("runs").join(name)).is_ok_and(ended)
    });
    let (finished, planned) = (finished.count(), planned.len());
    (finished < planned).then(|| format!("{finished} of its {planned} runs are finished"))
}
