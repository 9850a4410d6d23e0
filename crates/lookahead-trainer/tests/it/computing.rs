//! Channels-last memory and autocast.

use crate::common::{SMALL, Sandbox, copy_folder, failed, sets, stderr, succeeded, train};
use lookahead_run::event::{Evaluation, Event, Split, Weights};
use lookahead_trainer::tensor_file::read;

/// A convolutional net, as [`SMALL`] an MLP.
const CNN: [&str; 3] = ["model.kind=cnn", "model.channels=[4,8]", "model.dropout=0.2"];
/// A residual net.
const RESNET: [&str; 5] = [
    "model.kind=resnet",
    "model.width=4",
    "model.blocks=[1,1]",
    "model.dropout=0",
    "model.batch_norm=false",
];

/// Trains with further keys as run `name`, and gives its losses.
fn losses(sandbox: &Sandbox, name: &str, keys: &[&[&str]]) -> Vec<f64> {
    sandbox.train(name, &sets(&keys.concat()));
    sandbox.losses(name).into_iter().map(|(_, bits)| f64::from_bits(bits)).collect()
}

#[track_caller]
fn assert_near(a: &[f64], b: &[f64], tolerance: f64) {
    assert_eq!(a.len(), b.len());
    for (step, (a, b)) in a.iter().zip(b).enumerate() {
        assert!((a - b).abs() <= tolerance * b.abs(), "step {}: {a} and {b}", step + 1);
    }
}

fn evaluation(sandbox: &Sandbox, run: &str, weights: Weights) -> Evaluation {
    let records = sandbox.records(run);
    let found = records.iter().rev().find_map(|record| match &record.event {
        Event::Evaluation(e) if e.weights == weights && e.split == Split::Test => Some(e.clone()),
        _ => None,
    });
    found.unwrap()
}

fn eval(sandbox: &Sandbox, run: &str) -> f64 {
    let folder = sandbox.run_folder(run);
    let output = succeeded(sandbox.lookahead(&["eval", folder.to_str().unwrap(), "--json"]));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    report["loss"].as_f64().unwrap()
}

#[test]
fn channels_last_is_the_same_up_to_rounding_and_resumes_bit_for_bit() {
    const LAST: [&str; 1] = ["train.channels_last=true"];
    // Without normalization: the gradient of a bias before one is only rounding, and Adam
    // takes full steps along it.
    const ADAM: [&str; 3] = ["optimizer.kind=adam", "optimizer.lr=0.003", "model.batch_norm=false"];
    for (net, optimizer) in
        [(&CNN[..], &[][..]), (&RESNET, &["optimizer.momentum=0.9"]), (&CNN, &ADAM)]
    {
        let sandbox = Sandbox::new(SMALL);
        let plain = losses(&sandbox, "plain", &[net, optimizer]);
        let last = losses(&sandbox, "last", &[net, optimizer, &LAST]);
        assert_near(&last, &plain, 1e-3);

        // Files have the usual names and memory order.
        let model =
            |run: &str| read(&sandbox.run_folder(run).join("step-00000014/model.safetensors"));
        let (plain, last) = (model("plain").unwrap(), model("last").unwrap());
        assert!(plain.keys().eq(last.keys()));
        for (name, tensor) in &last {
            assert_eq!(tensor.size(), plain[name].size(), "{name}");
            assert!(tensor.allclose(&plain[name], 1e-2, 1e-3, false), "{name}");
        }

        for step in [1, 2, 3, 7] {
            let resumed = format!("from-{step}");
            copy_folder(&sandbox.run_folder("last"), &sandbox.run_folder(&resumed));
            sandbox.resume(&resumed, &["--from", &step.to_string()]);
            assert_eq!(sandbox.losses(&resumed), sandbox.losses("last"), "{resumed}");
            assert!(sandbox.tensors(&resumed, 14) == sandbox.tensors("last", 14), "{resumed}");
        }
        assert_eq!(eval(&sandbox, "last"), evaluation(&sandbox, "last", Weights::Slow).loss);

        // A run may resume in the other order.
        let more = [&["--from", "5"], &sets(&LAST)[..]].concat();
        let before = sandbox.losses("plain");
        sandbox.resume("plain", &more);
        let numbers = |all: Vec<(u64, u64)>| -> Vec<f64> {
            all.into_iter().map(|(_, bits)| f64::from_bits(bits)).collect()
        };
        assert_near(&numbers(sandbox.losses("plain")), &numbers(before), 1e-3);
    }
}

/// The program as it is on processors without AVX-512, whatever this one has.
fn without_avx512(sandbox: &Sandbox, arguments: &[&str]) -> std::process::Output {
    let mut command = sandbox.command(arguments);
    command.env("ONEDNN_MAX_CPU_ISA", "AVX2").env("ATEN_CPU_CAPABILITY", "avx2");
    succeeded(command.output().unwrap())
}

/// libtorch's kernel for AVX2 writes outside its memory for such a net: see docs/processors.md.
#[test]
fn a_narrow_residual_net_trains_channels_last_without_avx512() {
    let sandbox = Sandbox::new(SMALL);
    for width in ["model.width=1", "model.width=4", "model.width=7"] {
        let keys = [&RESNET[..1], &RESNET[2..], &[width]].concat();
        for (order, more) in [("usual", &[][..]), ("last", &["train.channels_last=true"])] {
            let name = format!("{}-{order}", &width[12..]);
            without_avx512(&sandbox, &train(&name, &sets(&[&keys, more].concat())));
        }
        let losses = |order: &str| -> Vec<f64> {
            let losses = sandbox.losses(&format!("{}-{order}", &width[12..]));
            losses.into_iter().map(|(_, bits)| f64::from_bits(bits)).collect()
        };
        assert_near(&losses("last"), &losses("usual"), 1e-3);
    }
}

/// The work is done in a thread with a stack of its own.
#[test]
fn a_small_stack_of_the_main_thread_is_enough() {
    let sandbox = Sandbox::new(SMALL);
    let script = "ulimit -s 64; exec \"$0\" \"$@\"";
    let mut command = std::process::Command::new("sh");
    command.args(["-c", script, env!("CARGO_BIN_EXE_lookahead")]);
    let more = sets(&[&RESNET[..], &["train.threads=2", "train.max_steps=3"]].concat());
    command.args(train("run", &more));
    succeeded(command.current_dir(sandbox.path()).output().unwrap());
    assert_eq!(sandbox.losses("run").len(), 3);
}

/// oneDNN's LSTM has bfloat16 only where the processor has instructions for it.
#[test]
fn an_lstm_trains_in_bf16_without_avx512_and_says_what_is_f32() {
    let sandbox = Sandbox::new(TEXT);
    std::fs::write(sandbox.path().join("book.txt"), book()).unwrap();
    let bf16 = sets(&["train.autocast=bf16"]);
    without_avx512(&sandbox, &train("wide", &[]));
    let trained = without_avx512(&sandbox, &train("bf16", &bf16));
    let note = "can't compute an LSTM in bfloat16";
    let run = "runs/bf16";
    let more = sets(&["train.max_steps=31"]);
    let resumed = without_avx512(&sandbox, &[&["resume", run], &more[..]].concat());
    let evaluated = without_avx512(&sandbox, &["eval", run]);
    for output in [&trained, &resumed, &evaluated] {
        assert!(stderr(output).contains(note), "{}", stderr(output));
    }
    let noted = |run: &str| {
        let records = sandbox.records(run);
        records.iter().any(|r| matches!(&r.event, Event::Note(n) if n.message.contains(note)))
    };
    assert!(noted("bf16") && !noted("wide"));
    let losses = |run: &str| -> Vec<f64> {
        sandbox.losses(run).into_iter().map(|(_, bits)| f64::from_bits(bits)).take(5).collect()
    };
    assert_near(&losses("bf16"), &losses("wide"), 0.05);
    assert_ne!(losses("bf16"), losses("wide"), "the output layer computes in bfloat16");
}

/// Environment variables change bits as threads do; a resume reports them.
#[test]
fn a_resume_under_other_variables_says_what_differs() {
    let sandbox = Sandbox::new(SMALL);
    let mut train = sandbox.command(&train("run", &[]));
    succeeded(train.env("MKL_CBWR", "COMPATIBLE").output().unwrap());
    let resume = |steps: &str, value: Option<&str>| {
        let more = sets(&[steps]);
        let mut resume = sandbox.command(&[&["resume", "runs/run"], &more[..]].concat());
        resume.env_remove("MKL_CBWR");
        stderr(&succeeded(resume.envs(value.map(|value| ("MKL_CBWR", value))).output().unwrap()))
    };
    let same = resume("train.max_steps=15", Some("COMPATIBLE"));
    assert!(!same.contains("bit-identical"), "{same}");
    let other = resume("train.max_steps=16", None);
    let words = "MKL_CBWR=COMPATIBLE then and no MKL_CBWR now";
    assert!(other.contains(words) && other.contains("may not be bit-identical"), "{other}");
}

#[test]
fn channels_last_needs_convolutions() {
    for keys in [&[][..], &["model.kind=cnn", "model.channels=[]"]] {
        let sandbox = Sandbox::new(SMALL);
        let sets = sets(&[keys, &["train.channels_last=true"]].concat());
        let output = sandbox.lookahead(&train("run", &sets));
        failed(&output, 2, &["`train.channels_last` is true", "no convolutions", "cnn or resnet"]);
        assert!(!sandbox.path().join("runs").exists());
    }
}

#[test]
fn bf16_trains_as_f32_does_up_to_its_precision() {
    const BF16: [&str; 2] = ["train.autocast=bf16", "train.max_steps=60"];
    let sandbox = Sandbox::new(SMALL);
    for (net, keys) in [("mlp", &[][..]), ("cnn", &CNN), ("resnet", &RESNET)] {
        let narrow = format!("{net}-bf16");
        let wide = losses(&sandbox, net, &[keys, &["train.max_steps=60", "model.dropout=0"]]);
        let bf16 = losses(&sandbox, &narrow, &[keys, &BF16, &["model.dropout=0"]]);
        assert_ne!(wide, bf16, "{net}");
        // 8 bits of precision in the first step, which starts from equal weights.
        assert_near(&bf16[..1], &wide[..1], 0.02);
        let mean = |losses: &[f64]| losses[50..].iter().sum::<f64>() / 10.0;
        let (start, wide, bf16) = (wide[0], mean(&wide), mean(&bf16));
        assert!(wide < 0.8 * start && (bf16 - wide).abs() < 0.1 * start, "{net}: {wide} {bf16}");

        // A loss in bfloat16 would have 8 bits.
        for (_, bits) in sandbox.losses(&narrow) {
            assert_eq!(f64::from(f64::from_bits(bits) as f32).to_bits(), bits, "{net}");
        }
        let finer = |&(_, bits): &(u64, u64)| (f64::from_bits(bits) as f32).to_bits() & 0xffff != 0;
        assert!(sandbox.losses(&narrow).iter().any(finer), "{net}");

        // Weights and the optimizer's state stay f32.
        let step = sandbox.run_folder(&narrow).join("step-00000060");
        for file in ["model.safetensors", "training.safetensors"] {
            for (name, tensor) in read(&step.join(file)).unwrap() {
                let wide = [tch::Kind::Float, tch::Kind::Uint8].contains(&tensor.kind());
                assert!(wide, "{net}: {name} is {:?}", tensor.kind());
            }
        }
    }
}

/// Evaluated in f32, the same weights have another loss.
#[test]
fn evaluations_are_in_bf16_too() {
    let sandbox = Sandbox::new(SMALL);
    sandbox.train("run", &sets(&["train.autocast=bf16"]));
    let recorded = evaluation(&sandbox, "run", Weights::Slow).loss;
    assert_eq!(eval(&sandbox, "run"), recorded);
    let path = sandbox.run_folder("run").join("config.toml");
    let config = std::fs::read_to_string(&path).unwrap();
    assert!(config.contains("autocast = \"bf16\"\n"), "{config}");
    std::fs::write(&path, config.replace("autocast = \"bf16\"", "autocast = \"none\"")).unwrap();
    let wide = eval(&sandbox, "run");
    assert_ne!(wide, recorded);
    assert!((wide - recorded).abs() < 0.02 * wide, "{wide} {recorded}");
}

/// A cached cast of a weight, left by an evaluation, would block its gradient.
#[test]
fn in_bf16_too_observing_changes_nothing_and_a_resume_is_bit_identical() {
    let sandbox = Sandbox::new(SMALL);
    let keys = [&CNN[..], &["train.autocast=bf16", "train.channels_last=true"]].concat();
    sandbox.train("watched", &sets(&[&keys[..], &["data.batch_size=1200"]].concat()));
    let quiet = ["data.batch_size=1200", "probe.every_syncs=0", "train.evaluate_every_epochs=0"];
    sandbox.train("quiet", &sets(&[&keys[..], &quiet].concat()));
    assert_eq!(sandbox.losses("watched"), sandbox.losses("quiet"));
    assert!(sandbox.tensors("watched", 14) == sandbox.tensors("quiet", 14));
    copy_folder(&sandbox.run_folder("watched"), &sandbox.run_folder("resumed"));
    sandbox.resume("resumed", &["--from", "4"]);
    assert_eq!(sandbox.losses("resumed"), sandbox.losses("watched"));
    assert!(sandbox.tensors("resumed", 14) == sandbox.tensors("watched", 14));
    let resumed = sandbox.resume("resumed", &sets(&["train.autocast=none", "train.max_steps=15"]));
    assert!(stderr(&resumed).contains("15"), "{}", stderr(&resumed));
}

/// A small LSTM on [`book`].
const TEXT: &str = "[data]\nkind = \"text\"\nfile = \"book.txt\"\nlength = 16\nvalidation = 4\n\
                batch_size = 8\n[model]\nkind = \"lstm\"\nwidth = 16\nlayers = 2\n\
                [optimizer]\nlr = 0.5\n[lookahead]\n[train]\nmax_steps = 30\nthreads = 1\n\
                [probe]\nsamples = 4\n";

fn book() -> String {
    (0..400).map(|i| format!("{} steps forward, {} back. ", i % 9, i % 7)).collect()
}

#[test]
fn models_of_text_and_points_train_in_bf16() {
    let transformer = ["model.kind=transformer", "model.width=16", "optimizer.lr=0.1"];
    let point = "[data]\nkind = \"noisy-quadratic\"\n[model]\nkind = \"quadratic\"\n[lookahead]\n\
                 [train]\nmax_steps = 30\nthreads = 1\n";
    for (name, config, keys) in
        [("lstm", TEXT, &[][..]), ("transformer", TEXT, &transformer), ("point", point, &[])]
    {
        let sandbox = Sandbox::new(config);
        std::fs::write(sandbox.path().join("book.txt"), book()).unwrap();
        let wide = losses(&sandbox, "wide", &[keys]);
        let bf16 = losses(&sandbox, "bf16", &[keys, &["train.autocast=bf16"]]);
        assert_near(&bf16[..5], &wide[..5], 0.05);
        let least = if name == "point" { 1.1 } else { 0.95 };
        assert!(bf16[25..].iter().all(|loss| *loss < least * bf16[0]), "{name}: {bf16:?}");
        assert_eq!(wide == bf16, name == "point", "a point has no matrix products");
    }
}

#[test]
fn an_unknown_type_is_refused_with_those_there_are() {
    let sandbox = Sandbox::new(SMALL);
    let arguments = ["train", "test.toml", "--out", "runs", "--set", "train.autocast=fp16"];
    let output = sandbox.lookahead(&arguments);
    failed(&output, 2, &["--set train.autocast=", "fp16", "`none`", "`bf16`"]);
}
