//! The whole dashboard: in a pseudo-terminal, as a job of a real shell, and as pictures.

#[cfg(target_os = "linux")]
mod jobs;
mod pictures;
mod pty;
mod terminal;
