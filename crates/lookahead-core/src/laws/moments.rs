//! Moments.

use lookahead_sys::arithmetic::fill;
use tch::{Kind, nn};

use super::error::{Checked, require};
use super::task::{Shapes, Task};
use crate::{InnerOptimizer, Result};

pub(super) fn gives_moments<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "The moments of a parameter are those that `moment_names` names, of the parameter's shape, and shared \
               with the optimizer.";
    let task = Task::new(shapes, Kind::Float, 0);
    let mut opt = build(&task.vs)?;
    let names = opt.moment_names_of(0).unwrap_or_default();
    let before = opt.moments(0)?.len();
    require(before == 0, law, format!("there are {before} moments before the first step"))?;
    task.train(&mut opt, 0..2)?;
    let moments = opt.moments(0)?;
    let found: Vec<&str> = moments.iter().map(|moment| moment.name).collect();
    require(found == names, law, format!("{found:?} are given for {names:?}"))?;
    for mut moment in moments {
        let shape = moment.tensor.size();
        let expected = opt.parameters()[0].tensor.size();
        let name = moment.name;
        require(
            shape == expected,
            law,
            format!("`{name}` has the shape {shape:?}, not {expected:?}"),
        )?;
        tch::no_grad(|| fill(&mut moment.tensor, 0.25)).map_err(crate::Error::from)?;
        let again = opt.moments(0)?.into_iter().find(|again| again.name == name);
        let kept = again.map(|again| again.tensor.double_value(&[0, 0]));
        require(kept == Some(0.25), law, format!("`{name}` is a copy"))?;
    }
    Ok(())
}

pub(super) fn steps_as_new_after_a_reset<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let task = Task::new(shapes, Kind::Float, 0);
    let mut opt = build(&task.vs)?;
    task.train(&mut opt, 0..4)?;
    for parameter in 0..opt.parameters().len() {
        opt.reset_moments(parameter)?;
    }
    let mut other = Task::new(shapes, Kind::Float, 7);
    other.vs.copy(&task.vs).map_err(crate::Error::from)?;
    task.train(&mut opt, 4..6)?;
    other.train(&mut build(&other.vs)?, 4..6)?;
    let differs = task.differs_from(&other);
    let found = format!("`{}` differs", differs.unwrap_or_default());
    require(differs.is_none(), "With its moments reset it steps as a new optimizer.", found)
}
