//! The dashboard on a simulated run of 20 seconds: `cargo run --release --example demo -- 20`.
//!
//! It answers keys as the trainer does. With a second argument `panic` another thread panics halfway, to
//! show that its message can be read.

use std::error::Error;
use std::thread;
use std::time::{Duration, Instant};

use lookahead_dashboard::{Options, spawn};
use lookahead_run::command::Command;
use lookahead_run::event::{
    Checkpoint, Compute, Evaluation, Event, FORMAT, LookaheadInfo, Parameters, Probe, Record,
    RunEnded, RunInfo, Samples, Software, Split, Status, Step, Sync, Task, Versions, Warning,
    Weights,
};

const STEPS: u64 = 4000;
const K: u64 = 5;
const SAMPLES: u64 = 60;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let seconds: f64 = arguments.next().map_or(Ok(20.0), |text| text.parse())?;
    let panics = arguments.next().is_some_and(|word| word == "panic");
    let dashboard = spawn(Options::default())?;
    let send = |step, event| dashboard.send(&Record::now(step, event));
    send(0, Event::RunStarted(info()));

    let mut noise = Noise(1);
    let (mut status, mut paused) = (Status::Finished, false);
    let (mut step, start) = (0, Instant::now());
    while step < STEPS && dashboard.is_alive() {
        for command in dashboard.commands().try_iter() {
            match &command {
                Command::Pause => paused = true,
                Command::Continue => paused = false,
                Command::Checkpoint => send(step, checkpoint(step)),
                Command::Stop => status = Status::Stopped,
                Command::RollBack | Command::Set(_) => {}
            }
            match &command {
                Command::Pause => send(step, Event::Paused),
                Command::Continue => send(step, Event::Continued),
                _ => {}
            }
        }
        if status == Status::Stopped {
            thread::sleep(Duration::from_secs(1));
            send(step, checkpoint(step));
            break;
        }
        thread::sleep(Duration::from_secs_f64(seconds / STEPS as f64));
        if paused {
            continue;
        }
        step += 1;
        if panics && step == STEPS / 2 {
            let _ = thread::spawn(|| panic!("a deliberate panic of the demo")).join();
        }
        for event in take_step(step, start, &mut noise) {
            send(step, event);
        }
    }
    send(step, Event::RunEnded(RunEnded::new(status)));
    match dashboard.close(Duration::from_secs(1)) {
        Some(last_frame) => println!("{last_frame}"),
        None => println!("the dashboard has already ended"),
    }
    Ok(())
}

/// The events of one inner step of a decaying, noisy loss.
fn take_step(step: u64, start: Instant, noise: &mut Noise) -> Vec<Event> {
    let course = 0.25 + 2.0 * (-(step as f64) / 700.0).exp();
    let mut loss = course * (1.0 + 0.22 * noise.next());
    if step == 1 {
        loss = 60.0;
    }
    if (2600..2603).contains(&step) {
        loss = f64::NAN;
    }
    let samples_per_second = (step * SAMPLES) as f64 / start.elapsed().as_secs_f64();
    let mut events = vec![Event::Step(Step {
        epoch: step / 500,
        loss,
        learning_rate: 0.001,
        samples_per_second,
        phase: (step - 1) % K + 1,
    })];
    if step.is_multiple_of(K) {
        let sync = step / K;
        let (distance, gradient_norm) = (None, None);
        events.push(Event::Sync(Sync { sync, alpha: 0.5, distance, gradient_norm, last: false }));
        if sync.is_multiple_of(4) {
            events.push(Event::Probe(Probe {
                sync,
                fast_loss: course * (1.12 + 0.10 * noise.next()),
                slow_loss: course * (1.0 + 0.03 * noise.next()),
                seconds: 0.002,
            }));
        }
    }
    if step.is_multiple_of(500) {
        for (weights, worse) in [(Weights::Slow, 1.0), (Weights::Fast, 1.1)] {
            events.push(Event::Evaluation(Evaluation {
                loss: course * worse,
                accuracy: 1.0 - 0.3 * course * worse,
                samples: 5000,
                seconds: 0.3,
                ..Evaluation::new(weights, Split::Validation)
            }));
        }
        events.push(checkpoint(step));
    }
    if step == 2603 {
        let message = "The loss was NaN in 3 steps. If it stays NaN, lower \
                       `optimizer.lr` and resume from an earlier checkpoint with --from."
            .into();
        events.push(Event::Warning(Warning { message }));
    }
    events
}

fn checkpoint(step: u64) -> Event {
    Event::Checkpoint(Checkpoint {
        name: format!("step-{step:08}"),
        bytes: 5_062_412,
        seconds: 0.012,
        write_seconds: 0.03,
    })
}

fn info() -> RunInfo {
    RunInfo {
        format: FORMAT,
        run: "fashion-cnn-2".into(),
        data: "fashion-mnist".into(),
        task: Task::Classification.into(),
        model: "cnn".into(),
        optimizer: "adam".into(),
        lookahead: Some(LookaheadInfo { k: K, alpha: 0.5 }),
        compute: Compute { device: "cpu".into(), threads: 2, cpu_capability: "AVX2".into() },
        parameters: Parameters { trainable: 421_642, frozen: 0 },
        total_steps: STEPS,
        steps_per_epoch: 500,
        samples: Samples { train: 55_000, validation: 5_000, test: 10_000 },
        seed: 1,
        software: Software {
            program: None,
            versions: Versions {
                lookahead: "0.1.0".into(),
                tch: "0.26.0".into(),
                libtorch: "2.13.0".into(),
            },
        },
        config: Default::default(),
    }
}

/// Roughly normal noise from twelve uniform numbers.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        let uniform = |state: &mut u64| {
            *state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*state >> 33) as f64 / (1_u64 << 31) as f64
        };
        (0..12).map(|_| uniform(&mut self.0)).sum::<f64>() - 6.0
    }
}
