//! Converts the roles of columns, feature engineering, policies and encodings, both ways.

use super::model::timestamp;
use super::unknown;
use crate::error::Result;
use crate::proto::v1;
use crate::runs::Sighting;
use anomaly_detection::features::{
    Categories, Encoding, EngineeringParams, EngineeringSpec, FeaturePolicy, Features, Imputation,
    Role, Roles, TimeFeatures,
};

/// Sets the roles that are given, and keeps the others.
pub(super) fn set_roles(roles: &mut Roles, given: Roles) {
    let one = |role: &mut Option<String>, name: Option<String>| {
        if name.is_some() {
            *role = name;
        }
    };
    let many = |role: &mut Vec<String>, names: Vec<String>| {
        if !names.is_empty() {
            *role = names;
        }
    };
    one(&mut roles.target, given.target);
    many(&mut roles.features, given.features);
    one(&mut roles.label, given.label);
    one(&mut roles.time, given.time);
    one(&mut roles.series, given.series);
    many(&mut roles.ignored, given.ignored);
}

/// The feature engineering in a request. What it leaves out is taken from `like`, if given, or else the default.
pub(super) fn engineering(
    request: v1::FeatureEngineering,
    like: Option<EngineeringSpec>,
) -> EngineeringSpec {
    let (columns, default) = match like {
        Some(like) => (like.columns, like.params),
        None => (Vec::new(), EngineeringParams::default()),
    };
    let rows = |given: Vec<u32>, default: Vec<u32>| match given.as_slice() {
        [] => default,
        [0] => Vec::new(),
        _ => given,
    };
    EngineeringSpec {
        columns: match request.columns.is_empty() {
            true => columns,
            false => request.columns,
        },
        params: EngineeringParams {
            lags: rows(request.lags, default.lags),
            rolling_windows: rows(request.rolling_windows, default.rolling_windows),
            rolling_mean: request.rolling_mean.unwrap_or(default.rolling_mean),
            rolling_std: request.rolling_std.unwrap_or(default.rolling_std),
            rolling_z_score: request.rolling_z_score.unwrap_or(default.rolling_z_score),
            difference: request.difference.unwrap_or(default.difference),
            time_features: TimeFeatures {
                hour: request.hour.unwrap_or(default.time_features.hour),
                day_of_week: request
                    .day_of_week
                    .unwrap_or(default.time_features.day_of_week),
                month: request.month.unwrap_or(default.time_features.month),
            },
        },
    }
}

/// The feature policy in a request, if any.
pub(super) fn policy(policy: i32) -> Result<Option<FeaturePolicy>> {
    match v1::FeaturePolicy::try_from(policy) {
        Ok(v1::FeaturePolicy::Unspecified) => Ok(None),
        Ok(v1::FeaturePolicy::Strict) => Ok(Some(FeaturePolicy::Strict)),
        Ok(v1::FeaturePolicy::Flexible) => Ok(Some(FeaturePolicy::Flexible)),
        Ok(v1::FeaturePolicy::Adaptive) => Ok(Some(FeaturePolicy::Adaptive)),
        Err(_) => Err(unknown(
            "feature_policy",
            policy,
            "FEATURE_POLICY_STRICT, FEATURE_POLICY_FLEXIBLE or FEATURE_POLICY_ADAPTIVE",
        )),
    }
}

/// The imputation in a request, if any.
pub(super) fn imputation(imputation: i32) -> Result<Option<Imputation>> {
    match v1::Imputation::try_from(imputation) {
        Ok(v1::Imputation::Unspecified) => Ok(None),
        Ok(v1::Imputation::Median) => Ok(Some(Imputation::Median)),
        Ok(v1::Imputation::Zero) => Ok(Some(Imputation::Zero)),
        Err(_) => Err(unknown(
            "imputation",
            imputation,
            "IMPUTATION_MEDIAN or IMPUTATION_ZERO",
        )),
    }
}

impl From<FeaturePolicy> for v1::FeaturePolicy {
    fn from(policy: FeaturePolicy) -> Self {
        match policy {
            FeaturePolicy::Strict => Self::Strict,
            FeaturePolicy::Flexible => Self::Flexible,
            FeaturePolicy::Adaptive => Self::Adaptive,
        }
    }
}

impl From<Imputation> for v1::Imputation {
    fn from(imputation: Imputation) -> Self {
        match imputation {
            Imputation::Median => Self::Median,
            Imputation::Zero => Self::Zero,
        }
    }
}

impl From<EngineeringSpec> for v1::FeatureEngineering {
    fn from(spec: EngineeringSpec) -> Self {
        let params = spec.params;
        let rows = |rows: Vec<u32>| match rows.is_empty() {
            true => vec![0],
            false => rows,
        };
        Self {
            columns: spec.columns,
            lags: rows(params.lags),
            rolling_windows: rows(params.rolling_windows),
            rolling_mean: Some(params.rolling_mean),
            rolling_std: Some(params.rolling_std),
            rolling_z_score: Some(params.rolling_z_score),
            difference: Some(params.difference),
            hour: Some(params.time_features.hour),
            day_of_week: Some(params.time_features.day_of_week),
            month: Some(params.time_features.month),
        }
    }
}

/// How a feature is encoded, with its categories if it is categorical.
type Encoded<'a> = (&'a Encoding, Option<&'a Categories>);

/// All columns of the training table, in its order.
pub(super) fn columns(features: &Features) -> Vec<v1::ModelColumn> {
    let schema = &features.schema;
    let feature = |(index, (name, encoding)): (usize, (&String, Encoded<'_>))| {
        let (encoding, categories) = encoding;
        v1::ModelColumn {
            name: name.clone(),
            role: match schema.target() == Some(index) {
                true => v1::ColumnRole::Target.into(),
                false => v1::ColumnRole::Feature.into(),
            },
            encoding: match encoding {
                Encoding::OneHot { .. } => v1::CategoryEncoding::OneHot.into(),
                Encoding::Frequency { .. } => v1::CategoryEncoding::Frequency.into(),
                Encoding::Number => v1::CategoryEncoding::Unspecified.into(),
            },
            n_categories: categories.map(|categories| categories.len() as u32),
            ..v1::ModelColumn::default()
        }
    };
    let names = schema.features().iter();
    let mut of_features = names.zip(features.encodings()).enumerate().map(feature);
    let mut others = schema.others().iter().peekable();
    let n_columns = schema.n_features() + schema.others().len();
    let mut columns = Vec::with_capacity(n_columns);
    for index in 0..n_columns {
        match others.next_if(|column| column.index == index) {
            Some(column) => columns.push(v1::ModelColumn {
                name: column.name.clone(),
                role: v1::ColumnRole::from(column.role).into(),
                time_format: match column.role {
                    Role::Time => schema.time().map_or(String::new(), |time| time.to_string()),
                    _ => String::new(),
                },
                ..v1::ModelColumn::default()
            }),
            None => columns.extend(of_features.next()),
        }
    }
    columns
}

impl From<Role> for v1::ColumnRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Label => Self::Label,
            Role::Time => Self::Time,
            Role::Series => Self::Series,
            Role::Ignored => Self::Ignored,
        }
    }
}

impl From<(String, Sighting)> for v1::UnknownFeature {
    fn from((name, sighting): (String, Sighting)) -> Self {
        let moments = sighting.feature.moments.as_ref();
        let first = |values: &[f64]| values.first().copied();
        Self {
            name,
            n_rows: sighting.feature.n_rows,
            n_missing: Some(sighting.feature.n_missing),
            first_seen_time: Some(timestamp(sighting.first_ms, 1000)),
            last_seen_time: Some(timestamp(sighting.last_ms, 1000)),
            mean: moments.and_then(|moments| first(moments.mean())),
            std: moments.and_then(|moments| first(&moments.std())),
            min: moments.and_then(|moments| first(moments.min())),
            max: moments.and_then(|moments| first(moments.max())),
        }
    }
}
