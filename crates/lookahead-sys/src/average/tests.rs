use tch::{Device, Kind, Tensor};

use super::{Averaged, Rule, average};
use crate::sync::Path;

/// A mean, a point and a model of `count` numbers.
fn tensors(count: i64, (wide, narrow): (Kind, Kind)) -> [Tensor; 3] {
    let values = |shift: f64, kind| {
        ((Tensor::arange(count, (Kind::Double, Device::Cpu)) + shift) * 0.7).sin().to_kind(kind)
    };
    [values(0.0, wide), values(1.0, narrow), values(2.0, narrow)]
}

fn run(tensors: &[Tensor; 3], rule: Rule, (weight, ahead): (f64, f64), path: Path) -> bool {
    let [mean, point, model] = tensors;
    average([Averaged { mean, point, model, weight, ahead }], rule, path).unwrap()
}

/// The mean alone, of the model.
fn run_mean(tensors: &[Tensor; 3], weight: f64, path: Path) -> bool {
    let [mean, _, model] = tensors;
    let alone = Averaged { mean, point: model, model, weight, ahead: 0.0 };
    average([alone], Rule::Mean, path).unwrap()
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
    (a.to_kind(Kind::Double) - b.to_kind(Kind::Double)).abs().max().double_value(&[])
}

const SETTINGS: [(f64, f64); 6] =
    [(0.1, 0.7), (0.9, 0.2), (0.3, 0.0), (0.3, 1.0), (1.0, 0.7), (0.0, 0.5)];

/// Both paths agree with the formulas, for every type, over several blocks and threads.
#[test]
fn agrees_with_the_formulas() {
    for (wide, narrow, tolerance) in [
        (Kind::Double, Kind::Double, 1e-15),
        (Kind::Float, Kind::Float, 3e-7),
        (Kind::Float, Kind::BFloat16, 1e-2),
    ] {
        for (weight, ahead) in SETTINGS {
            for path in [Path::Auto, Path::Foreach] {
                let [x, z, y] = tensors(70_001, (wide, narrow)).map(|t| t.to_kind(Kind::Double));
                let primal = tensors(70_001, (wide, narrow));
                assert!(run(&primal, Rule::Primal, (weight, ahead), path));
                let mean = &x + weight * (&z - &x);
                let model = ahead * &mean + (1.0 - ahead) * &z;
                assert!(largest_difference(&primal[0], &mean) <= tolerance);
                assert!(largest_difference(&primal[2], &model) <= tolerance);

                let nesterov = tensors(70_001, (wide, narrow));
                assert!(run(&nesterov, Rule::Nesterov, (weight, ahead), path));
                let mean = (1.0 - weight) * &x + weight * (&y - &z);
                assert!(largest_difference(&nesterov[0], &mean) <= tolerance);
                assert!(largest_difference(&nesterov[1], &y) == 0.0);
                assert!(largest_difference(&nesterov[2], &(&y + ahead * &mean)) <= tolerance);

                let alone = tensors(70_001, (wide, narrow));
                assert!(run_mean(&alone, weight, path));
                let mean = (1.0 - weight) * &x + weight * &y;
                assert!(largest_difference(&alone[0], &mean) <= tolerance);
                assert!(largest_difference(&alone[2], &y) == 0.0);
            }
        }
    }
}

/// What the inner optimizer left reaches the model without arithmetic where the rule says so, −0 included.
#[test]
fn copies_to_the_bit() {
    for path in [Path::Auto, Path::Foreach] {
        for (weight, ahead) in [(1.0, 0.7), (0.3, 0.0)] {
            let [mean, ..] = tensors(3, (Kind::Float, Kind::Float));
            let point = Tensor::from_slice(&[-0.0f32, 1e-45, 0.1]);
            let model = Tensor::ones([3], (Kind::Float, Device::Cpu));
            let all = [mean, point, model];
            assert!(run(&all, Rule::Primal, (weight, ahead), path));
            assert_eq!(all[1].view_dtype(Kind::Int), all[2].view_dtype(Kind::Int));
        }
        let all = tensors(3, (Kind::Float, Kind::Float));
        let before = all[2].copy();
        assert!(run(&all, Rule::Nesterov, (0.1, 0.0), path));
        assert_eq!(before, all[2]);
        assert!(run_mean(&all, 1.0, path));
        assert_eq!(before, all[0]);
    }
}

#[test]
fn nan_reaches_no_mean() {
    for path in [Path::Auto, Path::Foreach] {
        for rule in [Rule::Primal, Rule::Nesterov] {
            for bad in [f64::NAN, f64::INFINITY] {
                let all = tensors(5_000, (Kind::Float, Kind::Float));
                let left = if rule == Rule::Primal { &all[1] } else { &all[2] };
                let _ = left.get(4_321).fill_(bad);
                assert!(!run(&all, rule, (0.5, 0.5), path));
                assert!(all[0].isfinite().all().int64_value(&[]) == 1);
                let _ = all[2].get(4_321).fill_(bad);
                assert!(!run_mean(&all, 0.5, path));
                assert!(all[0].isfinite().all().int64_value(&[]) == 1);
            }
        }
    }
}

/// Graphs that were recorded before must not run on the new values.
#[test]
fn moves_version_counters() {
    let all = tensors(3, (Kind::Float, Kind::Float));
    let leaf = Tensor::ones([3], (Kind::Float, Device::Cpu)).set_requires_grad(true);
    let recorded = (&leaf * &all[2]).sum(Kind::Float);
    run(&all, Rule::Primal, (0.5, 0.5), Path::Auto);
    assert!(recorded.f_backward().is_err());
}

#[test]
fn empty_tensors_are_skipped() {
    let all = tensors(0, (Kind::Float, Kind::Float));
    assert!(run(&all, Rule::Primal, (0.5, 0.5), Path::Auto));
    assert!(average([], Rule::Nesterov, Path::Foreach).unwrap());
}
