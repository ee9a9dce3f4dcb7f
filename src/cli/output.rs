//! `--out`: writes the input's columns and two more, `score` and `is_anomaly`.

use std::fs::{File, Permissions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use tempfile::{NamedTempFile, TempPath};

use super::error::{Error, Result};

const SCORE: &str = "score";
const IS_ANOMALY: &str = "is_anomaly";

/// A CSV file that only appears under its name when it is complete.
pub(super) struct ScoredCsv {
    writer: csv::Writer<BufWriter<File>>,
    path: PathBuf,
    /// The file with the rows until the end; `None` if the target is a device or a pipe, which cannot be
    /// replaced.
    temporary: Option<TempPath>,
}

impl ScoredCsv {
    /// Opens the file and writes the header. Fails if the input has one of the two columns already.
    pub(super) fn create(path: &Path, header: &ByteRecord) -> Result<Self> {
        for name in [SCORE, IS_ANOMALY] {
            if header.iter().any(|column| column == name.as_bytes()) {
                return Err(Error::failed(format!(
                    "the input has a column {name:?} already, which --out would write a second time"
                ))
                .hint("rename that column"));
            }
        }
        let failed = |error: std::io::Error| cannot_write(path, &error);
        if path.is_dir() {
            return Err(cannot_write(path, &"it is a folder"));
        }
        let special = path.metadata().is_ok_and(|metadata| !metadata.is_file());
        let (file, temporary) = if special {
            (
                File::options().write(true).open(path).map_err(failed)?,
                None,
            )
        } else {
            let (file, temporary) = beside(path).map_err(failed)?.into_parts();
            (file, Some(temporary))
        };
        let mut writer = csv::Writer::from_writer(BufWriter::new(file));
        let columns = header
            .iter()
            .chain([SCORE.as_bytes(), IS_ANOMALY.as_bytes()]);
        writer
            .write_record(columns)
            .map_err(|error| cannot_write(path, &error))?;
        Ok(Self {
            writer,
            path: path.to_owned(),
            temporary,
        })
    }

    /// Writes one row. A score is written with all its digits, an anomaly as 1.
    pub(super) fn write(
        &mut self,
        record: &ByteRecord,
        score: f64,
        is_anomaly: bool,
    ) -> Result<()> {
        // Debug writes the shortest text that reads back to the same double, with an exponent where that is shorter
        let score = format!("{score:?}");
        let label: &[u8] = if is_anomaly { b"1" } else { b"0" };
        self.writer
            .write_record(record.iter().chain([score.as_bytes(), label]))
            .map_err(|error| cannot_write(&self.path, &error))
    }

    /// Writes rows with their scores. There must be one score and one decision for each row.
    pub(super) fn write_all(
        &mut self,
        records: &[ByteRecord],
        scores: &[f64],
        is_anomaly: &[bool],
    ) -> Result<()> {
        if scores.len() != records.len() || is_anomaly.len() != records.len() {
            return Err(Error::failed(format!(
                "the file has {} rows, but the server answered {} scores and {} decisions",
                records.len(),
                scores.len(),
                is_anomaly.len()
            )));
        }
        for ((record, score), is_anomaly) in records.iter().zip(scores).zip(is_anomaly) {
            self.write(record, *score, *is_anomaly)?;
        }
        Ok(())
    }

    /// Completes the file.
    pub(super) fn finish(self) -> Result<()> {
        let Self {
            writer,
            path,
            temporary,
        } = self;
        let mut buffer = writer
            .into_inner()
            .map_err(|error| cannot_write(&path, &error.error()))?;
        buffer
            .flush()
            .map_err(|error| cannot_write(&path, &error))?;
        match temporary {
            Some(temporary) => temporary
                .persist(&path)
                .map_err(|error| cannot_write(&path, &error.error)),
            None => Ok(()),
        }
    }
}

/// A temporary file in the folder of `path`, so that it can be renamed there.
fn beside(path: &Path) -> std::io::Result<NamedTempFile> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(std::io::Error::other("its folder does not exist"));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".anomalyd-");
    #[cfg(unix)]
    let permissions: Permissions = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(permissions);
    builder.tempfile_in(folder)
}

fn cannot_write(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::failed(format!("cannot write {}: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_gain_two_columns_and_appear_at_the_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.csv");
        let mut csv =
            ScoredCsv::create(&path, &ByteRecord::from(vec!["a", "b\nc"])).expect("creates");
        csv.write(&ByteRecord::from(vec!["1", "x,y"]), 1e300, true)
            .expect("writes");
        csv.write(&ByteRecord::from(vec!["2", ""]), 0.1 + 0.2, false)
            .expect("writes");
        assert!(!path.exists());
        csv.finish().expect("finishes");
        assert_eq!(
            std::fs::read_to_string(&path).expect("reads"),
            "a,\"b\nc\",score,is_anomaly\n1,\"x,y\",1e300,1\n2,,0.30000000000000004,0\n"
        );
    }

    #[test]
    fn an_unfinished_file_leaves_nothing_behind() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.csv");
        drop(ScoredCsv::create(&path, &ByteRecord::from(vec!["a"])).expect("creates"));
        assert_eq!(folder.path().read_dir().expect("reads").count(), 0);
    }

    #[test]
    fn a_column_of_the_same_name_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("out.csv");
        let error = ScoredCsv::create(&path, &ByteRecord::from(vec!["a", "score"])).err();
        assert!(format!("{error:?}").contains("score"));
    }

    #[test]
    fn a_path_that_cannot_be_written_is_refused_before_any_work() {
        let folder = tempfile::tempdir().expect("a folder");
        let error = ScoredCsv::create(&folder.path().join("no/out.csv"), &ByteRecord::new()).err();
        assert!(format!("{error:?}").contains("does not exist"), "{error:?}");
        let error = ScoredCsv::create(folder.path(), &ByteRecord::new()).err();
        assert!(format!("{error:?}").contains("is a folder"), "{error:?}");
    }
}
