//! Feature engineering as a part of a model: the plan, its source columns, and the remembered values of each series.

use std::collections::{HashMap, HashSet};

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::align::Aligned;
use super::engineer::{
    Builder, Engineer, EngineeringParams, Histories, Rows, SeriesOfRows, training_order,
};
use super::names::nearest_hint;
use super::roles::FeatureKind;
use super::schema::Schema;
use crate::context::Context;
use crate::error::{Error, Result, reason};
use crate::table::{check_cells, shortened};

/// Which features to engineer, and from which columns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineeringSpec {
    /// The features to engineer from each column and from the time.
    pub params: EngineeringParams,
    /// The source columns; empty for the target, or for the only feature.
    pub columns: Vec<String>,
}

/// The fitted feature engineering of a model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Engineering {
    engineer: Engineer,
    /// The places of the plan's source columns in the order in which a detector sees the features.
    columns: Vec<usize>,
    histories: Histories,
}

impl Engineering {
    /// Feature engineering for rows with this schema, without any history. The source columns are in the order in which a
    /// detector sees them.
    ///
    /// # Errors
    /// Fails when a parameter is out of range, when a source column does not exist or holds texts, and when none is given and it
    /// is not clear which one is meant.
    pub fn new(spec: &EngineeringSpec, schema: &Schema) -> Result<Self> {
        let places = schema.places();
        let columns = columns_of(spec, schema)?.into_iter();
        let mut columns: Vec<usize> = columns.map(|feature| places[feature]).collect();
        columns.sort_unstable();
        let names = columns
            .iter()
            .filter_map(|&place| schema.name_at(place).cloned());
        let engineer = Engineer::new(
            spec.params.clone(),
            names.collect(),
            schema.time().is_some(),
        )
        .map_err(|error| match error.field_path() {
            Some(_) => error.within("feature_engineering"),
            None => error.at("feature_engineering"),
        })?;
        let given: HashSet<&String> = schema.features().iter().collect();
        if let Some(name) = engineer.names().iter().find(|name| given.contains(name)) {
            let message = format!(
                "a feature {} would be engineered, and a column has this name already; rename it, or leave it out",
                shortened(name)
            );
            return Err(Error::field("feature_engineering", message));
        }
        Ok(Self {
            engineer,
            columns,
            histories: Histories::default(),
        })
    }

    /// The plan.
    pub fn engineer(&self) -> &Engineer {
        &self.engineer
    }

    /// A builder of the features of more rows, which continues from the remembered values.
    pub fn builder(&self) -> Builder {
        Builder::new(&self.engineer, self.histories.clone())
    }

    /// The same feature engineering with the histories of a builder.
    ///
    /// # Errors
    /// [`reason::UNUSABLE_ROWS`] when the builder has forgotten a series that it had rows of: later rows of that series may have
    /// been learned from without their past.
    pub fn remembering(self, builder: Builder) -> Result<Self> {
        if builder.has_forgotten_latest() {
            let message = format!(
                "there are more series than the {} that can be remembered with lags and windows of up to {} rows; shorten these, \
                 or learn from fewer series",
                self.engineer.max_series(),
                self.engineer.depth()
            );
            return Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"));
        }
        Ok(Self {
            histories: builder.into_histories(),
            ..self
        })
    }

    /// Sorts rows by time, if they have times.
    pub fn sort(&self, rows: &mut Aligned) {
        let Some(times) = &rows.times else {
            return;
        };
        let order = training_order(times);
        if order.is_sorted() {
            return;
        }
        rows.features = rows.features.select(ndarray::Axis(0), &order);
        rows.times = Some(order.iter().map(|&row| times[row]).collect());
        if let Some(labels) = &mut rows.labels {
            *labels = order.iter().map(|&row| labels[row]).collect();
        }
        if let Some(series) = &mut rows.series {
            series.codes = order.iter().map(|&row| series.codes[row]).collect();
        }
    }

    /// The rows in their order, each with its engineered features after its own.
    pub fn extend(
        &self,
        rows: &Aligned,
        builder: &mut Builder,
        context: &Context,
    ) -> Result<Array2<f64>> {
        let width = rows.features.ncols() + self.engineer.n_features();
        check_cells(rows.features.nrows(), width)?;
        let values: Vec<Vec<f64>> = self
            .columns
            .iter()
            .map(|&column| rows.features.column(column).to_vec())
            .collect();
        let columns: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
        let engineered = builder.apply(
            &Rows {
                n_rows: rows.features.nrows(),
                columns: &columns,
                times: rows.times.as_deref(),
                series: rows.series.as_ref().map(|series| SeriesOfRows {
                    codes: &series.codes,
                    keys: &series.names,
                }),
            },
            context,
        )?;
        ndarray::concatenate(ndarray::Axis(1), &[rows.features.view(), engineered.view()])
            .map_err(|error| {
                Error::new(reason::INTERNAL, "features do not fit together").because(error)
            })
            .map(|rows| rows.as_standard_layout().into_owned())
    }

    /// Checks the feature engineering of a stored model.
    pub(super) fn validate(&self, schema: &Schema) -> Result<()> {
        self.engineer.validate()?;
        self.histories.validate(&self.engineer)?;
        let names = self.columns.iter().map(|&place| schema.name_at(place));
        let fits = names.eq(self.engineer.columns().iter().map(Some))
            && self.engineer.has_time() == schema.time().is_some();
        match fits {
            true => Ok(()),
            false => Err(Error::new(
                reason::DAMAGED_ARTIFACT,
                "the feature engineering of the stored model does not fit its schema",
            )),
        }
    }
}

fn columns_of(spec: &EngineeringSpec, schema: &Schema) -> Result<Vec<usize>> {
    let refused = |message: String| Err(Error::field("feature_engineering.columns", message));
    if spec.columns.is_empty() {
        return match (schema.target(), schema.n_features()) {
            (Some(target), _) => Ok(vec![target]),
            (None, 1) if schema.kind(0) == FeatureKind::Number => Ok(vec![0]),
            _ => Err(Error::field(
                "target_column",
                "feature engineering needs a target; name the column in target_column, or list some in \
                 feature_engineering.columns",
            )),
        };
    }
    let places: HashMap<&String, usize> = schema.features().iter().zip(0..).collect();
    let mut columns = Vec::with_capacity(spec.columns.len());
    for name in &spec.columns {
        match places.get(name).copied() {
            None => {
                return refused(format!(
                    "there is no feature {}{}",
                    shortened(name),
                    nearest_hint(name, schema.features())
                ));
            }
            Some(column) if schema.kind(column) == FeatureKind::Category => {
                return refused(format!(
                    "the feature {} holds texts; features can be engineered only from numbers",
                    shortened(name)
                ));
            }
            Some(column) => columns.push(column),
        }
    }
    Ok(columns)
}
