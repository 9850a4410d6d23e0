use super::*;

#[test]
fn a_step_has_one_name() {
    assert_eq!(folder_name(1500), "step-00001500");
    assert_eq!(folder_name(1_234_567_890), "step-1234567890");
    for step in [0, 1, 99_999_999, 100_000_000, u64::MAX] {
        assert_eq!(step_of(&folder_name(step)), Some(step));
    }
    for name in [
        "step-1500",
        "step-000001500",
        "step-+0001500",
        "step-0000150x",
        "step-00001500-2",
        ".step-00001500.tmp",
        "Step-00001500",
        "step-99999999999999999999",
        "step-",
    ] {
        assert_eq!(step_of(name), None, "{name}");
    }
}
