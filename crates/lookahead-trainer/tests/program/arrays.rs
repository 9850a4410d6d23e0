//! `data.kind = "arrays"`, by the whole program, with files as NumPy writes them.

use crate::common::{Sandbox, failed, sets, write_npy};

const CONFIG: &str = r#"
[data]
kind = "arrays"
file = "x.npy"
targets_file = "y.npy"
batch_size = 8

[model]
kind = "cnn"
channels = [2]
hidden = [4]

[train]
max_steps = 4
threads = 1

[checkpoint]
every_steps = 2
"#;

#[test]
fn images_in_npy_files_train_a_cnn_and_resume() {
    let sandbox = Sandbox::new(CONFIG);
    let pixels: Vec<u8> = (0..40 * 16).map(|i| (i * 37 % 251) as u8).collect();
    write_npy(&sandbox.path().join("x.npy"), "|u1", "(40, 1, 4, 4)", &pixels);
    let classes: Vec<u8> = (0..40i16).flat_map(|i| (i % 3).to_be_bytes()).collect();
    write_npy(&sandbox.path().join("y.npy"), ">i2", "(40,)", &classes);
    sandbox.train("whole", &[]);
    let losses = sandbox.losses("whole");
    assert_eq!(losses.len(), 4);
    sandbox.train("half", &["--set", "train.max_steps=2"]);
    sandbox.resume("half", &["--set", "train.max_steps=4"]);
    assert_eq!(sandbox.losses("half"), losses);

    let refused = |set: &[&str], words: &[&str]| {
        let train = [&["train", "test.toml", "--out", "none"][..], &sets(set)].concat();
        failed(&sandbox.lookahead(&train), 2, words);
    };
    refused(&["data.inputs=x"], &["x.npy of `data.file`", "without a name, and `x` is set"]);
    refused(&["data.targets_file=false"], &["false of `data.targets_file`", "can't be read"]);
    refused(&["data.task=regression", "model.kind=lstm"], &["This model reads text"]);
    let short: Vec<u8> = classes[..78].to_vec();
    write_npy(&sandbox.path().join("y.npy"), ">i2", "(39,)", &short);
    refused(&[], &["y.npy of `data.targets_file`", "39 targets, of shape [39], for 40 inputs"]);
    write_npy(&sandbox.path().join("y.npy"), ">i2", "(40,)", &short);
    refused(&[], &["y.npy", "cut off or damaged", "[40] of int16"]);
    write_npy(&sandbox.path().join("y.npy"), "<c16", "(40,)", &[0; 640]);
    refused(&[], &["y.npy", "of type <c16", "Save it as float16"]);
}
