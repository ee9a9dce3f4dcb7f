//! "Did you mean": finds the known word nearest to an unknown one.

/// The candidate most similar to `word`, if one is similar enough. Case is ignored.
pub(super) fn nearest<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    const ALIKE: f64 = 0.7;
    let word = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| {
            (
                strsim::jaro_winkler(&word, &candidate.to_lowercase()),
                candidate,
            )
        })
        .filter(|(likeness, _)| *likeness >= ALIKE)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, candidate)| candidate)
}

/// `; did you mean "x"?`, or nothing if no candidate is similar.
pub(super) fn did_you_mean<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    nearest(word, candidates).map_or_else(String::new, |near| format!("; did you mean {near:?}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_likely_word_and_no_unlikely_one() {
        let known = ["n_estimators", "max_samples", "max_features"];
        assert_eq!(nearest("n_estimator", known), Some("n_estimators"));
        assert_eq!(nearest("MAX_SAMPLE", known), Some("max_samples"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest("anything", []), None);
    }
}
