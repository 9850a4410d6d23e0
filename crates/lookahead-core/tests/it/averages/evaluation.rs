//! Evaluating the result, and leaving it in the model at the end.

use lookahead_core::{
    EmaNesterov, Error, Extrapolation, InnerOptimizer, Primal, PrimalAveraging, TailAverage,
    TailMean, TchOptimizer, fused,
};
use tch::{Device, Kind, nn};

use crate::common::{Net, assert_same_bits, bits, ones, write};

fn sgd(vs: &nn::VarStore) -> TchOptimizer {
    TchOptimizer::new(fused::sgd(0.9, 0.0, 0.0, false), vs, 0.1).unwrap()
}

/// Evaluating after each step changes no bit of the training, for every average.
#[test]
fn changes_no_bit() {
    macro_rules! check {
        ($build:expr) => {
            let train = |evaluates: bool| {
                let net = Net::new(3, Device::Cpu);
                let mut opt = $build(&net.vs);
                for i in 0..8 {
                    opt.backward_step(&net.loss(i, false)).unwrap();
                    if evaluates {
                        let at_result = opt.with_result(|| net.loss(i, false)).unwrap();
                        assert!(at_result.double_value(&[]).is_finite());
                    }
                }
                net.weights()
            };
            assert_same_bits(&train(true), &train(false), "evaluated");
        };
    }
    check!(|vs| PrimalAveraging::new(sgd(vs), Primal::exponential(0.9, 0.7)).unwrap());
    check!(|vs| PrimalAveraging::new(sgd(vs), Primal::schedule_free(0.9)).unwrap());
    check!(|vs| EmaNesterov::new(sgd(vs), Extrapolation::default()).unwrap());
    check!(|vs| TailAverage::new(sgd(vs), TailMean::exponential(0.9)).unwrap());
}

#[test]
fn a_write_to_the_result_is_reported() {
    let (vs, w) = ones(2);
    let mut opt = PrimalAveraging::new(sgd(&vs), Primal::default()).unwrap();
    let refused = opt.with_result(|| write(&w, 3.0)).unwrap_err();
    assert!(matches!(&refused, Error::ResultChanged { name } if name == "w"), "{refused}");
    assert!(matches!(opt.step(), Err(Error::ResultChanged { .. })));
    opt.restart().unwrap();
    opt.step().unwrap();
}

/// A graph that was recorded at the result must not run on the model's own weights.
#[test]
fn graphs_of_the_result_are_refused_outside() {
    let (vs, w) = ones(2);
    let mut opt = PrimalAveraging::new(sgd(&vs), Primal::default()).unwrap();
    opt.backward_step(&w.square().sum(Kind::Float)).unwrap();
    let graph = opt.with_result(|| w.square().sum(Kind::Float)).unwrap();
    assert!(graph.f_backward().is_err());
}

#[test]
fn the_end_leaves_the_result_in_the_model() {
    macro_rules! check {
        ($build:expr) => {
            let net = Net::new(3, Device::Cpu);
            let mut opt = $build(&net.vs);
            for i in 0..5 {
                opt.backward_step(&net.loss(i, false)).unwrap();
            }
            let result = opt.with_result(|| net.weights()).unwrap();
            assert!(result.iter().zip(net.weights()).any(|(a, b)| bits(&a.1) != bits(&b.1)));
            opt.finish().unwrap();
            assert_same_bits(&net.weights(), &result, "finished");
            opt.finish().unwrap();
            assert_same_bits(&net.weights(), &result, "finished twice");
            opt.backward_step(&net.loss(5, false)).unwrap();
        };
    }
    check!(|vs| PrimalAveraging::new(sgd(vs), Primal::exponential(0.9, 0.7)).unwrap());
    check!(|vs| EmaNesterov::new(sgd(vs), Extrapolation::default()).unwrap());
    check!(|vs| TailAverage::new(sgd(vs), TailMean::exponential(0.9)).unwrap());
}
