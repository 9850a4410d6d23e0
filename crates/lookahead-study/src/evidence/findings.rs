//! Single comparisons, and what they come to for a claim.

use crate::compare::statistics::{Paired, Verdict};
use crate::compare::tables::signed;

/// What is claimed for Lookahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Accuracy,
    Loss,
    SlowOverFast,
    Averages,
    LearningRate,
    Momentum,
    Steadier,
    SyncHelps,
    LargeBatch,
    WrongLabels,
    AnyInner,
    Period,
    Moments,
    Variance,
    Valley,
}

impl Claim {
    pub(super) const ALL: [Claim; 15] = [
        Claim::Accuracy,
        Claim::Loss,
        Claim::SlowOverFast,
        Claim::Averages,
        Claim::LearningRate,
        Claim::Momentum,
        Claim::Steadier,
        Claim::SyncHelps,
        Claim::LargeBatch,
        Claim::WrongLabels,
        Claim::AnyInner,
        Claim::Period,
        Claim::Moments,
        Claim::Variance,
        Claim::Valley,
    ];

    /// As a sentence, and what would be a comparison in its favour.
    pub(super) fn sentence(self) -> (&'static str, &'static str) {
        match self {
            Claim::Accuracy => (
                "It generalises better than, or as well as, its inner optimizer",
                "test accuracy of φ against the inner optimizer alone, each at its best learning rate",
            ),
            Claim::Loss => (
                "Its test loss is lower",
                "test loss of φ against the inner optimizer alone, each at its best learning rate",
            ),
            Claim::SlowOverFast => (
                "φ is the better model, θ the worse",
                "test accuracy of φ against that of θ just before the last sync, in the same runs",
            ),
            Claim::Averages => (
                "It does what an average of θ does not",
                "test accuracy of φ against a Polyak and an exponential average of θ, each at its best \
                 learning rate",
            ),
            Claim::LearningRate => (
                "It depends less on the learning rate",
                "mean test accuracy from a tenth to ten times the best learning rate, each one's own",
            ),
            Claim::Momentum => (
                "It depends less on the momentum",
                "mean test accuracy over all momenta, at the learning rate that is best for 0.9",
            ),
            Claim::Steadier => (
                "Its training loss varies less",
                "variance of the step losses of the last epoch, as a ratio",
            ),
            Claim::SyncHelps => (
                "A sync lowers the loss and its spread",
                "loss on a fixed batch at φ after a sync against θ before it, and their spreads, over \
                 the last third of the run",
            ),
            Claim::LargeBatch => (
                "It helps with large batches",
                "test accuracy at batches of 1,024, against the inner optimizer alone",
            ),
            Claim::WrongLabels => (
                "It helps where gradients are noisy",
                "test accuracy with one label in five wrong, against the inner optimizer alone",
            ),
            Claim::AnyInner => (
                "It works around any inner optimizer",
                "all seeds came through at the best learning rate",
            ),
            Claim::Period => (
                "k and α need little tuning",
                "test accuracy of a pair of k and α against the inner optimizer alone (α = 1)",
            ),
            Claim::Moments => (
                "Keeping the inner optimizer's moments at a sync is the right default",
                "test accuracy with moments kept against reset and pulled back",
            ),
            Claim::Variance => (
                "Its variance on the noisy quadratic model is the smaller one that theory says",
                "measured expected loss against the analytic one",
            ),
            Claim::Valley => (
                "With momentum it gets along narrow valleys as fast as theory says",
                "measured rate against the analytic one",
            ),
        }
    }
}

/// One comparison.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) claim: Claim,
    pub(super) verdict: Verdict,
    /// Of what, with the numbers.
    pub(super) text: String,
}

/// All of them, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Findings(pub(super) Vec<Finding>);

impl Findings {
    pub(super) fn add(&mut self, claim: Claim, verdict: Verdict, text: String) {
        self.0.push(Finding { claim, verdict, text });
    }

    /// A paired difference, in `unit`.
    pub(super) fn compare(
        &mut self,
        claim: Claim,
        what: &str,
        paired: Option<&Paired>,
        decimals: usize,
        unit: &str,
    ) {
        let Some(paired) = paired else { return };
        let text = format!("{what}: {}{unit}", difference(Some(paired), decimals));
        self.add(claim, paired.verdict(), text);
    }

    pub(super) fn of(&self, claim: Claim) -> Vec<&Finding> {
        self.0.iter().filter(|finding| finding.claim == claim).collect()
    }
}

/// `+0.31 [+0.02, +0.60]`.
pub(super) fn difference(paired: Option<&Paired>, decimals: usize) -> String {
    let Some(paired) = paired else { return "–".to_owned() };
    match paired.interval() {
        None => signed(paired.mean, decimals),
        Some((low, high)) => format!(
            "{} [{}, {}]",
            signed(paired.mean, decimals),
            signed(low, decimals),
            signed(high, decimals)
        ),
    }
}

pub(super) fn verdict(paired: Option<&Paired>) -> &'static str {
    paired.map_or("–", |paired| paired.verdict().name())
}

/// What comparisons come to, in a word and in a count.
pub(super) fn judged(findings: &[&Finding]) -> (&'static str, String) {
    let count = |wanted| findings.iter().filter(|finding| finding.verdict == wanted).count();
    let (better, worse) = (count(Verdict::Better), count(Verdict::Worse));
    let undecided = findings.len() - better - worse;
    let word = match (better, worse) {
        (0, 0) => "not decided",
        (_, 0) => "held",
        (0, _) => "not held",
        (better, worse) if better > 2 * worse => "held, with exceptions",
        (better, worse) if worse > 2 * better => "not held, with exceptions",
        _ => "not decided",
    };
    (word, format!("{better} better, {worse} worse, {undecided} undecided"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_where_some_speak_for_it_and_none_against_it() {
        let of = |verdicts: &[Verdict]| {
            let mut findings = Findings::default();
            for &verdict in verdicts {
                findings.add(Claim::Loss, verdict, String::new());
            }
            findings.add(Claim::Accuracy, Verdict::Worse, String::new());
            judged(&findings.of(Claim::Loss)).0
        };
        use Verdict::{Better, Undecided, Worse};
        assert_eq!(of(&[Better, Undecided]), "held");
        assert_eq!(of(&[Undecided, Undecided]), "not decided");
        assert_eq!(of(&[]), "not decided");
        assert_eq!(of(&[Worse, Undecided]), "not held");
        assert_eq!(of(&[Better, Better, Better, Worse]), "held, with exceptions");
        assert_eq!(of(&[Better, Better, Worse]), "not decided");
        assert_eq!(of(&[Better, Worse, Worse, Worse]), "not held, with exceptions");
    }
}
