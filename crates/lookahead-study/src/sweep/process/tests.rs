use super::*;

#[test]
fn only_the_end_of_the_output_is_kept() {
    let all: Vec<u8> = (0..TAIL * 2 + 5).map(|i| (i % 251) as u8).collect();
    assert_eq!(tail(&all[..]), all[TAIL + 5..]);
    assert_eq!(tail(&b"error: no."[..]), b"error: no.");
}
