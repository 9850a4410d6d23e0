//! What Lookahead makes of an optimizer.

use tch::{Kind, nn};

use super::error::{Checked, require};
use super::task::{STEPS, Shapes, Task, bits};
use crate::{InnerOptimizer, Lookahead, MomentumPolicy, Result};

pub(super) fn is_lookahead_at_one<O: InnerOptimizer>(
    shapes: Shapes,
    kind: Kind,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let (alone, around) = (Task::new(shapes, kind, 0), Task::new(shapes, kind, 0));
    alone.train(&mut build(&alone.vs)?, 0..STEPS)?;
    let mut opt = Lookahead::around(build(&around.vs)?).k(2).alpha(1.0).build()?;
    around.train(&mut opt, 0..STEPS)?;
    let differs = around.differs_from(&alone);
    let found = format!("`{}`, in {kind:?}, differs", differs.unwrap_or_default());
    require(differs.is_none(), "Lookahead with α = 1 is its inner optimizer, to the bit.", found)
}

/// Inner steps of a cycle in the laws about moments.
const CYCLE: i64 = 2;

pub(super) fn restarts_at_each_sync<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "Lookahead with α = 1 that resets the moments is an optimizer that restarts at each sync, to the bit.";
    let (restarted, around) =
        (Task::new(shapes, Kind::Float, 0), Task::new(shapes, Kind::Float, 0));
    for cycle in 0..3 {
        restarted.train(&mut build(&restarted.vs)?, cycle * CYCLE..(cycle + 1) * CYCLE)?;
    }
    let policy = MomentumPolicy::Reset;
    let builder = Lookahead::around(build(&around.vs)?).k(CYCLE as u64).alpha(1.0);
    around.train(&mut builder.momentum_policy(policy).build()?, 0..3 * CYCLE)?;
    let differs = around.differs_from(&restarted);
    require(differs.is_none(), law, format!("`{}` differs", differs.unwrap_or_default()))
}

pub(super) fn pulls_moments_back<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "The first sync that pulls moments back multiplies them by α.";
    let (alone, around) = (Task::new(shapes, Kind::Float, 0), Task::new(shapes, Kind::Float, 0));
    let mut opt = build(&alone.vs)?;
    alone.train(&mut opt, 0..CYCLE)?;
    let builder = Lookahead::around(build(&around.vs)?).k(CYCLE as u64).alpha(0.5);
    let mut pulled = builder.momentum_policy(MomentumPolicy::Pullback).build()?;
    around.train(&mut pulled, 0..CYCLE)?;
    for parameter in 0..opt.parameters().len() {
        let pairs = opt.moments(parameter)?.into_iter().zip(pulled.inner_mut().moments(parameter)?);
        for (full, half) in pairs {
            let holds = bits(&(full.tensor * 0.5)) == bits(&half.tensor);
            let parameter = &opt.parameters()[parameter].name;
            require(holds, law, format!("`{}` of `{parameter}` is another", full.name))?;
        }
    }
    Ok(())
}
