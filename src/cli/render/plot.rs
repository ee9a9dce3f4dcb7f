//! A histogram of scores by group, as text.

use std::fmt::Write as _;

/// One group of a histogram.
pub(in crate::cli) struct Group<'a> {
    /// The name of the group.
    pub(in crate::cli) name: &'a str,
    /// The character that its part of a bar is drawn with.
    pub(in crate::cli) glyph: char,
    /// Its values; those that are not finite are left out.
    pub(in crate::cli) values: Vec<f64>,
}

/// A histogram with stacked horizontal bars, one line per bin, no line wider than `width` columns (at least
/// 24).
///
/// `mark` draws a line between the bins below and above a value, such as a threshold.
pub(in crate::cli) fn histogram(
    groups: &[Group<'_>],
    bins: usize,
    width: usize,
    mark: Option<f64>,
) -> String {
    let finite = || {
        groups
            .iter()
            .flat_map(|group| &group.values)
            .copied()
            .filter(|v| v.is_finite())
    };
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| {
        (low.min(v), high.max(v))
    });
    if low > high {
        return "(no values to plot)\n".to_owned();
    }
    let bins = bins.max(1);
    // halves, because the difference of two doubles may be infinite
    let span = high / 2.0 - low / 2.0;
    let bin_of = |v: f64| {
        let part = if span > 0.0 {
            (v / 2.0 - low / 2.0) / span
        } else {
            0.0
        };
        ((part * bins as f64) as usize).min(bins - 1)
    };
    let edge = |bin: usize| low + 2.0 * (span * (bin as f64 / bins as f64));

    let mut counts = vec![vec![0usize; groups.len()]; bins];
    for (g, group) in groups.iter().enumerate() {
        for v in group.values.iter().filter(|v| v.is_finite()) {
            counts[bin_of(*v)][g] += 1;
        }
    }
    let totals: Vec<usize> = counts.iter().map(|bin| bin.iter().sum()).collect();
    let most = totals.iter().copied().max().unwrap_or(0).max(1);
    let labels: Vec<String> = (0..bins).map(|bin| short(edge(bin))).collect();
    let label_width = labels.iter().map(String::len).max().unwrap_or(0);
    let count_width = most.to_string().len();
    let room = width
        .max(24)
        .saturating_sub(label_width + count_width + 4)
        .max(1);

    let mut text = String::new();
    let mut marked = mark.is_none_or(|mark| !mark.is_finite() || mark < low || mark > high);
    for bin in 0..bins {
        if !marked && mark.is_some_and(|mark| edge(bin) >= mark) {
            text.push_str(&threshold_line(label_width, room));
            marked = true;
        }
        let mut bar = String::new();
        let (mut before, mut drawn) = (0, 0);
        for (group, count) in groups.iter().zip(&counts[bin]) {
            // rounding the sums keeps the whole bar in proportion; rounding up shows every group
            // that has values
            before += count;
            let upto = (before * room).div_ceil(most);
            bar.extend(std::iter::repeat_n(group.glyph, upto - drawn));
            drawn = upto;
        }
        let _ = writeln!(
            text,
            "{:>label_width$} │{bar:<room$} {:>count_width$}",
            labels[bin], totals[bin]
        );
    }
    if !marked {
        text.push_str(&threshold_line(label_width, room));
    }
    text
}

fn threshold_line(label_width: usize, room: usize) -> String {
    const NAME: &str = " threshold ";
    let dashes = room.saturating_sub(NAME.len());
    format!("{:>label_width$} ┝{NAME}{}\n", "", "╌".repeat(dashes))
}

/// The legend of a histogram, in one line.
pub(in crate::cli) fn legend(groups: &[Group<'_>]) -> String {
    let parts: Vec<_> = groups
        .iter()
        .map(|group| format!("{} {}", group.glyph, group.name))
        .collect();
    parts.join("   ")
}

fn short(v: f64) -> String {
    if v != 0.0 && !(1e-3..1e6).contains(&v.abs()) {
        format!("{v:.2e}")
    } else if v.abs() < 100.0 {
        format!("{v:.3}")
    } else {
        format!("{v:.1}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(normal: Vec<f64>, anomalous: Vec<f64>) -> [Group<'static>; 2] {
        [
            Group {
                name: "normal",
                glyph: '░',
                values: normal,
            },
            Group {
                name: "anomalous",
                glyph: '█',
                values: anomalous,
            },
        ]
    }

    fn lines(text: &str) -> Vec<&str> {
        text.lines().collect()
    }

    #[test]
    fn a_histogram_stays_in_its_width_and_counts_every_value() {
        let normal: Vec<f64> = (0..1000).map(|i| f64::from(i) / 1000.0).collect();
        for width in [0, 24, 40, 80, 200] {
            let text = histogram(&groups(normal.clone(), vec![0.95; 3]), 10, width, Some(0.5));
            let lines = lines(&text);
            assert_eq!(lines.len(), 11);
            assert!(
                lines
                    .iter()
                    .all(|line| line.chars().count() <= width.max(24)),
                "{text}"
            );
            let total: usize = lines
                .iter()
                .filter(|line| line.contains('│'))
                .map(|line| {
                    line.rsplit(' ')
                        .next()
                        .and_then(|n| n.parse::<usize>().ok())
                        .expect("a count")
                })
                .sum();
            assert_eq!(total, 1003);
            assert!(lines[6].contains("threshold"), "{text}");
        }
    }

    #[test]
    fn a_few_values_among_many_still_show() {
        let text = histogram(&groups(vec![0.0; 10_000], vec![1.0]), 4, 60, None);
        assert!(lines(&text)[3].contains('█'), "{text}");
    }

    #[test]
    fn histograms_of_unusual_values() {
        assert_eq!(
            histogram(&groups(vec![], vec![]), 5, 40, None),
            "(no values to plot)\n"
        );
        assert_eq!(
            histogram(&groups(vec![f64::NAN], vec![f64::INFINITY]), 5, 40, None),
            "(no values to plot)\n"
        );
        assert_eq!(histogram(&[], 5, 40, Some(1.0)), "(no values to plot)\n");
        let one = histogram(&groups(vec![2.0, f64::NAN], vec![]), 3, 40, Some(f64::NAN));
        assert_eq!(lines(&one).len(), 3);
        let huge = histogram(&groups(vec![f64::MIN], vec![f64::MAX]), 2, 40, None);
        assert!(
            lines(&huge).iter().all(|line| line.ends_with(" 1")),
            "{huge}"
        );
        assert_eq!(
            lines(&histogram(&groups(vec![1.0], vec![]), 0, 40, None)).len(),
            1
        );
    }
}
