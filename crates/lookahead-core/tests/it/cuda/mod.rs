//! What only a GPU can show: the optimizer computes the same there as on the CPU, in few operations.
//!
//! Without a GPU these tests pass with a message; with `LOOKAHEAD_REQUIRE_CUDA=1`, which `just test-cuda` sets, they
//! fail. Tests of other modules that loop over `devices()` include the GPU too.

mod optimizers;
mod sync;
mod training;

use std::io::ErrorKind;
use std::path::Path;
use std::process::Command;

#[cfg(feature = "distributed")]
use lookahead_sys::distributed;
use lookahead_sys::ops::Op;
use tch::utils::has_cudart;
use tch::{Cuda, Device, Kind, Tensor, nn};

/// The GPU; `None` if there is none and none is required.
pub(super) fn gpu() -> Option<Device> {
    if Cuda::is_available() {
        return Some(Device::Cuda(0));
    }
    let why = if has_cudart() {
        "libtorch has CUDA but finds no GPU that it can use; `nvidia-smi` may tell why"
    } else {
        "this libtorch has no CUDA; `just setup` gets one that has on a machine with an NVIDIA GPU, or \
         with LOOKAHEAD_LIBTORCH=cuda"
    };
    let required = std::env::var_os("LOOKAHEAD_REQUIRE_CUDA").is_some_and(|value| value == "1");
    assert!(!required, "LOOKAHEAD_REQUIRE_CUDA is 1, so this test must run on a GPU: {why}.");
    eprintln!("skipped: this needs a GPU: {why}.");
    None
}

/// The values, in brackets, of `readelf`'s entries with a tag.
fn entries(dynamic: &str, tag: &str) -> Vec<String> {
    let of_tag = dynamic.lines().filter(|line| line.contains(tag));
    let value = |line: &str| Some(line.split_once('[')?.1.rsplit_once(']')?.0.to_owned());
    of_tag.filter_map(value).collect()
}

/// By default the linker drops libtorch_cuda, because no Rust program names a symbol of it. This program names the
/// library exactly if the libtorch that it was linked with contains it. Needs no GPU.
#[test]
fn cuda_is_linked_if_libtorch_has_it() {
    let program = std::env::current_exe().unwrap();
    let mut readelf = Command::new("readelf");
    // It translates its output.
    readelf.args(["--wide", "--dynamic"]).arg(&program).env("LC_ALL", "C");
    let dynamic = match readelf.output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            eprintln!("skipped: there is no `readelf`; install the package binutils.");
            return;
        }
        output => String::from_utf8(output.unwrap().stdout).unwrap(),
    };
    let run_path = [entries(&dynamic, "(RUNPATH)"), entries(&dynamic, "(RPATH)")].concat();
    let mut folders = run_path.iter().flat_map(|path| path.split(':')).map(Path::new);
    let folder = folders.find(|folder| folder.join("libtorch_cpu.so").exists());
    let folder = folder.unwrap_or_else(|| panic!("no libtorch on the run path {run_path:?}"));

    let has_it = folder.join("libtorch_cuda.so").exists();
    let names_it = entries(&dynamic, "(NEEDED)").contains(&"libtorch_cuda.so".to_owned());
    let program = program.display();
    assert_eq!(names_it, has_it, "{program} names libtorch_cuda.so; it is in {folder:?}");
    assert_eq!(has_cudart(), has_it, "CUDA's runtime; libtorch is in {folder:?}");
    #[cfg(feature = "distributed")]
    let has_nccl = distributed::has_nccl();
    #[cfg(not(feature = "distributed"))]
    let has_nccl = false;
    // Read by check_cuda.py.
    println!("has_cudart() is {has_it}, has_nccl() is {has_nccl}");
    assert!(has_it || !has_nccl);
}

/// θ's and φ's element types, and the tolerance for φ between two devices.
pub(super) const KINDS: [(Kind, Kind, f64); 4] = [
    (Kind::Float, Kind::Float, 5e-6),
    (Kind::Double, Kind::Double, 1e-14),
    (Kind::BFloat16, Kind::Float, 5e-6),
    (Kind::Half, Kind::Float, 5e-6),
];

/// Large, small, scalar and empty.
const SHAPES: [&[i64]; 5] = [&[30, 20, 10], &[70_001], &[], &[0], &[7]];

pub(super) fn random(kind: Kind) -> Vec<Tensor> {
    let draw = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu)).to_kind(kind);
    let mut all: Vec<Tensor> = SHAPES.into_iter().map(draw).collect();
    all.push(draw(&[40, 30]).transpose(0, 1));
    all
}

/// Copies that share no memory with the tensors, even on the same device.
pub(super) fn on(device: Device, tensors: &[Tensor]) -> Vec<Tensor> {
    tensors.iter().map(|tensor| tensor.to_device(device).copy()).collect()
}

/// In double precision on the CPU.
pub(super) fn wide(tensor: &Tensor) -> Tensor {
    tensor.detach().to_device(Device::Cpu).to_kind(Kind::Double)
}

pub(super) fn assert_close(
    found: &Tensor,
    expected: &Tensor,
    (relative, absolute): (f64, f64),
    what: &str,
) {
    let (found, expected) = (wide(found), wide(expected));
    let close = found.allclose(&expected, relative, absolute, false);
    assert!(close, "{what}: apart by {:?}", (found - expected).abs().max());
}

pub(super) fn top(ops: &[Op]) -> Vec<&str> {
    ops.iter().filter(|op| op.depth == 0).map(|op| op.name.as_str()).collect()
}

/// Parameters of several shapes. Their gradients are far from 0, where Adam's quotient would magnify rounding. They
/// start from bfloat16 values, which all element types can represent.
pub(super) struct Problem {
    pub(super) vs: nn::VarStore,
    pub(super) weights: Vec<Tensor>,
}

impl Problem {
    pub(super) fn new(device: Device, kind: Kind) -> Problem {
        tch::manual_seed(5);
        let mut vs = nn::VarStore::new(device);
        vs.set_kind(kind);
        let start = random(Kind::BFloat16);
        let named = |(i, values)| vs.root().var_copy(&format!("w{i}"), values);
        let weights = start.iter().enumerate().map(named).collect();
        Problem { vs, weights }
    }

    pub(super) fn loss(&self, step: i64) -> Tensor {
        let mut total = Tensor::zeros([], (Kind::Float, self.vs.device()));
        for (i, weight) in self.weights.iter().enumerate() {
            // The gradient of one comes late, and not in every step.
            if i != 4 || step % 3 == 2 {
                let scale = 0.1 + 0.05 * (step as f64 + i as f64).cos();
                total += (weight + 6.0).square().sum(Kind::Float) * scale;
            }
        }
        total
    }
}
