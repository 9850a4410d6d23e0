use super::*;
use std::collections::HashSet;

#[test]
fn ids_differ() {
    let ids: HashSet<String> = (0..1000).map(|_| random()).collect();
    assert_eq!(ids.len(), 1000);
    assert!(ids.iter().all(|id| id.len() == DIGITS));
}
