use super::*;
use lookahead_core::tch_ext::memory_format::channels_last;
use lookahead_core::tch_ext::ops;
use tch::{Device, Kind};

fn random(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu))
}

/// Output and gradients of the input and the weight, and whether the stride was avoided.
fn results(convolution: &Pointwise, x: &Tensor) -> ([Tensor; 3], bool) {
    convolution.convolution.ws.shallow_clone().zero_grad();
    let x = x.detach().set_requires_grad(true);
    let (output, ops) = ops::record(|| convolution.forward(&x));
    output.square().sum(Kind::Float).backward();
    let avoided = ops.iter().any(|op| op.name.contains("slice"));
    ([output.detach(), x.grad(), convolution.convolution.ws.grad().copy()], avoided)
}

#[test]
fn few_channels_last_are_computed_without_the_stride() {
    tch::manual_seed(1);
    for inputs in [1, 2, 7, 8, 15, 16] {
        for (stride, height, width) in [(1, 6, 6), (2, 8, 8), (2, 7, 5), (3, 8, 8), (2, 1, 2)] {
            let vs = nn::VarStore::new(Device::Cpu);
            let convolution = Pointwise::new(vs.root() / "c", inputs, 4, stride);
            let mut weight = convolution.convolution.ws.shallow_clone();
            let x = random(&[3, inputs, height, width]);
            let (usual, avoided) = results(&convolution, &x);
            assert!(!avoided, "the default memory format is unaffected");
            weight.set_data(&channels_last(&weight.detach()).unwrap());
            let (last, avoided) = results(&convolution, &channels_last(&x).unwrap());
            let case = format!("{inputs} channels, stride {stride}, {height}×{width}");
            assert_eq!(avoided, inputs < 16 && stride > 1, "{case}");
            for (last, usual) in last.iter().zip(&usual) {
                assert!(last.allclose(usual, 1e-4, 1e-5, false), "{case}");
            }
        }
    }
}
