//! Shows datasets.

use std::io::Write;

use bytesize::ByteSize;

use super::table;
use crate::cli::descriptors;
use crate::cli::error::Result;
use crate::proto::v1::{Dataset, DatasetColumn};

/// Writes a stored dataset in short: its size, and the types and missing values of its columns.
pub(in crate::cli) fn write_stored(out: &mut dyn Write, dataset: &Dataset) -> Result<()> {
    writeln!(
        out,
        "dataset {:?} is stored: {} rows, {} columns, {} of {}",
        dataset.dataset_id,
        dataset.n_rows,
        dataset.n_columns,
        ByteSize(dataset.size_bytes),
        format(dataset),
    )?;
    if dataset.columns_omitted {
        return write_omitted(out);
    }
    let mut rows = table::table(&["column", "type", "missing"], &["missing"]);
    for column in &dataset.columns {
        rows.add_row([
            table::clean(&column.name),
            kind(column),
            count(column.n_missing),
        ]);
    }
    table::write(out, &rows)
}

/// Writes everything that is known about a dataset.
pub(in crate::cli) fn write_dataset(out: &mut dyn Write, dataset: &Dataset) -> Result<()> {
    let sha256 = dataset.sha256.iter().map(|byte| format!("{byte:02x}"));
    let facts = [
        ("dataset", dataset.dataset_id.clone()),
        ("format", format(dataset)),
        ("rows", dataset.n_rows.to_string()),
        ("columns", dataset.n_columns.to_string()),
        ("size", ByteSize(dataset.size_bytes).to_string()),
        ("SHA-256", sha256.collect()),
        ("created", created(dataset)),
    ];
    table::write_facts(out, &facts)?;
    if dataset.columns_omitted {
        return write_omitted(out);
    }
    let counts = ["values", "missing", "infinite"];
    let statistics = ["mean", "std", "min", "max", "distinct"];
    let right = [&counts[..], &statistics].concat();
    let header = [&["column", "type"][..], &right].concat();
    let mut rows = table::table(&header, &right);
    for column in &dataset.columns {
        let (least, greatest) = range(column);
        rows.add_row([
            table::clean(&column.name),
            kind(column),
            count(column.n_values),
            count(column.n_missing),
            count(column.n_infinite),
            table::optional(column.mean),
            table::optional(column.std),
            least,
            greatest,
            count(column.n_distinct),
        ]);
    }
    table::write(out, &rows)
}

/// Writes datasets without their columns.
pub(in crate::cli) fn write_list(out: &mut dyn Write, datasets: &[Dataset]) -> Result<()> {
    if datasets.is_empty() {
        writeln!(
            out,
            "no datasets yet; `anomalyd dataset upload FILE` makes one"
        )?;
        return Ok(());
    }
    let mut rows = table::table(
        &["dataset", "format", "rows", "columns", "size", "created"],
        &["rows", "columns", "size"],
    );
    for dataset in datasets {
        rows.add_row([
            table::clean(&dataset.dataset_id),
            format(dataset),
            dataset.n_rows.to_string(),
            dataset.n_columns.to_string(),
            ByteSize(dataset.size_bytes).to_string(),
            created(dataset),
        ]);
    }
    table::write(out, &rows)
}

fn write_omitted(out: &mut dyn Write) -> Result<()> {
    writeln!(out, "the columns are too many to show")?;
    Ok(())
}

fn format(dataset: &Dataset) -> String {
    descriptors::word("FileFormat", dataset.format)
}

fn created(dataset: &Dataset) -> String {
    let time = dataset.create_time.as_ref();
    time.map_or_else(|| "-".to_owned(), ToString::to_string)
}

/// The type of a column.
fn kind(column: &DatasetColumn) -> String {
    descriptors::word("ColumnType", column.r#type)
}

fn count(n: Option<u64>) -> String {
    n.map_or_else(|| "-".to_owned(), |n| n.to_string())
}

/// The smallest and the largest value, numbers or times.
fn range(column: &DatasetColumn) -> (String, String) {
    match (&column.min_time, &column.max_time) {
        (Some(first), Some(last)) => (first.to_string(), last.to_string()),
        _ => (table::optional(column.min), table::optional(column.max)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::written;
    use super::*;
    use crate::proto::v1::{ColumnType, FileFormat};

    /// The cells of the line that begins with a name.
    fn cells(text: &str, name: &str) -> Vec<String> {
        let lines = text.lines().map(|line| {
            let cells = line.split(['│', '┆']).map(str::trim);
            cells.map(str::to_owned).collect::<Vec<_>>()
        });
        let mut found = lines.filter(|cells| cells.get(1).is_some_and(|cell| cell == name));
        let cells = found
            .next()
            .unwrap_or_else(|| panic!("no {name} in {text}"));
        cells[1..cells.len() - 1].to_vec()
    }

    fn column(name: &str, kind: ColumnType) -> DatasetColumn {
        DatasetColumn {
            name: name.to_owned(),
            r#type: kind.into(),
            n_values: Some(3),
            n_missing: Some(1),
            ..DatasetColumn::default()
        }
    }

    fn dataset() -> Dataset {
        let time = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
        Dataset {
            dataset_id: "june".to_owned(),
            format: FileFormat::JsonLines.into(),
            n_rows: 4,
            n_columns: 3,
            size_bytes: 57,
            sha256: vec![0, 0xab].into(),
            create_time: Some(time(0)),
            columns: vec![
                DatasetColumn {
                    n_infinite: Some(0),
                    mean: Some(247.0),
                    std: Some(468.6),
                    min: Some(0.0),
                    max: Some(950.0),
                    ..column("amount", ColumnType::Number)
                },
                DatasetColumn {
                    min_time: Some(time(0)),
                    max_time: Some(time(86_400)),
                    ..column("when", ColumnType::Timestamp)
                },
                DatasetColumn {
                    n_distinct: Some(2),
                    ..column("sh\u{7}op", ColumnType::Text)
                },
            ],
            columns_omitted: false,
        }
    }

    #[test]
    fn omitted_columns_are_mentioned() {
        let dataset = Dataset {
            n_columns: 65_536,
            columns: Vec::new(),
            columns_omitted: true,
            ..dataset()
        };
        for text in [
            written(|out| write_stored(out, &dataset)),
            written(|out| write_dataset(out, &dataset)),
        ] {
            let last = text.lines().last();
            assert_eq!(last, Some("the columns are too many to show"));
        }
    }

    #[test]
    fn a_stored_dataset_is_shown_in_short() {
        let text = written(|out| write_stored(out, &dataset()));
        let first = text.lines().next().expect("a line");
        assert_eq!(
            first,
            "dataset \"june\" is stored: 4 rows, 3 columns, 57 B of json_lines"
        );
        assert_eq!(cells(&text, "amount"), ["amount", "number", "1"]);
        assert_eq!(cells(&text, "when"), ["when", "timestamp", "1"]);
        assert!(!text.contains('\u{7}'), "{text}");
    }

    #[test]
    fn columns_are_described_by_their_statistics() {
        let text = written(|out| write_dataset(out, &dataset()));
        for expected in ["00ab", "1970-01-01T00:00:00Z", "57 B", "json_lines"] {
            assert!(text.contains(expected), "{expected} in {text}");
        }
        assert_eq!(
            cells(&text, "amount"),
            [
                "amount", "number", "3", "1", "0", "247", "468.6", "0", "950", "-"
            ]
        );
        assert_eq!(
            cells(&text, "when")[5..],
            [
                "-",
                "-",
                "1970-01-01T00:00:00Z",
                "1970-01-02T00:00:00Z",
                "-"
            ]
        );
        assert_eq!(cells(&text, "sh\u{fffd}op").last(), Some(&"2".to_owned()));
    }

    #[test]
    fn an_empty_list_says_what_to_do() {
        assert!(written(|out| write_list(out, &[])).contains("anomalyd dataset upload"));
        let text = written(|out| write_list(out, &[dataset()]));
        assert_eq!(
            cells(&text, "june"),
            [
                "june",
                "json_lines",
                "4",
                "3",
                "57 B",
                "1970-01-01T00:00:00Z"
            ]
        );
    }
}
