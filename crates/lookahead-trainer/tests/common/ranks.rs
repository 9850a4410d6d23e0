//! One command in several processes.

use std::net::TcpListener;
use std::process::{Child, Command, Output, Stdio};

use crate::common::Sandbox;

/// Starts one process of several, which meet at the port.
pub fn as_rank(command: &mut Command, rank: usize, size: usize, port: u16) -> Child {
    command
        .env("RANK", rank.to_string())
        .env("WORLD_SIZE", size.to_string())
        .env("MASTER_ADDR", "127.0.0.1")
        .env("MASTER_PORT", port.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The same command in `size` processes.
pub fn start(sandbox: &Sandbox, size: usize, arguments: &[&str]) -> Vec<Child> {
    start_each(sandbox, size, arguments, |_, _| {})
}

/// As [`start`], with what `change` does to the command of a rank.
pub fn start_each(
    sandbox: &Sandbox,
    size: usize,
    arguments: &[&str],
    change: impl Fn(usize, &mut Command),
) -> Vec<Child> {
    let port = free_port();
    let start = |rank| {
        let mut command = sandbox.command(arguments);
        change(rank, &mut command);
        as_rank(&mut command, rank, size, port)
    };
    (0..size).map(start).collect()
}

pub fn ends(ranks: Vec<Child>) -> Vec<Output> {
    ranks.into_iter().map(|child| child.wait_with_output().unwrap()).collect()
}

#[track_caller]
pub fn succeed(ranks: Vec<Child>) -> Vec<Output> {
    let all = ends(ranks);
    for (rank, output) in all.iter().enumerate() {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "rank {rank}: {errors}");
    }
    all
}
