//! `lookahead generate`: a model continues a text.

use std::io::Read;
use std::process::Stdio;

use crate::common::{SMALL, Sandbox, failed, sets, stderr, succeeded};

const TEXT: &str = "the quick brown fox\n";

const CONFIG: &str = r#"
[data]
kind = "text"
file = "text.txt"
length = 13
batch_size = 32
validation = 4

[model]
kind = "lstm"
embedding = 8
width = 32

[optimizer]
kind = "adam"
lr = 0.02

[train]
max_steps = 100
evaluate_every_epochs = 0
threads = 1

[probe]
every_syncs = 0

[checkpoint]
every_steps = 0
"#;

#[test]
fn a_trained_model_continues_its_text() {
    let sandbox = Sandbox::new(CONFIG);
    let text = sandbox.path().join("text.txt");
    std::fs::write(&text, TEXT.repeat(150)).unwrap();
    sandbox.train("lstm", &[]);
    let transformer = ["model.kind=transformer", "model.width=32", "model.layers=1"];
    sandbox.train("transformer", &sets(&transformer));
    // The checkpoint is enough.
    std::fs::remove_file(text).unwrap();

    let generate = |run: &str, more: &[&str]| {
        let run = format!("runs/{run}");
        sandbox.lookahead(&[&["generate", &run], more].concat())
    };
    let generated =
        |run, more: &[&str]| String::from_utf8(succeeded(generate(run, more)).stdout).unwrap();
    // Longer than a sequence, and the prompt is shorter and longer than one.
    let whole = TEXT.repeat(6);
    for run in ["lstm", "transformer"] {
        for prompt in ["the q", &TEXT.repeat(2)] {
            let expected = format!("{}\n", &whole[..prompt.len() + 50]);
            let more = ["--prompt", prompt, "--length", "50", "--temperature", "0"];
            assert_eq!(generated(run, &more), expected, "{run}");
        }
    }

    let hot = |seed| generated("lstm", &["--prompt", "x", "--temperature", "4", "--seed", seed]);
    assert_eq!(hot("1"), hot("1"));
    assert_ne!(hot("1"), hot("2"));
    assert_eq!(hot("1").chars().count(), 1 + 200 + 1);
    assert_eq!(generated("lstm", &["--prompt", "ox", "--length", "0"]), "ox\n");

    let refused = generate("lstm", &["--prompt", "The Fox"]);
    failed(&refused, 2, &["'F' 'T'. Use only these: '\\n' ' ' 'b' 'c'"]);
    failed(&generate("lstm", &["--prompt", ""]), 2, &["`--prompt` is empty"]);
    let cold = generate("lstm", &["--prompt", "x", "--temperature=-1"]);
    failed(&cold, 2, &["`-1` is not a temperature"]);
    std::fs::write(sandbox.path().join("a.csv"), "1\n").unwrap();
    let predict = sandbox.lookahead(&["predict", "runs/lstm", "a.csv"]);
    failed(&predict, 2, &["reads text", "`lookahead generate`"]);

    // Characters come one by one, and a reader may leave.
    let endless = ["generate", "runs/lstm", "--prompt", "the ", "--length", "1000000000"];
    let mut child = sandbox.command(&endless);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut start = [0; 20];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn a_model_of_images_generates_nothing() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &["--set", "train.max_steps=1"]);
    let output = sandbox.lookahead(&["generate", "runs/run", "--prompt", "3"]);
    failed(&output, 2, &["doesn't read text", "`lookahead predict`"]);
}
