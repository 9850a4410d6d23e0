use super::*;
use crate::config::model::ModelConfig;
use crate::data::Inputs;
use crate::data::batches::Batches;
use crate::data::dataset::{Dataset, LoadContext};
use crate::data::images::{ImageOptions, Images};
use crate::registry::Registry;
use tch::{Device, Kind as Element};

fn built(
    shape: [usize; 3],
    classes: usize,
    width: i64,
    blocks: &[i64],
) -> Result<(nn::VarStore, ResNet), UsageError> {
    let vs = nn::VarStore::new(Device::Cpu);
    let options = ResnetOptions { width, blocks: blocks.to_vec() };
    options.check().unwrap();
    let inputs = Inputs::raw(&shape, &["channel", "row", "column"], "float32");
    let spec = DataSpec::new("images", Task::Classification, inputs, classes);
    let network = build(options, &vs.root(), &spec)?;
    Ok((vs, network))
}

fn parameters(vs: &nn::VarStore) -> usize {
    vs.trainable_variables().iter().map(Tensor::numel).sum()
}

#[test]
fn resnet_18_has_its_parameters_under_their_names() {
    let (vs, _) = built([3, 32, 32], 10, 64, &[2, 2, 2, 2]).unwrap();
    assert_eq!(parameters(&vs), 11_173_962);
    let names = vs.variables();
    for name in ["conv1.weight", "bn1.running_var", "layer1.0.conv2.weight", "layer4.1.bn2.bias"] {
        assert!(names.contains_key(name), "{name}");
    }
    assert_eq!(names["layer2.0.downsample.0.weight"].size(), [128, 64, 1, 1]);
    assert!(!names.contains_key("layer1.0.downsample.0.weight"));
    assert_eq!(names["fc.weight"].size(), [10, 512]);
}

/// Counted by hand: conv1 9·3·16, bn 2·16; per block 9·in·out + 9·out·out + 4·out, and its shortcut
/// in·out + 2·out.
#[test]
fn a_small_network_has_the_counted_parameters() {
    let (vs, network) = built([1, 28, 28], 10, 16, &[1, 1, 1]).unwrap();
    let first = 9 * 16 + 2 * 16 + 2 * 9 * 16 * 16 + 4 * 16;
    let second = 9 * 16 * 32 + 9 * 32 * 32 + 4 * 32 + 16 * 32 + 2 * 32;
    let third = 9 * 32 * 64 + 9 * 64 * 64 + 4 * 64 + 32 * 64 + 2 * 64;
    assert_eq!(parameters(&vs), first + second + third + 64 * 10 + 10);
    let images = Tensor::randn([2, 1, 28, 28], (Element::Float, Device::Cpu));
    assert_eq!(network.outputs(&images, true).size(), [2, 10]);
    // In evaluation, the result for an image does not depend on the others in the batch.
    let (both, one) =
        (network.outputs(&images, false), network.outputs(&images.narrow(0, 1, 1), false));
    assert!(both.narrow(0, 1, 1).allclose(&one, 1e-5, 1e-6, false));
}

#[test]
fn too_many_stages_for_an_image_are_refused() {
    let said = built([1, 8, 8], 10, 4, &[1, 1, 1, 1]).unwrap_err().to_string();
    assert!(said.contains("`model.blocks` has 4 stages") && said.contains("2×2"), "{said}");
    built([1, 8, 8], 10, 4, &[1, 1, 1]).unwrap();
}

/// A sample of one pixel has one value for each channel.
#[test]
fn a_batch_of_one_pixel_is_refused() {
    let options = toml::toml! {
        width = 4
        blocks = [1]
    };
    let config = ModelConfig { kind: "resnet".into(), options };
    let check = |shape: [usize; 3], samples: usize| {
        let mut images = Images::none(shape, &[0.5], &[0.5]);
        images.pixels = vec![0; samples * shape.iter().product::<usize>()];
        images.labels = vec![0; samples];
        let none = Images::none(shape, &[0.5], &[0.5]);
        let context = LoadContext { name: "images", batch_size: 4, validation: Some(0) };
        let options = ImageOptions::default();
        let data = Dataset::of_images(&context, options, 10, images, none).unwrap();
        let model = Registry::builtin().build_model(&config, &data.spec, Device::Cpu).unwrap();
        model.check_batches(&Batches::new(samples, 4, 0, 0, 0), &data)
    };
    let refused = check([3, 1, 1], 9).unwrap_err().to_string();
    assert!(refused.contains("1 sample") && refused.contains("no variance"), "{refused}");
    check([3, 1, 1], 8).unwrap();
    check([3, 1, 2], 9).unwrap();
}
