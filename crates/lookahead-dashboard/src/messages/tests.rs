use super::*;

#[test]
fn the_list_is_bounded_and_keeps_the_newest() {
    let mut messages = Messages::default();
    for step in 0..3000 {
        messages.push(0.0, step, Severity::Warning, &"x".repeat(5000));
    }
    assert_eq!(messages.newest_first().count(), KEPT);
    assert_eq!(messages.newest_first().next().unwrap().step, 2999);
    assert!(messages.newest_first().all(|note| note.text.len() <= LENGTH + 3));
}

#[test]
fn both_weights_of_an_evaluation_share_a_line() {
    let mut messages = Messages::default();
    messages.push_topic(0.0, 5, "validation", "φ 91 %");
    messages.push_topic(0.0, 5, "validation", "θ 90 %");
    messages.push_topic(0.0, 9, "validation", "φ 92 %");
    let texts: Vec<&str> = messages.newest_first().map(|n| n.text.as_str()).collect();
    assert_eq!(texts, ["validation: φ 92 %", "validation: φ 91 %, θ 90 %"]);
}

#[test]
fn escape_sequences_and_line_breaks_do_not_reach_the_screen() {
    let mut messages = Messages::default();
    messages.push(0.0, 0, Severity::Info, "a\x1b[2Jb\n\n  c");
    assert_eq!(messages.newest_first().next().unwrap().text, "a [2Jb c");
}
