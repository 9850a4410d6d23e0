//! What a call of `Recorder::log` costs, in nanoseconds: `cargo run --release -p lookahead-run --example log_cost`.
//!
//! Each line is the median, the smallest and the largest of some rounds of many calls, with what the thread that writes
//! takes from the loop.

use std::time::Instant;

use lookahead_run::Recorder;

const CALLS: u64 = 20_000;
const ROUNDS: usize = 9;

fn main() -> lookahead_run::Result<()> {
    let out = std::env::temp_dir().join(format!("lookahead-log-cost-{}", std::process::id()));
    for count in [1, 2, 4, 16] {
        let names: Vec<String> = (0..count).map(|index| format!("metric {index}")).collect();
        let mut run = Recorder::create(&out, &format!("{count}"))?;
        let (mut step, mut costs) = (0, Vec::new());
        for _ in 0..ROUNDS {
            let began = Instant::now();
            for _ in 0..CALLS {
                step += 1;
                let values = names.iter().zip(0u64..);
                let values: Vec<(&str, f64)> = values
                    .map(|(name, index)| (name.as_str(), 1.0 / (step + index) as f64))
                    .collect();
                run.log(step, &values)?;
                run.poll()?;
            }
            costs.push(began.elapsed().as_nanos() as u64 / CALLS);
            // Real steps leave the writer time.
            std::thread::sleep(std::time::Duration::from_millis(300));
        }
        run.finish()?;
        costs.sort_unstable();
        let [low, median, high] = [0, ROUNDS / 2, ROUNDS - 1].map(|index| costs[index]);
        println!("{count:>2} numbers: {median} ns a call and poll ({low} to {high})");
    }
    std::fs::remove_dir_all(&out).map_err(|cause| lookahead_run::Error::Io {
        operation: "remove",
        path: out,
        cause,
    })
}
