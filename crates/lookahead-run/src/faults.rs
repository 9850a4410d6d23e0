//! For tests of what a crash leaves behind: a hook after each call that changes a disk.
//!
//! Everything that this crate writes goes through one module, which reports each call to the hook of the
//! process, if it has one. A test's process exits in the hook: once after the first call, once after the
//! second, and so on. Whatever is on the disk then must be a run that can be resumed. Without a hook this
//! costs one load of a pointer.

use std::sync::OnceLock;

/// The hook; its argument is the name of the call, for example `write` or `rename`.
pub type Hook = Box<dyn Fn(&'static str) + Send + Sync>;

static HOOK: OnceLock<Hook> = OnceLock::new();

/// Sets the hook of this process, once. It is called on the thread that made the call, and may exit the
/// process or panic.
///
/// # Errors
/// Returns the hook if there already is one.
pub fn after_each_call(hook: Hook) -> Result<(), Hook> {
    HOOK.set(hook)
}

pub(crate) fn passed(call: &'static str) {
    if let Some(hook) = HOOK.get() {
        hook(call);
    }
}
