//! Names that resemble another: a suggestion for what was meant.

/// The most similar of `names`, at most `most` of them, the best first. Names that share no two adjacent letters
/// with `name` are left out.
pub(crate) fn nearest<'a>(
    name: &str,
    names: impl IntoIterator<Item = &'a str>,
    most: usize,
) -> Vec<&'a str> {
    let rated = names.into_iter().map(|other| (strsim::sorensen_dice(name, other), other));
    let mut rated: Vec<(f64, &str)> = rated.filter(|(score, _)| *score > 0.0).collect();
    rated.sort_by(|(a, one), (b, other)| b.total_cmp(a).then(one.cmp(other)));
    rated.into_iter().take(most).map(|(_, name)| name).collect()
}

/// The name of which `wanted` is a misspelling: the one that differs least, if it is by no more than a third of the
/// letters. Upper and lower case are equal, and so are the marks between words.
pub(crate) fn meant<'a>(names: impl IntoIterator<Item = &'a str>, wanted: &str) -> Option<&'a str> {
    let wanted = letters(wanted);
    let distance = |name: &str| strsim::damerau_levenshtein(&letters(name), &wanted);
    let (distance, found) = names
        .into_iter()
        .map(|name| (distance(name), name))
        .min_by_key(|(distance, _)| *distance)?;
    (3 * distance <= wanted.chars().count()).then_some(found)
}

/// As [`meant`], or else the shortest name that contains `wanted` or is contained in it: `mnist` and `fashion-mnist`.
pub(crate) fn similar<'a>(
    names: impl IntoIterator<Item = &'a str> + Clone,
    wanted: &str,
) -> Option<&'a str> {
    meant(names.clone(), wanted).or_else(|| {
        let wanted = letters(wanted);
        let contains = |name: &&str| {
            let name = letters(name);
            let shorter = name.len().min(wanted.len());
            shorter >= 3 && (name.contains(&wanted) || wanted.contains(&name))
        };
        names.into_iter().filter(contains).min_by_key(|name| name.len())
    })
}

/// A name without what people vary in it.
pub(crate) fn letters(name: &str) -> String {
    name.to_lowercase().chars().filter(|letter| !"-_. ".contains(*letter)).collect()
}

/// A sentence with the names that are most similar to `name`, or with the first ones if none is.
pub(crate) fn suggestion<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 5;
    let mut names: Vec<&str> = names.into_iter().collect();
    names.sort_unstable();
    let similar = nearest(name, names.iter().copied(), SHOWN);
    let (which, shown) = if similar.is_empty() {
        names.truncate(SHOWN);
        ("The first names", names)
    } else {
        ("The nearest names", similar)
    };
    let shown: Vec<String> = shown.iter().map(|name| format!("`{name}`")).collect();
    format!("{which}: {}.", shown.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_comes_first() {
        let names = ["fc1.weight", "conv1.weight", "conv2.bias", "x"];
        assert_eq!(nearest("conv2.b", names, 2), ["conv2.bias", "conv1.weight"]);
        assert!(nearest("q", names, 9).is_empty());
        let all = "The first names: `conv1.weight`, `conv2.bias`, `fc1.weight`, `x`.";
        assert_eq!(suggestion("q", names), all);
        assert!(suggestion("fc1", names).starts_with("The nearest names: `fc1.weight`"));
    }

    #[test]
    fn a_misspelt_name_is_found() {
        let names = ["sgd", "adam", "adamw", "rmsprop"];
        for (wanted, found) in [
            ("Adam", Some("adam")),
            ("AdamW", Some("adamw")),
            ("adma", Some("adam")),
            ("rms-prop", Some("rmsprop")),
            ("lion", None),
        ] {
            assert_eq!(meant(names, wanted), found, "{wanted}");
        }
        assert_eq!(similar(["fashion-mnist", "digits"], "mnist"), Some("fashion-mnist"));
        assert_eq!(similar(["cifar100", "cifar10"], "CIFAR"), Some("cifar10"));
        assert_eq!(similar(["cifar10", "cifar100"], "CIFAR-100"), Some("cifar100"));
        assert_eq!(similar(["resnet", "cnn"], "resnet18"), Some("resnet"));
        assert_eq!(similar(["k", "alpha"], "kind"), None);
    }
}
