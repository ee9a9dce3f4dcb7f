//! Learning a schema.

use super::given_roles::GivenRoles;
use super::{MAX_COLUMNS, OtherColumn, Schema, kind_of};
use crate::error::{Error, Result, reason};
use crate::features::column_order::ColumnOrder;
use crate::features::names::check_names_of;
use crate::features::roles::{FeatureKind, Role, Roles};
use crate::features::time::TimeSearch;
use crate::table::{ColumnType, Table, shortened};

/// A schema that is being learned from tables with the same columns, one after the other.
///
/// If the roles name no time column, one is searched for among the columns without a role. Columns of timestamps, or of texts
/// that are all dates of one format, take precedence over columns of numbers whose names suggest times. Within each group,
/// names that suggest times come first, and then the order is that of the bytes of the names. The choice therefore depends
/// neither on the order of the columns nor on the format of the times. Further columns of timestamps or dates are ignored: they
/// are not numbers, and as categories their values would hardly ever recur.
#[derive(Debug)]
pub struct SchemaDraft {
    names: Vec<String>,
    types: Vec<ColumnType>,
    roles: Roles,
    /// The columns that may hold the times of the rows, in order of precedence.
    times: Vec<TimeSearch>,
}

impl SchemaDraft {
    /// A draft from the names and types of the columns, without any row. Columns without names are called `f0`, `f1`, ….
    ///
    /// # Errors
    /// Fails when names are empty, repeated or too long, when there are too many columns, and when a column that is given a role
    /// does not exist or is given two.
    pub fn new(table: &Table, roles: &Roles) -> Result<Self> {
        if table.n_columns() > MAX_COLUMNS {
            let message = format!(
                "the records have {} columns; at most {MAX_COLUMNS} can be learned",
                table.n_columns()
            );
            return Err(Error::new(reason::INVALID_RECORDS, message).at("records"));
        }
        let names = table.given_names();
        check_names_of(table, &names)?;
        let given = GivenRoles::new(&names, table.taken_name(), roles)?;
        let mut times = Vec::new();
        if let Some(name) = &roles.time {
            let column = given.find("time_column", name)?;
            times.push(TimeSearch::new(table, column, name, true));
        }
        let free = given.free().into_iter();
        let mut free: Vec<TimeSearch> = free
            .map(|column| TimeSearch::new(table, column, &names[column], false))
            .collect();
        free.sort_by(|a, b| a.precedence().cmp(&b.precedence()));
        times.extend(free);
        let types = (0..table.n_columns()).map(|column| table.column_type(column));
        Ok(Self {
            types: types.collect(),
            names,
            roles: roles.clone(),
            times,
        })
    }

    /// Adds the next rows.
    ///
    /// # Errors
    /// Fails, naming the row, when the time column of the roles holds something other than times.
    pub fn add(&mut self, table: &Table) -> Result<()> {
        for search in &mut self.times {
            search.add(table)?;
        }
        self.times.retain(|search| !search.is_refused());
        Ok(())
    }

    /// Whether further rows cannot change the schema.
    pub fn is_settled(&self) -> bool {
        let is_found = self.times.first().is_none_or(TimeSearch::is_found);
        let mut dates = self.times.iter().filter(|search| search.is_of_dates());
        is_found && dates.all(TimeSearch::is_found)
    }

    /// The schema of the rows so far.
    ///
    /// # Errors
    /// Fails when the time column of the roles has no value, when the target is not a numeric feature, when a feature holds
    /// times, and when there is no feature.
    pub fn finish(self) -> Result<Schema> {
        let mut given = GivenRoles::new(&self.names, None, &self.roles)?;
        let mut time = None;
        for search in &self.times {
            let Some(found) = search.found()? else {
                continue;
            };
            if time.is_none() {
                time = Some(found);
                given.set(search.column(), Role::Time);
            } else if search.is_of_dates() {
                given.set(search.column(), Role::Ignored);
            }
        }
        let roles = given.finish(!self.roles.features.is_empty());

        let mut schema = Schema {
            features: Vec::new(),
            kinds: Vec::new(),
            order: ColumnOrder::default(),
            target: None,
            others: Vec::new(),
            time,
            series: None,
        };
        let columns = self.names.into_iter().zip(self.types).zip(roles);
        for (index, ((name, column_type), role)) in columns.enumerate() {
            match role {
                Some(role) => {
                    if role == Role::Series {
                        schema.series = Some(series_kind(column_type)?);
                    }
                    schema.others.push(OtherColumn { name, index, role });
                }
                None => {
                    schema.kinds.push(kind_of(column_type, &name)?);
                    schema.features.push(name);
                }
            }
        }
        if schema.features.is_empty() {
            let message =
                "all columns of the records have other roles; at least one must be a feature";
            return Err(Error::new(reason::UNUSABLE_ROWS, message).at("records"));
        }
        schema.order = ColumnOrder::by_name(&schema.features);
        if schema.kinds.iter().all(|&kind| kind == FeatureKind::Number) {
            schema.kinds.clear();
        }
        if let Some(target) = &self.roles.target {
            let index = schema.features.iter().position(|name| name == target);
            schema.target = index.filter(|&index| schema.kind(index) == FeatureKind::Number);
            if schema.target.is_none() {
                let message = format!(
                    "the target column {} holds texts, or has another role; a target holds numbers",
                    shortened(target)
                );
                return Err(Error::new(reason::INVALID_FIELD, message).at("target_column"));
            }
        }
        Ok(schema)
    }
}

fn series_kind(column_type: ColumnType) -> Result<FeatureKind> {
    match column_type {
        ColumnType::Number | ColumnType::Boolean => Ok(FeatureKind::Number),
        ColumnType::Text => Ok(FeatureKind::Category),
        ColumnType::Timestamp => {
            let message = "the series column holds times; it must hold texts or numbers";
            Err(Error::new(reason::UNUSABLE_ROWS, message).at("series_column"))
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::features::TimeSource;
    use crate::features::time::TimeFormat;
    use crate::table::Column;

    fn table(days: &[&str], numbers: &[f64]) -> Table {
        let names = ["day", "ts"].map(str::to_owned).to_vec();
        let columns = vec![
            Column::Texts(days.iter().copied().map(Some).collect()),
            Column::Numbers(numbers.to_vec()),
        ];
        Table::from_columns(Some(names), columns).expect("a table")
    }

    fn learn(tables: &[Table], roles: &Roles) -> Result<Schema> {
        let mut draft = SchemaDraft::new(&tables[0], roles)?;
        for table in tables {
            draft.add(table)?;
        }
        draft.finish()
    }

    #[test]
    fn a_later_table_decides_the_format_of_the_times() {
        let ambiguous = table(&["01/02/2024", "03/04/2024"], &[1.0, 2.0]);
        let roles = Roles {
            time: Some("day".to_owned()),
            ..Roles::default()
        };
        let time = |tables: &[Table]| learn(tables, &roles).expect("times").time();
        let month_first = Some(TimeSource::Text(TimeFormat::MonthDayYear));
        assert_eq!(time(std::slice::from_ref(&ambiguous)), month_first);
        let decided = table(&["31/04/2024", "13/04/2024"], &[1.0, 2.0]);
        let error = learn(&[ambiguous.clone(), decided], &roles).expect_err("no such day");
        assert!(
            error.message().contains("row 2 has \"31/04/2024\""),
            "{error}"
        );
        let decided = table(&["13/04/2024"], &[1.0]);
        let day_first = Some(TimeSource::Text(TimeFormat::DayMonthYear));
        assert_eq!(time(&[ambiguous, decided]), day_first);
    }

    #[test]
    fn a_column_that_turns_out_to_hold_no_times_is_a_feature() {
        let dates = table(&["2024-01-31"], &[1.7e9]);
        let words = table(&["never"], &[1.7e9]);
        let found = |tables: &[Table]| {
            let schema = learn(tables, &Roles::default()).expect("a schema");
            schema
                .column_of(Role::Time)
                .map(|column| column.name.clone())
        };
        assert_eq!(found(std::slice::from_ref(&dates)).as_deref(), Some("day"));
        assert_eq!(found(&[dates, words]).as_deref(), Some("ts"));
    }

    #[test]
    fn a_draft_is_settled_when_no_row_can_change_it() {
        let settled = |table: &Table| {
            let mut draft = SchemaDraft::new(table, &Roles::default()).expect("a draft");
            draft.add(table).expect("sound");
            draft.is_settled()
        };
        assert!(!settled(&table(&["2024-01-31"], &[1.0])));
        assert!(settled(&table(&["never"], &[1.0])));
        let clock = Table::from_columns(
            None,
            vec![Column::Times(vec![1]), Column::Numbers(vec![1.0])],
        );
        assert!(settled(&clock.expect("a table")));
    }

    proptest! {
        #[test]
        fn learning_does_not_depend_on_how_the_rows_are_cut_into_tables(
            days in prop::collection::vec(prop::sample::select(vec!["01/02/2024", "13/02/2024", "02/13/2024", "2024-01-31", "x"]), 1..12),
            cut in 0..12_usize,
        ) {
            let numbers: Vec<f64> = (0..days.len()).map(|i| 1.7e9 + i as f64).collect();
            let cut = cut.min(days.len());
            let whole = [table(&days, &numbers)];
            let parts = [0..cut, cut..days.len()].into_iter().filter(|rows| !rows.is_empty());
            let parts: Vec<Table> = parts.map(|rows| whole[0].slice_rows(rows)).collect();
            let roles = Roles::default();
            prop_assert_eq!(learn(&parts, &roles).expect("a schema"), learn(&whole, &roles).expect("a schema"));
        }
    }
}
