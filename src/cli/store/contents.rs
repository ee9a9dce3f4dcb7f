//! What is in a backup, in the words of its users: runs, versions and datasets.

use std::io::Write;

use bytesize::ByteSize;

use crate::cli::error::{Error, Result};
use crate::error::chain;
use crate::runs::n_kept_versions;
use crate::store::{Backup, key};

/// Reads all records of a backup, and writes what they are.
pub(super) fn write(out: &mut dyn Write, backup: &Backup) -> Result<()> {
    let (mut n_runs, mut n_versions, mut n_datasets) = (0, 0, 0_usize);
    let failed = |error: &dyn std::error::Error| Error::failed(chain(error));
    for record in backup.records().map_err(|error| failed(&error))? {
        let (key, value) = record.map_err(|error| failed(&error))?;
        if key::parse_run_key(&key).is_some() {
            let n_kept = n_kept_versions(&value).map_err(|error| failed(&error))?;
            n_versions += n_kept;
            n_runs += usize::from(n_kept > 0);
        }
        n_datasets += usize::from(key::parse_dataset_key(&key).is_some());
    }
    let summary = backup.summary();
    writeln!(out, "made      {}", summary.made)?;
    writeln!(out, "runs      {n_runs}, with {n_versions} versions")?;
    writeln!(out, "datasets  {n_datasets}")?;
    if summary.n_logs > 0 {
        writeln!(out, "logs      {}", summary.n_logs)?;
    }
    let size = ByteSize(summary.n_bytes);
    writeln!(out, "blobs     {}, {size} with the logs", summary.n_blobs)?;
    writeln!(out, "up to     {}", summary.last_write)?;
    if !summary.has_token_key {
        writeln!(
            out,
            "without the token key: a server needs the one that is configured now"
        )?;
    }
    Ok(())
}
