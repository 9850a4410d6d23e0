//! Saved states.

use tch::{Device, Kind, Tensor, nn};

use super::error::{Checked, require};
use super::task::{STEPS, Shapes, Task, bits};
use crate::{InnerOptimizer, Result, State};

pub(super) fn resumes<O: InnerOptimizer>(
    shapes: Shapes,
    kind: Kind,
    law: &'static str,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let whole = Task::new(shapes, kind, 0);
    whole.train(&mut build(&whole.vs)?, 0..STEPS)?;
    for stop in 0..STEPS {
        let first = Task::new(shapes, kind, 0);
        let mut opt = build(&first.vs)?;
        first.train(&mut opt, 0..stop)?;
        let state = opt.state()?;
        let mut second = Task::new(shapes, kind, 7);
        second.vs.copy(&first.vs).map_err(crate::Error::from)?;
        let mut opt = build(&second.vs)?;
        opt.load_state(&state)?;
        second.train(&mut opt, stop..STEPS)?;
        if let Some(name) = second.differs_from(&whole) {
            let found = format!("`{name}`, in {kind:?}, differs after a state of step {stop}");
            return require(false, law, found);
        }
    }
    Ok(())
}

pub(super) fn refuses_other_states<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "A state that lacks a tensor, or has an unknown one or one of another shape, is refused and changes \
               nothing.";
    let task = Task::new(shapes, Kind::Float, 0);
    let mut opt = build(&task.vs)?;
    task.train(&mut opt, 0..3)?;
    let saved = opt.state()?;
    let copy = || State {
        tensors: saved.tensors.iter().map(|(key, tensor)| (key.clone(), tensor.copy())).collect(),
        integers: saved.integers.clone(),
        numbers: saved.numbers.clone(),
    };
    let mut others = Vec::new();
    for key in saved.tensors.keys() {
        let mut lacking = copy();
        lacking.tensors.remove(key);
        others.push((format!("without `{key}`"), lacking));
        let mut reshaped = copy();
        reshaped.tensors.insert(key.clone(), Tensor::zeros([7, 7], (Kind::Float, Device::Cpu)));
        others.push((format!("with another shape of `{key}`"), reshaped));
    }
    let mut unknown = copy();
    unknown.tensors.insert("unknown".to_owned(), Tensor::from(1.0f32));
    others.push(("with the tensor `unknown`".to_owned(), unknown));
    task.train(&mut opt, 3..5)?;
    let before = opt.state()?;
    for (what, other) in others {
        require(opt.load_state(&other).is_err(), law, format!("one {what} is loaded"))?;
        let after = opt.state()?;
        let changed = before.tensors.iter().find(|(key, tensor)| {
            after.tensors.get(*key).is_none_or(|after| bits(after) != bits(tensor))
        });
        let name = changed.map(|(key, _)| key.as_str()).unwrap_or_default();
        require(changed.is_none(), law, format!("one {what} has changed `{name}`"))?;
    }
    Ok(())
}

pub(super) fn takes_parts_of_states<O: InnerOptimizer>(
    shapes: Shapes,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "Of a state of the same model `load_partial` takes all; a variable that the state lacks begins as a new one.";
    let (whole, mut part) = (Task::new(shapes, Kind::Float, 0), Task::new(shapes, Kind::Float, 7));
    let mut opt = build(&whole.vs)?;
    whole.train(&mut opt, 0..4)?;
    let state = opt.state()?;
    part.vs.copy(&whole.vs).map_err(crate::Error::from)?;
    let new = part.vs.root().ones("new", &shapes.of(&[2]));
    let mut other = build(&part.vs)?;
    let taken = match other.load_partial(&state) {
        Err(crate::Error::NoPartialState) => return Ok(()),
        taken => taken?,
    };
    let is_new = taken.new.contains_key("new") && taken.unknown.is_empty();
    require(is_new && taken.ignored.is_empty(), law, format!("it reports: {taken}"))?;
    whole.train(&mut opt, 4..STEPS)?;
    part.train(&mut other, 4..STEPS)?;
    let differs = part.differs_from(&whole);
    let found = format!("`{}` differs", differs.unwrap_or_default());
    require(differs.is_none(), law, found)?;
    let moved = bits(&new) != bits(&new.ones_like());
    require(!moved, law, "the new variable has moved without a gradient")
}
