//! Random programs: whatever a user does with the optimizer, in whatever order, φ follows the definition.
//!
//! A program is a configuration and a list of operations, drawn by proptest. It runs on the optimizer and on a
//! reference, which replays the definition in f64:
//!
//! ```text
//! φ ← φ + α (θ − φ)                     or, with outer momentum μ:
//! d = φ − θ,  v ← μ v + d,  φ ← φ − α v     (φ − α (d + μ v) in Nesterov's form)
//! θ ← φ
//! ```
//!
//! The reference itself tracks when a sync is due, k and α, which variables take part, and θ, φ, v and the moments.
//! θ comes from an inner optimizer whose steps the test repeats to the bit, or, for tch's, is read just before each
//! sync: other tests compare their arithmetic. After a correct sync the reference adopts the optimizer's φ, so that
//! each sync is checked separately, with a bound from its roundings, and errors don't accumulate.
//!
//! `PROPTEST_CASES=2000` runs more cases.

use std::collections::BTreeMap;

mod actions;
mod breaking;
mod check;
mod movers;
mod program;
mod reference;
mod run;

use crate::common::bits;
use breaking::{Bare, Everything, any_but_own, any_mover, break_of_a_state, of_tch};
use lookahead_core::{MomentumPolicy, Schedule};
use program::{Config, Forget, Mover, Op, Settings, program};
use proptest::prelude::*;
use proptest::sample::Index;
use run::{Run, cases, ok};

proptest! {
    #![proptest_config(cases(256))]

    /// With an inner optimizer whose steps the test repeats to the bit.
    #[test]
    fn phi_follows_the_definition((config, program) in program(Just(Mover::Own))) {
        Run::new(&config)?.follow(&program)?;
    }

    /// With each of tch's, the fused ones, and nested.
    #[test]
    fn phi_follows_from_the_theta_of_any_optimizer((config, program) in program(any_but_own())) {
        Run::new(&config)?.follow(&program)?;
    }

    /// Whatever k, after each step the model equals that of tch's optimizer alone.
    #[test]
    fn at_alpha_one_it_is_the_inner_optimizer((config, program) in program(of_tch())) {
        let config = Config {
            settings: Settings {
                alpha: 1.0,
                alphas: BTreeMap::new(),
                alpha_schedule: Schedule::Constant,
                ..config.settings
            },
            policy: MomentumPolicy::Maintain,
            outer: (0.0, false),
            ..config
        };
        let mut run = Run::new(&config)?;
        let mut bare = Bare::new(&run.config);
        for op in program {
            let op = match op {
                Op::InnerStep(gradients) => Op::Step(gradients),
                Op::AddVariable { spec, .. } => Op::AddVariable { spec, written_again: None },
                Op::ResetSlowWeights { .. } => Op::ResetSlowWeights { write: None },
                Op::Step(_) | Op::Freeze(_) | Op::Thaw(_) => op,
                Op::SyncIfDue | Op::Evaluate { .. } | Op::SetK(_) | Op::SetKSchedule(_) => op,
                _ => continue, // changes θ or α
            };
            run.take(&op)?;
            run.check()?;
            bare.take(&op, &run);
            for (ours, theirs) in run.variables.iter().zip(&bare.variables) {
                let same = bits(&ours.weights) == bits(&theirs.weights);
                prop_assert!(same, "{} differs after {:?}", ours.name, op);
            }
        }
    }

    /// At any moment, to the bit.
    #[test]
    fn saving_and_loading_changes_nothing(
        (config, program) in program(any_mover()),
        saves in proptest::collection::vec((any::<Index>(), any::<bool>()), 1..4),
    ) {
        // A fresh process has neither the last step's gradients nor a leaked guard.
        let mut program: Vec<Op> = program
            .into_iter()
            .filter(|op| !matches!(op, Op::LeakGuard | Op::SaveAndLoad { .. }))
            .collect();
        for op in &mut program {
            if let Op::Step(gradients) | Op::InnerStep(gradients) = op
                && gradients.forget == Forget::Stale
            {
                gradients.forget = Forget::Each;
            }
        }
        let mut straight = Run::new(&config)?;
        straight.take_all(&program)?;
        // A fresh process knows nothing of resets before it.
        prop_assume!(straight.refused_resets == 0);
        for (at, weights_first) in saves {
            let at = at.index(program.len() + 1);
            program.insert(at, Op::SaveAndLoad { weights_first });
        }
        let mut saved = Run::new(&config)?;
        saved.take_all(&program)?;
        prop_assert_eq!(Everything::of(&mut straight)?, Everything::of(&mut saved)?);
    }

    /// A state that lacks an entry, has one too many, or one of another shape, type or range.
    #[test]
    fn a_broken_state_is_refused_and_changes_nothing(
        (config, mut program) in program(any_but_own()),
        at in any::<Index>(),
        broken in break_of_a_state(),
    ) {
        let later = program.split_off(at.index(program.len()));
        let mut run = Run::new(&config)?;
        run.take_all(&program)?;
        let mut state = ok(run.opt.state())?;
        run.leaked = false;
        if broken.apply(&mut state).is_none() {
            return Ok(()); // nothing to break like this
        }
        // Now it differs from the state.
        let same_variables = |op: &&Op| !matches!(op, Op::AddVariable { .. });
        let later: Vec<Op> = later.iter().filter(same_variables).cloned().collect();
        run.take_all(&later)?;
        let before = Everything::of(&mut run)?;
        run.leaked = false;
        prop_assert!(run.opt.load_state(&state).is_err(), "{:?} was accepted", broken);
        prop_assert_eq!(before, Everything::of(&mut run)?);
        run.follow(&later)?;
    }

    /// And never go back.
    #[test]
    fn schedules_stay_between_their_ends(
        (from, to) in (1e-6..1e6, 1e-6..1e6),
        steps in prop_oneof![0u64..100, any::<u64>()],
        at in proptest::collection::vec((0.0..=1.5, 0u64..3), 2..20),
    ) {
        let mut at: Vec<u64> = at
            .into_iter()
            .map(|(part, more)| ((steps as f64 * part) as u64).saturating_add(more))
            .collect();
        at.push(0);
        at.sort_unstable();
        for schedule in [Schedule::Linear { to, steps }, Schedule::Cosine { to, steps }] {
            let values: Vec<f64> = at.iter().map(|at| schedule.at(from, *at)).collect();
            if steps > 0 {
                prop_assert_eq!(values[0], from, "{:?} does not begin with it", schedule);
            }
            prop_assert_eq!(schedule.at(from, steps), to);
            for value in &values {
                let between = (from.min(to)..=from.max(to)).contains(value);
                prop_assert!(between, "{:?} from {} is {}", schedule, from, value);
            }
            // Rounding may move the cosine back by a last bit where it is flat.
            let slack = 4.0 * f64::EPSILON * from.max(to);
            for pair in values.windows(2) {
                let onward = (pair[1] - pair[0]) * (to - from).signum();
                prop_assert!(onward >= -slack, "{:?} from {} goes back: {:?}", schedule, from, pair);
            }
        }
    }
}
