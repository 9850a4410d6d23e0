//! On what machine it was, and how busy that was.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use lookahead_core::tch_ext::build;
use serde::{Deserialize, Serialize};

/// The machine and the versions of what runs on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's name.
    pub processor: String,
    /// Processors that the system counts.
    pub processors: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// The kernel's version.
    pub kernel: String,
    /// The vector instructions that libtorch uses.
    pub capability: String,
    /// This project's version, with its commit if there is a repository.
    pub lookahead: String,
    /// The Rust compiler.
    pub rustc: String,
    /// libtorch.
    pub libtorch: String,
}

impl Machine {
    /// This machine, as far as the system knows it.
    pub fn this() -> Machine {
        let commit = lookahead_trainer::git::state().map(|git| {
            let modified = if git.modified { ", modified" } else { "" };
            format!(" ({}{modified})", git.revision.get(..12).unwrap_or(&git.revision))
        });
        Machine {
            processor: field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned()),
            processors: processors(),
            memory: memory("MemTotal"),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
                .map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned()),
            capability: build::cpu_capability(),
            lookahead: env!("CARGO_PKG_VERSION").to_owned() + &commit.unwrap_or_default(),
            rustc: env!("BENCH_RUSTC").to_owned(),
            libtorch: build::libtorch_version(),
        }
    }
}

/// Processors that this process may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Bytes of memory that programs can still have.
pub fn available_memory() -> u64 {
    memory("MemAvailable")
}

fn memory(name: &str) -> u64 {
    let kilobytes = field("/proc/meminfo", name);
    let number = kilobytes.and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0) * 1024
}

/// The value of the first line `NAME : VALUE`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// The kernel's load average over one minute.
pub fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// The processors' time from one moment on, in the kernel's ticks.
#[derive(Debug, Clone, Copy)]
pub struct Ticks {
    all: u64,
    idle: u64,
    own: u64,
}

impl Ticks {
    /// Now. That of children counts once they have been waited for.
    pub fn now() -> Option<Ticks> {
        // user nice system idle iowait irq softirq steal
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let ticks: Vec<u64> =
            machine.lines().next()?.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        // The name, in parentheses, may hold anything; the times are 12 fields on: of this process in user
        // and kernel mode, and of its children.
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        let own = own.rsplit_once(')')?.1.split_whitespace().skip(11).take(4);
        Some(Ticks {
            all: ticks.iter().take(8).sum(),
            idle: ticks.get(3)? + ticks.get(4)?,
            own: own.filter_map(|n| n.parse::<u64>().ok()).sum(),
        })
    }

    /// The fraction of the processors' time since then that went to neither this process nor its children,
    /// a hypervisor's other guests included. All children must have been waited for at both moments.
    pub fn others_since(self) -> Option<f64> {
        let now = Ticks::now()?;
        let all = now.all.checked_sub(self.all).filter(|all| *all > 0)?;
        let busy = all.saturating_sub(now.idle.saturating_sub(self.idle));
        Some(busy.saturating_sub(now.own.saturating_sub(self.own)) as f64 / all as f64)
    }
}

/// The day, as YYYY-MM-DD in UTC.
pub fn today() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    date(seconds / 86_400)
}

/// So many days after 1970-01-01.
fn date(days: u64) -> String {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    while left >= 365 + u64::from(is_leap(year)) {
        left -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let february = 28 + u64::from(is_leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < length {
            break;
        }
        left -= length;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        let of = |days| date(days);
        assert_eq!((of(0).as_str(), of(59).as_str()), ("1970-01-01", "1970-03-01"));
        assert_eq!((of(11_016).as_str(), of(11_017).as_str()), ("2000-02-29", "2000-03-01"));
        assert_eq!(of(20_453), "2025-12-31");
    }

    #[test]
    fn the_system_tells_what_it_is() {
        let machine = Machine::this();
        assert!(machine.memory > 1 << 28 && machine.processors >= 1);
        assert!(machine.libtorch.contains('.') && machine.rustc.starts_with("rustc "));
    }

    #[test]
    fn work_of_this_process_is_not_that_of_others() {
        let start = Ticks { own: 0, ..Ticks::now().unwrap() };
        // As if all that this process ever did had been done since then.
        assert!(start.others_since().is_none_or(|others| (0.0..=1.0).contains(&others)));
        let busy = Ticks { all: 0, idle: 0, own: 0 };
        let all = busy.others_since().unwrap();
        assert!(all > 0.0 && all <= 1.0, "{all}");
    }
}
