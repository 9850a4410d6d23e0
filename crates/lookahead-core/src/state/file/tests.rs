use std::fs;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;

const KINDS: [Kind; 11] = [
    Kind::Float,
    Kind::Double,
    Kind::Half,
    Kind::BFloat16,
    Kind::ComplexHalf,
    Kind::ComplexFloat,
    Kind::ComplexDouble,
    Kind::Int64,
    Kind::Int8,
    Kind::Uint8,
    Kind::Bool,
];

const SHAPES: [&[i64]; 5] = [&[], &[3], &[2, 3], &[0, 2], &[1, 1, 4]];

fn bits(tensor: &Tensor) -> Vec<u8> {
    if is_complex(tensor.kind()) {
        return bits(&tensor.resolve_conj().view_as_real());
    }
    super::bytes(tensor).unwrap_or_else(|_| panic!("unreadable"))
}

/// Tensors by element type, shape, sometimes transposed, and filled with `bytes`.
fn tensor((kind, shape, transposed, bytes): (usize, usize, bool, Vec<u8>)) -> Tensor {
    let (kind, shape) = (KINDS[kind % KINDS.len()], SHAPES[shape % SHAPES.len()]);
    let real = match kind {
        Kind::ComplexHalf => Kind::Half,
        Kind::ComplexFloat => Kind::Float,
        Kind::ComplexDouble => Kind::Double,
        kind => kind,
    };
    let mut size = shape.to_vec();
    if is_complex(kind) {
        size.push(2);
    }
    let count = size.iter().product::<i64>() as usize * real.elt_size_in_bytes();
    let mut bytes: Vec<u8> = bytes.iter().copied().cycle().take(count).collect();
    if kind == Kind::Bool {
        bytes.iter_mut().for_each(|byte| *byte &= 1);
    }
    let tensor = Tensor::from_data_size(&bytes, &size, real);
    let tensor = if is_complex(kind) { tensor.view_as_complex() } else { tensor };
    if transposed && shape.len() == 2 { tensor.transpose(0, 1) } else { tensor }
}

fn a_state() -> impl Strategy<Value = State> {
    let tensors = (any::<usize>(), any::<usize>(), any::<bool>(), vec(any::<u8>(), 1..40));
    // Like a key, and any other.
    let key = || prop_oneof!["[a-z]{1,5}/[a-z.]{1,9}", ".{1,8}"];
    (
        btree_map(key(), tensors.prop_map(tensor), 0..6),
        btree_map(key(), any::<i64>(), 0..6),
        btree_map(key(), any::<u64>().prop_map(f64::from_bits), 0..6),
    )
        .prop_filter("the format's own name", |(tensors, ..)| !tensors.contains_key("__metadata__"))
        .prop_map(|(tensors, integers, numbers)| State { tensors, integers, numbers })
}

/// All of a state, comparable to the bit.
fn all(state: &State) -> String {
    let tensors = state.tensors.iter().map(|(key, t)| (key, t.kind(), t.size(), bits(t)));
    let numbers = state.numbers.iter().map(|(key, x)| (key, x.to_bits()));
    let (tensors, numbers): (Vec<_>, Vec<_>) = (tensors.collect(), numbers.collect());
    format!("{tensors:?} {:?} {numbers:?}", state.integers)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn any_state_round_trips_to_the_bit(state in a_state()) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        state.save(&path).unwrap();
        prop_assert_eq!(all(&State::load(&path).unwrap()), all(&state));
        let before = fs::read(&path).unwrap();
        State::load(&path).unwrap().save(&path).unwrap();
        prop_assert!(fs::read(&path).unwrap() == before, "the second file differs");
    }
}

/// Of 10,000 learning rates, serde_json's default reads 816 as others.
#[test]
fn every_number_survives() {
    let mut random: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut next = || {
        // Marsaglia's xorshift.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut numbers: Vec<f64> = (0..10_000).map(|_| next() as f64 / u64::MAX as f64).collect();
    numbers.extend((0..10_000).map(|_| f64::from_bits(next())));
    let payload = f64::from_bits(0xfff8_0000_0000_0007);
    numbers.extend([0.0, -0.0, 5e-324, -2.2e-308, f64::MAX, f64::MIN_POSITIVE, f64::EPSILON]);
    numbers.extend([f64::INFINITY, f64::NEG_INFINITY, f64::NAN, payload]);
    let mut state = State::default();
    state.numbers.extend(numbers.iter().enumerate().map(|(i, x)| (i.to_string(), *x)));
    state.integers.extend([("least", i64::MIN), ("most", i64::MAX)].map(|(k, n)| (k.into(), n)));
    let folder = tempfile::tempdir().unwrap();
    state.save(folder.path().join("numbers")).unwrap();
    let loaded = State::load(folder.path().join("numbers")).unwrap();
    for (i, number) in numbers.iter().enumerate() {
        let found = loaded.numbers[&i.to_string()];
        assert_eq!(found.to_bits(), number.to_bits(), "{number:e} became {found:e}");
    }
    assert_eq!(loaded.integers, state.integers);
}

fn one_tensor() -> State {
    let mut state = State::default();
    state.tensors.insert("slow/w".to_owned(), Tensor::from_slice(&[1.0f32, 2.0]));
    state.integers.insert("phase".to_owned(), 1);
    state
}

#[test]
fn other_programs_read_the_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    one_tensor().save(&path).unwrap();
    let found = Tensor::read_safetensors(&path).unwrap();
    assert_eq!(found, [("slow/w".to_owned(), Tensor::from_slice(&[1.0f32, 2.0]))]);
}

/// A refused save keeps the earlier file, and leaves no other.
#[test]
fn a_refused_save_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.safetensors");
    one_tensor().save(&path).unwrap();
    for (tensor, reason) in [
        (Tensor::new(), "its tensor `new` is undefined"),
        (
            Tensor::zeros([2], (Kind::Float, Device::Cpu)).to_kind(Kind::Float8e5m2),
            "its tensor `new` is of type Float8e5m2, which safetensors lacks",
        ),
    ] {
        let mut state = one_tensor();
        state.tensors.insert("new".to_owned(), tensor);
        let refused = state.save(&path).unwrap_err().to_string();
        let shown = path.display();
        assert_eq!(refused, format!("The state can't be saved to {shown}: {reason}."));
        assert_eq!(all(&State::load(&path).unwrap()), all(&one_tensor()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_new_file_has_the_usual_permissions() {
    let folder = tempfile::tempdir().unwrap();
    let (usual, saved) = (folder.path().join("usual"), folder.path().join("saved"));
    fs::write(&usual, "").unwrap();
    one_tensor().save(&saved).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(saved), mode(usual));
}

#[test]
fn bad_paths_and_files_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let missing = one_tensor().save(at("missing/state")).unwrap_err().to_string();
    assert!(missing.ends_with("missing/state: there is no such file or folder."), "{missing}");
    fs::create_dir(at("folder")).unwrap();
    assert!(one_tensor().save(at("folder")).is_err());
    assert!(State::load(at("folder")).is_err());

    one_tensor().save(at("whole")).unwrap();
    let whole = fs::read(at("whole")).unwrap();
    for cut in 0..whole.len() {
        fs::write(at("cut"), &whole[..cut]).unwrap();
        assert!(State::load(at("cut")).is_err(), "{cut} bytes are loaded");
    }
    let changed = |from: &str, to: &str| {
        let mut text = whole.clone();
        let at = text.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        text.splice(at..at + from.len(), to.bytes());
        text
    };
    Tensor::write_safetensors(&[("w", Tensor::from(1.0))], at("weights")).unwrap();
    let cases = [
        (Vec::new(), "it is not a safetensors file"),
        (b"not a safetensors file".to_vec(), "it is not a safetensors file"),
        ([&whole[..], &[0]].concat(), "it was cut off or changed"),
        (fs::read(at("weights")).unwrap(), "weights are loaded with `VarStore::load`"),
        (changed(r#"version\":1"#, r#"version\":2"#), "it has version 2 of the format"),
        (changed(r#"\"integers\""#, r#"\"integerz\""#), "`lookahead_state` has no integers"),
        (changed(r#"phase\":1"#, r#"phase\":x"#), "`lookahead_state` has no JSON"),
        (changed(r#"phase\":1"#, r#"phase\":{}"#), ""),
        (changed("F32", "F9_"), "it is not a safetensors file"),
    ];
    for (bytes, reason) in cases {
        fs::write(at("bad"), bytes).unwrap();
        let refused = State::load(at("bad")).unwrap_err().to_string();
        let shown = at("bad").display().to_string();
        let begins = refused.starts_with(&format!("The state can't be loaded from {shown}: "));
        assert!(begins && refused.contains(reason), "{refused}, not {reason}");
    }
}
