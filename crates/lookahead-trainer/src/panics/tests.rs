use super::*;
use tch::{Device, Kind, Tensor};

#[test]
fn a_panic_of_tch_is_a_sentence_without_its_stack() {
    let zeros = |n| Tensor::zeros([n], (Kind::Float, Device::Cpu));
    let error = caught(|| Ok(zeros(2).dot(&zeros(3)))).unwrap_err().to_string();
    assert!(error.starts_with("An operation of libtorch failed: "), "{error}");
    assert!(error.contains("same number of elements") && error.ends_with('.'), "{error}");
    for part in ["Exception raised", "frame #", "unwrap", "\\n", "Torch("] {
        assert!(!error.contains(part), "{error}");
    }
}

#[test]
fn results_pass_through() {
    assert_eq!(caught(|| Ok(1)).unwrap(), 1);
    let error = caught::<()>(|| anyhow::bail!("No.")).unwrap_err();
    assert_eq!(error.to_string(), "No.");
    let error = caught::<()>(|| panic!("of our own")).unwrap_err();
    assert!(error.to_string().ends_with("of our own."), "{error}");
}
