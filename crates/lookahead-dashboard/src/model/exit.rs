//! How the user wants to leave.

#[derive(Debug, Default)]
pub(crate) struct Exit {
    /// How often the user pressed Ctrl-C in the training's process.
    pub(crate) interrupts: u32,
    /// The user wants the shell back for a while.
    pub(crate) suspend: bool,
    /// The user wants the dashboard to end, and nothing else.
    pub(crate) quit: bool,
}

impl Exit {
    /// Whether the user wants the whole program to end at once.
    pub(crate) fn abort(&self) -> bool {
        self.interrupts > 1
    }
}
