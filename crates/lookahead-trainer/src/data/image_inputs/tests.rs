use super::*;
use crate::data::{DataSpec, Inputs};
use image::{GrayImage, Luma};
use lookahead_run::event::Task;

fn spec(shape: &[usize], range: Option<[f64; 2]>) -> DataSpec {
    let inputs = Inputs {
        range,
        mean: Some(vec![4.0]),
        std: Some(vec![2.0]),
        ..Inputs::raw(shape, &["channel", "row", "column"], "float32")
    };
    DataSpec::new("digits", Task::Classification, inputs, 10)
}

#[test]
fn files_and_folders_are_prepared_as_in_training_some_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    std::fs::create_dir_all(at("folder/deeper")).unwrap();
    for (name, value) in
        [("z.png", 0), ("folder/b.png", 51), ("folder/a.png", 102), ("folder/deeper/c.png", 255)]
    {
        GrayImage::from_pixel(3, 2, Luma([value])).save(at(name)).unwrap();
    }
    std::fs::write(at("folder/notes.txt"), "x").unwrap();
    std::fs::write(at("folder/broken.png"), "x").unwrap();
    GrayImage::from_pixel(2, 2, Luma([0])).save(at("folder/large.png")).unwrap();
    std::os::unix::fs::symlink(at("folder"), at("folder/deeper/back")).unwrap();

    // Pixels from 0 to 20: white is 20.
    let spec = spec(&[1, 2, 3], Some([0.0, 20.0]));
    let inputs = ImageInputs::new(&spec, false, &[at("z.png"), at("folder")]).unwrap();
    assert_eq!(inputs.files().len(), 6);
    let (mut files, mut values, mut broken) = (Vec::new(), Vec::new(), Vec::new());
    for chunk in inputs.chunks(4, Device::Cpu) {
        let chunk = chunk.unwrap();
        assert_eq!(chunk.inputs.size(), [chunk.files.len() as i64, 1, 2, 3]);
        let first = chunk.inputs.flatten(1, -1).select(1, 0);
        values.extend(Vec::<f32>::try_from(first).unwrap());
        files.extend(chunk.files.iter().map(|file| file.to_path_buf()));
        broken.extend(chunk.broken.iter().map(ToString::to_string));
    }
    let names = ["z.png", "folder/a.png", "folder/b.png", "folder/deeper/c.png"];
    assert_eq!(files, names.map(at));
    assert_eq!(values, [-2.0, 2.0, 0.0, 8.0]);
    assert_eq!(broken.len(), 2);
    assert!(broken[0].contains("broken.png") && broken[1].contains("large.png has 2 × 2"));

    let resized = ImageInputs::new(&spec, true, &[at("folder/large.png")]).unwrap();
    assert_eq!(resized.chunks(9, Device::Cpu).next().unwrap().unwrap().files.len(), 1);
}

#[test]
fn what_is_not_there_or_no_image_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let images = spec(&[1, 2, 3], Some([0.0, 255.0]));
    for (spec, path, words) in [
        (&images, dir.path().join("none.png"), "There is no image"),
        (&images, dir.path().to_owned(), "has no image"),
        (&spec(&[4], Some([0.0, 1.0])), dir.path().to_owned(), "the shape [4]"),
        (&spec(&[1, 2, 3], None), dir.path().to_owned(), "black"),
    ] {
        let error = ImageInputs::new(spec, false, &[path]).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}
