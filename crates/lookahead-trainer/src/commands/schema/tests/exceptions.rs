//! What a schema does not refuse and the parser does.

use super::*;

/// A condition that the schema lacks, with words of the parser's message and a config that breaks it.
pub(super) struct Exception {
    pub(super) name: &'static str,
    pub(super) words: &'static str,
    config: &'static str,
}

const fn exception(name: &'static str, words: &'static str, config: &'static str) -> Exception {
    Exception { name, words, config }
}

/// All of them: conditions between keys, and what JSON Schema can't express.
pub(super) const EXCEPTIONS: &[Exception] = &[
    exception(
        "a whole number written with a point",
        ".0. Use a whole number",
        "[lookahead]\nk = 3.0",
    ),
    exception(
        "whole numbers written with points",
        ".0]. Use a list of whole numbers",
        "[model]\nhidden = [3.0]",
    ),
    exception("a kind of alert that is not there", "`alert.on` is", "[alert]\non = [\"x\"]"),
    exception(
        "a program without a name",
        "first string of `alert.command` is empty",
        "[alert]\ncommand = [\"\"]",
    ),
    exception(
        "a model for other data",
        "can't learn from the data",
        "[data]\nkind = \"text\"\nfile = \"a\"",
    ),
    exception(
        "two or four channels",
        "`data.channels` is 2",
        "[data]\nkind = \"images\"\ndir = \"a\"\nchannels = 2",
    ),
    exception(
        "numbers for two channels",
        "one number, or three",
        "[data]\nkind = \"images\"\ndir = \"a\"\nmean = [1, 2]",
    ),
    exception(
        "the one sample of a quadratic problem",
        "`data.validation` is",
        "[data]\nkind = \"quadratic\"\nvalidation = 2\n[model]\nkind = \"quadratic\"",
    ),
    exception(
        "a test set named in part",
        "a test set needs inputs and targets",
        "[data]\nkind = \"arrays\"\nfile = \"a.npz\"\ntest_inputs = \"x\"\n[model]\nkind = \"mlp\"",
    ),
    exception(
        "a file with one array",
        "which has one array",
        "[data]\nkind = \"arrays\"\nfile = \"a.npy\"\n[model]\nkind = \"mlp\"",
    ),
    exception(
        "two test sets",
        "are both set",
        "[data]\nkind = \"csv\"\nfile = \"a\"\ntarget = \"y\"\ntest_file = \"b\"\ntest_fraction = 0.1\n[model]\nkind = \"mlp\"",
    ),
    exception(
        "heads of unequal width",
        "a divisor of `model.width`",
        "[data]\nkind = \"text\"\nfile = \"a\"\n[model]\nkind = \"transformer\"\nheads = 3",
    ),
    exception(
        "Nesterov momentum without momentum",
        "`optimizer.nesterov` needs",
        "[optimizer]\nmomentum = 0.0\nnesterov = true",
    ),
    exception(
        "a cautious mask with amsgrad",
        "`optimizer.cautious` is not available",
        "[optimizer]\nkind = \"adam\"\ncautious = true\namsgrad = true",
    ),
    exception(
        "α of a group",
        "`optimizer.group.alpha` is",
        "[[optimizer.group]]\ndims = 1\nalpha = 0.5",
    ),
    exception(
        "an inner optimizer that is not the preset's",
        "`lookahead.preset` is ranger",
        "[optimizer]\nkind = \"sgd\"\n[lookahead]\npreset = \"ranger\"",
    ),
    exception(
        "a key of the default optimizer, which is not the preset's",
        "`optimizer.momentum` belongs to",
        "[optimizer]\nmomentum = 0.9\n[lookahead]\npreset = \"ranger\"",
    ),
    exception(
        "α above 1 without an outer optimizer",
        "`lookahead.alpha` is",
        "[lookahead]\nalpha = 1.5",
    ),
    exception(
        "a decay that is 1 in single precision",
        "in single precision too",
        "[lookahead]\nouter_momentum = 0.99999999999",
    ),
    exception(
        "adaptive α without second moments, or with another α",
        "`lookahead.adaptive_alpha`",
        "[lookahead]\nadaptive_alpha = 0.5",
    ),
    exception(
        "a momentum policy without moments",
        "`lookahead.momentum_policy` has no effect",
        "[optimizer]\nmomentum = 0.0\n[lookahead]\nmomentum_policy = \"reset\"",
    ),
    exception(
        "the end of a schedule of α or k",
        "`to` of `lookahead.",
        "[lookahead]\nk_schedule = { kind = \"linear\", to = 0.5 }",
    ),
    exception(
        "an average that takes part in the training, with Lookahead",
        "works only without Lookahead",
        "[lookahead]\n[averaging]\nkind = \"primal\"",
    ),
    exception(
        "an average of φ without Lookahead",
        "there are no slow weights",
        "[averaging]\nkind = \"ema\"\nof = \"slow\"",
    ),
    exception(
        "an average of θ with what rolls θ back, or of each process",
        "`averaging.of` is fast",
        "[lookahead]\nnon_finite = \"roll_back\"\n[averaging]\nkind = \"ema\"\nof = \"fast\"",
    ),
    exception(
        "statistics of φ if the final model is an average",
        "for the statistics of the slow weights",
        "[lookahead]\nrecalibrate = 5\n[averaging]\nkind = \"ema\"",
    ),
    exception(
        "a last learning rate above the first",
        "`schedule.min_lr` is",
        "[schedule]\nkind = \"cosine\"\nmin_lr = 10.0",
    ),
    exception(
        "milestones out of order",
        "`schedule.milestones` is",
        "[schedule]\nkind = \"steps\"\nmilestones = [2, 1]",
    ),
    exception(
        "a loss or metric of another task",
        "which doesn't fit this task",
        "[task]\nloss = \"mse\"",
    ),
    exception("a key of another loss", "belongs to the loss", "[task]\nhuber_delta = 1.0"),
    exception("no class that counts", "one above 0", "[task]\nclass_weights = [0, 0]"),
    exception(
        "losses read late, and a policy that needs them",
        "`train.read_loss_every` is",
        "[lookahead]\nnon_finite = \"skip_step\"\n[train]\nread_loss_every = 5",
    ),
    exception(
        "the best model without evaluations",
        "needs evaluations on validation data",
        "[data]\nvalidation = 100\n[train]\npatience = 3\nevaluate_every_epochs = 0",
    ),
    exception(
        "probes without validation data",
        "probes need validation data",
        "[data]\nvalidation = 0",
    ),
    exception(
        "a probe of more samples than there are",
        "at most `data.validation`",
        "[data]\nvalidation = 10\n[probe]\nsamples = 20",
    ),
    exception(
        "processes that average at syncs, without Lookahead",
        "averages at the syncs",
        "[distributed]\nmode = \"local\"",
    ),
    exception(
        "a type for sending, of another mode",
        "`distributed.wire` belongs",
        "[distributed]\nwire = \"bf16\"",
    ),
    exception(
        "a roll-back without slow weights",
        "there are no slow weights to go back to",
        "[watchdog]\nspike = \"roll_back\"",
    ),
];

/// The exception that allows a schema to accept what the parser refuses with this message.
pub(super) fn of(message: &str) -> Option<&'static Exception> {
    EXCEPTIONS.iter().find(|exception| message.contains(exception.words))
}

#[test]
fn each_exception_is_one() {
    let registry = Registry::builtin();
    let validator = validator(&of_config(registry.kinds()));
    for Exception { name, words, config } in EXCEPTIONS {
        let table: toml::Table = config.parse().unwrap();
        assert_eq!(faults(&validator, &json(&table)), [""; 0], "{name}: the schema refuses it");
        let message = refusal(&registry, &table).unwrap_or_else(|| panic!("{name}: accepted"));
        assert!(message.contains(words), "{name}: {message}");
    }
}
