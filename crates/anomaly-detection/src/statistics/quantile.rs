//! Quantiles of type 7 (Hyndman and Fan, "Sample quantiles in statistical packages", 1996), which numpy and R use by
//! default, and their generalisation to weighted values.

/// The median of the values, the mean of the two middle ones for an even count; `None` without values.
///
/// Reorders the values; takes time proportional to their count. The order is that of [`f64::total_cmp`].
pub fn median(values: &mut [f64]) -> Option<f64> {
    quantile(values, 0.5)
}

/// The type 7 quantile of the values at `q`, which is held to 0..=1; `None` without values.
///
/// With the values sorted as x_0, ..., x_(n-1) and h = (n - 1) q, it lies between x_floor(h) and x_ceil(h), in proportion
/// to the fraction of h. Reorders the values; takes time proportional to their count. The order is that of
/// [`f64::total_cmp`]; a quantile of 0 is never negative.
pub fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let (below, fraction) = place(values.len() as u64, q)?;
    let (_, &mut low, above) = values.select_nth_unstable_by(below as usize, f64::total_cmp);
    if fraction == 0.0 {
        return Some(low + 0.0);
    }
    let high = above.iter().copied().min_by(f64::total_cmp)?;
    Some(between(low, high, fraction) + 0.0)
}

/// Where the quantile of `n` sorted values lies: the number of the value at or below it, counted from 0, and the fraction of
/// the way to the next one. `None` without values.
pub(super) fn place(n: u64, q: f64) -> Option<(u64, f64)> {
    let last = n.checked_sub(1)?;
    let position = last as f64 * q.clamp(0.0, 1.0);
    let below = (position.floor() as u64).min(last);
    let fraction = position - below as f64;
    // of more than 2^53 values the last would have no next one
    Some((below, if below < last { fraction } else { 0.0 }))
}

/// The weighted type 7 quantile at `q`, which is held to 0..=1, of values with weights of at least 0; `None` when the
/// weights do not sum to a finite number above 0, or differ in count from the values.
///
/// After Akinshin, "Weighted quantile estimators" (2023), section 4. Let t_i be the share of the total weight in the i
/// smallest values, n* = (sum w)^2 / sum w^2 the effective sample size (Kish), and h = (n* - 1) q. The quantile is the
/// average of the values over the window from h / n* to (h + 1) / n* of the share of weight, in which value i occupies
/// t_(i-1) to t_i. Values of weight 0 have no influence, and a factor common to all weights has none. With equal weights it
/// is [`quantile`], to the bit.
pub fn weighted_quantile(values: &[f64], weights: &[f64], q: f64) -> Option<f64> {
    let usable = values.len() == weights.len() && weights.iter().all(|&w| w >= 0.0);
    if !usable {
        return None;
    }
    let mut pairs: Vec<(f64, f64)> = values
        .iter()
        .copied()
        .zip(weights.iter().copied())
        .filter(|&(_, weight)| weight > 0.0)
        .collect();
    let largest = pairs.iter().map(|pair| pair.1).fold(0.0, f64::max);
    let &(_, first) = pairs.first()?;
    if !largest.is_finite() {
        return None;
    }
    if pairs.iter().all(|&(_, weight)| weight == first) {
        let mut values: Vec<f64> = pairs.into_iter().map(|pair| pair.0).collect();
        return quantile(&mut values, q);
    }
    // the order of equal values must not matter, and no weight may overflow the sums
    pairs.iter_mut().for_each(|pair| pair.1 /= largest);
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let total: f64 = pairs.iter().map(|pair| pair.1).sum();
    let squares: f64 = pairs.iter().map(|pair| pair.1 * pair.1).sum();
    let effective = (total * total / squares).max(1.0);
    let start = total * ((effective - 1.0) * q.clamp(0.0, 1.0) / effective);
    let end = start + total / effective;
    let mut seen = 0.0;
    let mut average: Option<(f64, f64)> = None;
    for &(value, weight) in &pairs {
        let overlap = (seen + weight).min(end) - f64::max(seen, start);
        seen += weight;
        if overlap > 0.0 {
            average = Some(match average {
                None => (value, overlap),
                Some((mean, share)) => {
                    let share = share + overlap;
                    (between(mean, value, overlap / share), share)
                }
            });
        }
    }
    let largest = pairs.last().map(|pair| pair.0);
    average.map(|(mean, _)| mean).or(largest)
}

/// The point that divides the way from `low` to `high` at `fraction`; never outside, also where the way overflows.
pub(super) fn between(low: f64, high: f64, fraction: f64) -> f64 {
    let way = high - low;
    let point = if way.is_finite() {
        low + fraction * way
    } else {
        low * (1.0 - fraction) + high * fraction
    };
    // two comparisons instead of a clamp, which would panic on NaN
    if point > high {
        high
    } else if point < low {
        low
    } else {
        point
    }
}

#[cfg(test)]
mod tests;
