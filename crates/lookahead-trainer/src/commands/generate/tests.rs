use super::*;

fn drawn(logits: &[f64], temperature: f64, seed: u64, count: usize) -> Vec<usize> {
    let mut generator = generator(SampleKey { seed, epoch: 0, cursor: 0 }, b"generate");
    (0..count).map(|_| draw(logits, temperature, &mut generator).unwrap()).collect()
}

#[test]
fn characters_are_as_frequent_as_their_probabilities() {
    let probabilities = [0.1f64, 0.6, 0.3];
    let logits = probabilities.map(f64::ln);
    for (temperature, expected) in [(1.0, probabilities), (0.5, [0.01, 0.36, 0.09])] {
        let drawn = drawn(&logits, temperature, 1, 20_000);
        let sum: f64 = expected.iter().sum();
        for (i, expected) in expected.iter().enumerate() {
            let found = drawn.iter().filter(|&&drawn| drawn == i).count() as f64 / 20_000.0;
            assert!((found - expected / sum).abs() < 0.015, "{i} at {temperature}: {found}");
        }
    }
}

#[test]
fn a_seed_repeats_its_characters_and_temperature_zero_needs_none() {
    let logits = [0.0, 0.5, 0.0, -700.0];
    assert_eq!(drawn(&logits, 1.0, 3, 50), drawn(&logits, 1.0, 3, 50));
    assert_ne!(drawn(&logits, 1.0, 3, 50), drawn(&logits, 1.0, 4, 50));
    assert_eq!(drawn(&logits, 0.0, 3, 9), [1; 9]);
    // Differences that are huge in units of the temperature.
    assert_eq!(drawn(&logits, 1e-300, 3, 9), [1; 9]);
    let mut generator = generator(SampleKey { seed: 0, epoch: 0, cursor: 0 }, b"generate");
    let error = draw(&[0.0, f64::NAN], 1.0, &mut generator).unwrap_err().to_string();
    assert!(error.contains("diverged"), "{error}");
}

#[test]
fn a_prompt_outside_the_alphabet_is_refused_by_character() {
    let alphabet = ['\n', 'a', 'ß'];
    assert_eq!(encoded("aß\na", &alphabet).unwrap(), [1, 2, 0, 1]);
    let error = encoded("xaxy", &alphabet).unwrap_err().to_string();
    assert!(error.contains("'x' 'y'. Use only these: '\\n' 'a' 'ß'"), "{error}");
    assert!(encoded("", &alphabet).unwrap_err().to_string().contains("empty"));
}
