//! The commands, one a file.

mod compare;
mod completions;
mod ctl;
mod doctor;
mod end;
mod eval;
mod export;
mod find;
mod generate;
mod inspect;
mod list;
mod plot;
mod predict;
mod resume;
mod saved_model;
mod selection;
mod status;
mod sweep;
mod train;
mod watch;

pub use compare::compare;
pub use completions::completions;
pub use ctl::ctl;
pub use doctor::doctor;
pub use eval::eval;
pub use export::export;
pub use generate::generate;
pub use inspect::inspect;
pub use list::list;
pub use plot::plot;
pub use predict::predict;
pub use resume::resume;
pub use sweep::sweep;
pub use train::train;
pub use watch::watch;
