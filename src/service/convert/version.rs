//! Converts the selector of a version.

use crate::error::{Error, Result};
use crate::proto::v1;
use crate::proto::v1::version_selector::Choice;
use crate::runs::VersionSelector;

/// The alias of the version that predictions use by default.
const ACTIVE: &str = "active";

/// The version in this field of a request; the active one if there is none.
pub(in crate::service) fn receive(
    selector: Option<v1::VersionSelector>,
    field: &str,
) -> Result<VersionSelector> {
    let Some(selector) = selector else {
        return Ok(VersionSelector::Active);
    };
    let message = match selector.choice {
        Some(Choice::Number(0)) => {
            "versions are counted from 1; leave it out for the active one".to_owned()
        }
        Some(Choice::Number(number)) => return Ok(VersionSelector::Number(number)),
        Some(Choice::Alias(alias)) if alias == ACTIVE => return Ok(VersionSelector::Active),
        Some(Choice::Alias(alias)) => format!(
            "{} is not an alias of a version; the only one is {ACTIVE:?}",
            anomaly_detection::table::shortened(&alias)
        ),
        None => {
            "the selector chooses no version; give a number or an alias, or leave it out".to_owned()
        }
    };
    Err(Error::field(field, message))
}
