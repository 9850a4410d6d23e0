//! The rounds: contenders that run in turns.

use anyhow::Context;

use crate::protocol::Worker;

/// The contenders of one workload, ready to run, and what they came to.
#[derive(Debug)]
pub struct Contest {
    pub(crate) workers: Vec<Worker>,
    /// Seconds of each contender's step in each round.
    seconds: Vec<Vec<f64>>,
}

impl Contest {
    /// Of contenders that have prepared.
    pub fn new(workers: Vec<Worker>) -> Contest {
        let seconds = vec![Vec::new(); workers.len()];
        Contest { workers, seconds }
    }

    fn place(&self, name: &str) -> anyhow::Result<usize> {
        let found = self.workers.iter().position(|worker| worker.name() == name);
        found.with_context(|| format!("There is no contender {name}."))
    }

    pub(crate) fn worker(&mut self, name: &str) -> anyhow::Result<&mut Worker> {
        let place = self.place(name)?;
        Ok(&mut self.workers[place])
    }

    /// Seconds of a contender's step, round by round.
    ///
    /// # Errors
    /// If there is no such contender.
    pub fn of(&self, name: &str) -> anyhow::Result<&[f64]> {
        Ok(&self.seconds[self.place(name)?])
    }

    /// Runs the rounds.
    ///
    /// # Errors
    /// If a contender fails.
    pub fn run(&mut self, rounds: usize, seconds: f64, cycle: u64) -> anyhow::Result<()> {
        let mut workers: Vec<&mut Worker> = self.workers.iter_mut().collect();
        self.seconds = self::rounds(&mut workers, rounds, seconds, cycle)?;
        Ok(())
    }
}

/// Seconds of each contender's step in each round. Each round begins with another contender; one before the
/// first does not count.
pub(crate) fn rounds(
    workers: &mut [&mut Worker],
    rounds: usize,
    seconds: f64,
    cycle: u64,
) -> anyhow::Result<Vec<Vec<f64>>> {
    let count = workers.len();
    let mut found = vec![Vec::new(); count];
    for round in 0..=rounds {
        for turn in 0..count {
            let i = (round + turn) % count;
            let took = workers[i].seconds_per_step(seconds, cycle)?;
            if round > 0 {
                found[i].push(took);
            }
        }
    }
    Ok(found)
}
