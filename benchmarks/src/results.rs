//! What was measured, beside what it is compared with, and a bound of their ratio.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub work: String,
    /// The measurement.
    pub ours: f64,
    /// What it is compared with.
    pub peer: f64,
    /// The bound of `ours / peer`.
    pub wanted: Bound,
}

/// A bound of a ratio.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// It may be this at most.
    Most(f64),
    /// It must be this at least.
    Least(f64),
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours / self.peer
    }

    fn wanted(&self) -> f64 {
        match self.wanted {
            Bound::Most(bound) | Bound::Least(bound) => bound,
        }
    }

    /// Whether the ratio is a number within its bound.
    fn is_enough(&self) -> bool {
        match self.wanted {
            Bound::Most(most) => self.ratio() <= most,
            Bound::Least(least) => self.ratio() >= least,
        }
    }
}

/// The rows so far, each of which is printed as it comes.
#[derive(Debug, Default)]
pub struct Results(Vec<Row>);

impl Results {
    /// No results yet; prints the names of the columns.
    pub fn new() -> Self {
        println!(
            "{:62} {:>10} {:>10} {:>8} {:>7}",
            "work", "ours", "peer", "ratio", "wanted"
        );
        Self::default()
    }

    /// Adds a row.
    pub fn add(&mut self, row: Row) {
        println!(
            "{:62} {:10.3e} {:10.3e} {:8.3} {:7}{}",
            row.work,
            row.ours,
            row.peer,
            row.ratio(),
            row.wanted(),
            if row.is_enough() { "" } else { "  SHORT" }
        );
        self.0.push(row);
    }

    /// Writes the table as CSV if there is a path. The exit code is 1 if a row misses its bound, or if there is none.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(&self, path: Option<&Path>) -> io::Result<ExitCode> {
        if let Some(path) = path {
            let mut file = std::fs::File::create(path)?;
            writeln!(file, "work,ours,peer,ratio,wanted")?;
            for row in &self.0 {
                let Row {
                    work, ours, peer, ..
                } = row;
                let (ratio, wanted) = (row.ratio(), row.wanted());
                writeln!(file, "\"{work}\",{ours},{peer},{ratio},{wanted}")?;
            }
        }
        let is_enough = !self.0.is_empty() && self.0.iter().all(Row::is_enough);
        Ok(ExitCode::from(u8::from(!is_enough)))
    }
}
