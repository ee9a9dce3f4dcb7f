//! Converts class weights.

use crate::error::{Error, Result, reason};
use crate::proto::v1;
use anomaly_detection::detector::ClassWeight;

/// Checks received weights.
pub(super) fn receive(weight: v1::ClassWeight) -> Result<ClassWeight> {
    match (weight.balanced, weight.normal, weight.anomaly) {
        (true, None, None) => Ok(ClassWeight::Balanced),
        (true, _, _) => {
            let message = "balanced and given weights exclude each other; give one of them";
            Err(Error::new(reason::INVALID_PARAMETER, message).at("class_weight.balanced"))
        }
        (false, None, None) => Ok(ClassWeight::Uniform),
        (false, normal, anomaly) => Ok(ClassWeight::Given {
            normal: normal.unwrap_or(1.0),
            anomaly: anomaly.unwrap_or(1.0),
        }),
    }
}

/// The weights for a response.
pub(super) fn answer(weight: ClassWeight) -> Option<v1::ClassWeight> {
    match weight {
        ClassWeight::Uniform => None,
        ClassWeight::Balanced => Some(v1::ClassWeight {
            balanced: true,
            ..v1::ClassWeight::default()
        }),
        ClassWeight::Given { normal, anomaly } => Some(v1::ClassWeight {
            balanced: false,
            normal: Some(normal),
            anomaly: Some(anomaly),
        }),
    }
}
