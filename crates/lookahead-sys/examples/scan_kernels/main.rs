//! Searches for libtorch kernels that write outside their memory or compute wrong results. `just scan-kernels` runs
//! it for several kinds of processors.
//!
//! Each case is one layer's forward and backward pass in a small shape. Cases run in a child process under `guard.c`,
//! which detects a write outside a block where it happens. The parent collects the results, and starts another child
//! after a case that ended one.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitCode, Stdio};

use lookahead_sys::autocast::Autocast;
use lookahead_sys::memory_format::channels_last;
use tch::{Device, Kind, Tensor};

/// The shapes to try: channels of the input and the output, and batches of images.
struct Shapes {
    inputs: &'static [i64],
    outputs: &'static [i64],
    images: &'static [[i64; 3]],
}

/// For 1×1 kernels, where bugs were found.
const MANY: Shapes = Shapes {
    inputs: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 15, 16, 17, 24, 32, 64],
    outputs: &[1, 4, 8, 16, 17],
    images: &[[1, 8, 8], [16, 2, 2], [4, 1, 1], [3, 7, 7], [8, 16, 16], [32, 28, 28], [2, 64, 64]],
};

/// For all other layers.
const FEW: Shapes = Shapes {
    inputs: &[1, 2, 3, 4, 8, 16, 17],
    outputs: &[1, 2, 3, 4, 8, 16, 17],
    images: &[[1, 8, 8], [16, 2, 2], [4, 1, 1], [3, 7, 7], [8, 16, 16]],
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    /// 0 groups are one per input channel.
    Convolution { kernel: i64, stride: i64, padding: i64, groups: i64 },
    /// In training.
    BatchNorm,
    /// 2×2.
    MaxPool,
    /// Over the whole image.
    MeanPool,
}

#[derive(Debug, Clone, Copy)]
struct Case {
    layer: Layer,
    channels_last: bool,
    bf16: bool,
    inputs: i64,
    outputs: i64,
    images: [i64; 3],
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let order = if self.channels_last { "channels last" } else { "row-major" };
        let kind = if self.bf16 { "bf16" } else { "f32" };
        write!(f, "{:?}, {order}, {kind}", self.layer)
    }
}

/// All cases, always in the same order.
fn cases() -> Vec<Case> {
    let mut layers = vec![Layer::BatchNorm, Layer::MaxPool, Layer::MeanPool];
    for (kernel, stride) in
        [1, 3, 5].into_iter().flat_map(|kernel| [1, 2, 3, 4].map(|s| (kernel, s)))
    {
        for (padding, groups) in [(kernel / 2, 1), (1, 1), (kernel / 2, 0), (1, 0)] {
            layers.push(Layer::Convolution { kernel, stride, padding, groups });
        }
    }
    layers.sort();
    layers.dedup();
    let mut cases = Vec::new();
    for layer in layers {
        let shapes = match layer {
            Layer::Convolution { kernel: 1, .. } => MANY,
            _ => FEW,
        };
        for (channels_last, bf16) in [(true, false), (true, true), (false, false), (false, true)] {
            for (&inputs, &outputs, &images) in product(&shapes) {
                let case = Case { layer, channels_last, bf16, inputs, outputs, images };
                cases.extend(case.is_possible().then_some(case));
            }
        }
    }
    cases
}

fn product(shapes: &Shapes) -> impl Iterator<Item = (&i64, &i64, &[i64; 3])> {
    let Shapes { inputs, outputs, images } = shapes;
    let channels = inputs.iter().flat_map(|i| outputs.iter().map(move |o| (i, o)));
    channels.flat_map(|(i, o)| images.iter().map(move |images| (i, o, images)))
}

impl Case {
    fn is_possible(&self) -> bool {
        let [_, height, _] = self.images;
        match self.layer {
            Layer::Convolution { kernel, padding, groups, .. } => {
                height + 2 * padding >= kernel && (groups == 1 || self.outputs % self.inputs == 0)
            }
            // These keep the number of channels.
            Layer::MaxPool => self.inputs == self.outputs && height > 1,
            Layer::BatchNorm | Layer::MeanPool => self.inputs == self.outputs,
        }
    }

    /// The layer's output and gradients for random numbers. `reference` computes them in double precision, in
    /// row-major order.
    fn results(&self, reference: bool) -> Vec<Tensor> {
        tch::manual_seed(1);
        let kind = if reference { Kind::Double } else { Kind::Float };
        let ordered = |shape: &[i64]| {
            let mut tensor = Tensor::randn(shape, (Kind::Float, Device::Cpu)).to_kind(kind);
            if self.channels_last && !reference && shape.len() == 4 {
                tensor = channels_last(&tensor).expect("it has four dimensions");
            }
            tensor.set_requires_grad(true)
        };
        let [batch, height, width] = self.images;
        let input = ordered(&[batch, self.inputs, height, width]);
        let (weight, bias) = match self.layer {
            Layer::Convolution { kernel, groups, .. } => {
                let inputs = if groups == 1 { self.inputs } else { 1 };
                (ordered(&[self.outputs, inputs, kernel, kernel]), ordered(&[self.outputs]))
            }
            _ => (ordered(&[self.inputs]), ordered(&[self.inputs])),
        };
        let autocast = Autocast::new(Device::Cpu, Kind::BFloat16).expect("the CPU has it");
        let region = (self.bf16 && !reference).then(|| autocast.begin());
        let output = match self.layer {
            Layer::Convolution { stride, padding, groups, .. } => {
                let groups = if groups == 1 { 1 } else { self.inputs };
                input.conv2d(&weight, Some(&bias), stride, padding, 1, groups)
            }
            Layer::BatchNorm => {
                let none = None::<&Tensor>;
                let (w, b) = (Some(&weight), Some(&bias));
                input.batch_norm(w, b, none, none, true, 0.1, 1e-5, false)
            }
            Layer::MaxPool => input.max_pool2d_default(2),
            Layer::MeanPool => input.mean_dim(&[2i64, 3][..], false, input.kind()),
        };
        drop(region);
        // All of one sign, because sums that cancel have no precision to compare.
        let upstream = Tensor::rand(output.size(), (Kind::Float, Device::Cpu));
        (&output * upstream.to_kind(output.kind())).sum(kind).backward();
        let mut results = vec![output.detach(), input.grad()];
        if !matches!(self.layer, Layer::MaxPool | Layer::MeanPool) {
            results.extend([weight.grad(), bias.grad()]);
        }
        results
    }

    /// The largest difference from the reference, relative to the largest number.
    fn error(&self) -> f64 {
        let pairs = self.results(false).into_iter().zip(self.results(true));
        let errors = pairs.map(|(found, expected)| {
            let largest = |tensor: Tensor| f64::try_from(tensor.abs().max()).unwrap_or(f64::NAN);
            let apart = largest(found.to_kind(Kind::Double) - &expected);
            // A sum of bfloat16 values that cancels has the rounding errors of all its terms.
            let added =
                if self.bf16 { (self.images.iter().product::<i64>() as f64).sqrt() } else { 1.0 };
            if apart == 0.0 { 0.0 } else { apart / largest(expected).max(added) }
        });
        errors.fold(0.0, |a, b| if b.is_nan() { b } else { f64::max(a, b) })
    }

    fn tolerance(&self) -> f64 {
        match (self.bf16, self.layer) {
            (true, _) => 0.05,
            // Normalization magnifies the difference of two similar samples.
            (false, Layer::BatchNorm) => 1e-3,
            (false, _) => 1e-4,
        }
    }
}

/// Runs the cases from `first` on, and prints each before it runs.
fn work(first: usize) {
    let mut out = std::io::stdout();
    for (i, case) in cases().iter().enumerate().skip(first) {
        writeln!(out, "case {i}").expect("stdout is a pipe to the parent");
        let error = case.error();
        if error.is_nan() || error > case.tolerance() {
            writeln!(out, "wrong by {error:e}").expect("stdout is a pipe to the parent");
        }
    }
    writeln!(out, "done").expect("stdout is a pipe to the parent");
}

/// The faults of each kind of layer, with their cases.
type Found = BTreeMap<(String, String), Vec<(usize, Case)>>;

/// Runs the cases from `first` on in a child process, and collects the faults. Returns where the next child should
/// begin.
fn watch(first: usize, cases: &[Case], found: &mut Found) -> std::io::Result<Option<usize>> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(first.to_string()).stdout(Stdio::piped());
    if let Some(guard) = std::env::var_os("LOOKAHEAD_GUARD") {
        command.env("LD_PRELOAD", guard);
    }
    let mut child = command.spawn()?;
    let mut current = first;
    let mut note = |current: usize, what: &str| {
        let case = cases[current];
        let all = found.entry((case.to_string(), what.to_owned())).or_default();
        if all.last().is_none_or(|(last, _)| *last != current) {
            all.push((current, case));
        }
    };
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        let line = line?;
        match line.strip_prefix("case ").map(str::parse) {
            Some(Ok(case)) => current = case,
            _ if line == "done" => {
                child.wait()?;
                return Ok(None);
            }
            _ if line.starts_with("wrong") => note(current, "computed something else"),
            _ => note(current, "wrote outside its memory"),
        }
    }
    let status = child.wait()?;
    note(current, &format!("ended the process ({status})"));
    Ok(Some(current + 1))
}

fn main() -> ExitCode {
    if let Some(first) = std::env::args().nth(1) {
        work(first.parse().expect("the number of a case"));
        return ExitCode::SUCCESS;
    }
    let cases = cases();
    let mut found = Found::new();
    let mut next = Some(0);
    while let Some(first) = next {
        next = match watch(first, &cases, &mut found) {
            Ok(next) => next.filter(|next| *next < cases.len()),
            Err(error) => {
                eprintln!("error: {error}");
                return ExitCode::FAILURE;
            }
        };
    }
    println!("{} cases of {} layers", cases.len(), {
        let mut layers: Vec<Layer> = cases.iter().map(|case| case.layer).collect();
        layers.dedup();
        layers.len()
    });
    for ((layer, what), all) in &found {
        let shapes = all.iter().map(|(_, case)| (case.inputs, case.outputs));
        let mut images: BTreeMap<(i64, i64), Vec<[i64; 3]>> = BTreeMap::new();
        for ((inputs, outputs), (_, case)) in shapes.zip(all) {
            images.entry((inputs, outputs)).or_default().push(case.images);
        }
        println!("\n{layer}: {what} in {} cases; channels in → out, and images:", all.len());
        for ((inputs, outputs), images) in images {
            println!("    {inputs} → {outputs}: {images:?}");
        }
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
