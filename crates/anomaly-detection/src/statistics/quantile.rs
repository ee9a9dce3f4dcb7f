//! Quantiles of type 7 (Hyndman and Fan, "Sample quantiles in statistical packages", 1996), which numpy and R use by
//! default, and their generalisation to weighted values.

/// The type 7 quantile of the values at `q`, which is clamped to 0..=1; `None` without values.
///
/// With the values sorted as x_0, ..., x_(n-1) and h = (n - 1) q, it lies between x_floor(h) and x_ceil(h), in proportion
/// to the fraction of h. Reorders the values; takes time proportional to their count. The order is that of
/// [`f64::total_cmp`]; a quantile of -0 is returned as 0.
pub fn quantile(values: &mut [f64], q: f64) -> Option<f64> {
    let (below, fraction) = place(values.len() as u64, q)?;
    let (_, &mut low, above) = values.select_nth_unstable_by(below as usize, f64::total_cmp);
    if fraction == 0.0 {
        return Some(low + 0.0);
    }
    let high = above.iter().copied().min_by(f64::total_cmp)?;
    Some(between(low, high, fraction) + 0.0)
}

/// Where the quantile of `n` sorted values lies: the index of the value at or below it, and the fraction of the way to the next
/// value. `None` without values.
pub(super) fn place(n: u64, q: f64) -> Option<(u64, f64)> {
    let last = n.checked_sub(1)?;
    let position = last as f64 * q.clamp(0.0, 1.0);
    let below = (position.floor() as u64).min(last);
    let fraction = position - below as f64;
    // beyond 2^53 values rounding could point past the last one
    Some((below, if below < last { fraction } else { 0.0 }))
}

/// The weighted type 7 quantile at `q`, which is clamped to 0..=1, of values with weights of at least 0. `None` unless there are
/// as many weights as values, all finite, and at least one above 0.
///
/// After Akinshin, "Weighted quantile estimators" (2023), section 4. Let t_i be the share of the total weight in the i
/// smallest values, n* = (sum w)^2 / sum w^2 the effective sample size (Kish), and h = (n* - 1) q. The quantile is the
/// average of the values over the window from h / n* to (h + 1) / n* of the share of weight, in which value i occupies
/// t_(i-1) to t_i. Neither values of weight 0 nor a factor common to all weights has any influence. With equal weights the
/// result is bit for bit that of [`quantile`].
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

/// The linear interpolation from `low` to `high` at `fraction`; never outside the two, even if their distance overflows.
pub(super) fn between(low: f64, high: f64, fraction: f64) -> f64 {
    let distance = high - low;
    let point = if distance.is_finite() {
        low + fraction * distance
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
