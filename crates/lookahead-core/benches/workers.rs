//! What averaging over workers costs beyond the transfer itself: a whole sync of two processes on
//! loopback, against a bare all-reduce of as many bytes, in turns.
//!
//! `cargo bench --package lookahead-core --bench workers`. The program starts itself a second time. The
//! sync copies θ into flat tensors, looking for NaN, reduces those, and goes by them; it compares a share
//! of φ.

use std::env;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lookahead_core::distributed::{ProcessGroup, Reduce, Rendezvous};
use lookahead_core::{Lookahead, Wire, fused};
use tch::{Device, Kind, Tensor, nn};

type Failure = Box<dyn std::error::Error>;

const ROUNDS: usize = 21;
const SIZES: [(i64, i64); 4] =
    [(100_000, 60), (1_000_000, 60), (10_000_000, 60), (10_000_000, 5000)];

fn main() -> Result<(), Failure> {
    let place = match Rendezvous::from_env()? {
        Some(place) => place,
        None => {
            let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let mut other = Command::new(env::current_exe()?);
            other.envs([("RANK", "1"), ("WORLD_SIZE", "2"), ("MASTER_ADDR", "127.0.0.1")]);
            other.env("MASTER_PORT", port.to_string()).env("OMP_NUM_THREADS", "1");
            let _other = other.spawn()?;
            Rendezvous {
                rank: 0,
                size: 2,
                address: "127.0.0.1".to_owned(),
                port,
                hosted: false,
                restart: 0,
                local_rank: 0,
                interface: None,
            }
        }
    };
    // Both share the processors.
    tch::set_num_threads(1);
    let group = Arc::new(ProcessGroup::join(&place, Duration::from_secs(60))?);
    for (parameters, tensors) in SIZES {
        for wire in [Wire::Full, Wire::BFloat16] {
            compare(&group, parameters, tensors, wire)?;
        }
    }
    Ok(())
}

fn compare(
    group: &Arc<ProcessGroup>,
    parameters: i64,
    tensors: i64,
    wire: Wire,
) -> Result<(), Failure> {
    let vs = nn::VarStore::new(Device::Cpu);
    for i in 0..tensors {
        let _ = vs.root().ones(&format!("w{i}"), &[parameters / tensors]);
    }
    let builder = Lookahead::builder(fused::Sgd::default()).k(1).alpha(0.5);
    let mut opt = builder.workers(group.clone(), wire).build(&vs, 0.0)?;
    let kind = if wire == Wire::Full { Kind::Float } else { Kind::BFloat16 };
    let flat = Tensor::zeros([parameters], (kind, Device::Cpu));
    let mut ratios = Vec::new();
    let mut times = Vec::new();
    for round in 0..=ROUNDS {
        group.barrier()?;
        let started = Instant::now();
        group.all_reduce(&flat, Reduce::Sum)?;
        let bare = started.elapsed();
        opt.inner_step()?;
        group.barrier()?;
        let started = Instant::now();
        opt.sync_if_due()?;
        let whole = started.elapsed();
        // The first finds nothing made yet.
        if round > 0 {
            ratios.push(whole.as_secs_f64() / bare.as_secs_f64());
            times.push((bare, whole));
        }
    }
    if group.rank() == 0 {
        ratios.sort_by(f64::total_cmp);
        times.sort();
        let (bare, whole) = times[ROUNDS / 2];
        println!(
            "{parameters} parameters in {tensors} tensors, {wire:?}: a sync takes {:.2} [{:.2}, {:.2}] of a \
             bare all-reduce ({bare:.1?}, {whole:.1?})",
            ratios[ROUNDS / 2],
            ratios[ROUNDS / 4],
            ratios[ROUNDS * 3 / 4]
        );
    }
    Ok(())
}
