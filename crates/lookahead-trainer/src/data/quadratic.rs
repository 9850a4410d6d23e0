//! A quadratic function without noise, ½ Σ aᵢxᵢ², whose curvatures aᵢ go from 1/κ to 1 in equal
//! ratios: how fast an optimizer gets along a narrow valley.

use lookahead_run::event::Task;

use super::noisy_quadratic::Points;
use super::signature::Signature;
use super::{DataConfig, Dataset, Entry, Problem};
use crate::config::check::{ConfigIssue, format_number, require};

/// The problem.
pub const ENTRY: Entry = Entry {
    task: Task::Quadratic,
    keys: &["data.dimensions", "data.condition"],
    validation: 1,
    resolve,
    load,
};

fn resolve(config: &mut DataConfig) -> Result<(), ConfigIssue> {
    super::noisy_quadratic::resolve_dimensions(config)?;
    let condition = *config.condition.get_or_insert(1000.0);
    let allowed = "a number from 1 to 1e12: the largest curvature over the smallest";
    require((1.0..=1e12).contains(&condition), "data.condition", format_number(condition), allowed)
}

fn load(config: &DataConfig) -> anyhow::Result<Dataset> {
    let dimensions = config.dimensions.unwrap_or(100);
    let condition = config.condition.unwrap_or(1000.0);
    let curvatures: Vec<f32> = (0..dimensions)
        .map(|i| {
            let progress = i as f64 / (dimensions - 1).max(1) as f64;
            condition.powf(-progress) as f32
        })
        .collect();
    Ok(Dataset {
        name: config.kind.name(),
        problem: Problem::Quadratic { curvatures },
        signature: Signature::of_points(config.kind.name(), dimensions),
        train: Box::new(Points::training(config, vec![0.0; dimensions])),
        validation: Box::new(Points::optimum(dimensions)),
        test: Box::new(Points::optimum(dimensions)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Kind, Place};
    use tch::Device;

    #[test]
    fn curvatures_go_from_1_to_one_over_the_condition_number() {
        let mut config = DataConfig {
            kind: Kind::Quadratic,
            dimensions: Some(3),
            condition: Some(1e4),
            ..DataConfig::default()
        };
        config.resolve().unwrap();
        let data = load(&config).unwrap();
        let Problem::Quadratic { curvatures } = &data.problem else { panic!("no quadratic") };
        assert_eq!(curvatures[..], [1.0, 0.01, 0.0001]);
        let place = Place { seed: 1, epoch: 2, cursor: 3 };
        let batch = data.train.gather(&[0, 1], place, Device::Cpu);
        assert_eq!(Vec::<f32>::try_from(batch.inputs.reshape([-1])).unwrap(), [0.0; 6]);
        let one = DataConfig { dimensions: Some(1), ..config };
        let Problem::Quadratic { curvatures } = load(&one).unwrap().problem else { panic!("none") };
        assert_eq!(curvatures, [1.0]);
    }
}
