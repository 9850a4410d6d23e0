//! Parameters and their groups.

use tch::{Kind, nn};

use super::error::{Checked, require};
use super::task::{STEPS, Shapes, Task, VARIABLES, bits};
use crate::{InnerOptimizer, Result};

pub(super) fn moves_only_what_has_a_gradient<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "A variable that is frozen, or that has no gradient, keeps its values, and all others move, if not in each \
               step.";
    let task = Task::new(shapes, Kind::Float, 0);
    let mut opt = build(&task.vs)?;
    task.train(&mut opt, 0..4)?;
    let before: Vec<Vec<u8>> = task.variables.iter().map(bits).collect();
    let _ = task.variables[1].set_requires_grad(false);
    let mut moved = [false; VARIABLES.len()];
    // The first of these steps has no gradient of `seldom`.
    for step in 4..7 {
        opt.zero_grad()?;
        task.backward(step);
        opt.step()?;
        for (i, (name, ..)) in VARIABLES.iter().enumerate() {
            moved[i] |= bits(&task.variables[i]) != before[i];
            let stays =
                ["vector", "empty", "never"].contains(name) || *name == "seldom" && step == 4;
            require(!(stays && moved[i]), law, format!("`{name}` has moved"))?;
        }
    }
    for ((name, ..), moved) in VARIABLES.iter().zip(moved) {
        let moves = ["matrix", "number", "seldom"].contains(name);
        require(moved || !moves, law, format!("`{name}` has not moved"))?;
    }
    Ok(())
}

pub(super) fn takes_late_variables<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "A variable that is added later joins before the next step.";
    let task = Task::new(shapes, Kind::Float, 0);
    let mut opt = build(&task.vs)?;
    task.train(&mut opt, 0..2)?;
    let late = task.vs.root().ones("late", &shapes.of(&[2]));
    opt.zero_grad()?;
    late.square().sum(Kind::Float).backward();
    opt.step()?;
    let moved = bits(&late) != bits(&late.ones_like());
    require(moved, law, "it has not moved")
}

pub(super) fn takes_tied_variables_once<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "A variable with two names is one parameter.";
    let (plain, tied) = (Task::new(shapes, Kind::Float, 0), Task::new(shapes, Kind::Float, 0));
    let _alias = tied.vs.root().add("zz_alias", tied.variables[0].shallow_clone(), true);
    let mut opt = build(&tied.vs)?;
    let count = opt.parameters().len();
    require(count == VARIABLES.len(), law, format!("there are {count} parameters"))?;
    tied.train(&mut opt, 0..STEPS)?;
    plain.train(&mut build(&plain.vs)?, 0..STEPS)?;
    let differs = tied.differs_from(&plain);
    require(differs.is_none(), law, format!("`{}` differs", differs.unwrap_or_default()))
}

pub(super) fn keeps_learning_rates<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "Learning rates that are set are those that it has; bad ones are refused.";
    let task = Task::new(shapes, Kind::Float, 0);
    let mut opt = build(&task.vs)?;
    opt.set_learning_rate(0.25)?;
    opt.set_learning_rate_group(1, 0.125)?;
    let found = opt.learning_rates()?;
    require(found == [0.25, 0.125], law, format!("it has {found:?}, not [0.25, 0.125]"))?;
    for bad in [-1.0, f64::NAN, f64::INFINITY] {
        require(opt.set_learning_rate(bad).is_err(), law, format!("{bad} is taken"))?;
    }
    require(
        opt.set_learning_rate_group(2, 0.1).is_err(),
        law,
        "it takes one for a group that it lacks",
    )
}
