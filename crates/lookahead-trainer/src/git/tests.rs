use super::*;

/// A source archive has no repository.
#[test]
fn a_revision_is_hexadecimal() {
    if let Some(git) = state() {
        assert!(git.revision.len() >= 40, "{}", git.revision);
        assert!(git.revision.chars().all(|c| c.is_ascii_hexdigit()), "{}", git.revision);
    }
}
