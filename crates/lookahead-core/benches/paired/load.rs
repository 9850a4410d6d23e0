//! How busy the machine is with other things.

use std::fs;

/// The processors' time, in the kernel's ticks, as Linux counts it; `None` elsewhere.
pub(super) struct Load {
    start: Option<Ticks>,
}

struct Ticks {
    all: u64,
    idle: u64,
    own: u64,
}

impl Load {
    pub(super) fn start() -> Self {
        Load { start: Ticks::now() }
    }

    /// What a reader of the table should know.
    pub(super) fn sentence(&self) -> String {
        let (Some(start), Some(now)) = (&self.start, Ticks::now()) else { return String::new() };
        let all = (now.all - start.all).max(1);
        let others = all.saturating_sub(now.idle - start.idle).saturating_sub(now.own - start.own);
        format!("Other programs took {} % of the processors meanwhile.", 100 * others / all)
    }
}

impl Ticks {
    fn now() -> Option<Self> {
        // user nice system idle iowait irq softirq steal: time that a hypervisor gives to others
        // counts as theirs.
        let machine = fs::read_to_string("/proc/stat").ok()?;
        let ticks: Vec<u64> =
            machine.lines().next()?.split_whitespace().filter_map(|n| n.parse().ok()).collect();
        // The name, in parentheses, may hold anything; user and system time are 12 fields on.
        let own = fs::read_to_string("/proc/self/stat").ok()?;
        let own = own.rsplit_once(')')?.1.split_whitespace().skip(11).take(2);
        Some(Ticks {
            all: ticks.iter().take(8).sum(),
            idle: ticks.get(3)? + ticks.get(4)?,
            own: own.filter_map(|n| n.parse::<u64>().ok()).sum(),
        })
    }
}
