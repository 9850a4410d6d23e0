use super::*;
use tch::Device;

fn means(config: &AveragingConfig) -> Vec<f64> {
    let vs = nn::VarStore::new(Device::Cpu);
    let mut x = vs.root().zeros("x", &[1]);
    let mut average = Average::new(config, &vs).unwrap().unwrap();
    let values = [8.0, 4.0, 0.0, 4.0].into_iter().zip(1..).map(|(value, step)| {
        let _ = tch::no_grad(|| x.fill_(value));
        average.update(&vs, step, AveragedWeights::Fast).unwrap();
        average.tensors()["x"].double_value(&[0])
    });
    values.collect()
}

#[test]
fn means_by_hand() {
    let polyak = AveragingConfig {
        kind: AveragingKind::Polyak,
        start_step: Some(0),
        ..AveragingConfig::default()
    };
    assert_eq!(means(&polyak), [8.0, 6.0, 4.0, 4.0]);
    let late = AveragingConfig { start_step: Some(2), ..polyak.clone() };
    assert_eq!(means(&late), [8.0, 4.0, 0.0, 2.0]);
    let ema = AveragingConfig { kind: AveragingKind::Ema, decay: Some(0.5), ..polyak.clone() };
    assert_eq!(means(&ema), [8.0, 6.0, 3.0, 3.5]);
}

#[test]
fn theta_returns_also_after_a_failure() {
    let vs = nn::VarStore::new(Device::Cpu);
    let mut x = vs.root().zeros("x", &[1]);
    let config = AveragingConfig { kind: AveragingKind::Polyak, ..AveragingConfig::default() };
    let mut average = Average::new(&config, &vs).unwrap().unwrap();
    for (step, value) in [(1, 2.0), (2, 4.0)] {
        let _ = tch::no_grad(|| x.fill_(value));
        average.update(&vs, step, AveragedWeights::Fast).unwrap();
    }
    let seen = average.with(&vs, || Ok(x.double_value(&[0]))).unwrap();
    assert_eq!((seen, x.double_value(&[0])), (3.0, 4.0));
    average.with::<()>(&vs, || anyhow::bail!("no")).unwrap_err();
    assert_eq!(x.double_value(&[0]), 4.0);
    let other = [("x".to_owned(), Tensor::zeros([2], (tch::Kind::Float, Device::Cpu)))];
    assert!(average.load(7, &other.into()).is_err());
    assert_eq!((average.count(), average.tensors()["x"].double_value(&[0])), (2, 3.0));
}
