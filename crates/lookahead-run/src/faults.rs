//! For tests of what a crash leaves behind: a hook after each call that changes a disk.
//!
//! Everything in this crate that writes goes through one module, and tells the hook of
//! the process, if it has one, what it has just done. A test's process ends itself in the hook, once
//! after the first call, once after the second, and so on; whatever is on the disk then must be
//! something that a run can be resumed from. Without a hook this costs one load of a pointer.

use std::sync::OnceLock;

/// What is called, with the name of the call that was made, such as `write` or `rename`.
pub type Hook = Box<dyn Fn(&'static str) + Send + Sync>;

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Sets the hook of this process, once and for good. It is called on whatever thread made the call,
/// may end the process there, and may panic.
///
/// # Errors
/// Gives the hook back where there is one already.
pub fn after_each_call(hook: Hook) -> Result<(), Hook> {
    HOOK.set(hook)
}

pub(crate) fn passed(call: &'static str) {
    if let Some(hook) = HOOK.get() {
        hook(call);
    }
}
