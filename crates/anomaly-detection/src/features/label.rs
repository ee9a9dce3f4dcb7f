//! Labels, which say whether a row is known to be an anomaly. An unsupervised detector is only compared with them and never
//! learns from them.

use crate::error::{Error, Place, Result, reason};

/// Whether a row is an anomaly; `None` if that is not known.
pub type Label = Option<bool>;

/// Reads labels: 1 for an anomaly, 0 for a normal row, NaN for an unknown label. `place` is that of a row's label, for errors.
pub fn labels_of(
    labels: impl IntoIterator<Item = f64>,
    place: impl Fn(usize) -> Place,
) -> Result<Vec<Label>> {
    labels
        .into_iter()
        .enumerate()
        .map(|(row, value)| match value {
            0.0 => Ok(Some(false)),
            1.0 => Ok(Some(true)),
            value if value.is_nan() => Ok(None),
            value => Err(Error::new(
                reason::INVALID_RECORDS,
                format!(
                    "{value} is not a label, which is 1 or true for an anomaly, 0 or false for a normal row, and missing where \
                     unknown"
                ),
            )
            .in_table(place(row))),
        })
        .collect()
}
