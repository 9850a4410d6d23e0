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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_similar_comes_first() {
        let names = ["fc1.weight", "conv1.weight", "conv2.bias", "x"];
        assert_eq!(nearest("conv2.b", names, 2), ["conv2.bias", "conv1.weight"]);
        assert!(nearest("q", names, 9).is_empty());
    }
}
