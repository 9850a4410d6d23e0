//! `lookahead generate`: continues a text.

use std::io::Write;

use lookahead_core::tch_ext::inference;
use lookahead_run::event::Task;
use lookahead_run::program_name;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::saved_model::SavedModel;
use crate::cli;
use crate::console::Stdout;
use crate::data::SampleKey;
use crate::data::random::{fraction, generator};
use crate::models::Model;
use crate::panics::caught;
use crate::registry::Registry;
use crate::usage::UsageError;

/// Prints the prompt and the characters that the model appends to it, each as soon as it is drawn.
///
/// # Errors
/// If the run can't be used or its model doesn't read text; if the prompt is empty or has a character that the
/// training text lacks.
pub fn generate(registry: &Registry, arguments: &cli::Generate) -> anyhow::Result<()> {
    caught(|| {
        let saved = SavedModel::load(
            registry,
            arguments.run.as_deref(),
            arguments.weights,
            arguments.from,
        )?;
        let alphabet = alphabet_of(&saved)?;
        let mut codes = encoded(&arguments.prompt, &alphabet)?;
        let context = saved.spec.inputs.shape.first().copied().unwrap_or(1);
        let key = SampleKey { seed: arguments.seed, epoch: 0, cursor: 0 };
        let mut generator = generator(key, b"generate");
        let mut out = Stdout::new()?;
        out.write_all(arguments.prompt.as_bytes())?;
        for _ in 0..arguments.length {
            let window = &codes[codes.len().saturating_sub(context)..];
            let logits = next_logits(&saved.model, window)?;
            let code = draw(&logits, arguments.temperature, &mut generator)?;
            let mut bytes = [0; 4];
            out.write_all(alphabet[code].encode_utf8(&mut bytes).as_bytes())?;
            out.flush()?;
            codes.push(code as i64);
        }
        out.write_all(b"\n")?;
        Ok(out.flush()?)
    })
}

fn alphabet_of(saved: &SavedModel) -> anyhow::Result<Vec<char>> {
    let run = &saved.run;
    if saved.spec.task != Task::Language {
        return Err(UsageError::new(format!(
            "The model of {run} doesn't read text, so it can't continue one. Use `{} predict`.",
            program_name()
        ))
        .into());
    }
    let alphabet: Vec<char> = saved.spec.alphabet.iter().flat_map(|text| text.chars()).collect();
    if Some(alphabet.len()) != saved.spec.outputs || alphabet.is_empty() {
        anyhow::bail!(
            "The signature in the checkpoint of {run} has an alphabet of {} characters for a model with {} outputs. \
             Both must be equal.",
            alphabet.len(),
            saved.spec.outputs.unwrap_or_default()
        );
    }
    Ok(alphabet)
}

/// The position of each character of the prompt in the alphabet.
fn encoded(prompt: &str, alphabet: &[char]) -> Result<Vec<i64>, UsageError> {
    if prompt.is_empty() {
        return Err(UsageError::new(
            "`--prompt` is empty. Use at least one character: the model predicts what follows it.",
        ));
    }
    let position = |character| alphabet.iter().position(|&known| known == character);
    let mut unknown: Vec<char> = prompt.chars().filter(|&c| position(c).is_none()).collect();
    if unknown.is_empty() {
        return Ok(prompt.chars().filter_map(position).map(|code| code as i64).collect());
    }
    unknown.sort_unstable();
    unknown.dedup();
    let listed = |characters: &[char]| {
        let quoted: Vec<String> = characters.iter().map(|c| format!("{c:?}")).collect();
        quoted.join(" ")
    };
    Err(UsageError::new(format!(
        "`--prompt` has characters that the training text does not: {}. Use only these: {}",
        listed(&unknown),
        listed(alphabet)
    )))
}

/// The logits of the character that follows a sequence.
fn next_logits(model: &Model, codes: &[i64]) -> anyhow::Result<Vec<f64>> {
    let inputs = Tensor::from_slice(codes).f_unsqueeze(0)?.f_to_device(model.vs.device())?;
    let _no_grad = tch::no_grad_guard();
    let _inference = inference::guard();
    let last = model.forward(&inputs, false).f_select(0, 0)?.f_select(0, -1)?;
    Ok(Vec::<f64>::try_from(last.f_to_kind(Kind::Double)?)?)
}

/// A character, drawn from softmax(logits / temperature); the most likely one at temperature 0.
fn draw(logits: &[f64], temperature: f64, generator: &mut ChaCha8Rng) -> anyhow::Result<usize> {
    if logits.iter().any(|logit| !logit.is_finite()) {
        anyhow::bail!(
            "The model's outputs have NaN or infinity: its training diverged. Use an earlier checkpoint (`--from`)."
        );
    }
    let mut largest = 0;
    for (i, logit) in logits.iter().enumerate() {
        if *logit > logits[largest] {
            largest = i;
        }
    }
    if temperature == 0.0 {
        return Ok(largest);
    }
    // At most 1, so that no sum overflows.
    let weight = |logit: &f64| ((logit - logits[largest]) / temperature).exp();
    let mut left = fraction(generator) * logits.iter().map(weight).sum::<f64>();
    for (i, logit) in logits.iter().enumerate() {
        left -= weight(logit);
        if left < 0.0 {
            return Ok(i);
        }
    }
    // Only rounding leads here.
    Ok(largest)
}

#[cfg(test)]
mod tests;
