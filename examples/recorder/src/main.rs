//! A training loop in plain Rust, without libtorch: a line through noisy points, by stochastic gradient descent.
//!
//! ```sh
//! cargo run --release -p recorder            # in one terminal
//! lookahead watch                            # in another one, in the same folder
//! lookahead ctl line set lr=0.01
//! ```

use std::process::ExitCode;
use std::time::Duration;

use lookahead_run::event::MetricInfo;
use lookahead_run::{Recorder, RecorderOptions, Request};

fn main() -> ExitCode {
    let out = std::env::args().nth(1).unwrap_or_else(|| "checkpoints".to_owned());
    let steps = std::env::args().nth(2).and_then(|steps| steps.parse().ok()).unwrap_or(5000);
    match train(&out, steps) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn train(out: &str, steps: u64) -> Result<(), Box<dyn std::error::Error>> {
    let mut lr = 0.02;
    let within = MetricInfo { name: "within 0.5".into(), higher_is_better: true, percent: true };
    let options = RecorderOptions::new()
        .about("noisy points", "line", "sgd")
        .total_steps(steps)
        .metric(within)
        .setting("lr", lr)
        .checkpoints();
    let mut run = Recorder::create_numbered(out, "line", options)?;
    let (mut slope, mut offset) = (0.0, 0.0);
    let mut noise = Noise(1);

    'training: for step in 1..=steps {
        // Waits while the run is paused.
        loop {
            match run.poll()? {
                Request::Continue => break,
                Request::Stop => break 'training,
                Request::Set(setting) => lr = setting.value.as_f64().unwrap_or(lr),
                Request::Checkpoint => {
                    let text = format!("{slope} {offset}");
                    std::fs::write(run.folder().path().join("line.txt"), &text)?;
                    run.checkpoint_saved(step - 1, "line.txt", text.len() as u64)?;
                }
            }
        }
        let x = 2.0 * noise.next();
        let error = slope * x + offset - (3.0 * x - 1.0 + noise.next());
        run.log(
            step,
            &[("loss", error * error), ("lr", lr), ("slope", slope), ("offset", offset)],
        )?;
        slope -= lr * 2.0 * error * x;
        offset -= lr * 2.0 * error;
        if step % 100 == 0 {
            let near = (0..1000).filter(|_| {
                let x = 2.0 * noise.next();
                (slope * x + offset - (3.0 * x - 1.0)).abs() < 0.5
            });
            run.log(step, &[("within 0.5", near.count() as f64 / 1000.0)])?;
        }
        // So that there is time to watch.
        std::thread::sleep(Duration::from_millis(2));
    }
    run.finish()?;
    println!("y = {slope:.2} x + {offset:.2}");
    Ok(())
}

/// Numbers from −1 to 1.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}
