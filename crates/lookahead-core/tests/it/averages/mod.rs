//! Averages beside an inner optimizer: their numbers, what they never do, and what changes no bit.

mod evaluation;
mod formulas;
mod training;
mod trajectories;

pub(crate) use trajectories::apart;
