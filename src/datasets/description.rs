//! What is known of the content of a dataset, and its bytes: a magic, a format version, a checksum and a self-describing
//! MessagePack body, like a model's.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::statistics::ColumnStatistics;
use crate::error::{Error, Reason, Result};
use crate::table::read::{FileOptions, FileSummary, Limits};

const MAGIC: &[u8; 8] = b"ANOMDATA";

/// The newest format that this server writes and reads.
const FORMAT: u32 = 1;

const CHECKSUM_BYTES: usize = 32;
const HEADER_BYTES: usize = MAGIC.len() + size_of::<u32>() + CHECKSUM_BYTES;

/// How a dataset is read, and what was found in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// How the file is read.
    pub options: FileOptions,
    /// What a scan has found.
    pub summary: FileSummary,
    /// The statistics of each column.
    pub statistics: Vec<ColumnStatistics>,
    /// What reading might cost when the file was scanned: the limit may have changed since, the file has not.
    pub(super) decompressed_bytes: u64,
}

impl Description {
    /// What reading may cost.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            decompressed_bytes: self.decompressed_bytes,
        }
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = vec![0; HEADER_BYTES];
        rmp_serde::encode::write_named(&mut bytes, self).map_err(|error| {
            Error::new(
                Reason::Internal,
                "the description of a dataset cannot be encoded",
            )
            .because(error)
        })?;
        let checksum = Sha256::digest(&bytes[HEADER_BYTES..]);
        let (magic, rest) = bytes.split_at_mut(MAGIC.len());
        magic.copy_from_slice(MAGIC);
        rest[..4].copy_from_slice(&FORMAT.to_le_bytes());
        rest[4..4 + CHECKSUM_BYTES].copy_from_slice(&checksum);
        Ok(bytes)
    }

    /// Decodes and validates.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self> {
        let Some((header, body)) = bytes.split_at_checked(HEADER_BYTES) else {
            return Err(damaged("is cut short"));
        };
        let (magic, rest) = header.split_at(MAGIC.len());
        let (format, checksum) = rest.split_at(size_of::<u32>());
        if magic != MAGIC {
            return Err(damaged("does not start as one"));
        }
        let format = u32::from_le_bytes([format[0], format[1], format[2], format[3]]);
        if format == 0 || format > FORMAT {
            return Err(damaged(&format!(
                "has format {format}, and this server reads formats 1 to {FORMAT}; a newer server wrote it"
            )));
        }
        if Sha256::digest(body).as_slice() != checksum {
            return Err(damaged("does not match its checksum"));
        }
        let description: Self = rmp_serde::from_slice(body)
            .map_err(|error| damaged("cannot be decoded").because(error))?;
        description.validate()?;
        Ok(description)
    }

    fn validate(&self) -> Result<()> {
        self.summary.validate()?;
        if self.statistics.len() != self.summary.columns().len() {
            return Err(damaged("has not as many statistics as columns"));
        }
        Ok(())
    }
}

fn damaged(what: &str) -> Error {
    Error::new(
        Reason::DamagedArtifact,
        format!("the stored description of a dataset {what}"),
    )
}

#[cfg(test)]
mod tests {
    use super::super::inspect::inspect;
    use super::*;
    use crate::context::Context;
    use crate::table::read::Source;

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
            assert_eq!(error.reason(), Reason::DamagedArtifact);
            assert!(Description::decode(&bytes[..i]).is_err());
        }
    }

    #[test]
    fn what_is_impossible_is_refused() {
        let mut fewer = description();
        fewer.statistics.pop();
        let bytes = fewer.encode().expect("encodable");
        assert!(Description::decode(&bytes).is_err());
    }
}
