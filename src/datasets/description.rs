//! The description of the content of a dataset.

use serde::{Deserialize, Serialize};

use super::statistics::ColumnStatistics;
use crate::error::Result;
use anomaly_detection::envelope::Envelope;
use anomaly_detection::table::read::{FileOptions, FileSummary, Limits};

const DESCRIPTION: Envelope = Envelope {
    what: "description of a dataset",
    magic: *b"ANOMDATA",
    format: 1,
};

/// How a dataset is read, and what was found in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// How the file is read.
    pub options: FileOptions,
    /// The columns and rows that a scan found.
    pub summary: FileSummary,
    /// The statistics of each column.
    pub statistics: Vec<ColumnStatistics>,
    /// The limit that the file was scanned with. The server's limit may have changed since; the file has not.
    pub(super) decompressed_bytes: u64,
}

impl Description {
    /// The limits to read the file with.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            decompressed_bytes: self.decompressed_bytes,
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        DESCRIPTION.encode(self)
    }

    /// Decodes and validates.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let description: Self = DESCRIPTION.decode(bytes)?;
        description.validate()?;
        Ok(description)
    }

    fn validate(&self) -> Result<()> {
        self.summary.validate()?;
        if self.statistics.len() != self.summary.columns().len() {
            return Err(DESCRIPTION.damaged("does not have as many statistics as columns"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::inspect::inspect;
    use super::*;
    use crate::error::reason;
    use anomaly_detection::context::Context;
    use anomaly_detection::table::read::Source;

    fn description() -> Description {
        let source = Source::from(bytes::Bytes::from_static(b"a,b\n1,x\n2,y\n,z\n"));
        let options = FileOptions::default();
        inspect(&source, options, Limits::default(), &Context::new()).expect("valid")
    }

    #[test]
    fn a_description_survives_its_round_trip() {
        let description = description();
        let bytes = description.encode().expect("encodable");
        assert_eq!(Description::decode(&bytes).expect("valid"), description);
    }

    #[test]
    fn damage_of_any_byte_is_refused() {
        let bytes = description().encode().expect("encodable");
        for i in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[i] ^= 0x41;
            let error = Description::decode(&damaged).expect_err("damaged");
            assert_eq!(error.reason(), reason::DAMAGED_ARTIFACT);
            assert!(Description::decode(&bytes[..i]).is_err());
        }
    }

    #[test]
    fn a_column_without_statistics_is_refused() {
        let mut fewer = description();
        fewer.statistics.pop();
        let bytes = fewer.encode().expect("encodable");
        assert!(Description::decode(&bytes).is_err());
    }
}
