//! Laws that every inner optimizer keeps: a test for one of your own.

use std::fmt;

use lookahead_sys::arithmetic::fill;
use tch::{Device, Kind, Tensor, nn};

use crate::{InnerOptimizer, Lookahead, MomentumPolicy, Result, State};

/// What [`check`] found.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The optimizer breaks a law.
    #[error("The optimizer breaks a law. {law} But {found}.")]
    Broken {
        /// The law, in a sentence.
        law: &'static str,
        /// What happened instead.
        found: String,
    },
    /// The optimizer failed where it must not.
    #[error(transparent)]
    Failed(#[from] crate::Error),
}

/// Checks that an inner optimizer keeps the laws on which Lookahead, checkpoints and the trainer rely. `build` builds it
/// for the trainable variables of a store, with any settings. The laws:
///
/// * A state that is saved after any step and loaded into a new optimizer continues to the bit: alone, inside a
///   Lookahead with each [`MomentumPolicy`], and inside two.
/// * What [`load_partial`](InnerOptimizer::load_partial) takes of a state of the same model is all of it; of another
///   model's, a variable that the state lacks begins as a new one.
/// * With α = 1, Lookahead is the optimizer, to the bit.
/// * A variable that is frozen, or that has no gradient, keeps its values. One that is added later joins.
/// * A state that lacks a tensor, or has an unknown one or one of another shape, is refused and changes nothing.
/// * The moments are those that it names, of their parameter's shape, and shared with the optimizer; with all of them reset
///   it steps as a new one.
/// * Learning rates that are set are those that it has; negative, NaN and infinite ones are refused.
///
/// The laws about moments are left out for an optimizer that does not give them
/// ([`moment_names`](InnerOptimizer::moment_names) is `None`), a momentum policy for one that keeps none, and the law about
/// parts of states for one that loads whole ones only.
///
/// ```
/// use lookahead_core::{TchOptimizer, laws};
/// laws::check(|vs| TchOptimizer::new(tch::nn::Adam::default(), vs, 0.01))?;
/// # Ok::<(), laws::Error>(())
/// ```
///
/// # Errors
/// The first broken law, or the optimizer's own error where it must not fail.
pub fn check<O: InnerOptimizer>(build: impl Fn(&nn::VarStore) -> Result<O>) -> Result<(), Error> {
    for kind in [Kind::Float, Kind::Double] {
        resumes(kind, "A saved state continues to the bit.", &build)?;
        let lookahead = |vs: &nn::VarStore| Lookahead::around(build(vs)?).k(3).build();
        resumes(kind, "A state saved inside Lookahead continues to the bit.", lookahead)?;
        let nested = |vs: &nn::VarStore| Lookahead::around(lookahead(vs)?).k(4).build();
        resumes(kind, "A state saved inside two Lookaheads continues to the bit.", nested)?;
        is_lookahead_at_one(kind, &build)?;
    }
    let names = build(&Task::new(Kind::Float, 0).vs)?.moment_names();
    if let Some(names) = names {
        let policies = [MomentumPolicy::Reset, MomentumPolicy::Pullback];
        for policy in policies.into_iter().filter(|_| !names.is_empty()) {
            let with_policy = |vs: &nn::VarStore| {
                Lookahead::around(build(vs)?).k(2).momentum_policy(policy).build()
            };
            let law =
                "A state saved inside Lookahead with any momentum policy continues to the bit.";
            resumes(Kind::Float, law, with_policy)?;
        }
        gives_moments(&build)?;
        steps_as_new_after_a_reset(&build)?;
    }
    moves_only_what_has_a_gradient(&build)?;
    takes_late_variables(&build)?;
    refuses_other_states(&build)?;
    takes_parts_of_states(&build)?;
    keeps_learning_rates(&build)?;
    Ok(())
}

type Checked = Result<(), Error>;

fn require(holds: bool, law: &'static str, found: impl fmt::Display) -> Checked {
    if holds { Ok(()) } else { Err(Error::Broken { law, found: found.to_string() }) }
}

/// Variables of several shapes in two groups, and a loss for each step.
struct Task {
    vs: nn::VarStore,
    variables: Vec<Tensor>,
}

/// Shapes with their groups; one is empty, and one is a number.
const SHAPES: [(&str, &[i64], usize); 5] = [
    ("matrix", &[3, 4], 0),
    ("vector", &[5], 0),
    ("number", &[], 1),
    ("empty", &[0, 2], 1),
    ("seldom", &[2], 0),
];

impl Task {
    fn new(kind: Kind, seed: i64) -> Task {
        let vs = nn::VarStore::new(Device::Cpu);
        let variables = SHAPES.iter().map(|(name, shape, group)| {
            let count: i64 = shape.iter().product();
            let values = Tensor::arange(count, (kind, Device::Cpu)) + seed;
            // `var_copy` would make it of the store's type.
            vs.root().set_group(*group).add(name, values.sin().reshape(*shape), true)
        });
        let variables = variables.collect();
        Task { vs, variables }
    }

    /// A backward pass of step `i`. The last variable has a gradient in every second step only.
    fn backward(&self, i: i64) {
        for (nth, variable) in self.variables.iter().enumerate() {
            let is_seldom = nth + 1 == self.variables.len();
            if (is_seldom && i % 2 == 1) || !variable.requires_grad() {
                continue;
            }
            let target = (variable.detach() * 0.0 + (i + nth as i64)).cos();
            let loss = ((variable - target).square() * (1 + nth as i64)).sum(variable.kind());
            loss.backward();
        }
    }

    fn train(&self, opt: &mut impl InnerOptimizer, steps: std::ops::Range<i64>) -> Result<()> {
        for i in steps {
            opt.zero_grad()?;
            self.backward(i);
            opt.step()?;
        }
        Ok(())
    }

    /// The first variable whose bits differ from those of `other`.
    fn differs_from(&self, other: &Task) -> Option<&'static str> {
        let pairs = self.variables.iter().zip(&other.variables).zip(SHAPES);
        let mut differing = pairs.filter(|((a, b), _)| bits(a) != bits(b));
        differing.next().map(|(_, (name, ..))| name)
    }
}

fn bits(tensor: &Tensor) -> Vec<u8> {
    let tensor = tensor.detach().contiguous();
    let mut bytes = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
    tensor.copy_data_u8(&mut bytes, tensor.numel());
    bytes
}

/// The steps of a training: several cycles of each Lookahead.
const STEPS: i64 = 9;

fn resumes<O: InnerOptimizer>(
    kind: Kind,
    law: &'static str,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let whole = Task::new(kind, 0);
    whole.train(&mut build(&whole.vs)?, 0..STEPS)?;
    for stop in 0..STEPS {
        let first = Task::new(kind, 0);
        let mut opt = build(&first.vs)?;
        first.train(&mut opt, 0..stop)?;
        let state = opt.state()?;
        let mut second = Task::new(kind, 7);
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

fn is_lookahead_at_one<O: InnerOptimizer>(
    kind: Kind,
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let (alone, around) = (Task::new(kind, 0), Task::new(kind, 0));
    alone.train(&mut build(&alone.vs)?, 0..STEPS)?;
    let mut opt = Lookahead::around(build(&around.vs)?).k(2).alpha(1.0).build()?;
    around.train(&mut opt, 0..STEPS)?;
    let differs = around.differs_from(&alone);
    let found = format!("`{}`, in {kind:?}, differs", differs.unwrap_or_default());
    require(differs.is_none(), "Lookahead with α = 1 is its inner optimizer, to the bit.", found)
}

fn gives_moments<O: InnerOptimizer>(build: impl Fn(&nn::VarStore) -> Result<O>) -> Checked {
    let law = "The moments of a parameter are those that `moment_names` names, of the parameter's shape, and shared \
               with the optimizer.";
    let task = Task::new(Kind::Float, 0);
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

fn steps_as_new_after_a_reset<O: InnerOptimizer>(
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let task = Task::new(Kind::Float, 0);
    let mut opt = build(&task.vs)?;
    task.train(&mut opt, 0..4)?;
    for parameter in 0..opt.parameters().len() {
        opt.reset_moments(parameter)?;
    }
    let mut other = Task::new(Kind::Float, 7);
    other.vs.copy(&task.vs).map_err(crate::Error::from)?;
    task.train(&mut opt, 4..6)?;
    other.train(&mut build(&other.vs)?, 4..6)?;
    let differs = task.differs_from(&other);
    let found = format!("`{}` differs", differs.unwrap_or_default());
    require(differs.is_none(), "With its moments reset it steps as a new optimizer.", found)
}

fn moves_only_what_has_a_gradient<O: InnerOptimizer>(
    build: impl Fn(&nn::VarStore) -> Result<O>,
) -> Checked {
    let law = "A variable that is frozen, or that has no gradient, keeps its values, and all others move.";
    let task = Task::new(Kind::Float, 0);
    let mut opt = build(&task.vs)?;
    task.train(&mut opt, 0..3)?;
    let before: Vec<Vec<u8>> = task.variables.iter().map(bits).collect();
    opt.zero_grad()?;
    let _ = task.variables[1].set_requires_grad(false);
    task.backward(3);
    opt.step()?;
    for ((variable, before), (name, ..)) in task.variables.iter().zip(before).zip(SHAPES) {
        let moved = bits(variable) != before;
        let moves = !["vector", "empty", "seldom"].contains(&name);
        let how = if moved { "has moved" } else { "has not moved" };
        require(moved == moves, law, format!("`{name}` {how}"))?;
    }
    Ok(())
}

fn takes_late_variables<O: InnerOptimizer>(build: impl Fn(&nn::VarStore) -> Result<O>) -> Checked {
    let law = "A variable that is added later joins before the next step.";
    let task = Task::new(Kind::Float, 0);
    let mut opt = build(&task.vs)?;
    task.train(&mut opt, 0..2)?;
    let late = task.vs.root().ones("late", &[2]);
    opt.zero_grad()?;
    late.square().sum(Kind::Float).backward();
    opt.step()?;
    require(late.double_value(&[0]) != 1.0, law, "it has not moved")
}

fn refuses_other_states<O: InnerOptimizer>(build: impl Fn(&nn::VarStore) -> Result<O>) -> Checked {
    let law = "A state that lacks a tensor, or has an unknown one or one of another shape, is refused and changes \
               nothing.";
    let task = Task::new(Kind::Float, 0);
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

fn takes_parts_of_states<O: InnerOptimizer>(build: impl Fn(&nn::VarStore) -> Result<O>) -> Checked {
    let law = "Of a state of the same model `load_partial` takes all; a variable that the state lacks begins as a new one.";
    let (whole, mut part) = (Task::new(Kind::Float, 0), Task::new(Kind::Float, 7));
    let mut opt = build(&whole.vs)?;
    whole.train(&mut opt, 0..4)?;
    let state = opt.state()?;
    part.vs.copy(&whole.vs).map_err(crate::Error::from)?;
    let new = part.vs.root().ones("new", &[2]);
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
    require(new.double_value(&[0]) == 1.0, law, "the new variable has moved without a gradient")
}

fn keeps_learning_rates<O: InnerOptimizer>(build: impl Fn(&nn::VarStore) -> Result<O>) -> Checked {
    let law = "Learning rates that are set are those that it has; bad ones are refused.";
    let task = Task::new(Kind::Float, 0);
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
