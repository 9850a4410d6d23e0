//! `lookahead doctor`: checks this machine.

use lookahead_core::distributed;
use lookahead_core::tch_ext::build;
use tch::Cuda;

use crate::checkpointing::machine::Machine;
use crate::console::print_line;
use crate::data::{cifar10, cifar100, fashion_mnist};

/// Prints what was found, what is missing and how to fix it. The built-in digits can be trained without any of it,
/// so this fails only if libtorch does not work.
pub fn doctor() -> anyhow::Result<()> {
    let sum = tch::Tensor::f_from_slice(&[1.0f32, 2.0])?.f_sum(tch::Kind::Float)?;
    anyhow::ensure!(
        f64::try_from(sum)? == 3.0,
        "libtorch computes 1 + 2 incorrectly on this machine."
    );
    let here = Machine::here();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let folder = build::libtorch_folder();
    print_row(
        "libtorch",
        &format!(
            "{} in {}, through tch {}",
            build::libtorch_version(),
            folder.map_or("an unknown folder".to_owned(), |folder| folder.display().to_string()),
            build::TCH_VERSION
        ),
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
    if Cuda::is_available() {
        let backend = if distributed::has_nccl() { "NCCL" } else { "Gloo (built without NCCL)" };
        return format!(
            "{} devices, cuDNN {}, distributed training through {backend}",
            Cuda::device_count(),
            Cuda::cudnn_is_available()
        );
    }
    "none: training runs on the CPU. If this machine has an NVIDIA GPU and its driver, run `just setup` and \
     build again to get libtorch with CUDA."
        .to_owned()
}
