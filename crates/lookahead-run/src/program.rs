//! The name of the program whose commands messages suggest.

use std::sync::OnceLock;

static NAME: OnceLock<String> = OnceLock::new();

/// The name under which messages suggest a command, for example in "Use `lookahead resume`": `lookahead`, unless
/// [`set_program_name`] was called.
pub fn program_name() -> &'static str {
    NAME.get().map_or("lookahead", String::as_str)
}

/// Sets the name that [`program_name`] returns. Only the first call of a process has an effect.
pub fn set_program_name(name: impl Into<String>) {
    let _ = NAME.set(name.into());
}
