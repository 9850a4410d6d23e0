//! The whole program, run as a user runs it, and what it leaves on disk. One binary, because each one links
//! libtorch; nextest runs every test in a process of its own, plain `cargo test` one after the other.

mod background;
mod bad_input;
mod common;
mod comparing;
mod computing;
mod crashes;
mod damage;
mod disks;
mod distributed;
mod final_sync;
mod folders;
mod for_others;
mod format;
mod given_files;
mod hostile;
mod hostile_input;
mod inspecting;
mod interchange;
mod keeping;
mod kept_settings;
mod live_settings;
mod lookahead_section;
mod network;
mod observing;
mod readers;
mod reading;
mod resume;
mod signals;
mod status;
mod sweeping;
mod tasks;
mod terminal;
mod torchrun;
mod watching;
mod without_dashboard;
