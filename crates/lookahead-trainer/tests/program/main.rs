//! The whole program, run as a user runs it, and what it leaves on disk. Nothing here names tch or a crate that does:
//! this binary is not linked to libtorch, which takes longer to load than most of these tests.

#[path = "../common/mod.rs"]
mod common;

mod alerts;
mod around_a_run;
mod arrays;
mod background;
mod browsing;
mod comparing;
mod disks;
mod distributed;
mod exporting;
mod final_sync;
mod folders;
mod format;
mod generating;
mod given_files;
mod images;
mod inspecting;
mod keeping;
mod kept_settings;
mod live_settings;
mod metrics;
mod mistakes;
mod names;
mod network;
mod observing;
mod outer_step;
mod plotting;
mod readers;
mod recording;
mod remote;
mod screens;
mod sessions;
mod shells;
mod signals;
mod status;
mod sweeping;
mod tables;
mod terminal;
mod torchrun;
mod unused_settings;
mod waiting;
mod watchdog;
mod watching;
mod without_dashboard;

#[test]
#[cfg(target_os = "linux")]
fn these_tests_start_without_libtorch() {
    let loaded = std::fs::read_to_string("/proc/self/maps").unwrap();
    assert!(loaded.contains("libc"), "{loaded}");
    assert!(!loaded.contains("libtorch"), "{loaded}");
}
