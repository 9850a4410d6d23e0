//! What averaging over workers costs beyond the transfer itself: a whole sync of two processes on
//! loopback, against a bare all-reduce of as many bytes, in turns.
//!
//! The program starts itself a second time. The sync copies θ into flat tensors, checks them for NaN,
//! reduces them, and updates φ from them; it compares a share of φ.

use std::env;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lookahead_core::distributed::{ProcessGroup, Reduce, Rendezvous};
use lookahead_core::{Lookahead, TransferDtype, fused};
use tch::{Device, Kind, Tensor, nn};

use super::{Comparisons, Target};

const ROUNDS: usize = 21;
const SIZES: [(i64, i64); 4] =
    [(100_000, 60), (1_000_000, 60), (10_000_000, 60), (10_000_000, 5000)];

pub(super) fn compare(comparisons: &mut Comparisons) -> anyhow::Result<()> {
    let place = match Rendezvous::from_env()? {
        Some(place) => place,
        None => {
            let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            let mut other = Command::new(env::current_exe()?);
            other.args(["parts", "workers"]);
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
    let threads = tch::get_num_threads();
    tch::set_num_threads(1);
    let group = Arc::new(ProcessGroup::join(&place, Duration::from_secs(60), &mut |_| {})?);
    for (parameters, tensors) in SIZES {
        for wire in [TransferDtype::Full, TransferDtype::BFloat16] {
            let rounds = rounds(&group, parameters, tensors, wire)?;
            if group.rank() == 0 {
                let what = format!("{parameters} parameters in {tensors} tensors, {wire:?}");
                comparisons.add(&what, ("sync", "bare all-reduce"), Target::Takes, &rounds);
            }
        }
    }
    tch::set_num_threads(threads);
    Ok(())
}

/// Seconds of a sync and of a bare all-reduce, round by round.
fn rounds(
    group: &Arc<ProcessGroup>,
    parameters: i64,
    tensors: i64,
    wire: TransferDtype,
) -> anyhow::Result<Vec<(f64, f64)>> {
    let vs = nn::VarStore::new(Device::Cpu);
    for i in 0..tensors {
        let _ = vs.root().ones(&format!("w{i}"), &[parameters / tensors]);
    }
    let builder = Lookahead::builder(fused::Sgd::default()).k(1).alpha(0.5);
    let mut opt = builder.workers(group.clone(), wire).build(&vs, 0.0)?;
    let kind = if wire == TransferDtype::Full { Kind::Float } else { Kind::BFloat16 };
    let flat = Tensor::zeros([parameters], (kind, Device::Cpu));
    let mut rounds = Vec::new();
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
        // The first allocates its buffers.
        if round > 0 {
            rounds.push((whole.as_secs_f64(), bare.as_secs_f64()));
        }
    }
    Ok(rounds)
}
