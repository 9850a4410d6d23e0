use super::format_number;

#[test]
fn numbers_are_short() {
    let written = [0.0, 0.1, -1.5, 1e30, -2e-9, f64::NAN].map(format_number);
    assert_eq!(written, ["0", "0.1", "-1.5", "1e30", "-2e-9", "NaN"]);
}
