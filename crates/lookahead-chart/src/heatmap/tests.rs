use super::*;

#[test]
fn colors_get_lighter_all_the_way() {
    let all: Vec<f64> = (0..=100).map(|i| luminance(color(f64::from(i) / 100.0))).collect();
    assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
    assert_eq!([color(-3.0), color(1.0), color(0.5)], [COLORS[0], COLORS[8], COLORS[4]]);
}

#[test]
fn a_text_can_be_read_on_every_color() {
    for ground in (0..=100).map(|part| color(f64::from(part) / 100.0)).chain([BLANK]) {
        let (a, b) = (luminance(ground), luminance(text_on(ground).color));
        let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
        assert!(contrast >= 4.5, "{ground:?} {contrast}");
    }
}
