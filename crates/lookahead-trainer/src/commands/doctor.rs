//! `lookahead doctor`: what is found on this machine.

use lookahead_core::distributed;
use lookahead_core::tch_ext::build;
use tch::Cuda;

use crate::checkpointing::machine::Machine;
use crate::console::print_line;
use crate::data::{cifar10, cifar100, fashion_mnist};

/// Prints what is found, what is missing and how to mend it. Nothing that is missing keeps the
/// built-in digits from training, so this fails only where libtorch itself does not work.
///
/// # Errors
/// Where libtorch does not compute.
pub fn doctor() -> anyhow::Result<()> {
    let sum = tch::Tensor::f_from_slice(&[1.0f32, 2.0])?.f_sum(tch::Kind::Float)?;
    anyhow::ensure!(f64::try_from(sum)? == 3.0, "libtorch computes 1 + 2 wrongly here.");
    let here = Machine::here();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    print_row(
        "libtorch",
        &format!("{}, through tch {}", build::libtorch_version(), build::TCH_VERSION),
    )?;
    print_row(
        "CPU",
        &format!("{} kernels, {} threads on {cores} processors", here.cpu_capability, here.threads),
    )?;
    print_row("CUDA", &cuda())?;
    print_row("digits", "built into this program")?;
    print_row("Fashion-MNIST", &fashion_mnist::location())?;
    for cifar in [cifar10::CIFAR10, cifar100::CIFAR100] {
        print_row(cifar.title, &cifar.location())?;
    }
    Ok(())
}

fn print_row(what: &str, found: &str) -> std::io::Result<()> {
    print_line(format_args!("{what:<14} {found}"))
}

fn cuda() -> String {
    match (Cuda::is_available(), Cuda::device_count()) {
        (true, count) => format!(
            "{count} devices, cuDNN {}, several processes meet through {}",
            Cuda::cudnn_is_available(),
            if distributed::has_nccl() { "NCCL" } else { "Gloo (built without NCCL's headers)" }
        ),
        _ => "none: training runs on the CPU. With an NVIDIA GPU and its driver on this machine, \
              run `just setup` and build again: it then takes the libtorch that has CUDA."
            .to_owned(),
    }
}
