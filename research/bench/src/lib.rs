//! Lookahead against PyTorch with timm's and pytorch_optimizer's Lookahead, in turns.
//!
//! Each contender is a process that stays alive and takes commands as lines of JSON. All are
//! given the same model with the same first weights, the same batches in the same order and the same
//! number of threads; first their losses are compared, and contenders that differ are not timed. Then
//! they run in turns, a slice of time each, in an order that rotates from round to round. What counts is
//! the ratio within a round.
//!
//! | module | what is in it |
//! |---|---|
//! | [`workload`] | what is trained, and what the optimizer alone works on |
//! | [`plan`] | what is measured, and by which programs |
//! | [`protocol`] | the commands for contenders and their answers; their processes |
//! | [`worker`] | this project's contenders; `alone` has those of the optimizer alone |
//! | [`compare`] | the losses, before anything is timed |
//! | [`contest`] | the rounds: contenders that run in turns |
//! | [`measure`] | what is measured of each workload, and the rows that come of it |
//! | [`whole`] | whole processes: their start, their memory, the dashboard |
//! | [`peers`] | training loops in C++, under `torch.compile`, in candle and in burn |
//! | [`parts`] | parts of this project against what they replace |
//! | [`statistics`] | quartiles, and what a ratio is held against |
//! | [`machine`] | on what machine it was, and how busy that was |
//! | [`report`] | the table, `benchmarks.md` and `benchmarks.json` |
//!
//! The contenders of the other side are in the folders `python`, `cpp` and `../peers`.

mod alone;
pub mod compare;
mod contender;
pub mod contest;
pub mod machine;
pub mod measure;
mod nothing;
pub mod parts;
pub mod peers;
pub mod plan;
pub mod protocol;
pub mod report;
pub mod statistics;
pub mod whole;
pub mod worker;
pub mod workload;
