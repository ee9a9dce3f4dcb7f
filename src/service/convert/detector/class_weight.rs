//! How much each class counts.

use crate::detector::ClassWeight;
use crate::error::{Error, Reason, Result};
use crate::proto::v1;

impl TryFrom<v1::ClassWeight> for ClassWeight {
    type Error = Error;

    fn try_from(weight: v1::ClassWeight) -> Result<Self> {
        match (weight.balanced, weight.normal, weight.anomaly) {
            (true, None, None) => Ok(Self::Balanced),
            (true, _, _) => {
                let message = "balanced and given weights exclude each other; give one of them";
                Err(Error::new(Reason::InvalidParameter, message).at("class_weight.balanced"))
            }
            (false, None, None) => Ok(Self::Uniform),
            (false, normal, anomaly) => Ok(Self::Given {
                normal: normal.unwrap_or(1.0),
                anomaly: anomaly.unwrap_or(1.0),
            }),
        }
    }
}

impl From<ClassWeight> for Option<v1::ClassWeight> {
    fn from(weight: ClassWeight) -> Self {
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
}
