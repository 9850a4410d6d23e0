//! Single comparisons, and the verdict on a claim that follows from them.

use lookahead_study::compare::numbers::signed;
use lookahead_study::compare::statistics::{Paired, Verdict};

/// A claim for Lookahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    Accuracy,
    Loss,
    ConstantRate,
    SlowOverFast,
    Averages,
    LearningRate,
    Momentum,
    Steadier,
    SyncHelps,
    LargeBatch,
    WrongLabels,
    Period,
    Moments,
    Variance,
    Valley,
}

impl Claim {
    pub(super) const ALL: [Claim; 15] = [
        Claim::Accuracy,
        Claim::Loss,
        Claim::ConstantRate,
        Claim::SlowOverFast,
        Claim::Averages,
        Claim::LearningRate,
        Claim::Momentum,
        Claim::Steadier,
        Claim::SyncHelps,
        Claim::LargeBatch,
        Claim::WrongLabels,
        Claim::Period,
        Claim::Moments,
        Claim::Variance,
        Claim::Valley,
    ];

    /// The claim as a sentence, and which comparison would favour it.
    pub(super) fn sentence(self) -> (&'static str, &'static str) {
        match self {
            Claim::Accuracy => (
                "It generalises better than its inner optimizer",
                "test accuracy of φ against the inner optimizer alone, each at its best learning rate",
            ),
            Claim::Loss => (
                "Its test loss is lower",
                "test loss of φ against the inner optimizer alone, each at its best learning rate",
            ),
            Claim::ConstantRate => (
                "It generalises better if the learning rate stays high to the end",
                "test accuracy of φ against the inner optimizer alone, at a constant learning rate, \
                 Fashion-MNIST",
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
                "decades of learning rates within two points of the best test accuracy",
            ),
            Claim::Momentum => (
                "It depends less on the momentum",
                "test accuracy at each momentum, at the learning rate that is best for 0.9",
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
                "It helps if gradients are noisy",
                "test accuracy with one label in five wrong, against the inner optimizer alone",
            ),
            Claim::Period => (
                "It is better than its inner optimizer at many k and α",
                "test accuracy of a pair of k and α against the inner optimizer alone (α = 1)",
            ),
            Claim::Moments => (
                "Keeping the inner optimizer's moments at a sync is the right default",
                "test accuracy with moments kept against reset and pulled back",
            ),
            Claim::Variance => (
                "On the noisy quadratic model φ's loss is lower at an equal learning rate",
                "excess loss late in the run, as a ratio to SGD's; net steps are then α as long",
            ),
            Claim::Valley => (
                "With momentum it moves along narrow valleys faster",
                "measured rate against momentum alone, each at the best learning rate of a grid; \
                 deterministic",
            ),
        }
    }
}

/// One comparison.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) claim: Claim,
    pub(super) verdict: Verdict,
    /// What is compared, with the numbers.
    pub(super) text: String,
}

/// All comparisons, in the order of the report.
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

/// The verdict in a word, and the counts.
pub(super) fn judged(findings: &[&Finding]) -> (&'static str, String) {
    let count = |wanted| findings.iter().filter(|finding| finding.verdict == wanted).count();
    let (better, worse) = (count(Verdict::Better), count(Verdict::Worse));
    let undecided = findings.len() - better - worse;
    let all = findings.len();
    let word = match (is_more_than_luck(better, all), is_more_than_luck(worse, all)) {
        (true, false) if worse == 0 => "held",
        (true, false) => "held, with exceptions",
        (false, true) if better == 0 => "not held",
        (false, true) => "not held, with exceptions",
        (true, true) => "mixed",
        (false, false) => "not decided",
    };
    (word, format!("{better} better, {worse} worse, {undecided} undecided"))
}

/// Whether chance alone puts `count` of `all` comparisons on one side in less than one case in twenty,
/// if each does with a probability of 0.025.
fn is_more_than_luck(count: usize, all: usize) -> bool {
    const LUCK: f64 = 0.025;
    let mut exactly = (1.0 - LUCK).powi(all as i32);
    let mut fewer = 0.0;
    for i in 0..count {
        fewer += exactly;
        exactly *= (all - i) as f64 / (i + 1) as f64 * LUCK / (1.0 - LUCK);
    }
    count > 0 && 1.0 - fewer < 0.05
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_holds_where_more_speak_for_it_than_by_luck() {
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
        assert_eq!(of(&[Worse]), "not held");
        // 1 − 0.975³ = 0.073: one of three may be luck, and one of two, 0.049, is just not.
        assert_eq!(of(&[Better, Undecided, Undecided]), "not decided");
        assert_eq!(of(&[Better, Better, Undecided, Undecided]), "held");
        assert_eq!(of(&[Better, Better, Better, Worse]), "held, with exceptions");
        assert_eq!(of(&[Better, Worse, Worse, Worse]), "not held, with exceptions");
        assert_eq!(of(&[Better, Better, Worse, Worse]), "mixed");
    }

    /// Binomial tails with p = 0.025, summed in Python: 0.1189 of one or more of 5, 0.0059 of two or more;
    /// 0.0466 of two or more of 14, 0.0529 of 15.
    #[test]
    fn luck_is_binomial() {
        let cases = [(1, 5, false), (2, 5, true), (2, 14, true), (2, 15, false), (0, 3, false)];
        for (count, all, expected) in cases {
            assert_eq!(is_more_than_luck(count, all), expected, "{count} of {all}");
        }
    }
}
