use super::*;
use crate::config::Config;
use crate::registry::Registry;

fn data(dimensions: usize, batch_size: usize) -> Dataset {
    let context = LoadContext { name: "noisy-quadratic", batch_size, validation: Some(1) };
    load(NoisyQuadraticOptions { dimensions, noise: 0.5 }, &context).unwrap()
}

#[test]
fn noise_has_the_variance_of_its_direction_and_is_fixed_by_its_key() {
    let data = data(3, 20_000);
    let key = SampleKey { seed: 1, epoch: 2, cursor: 3 };
    let indices: Vec<usize> = (0..20_000).collect();
    let drawn = |key| data.train.gather(&indices, key, Device::Cpu).unwrap().inputs;
    let values = drawn(key);
    let mean = Vec::<f32>::try_from(values.mean_dim(0, false, Element::Float)).unwrap();
    let variance = Vec::<f32>::try_from(values.var_dim(0, true, false)).unwrap();
    for (i, (mean, variance)) in mean.into_iter().zip(variance).enumerate() {
        let expected = 0.25 * (i + 1) as f32;
        // Five standard errors of a mean, and of a variance, σ²√(2/n) = 0.01 σ².
        assert!(mean.abs() < 5.0 * (expected / 20_000.0).sqrt(), "{i}: {mean}");
        assert!((variance / expected - 1.0).abs() < 0.05, "{i}: {variance}");
    }
    assert_eq!(drawn(key), values);
    assert_ne!(drawn(SampleKey { cursor: 4, ..key }), values);
}

#[test]
fn validation_is_one_sample_the_optimum() {
    let data = data(2, 4);
    assert_eq!((data.train.len(), data.validation.len(), data.test.len()), (400, 1, 1));
    let point = data.validation.slice(0..1, Device::Cpu).unwrap().inputs;
    assert_eq!(Vec::<f32>::try_from(point.reshape([-1])).unwrap(), [0.0; 2]);
    let config = "[data]\nkind = \"noisy-quadratic\"\nvalidation = 2\n";
    let said = Config::parse(Registry::builtin().kinds(), "test.toml", config, &[])
        .unwrap_err()
        .to_string();
    assert!(said.contains("`data.validation` is 2. Use 1"), "{said}");
}
