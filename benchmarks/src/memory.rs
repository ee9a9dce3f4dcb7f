//! The memory of a process.

use std::fmt::Display;

/// The current resident memory.
pub const RESIDENT: &str = "VmRSS";

/// The peak of the resident memory.
pub const PEAK_RESIDENT: &str = "VmHWM";

/// The bytes of memory of a process, by its id or `self`: [`RESIDENT`] or [`PEAK_RESIDENT`]. `None` if Linux does not say.
pub fn memory_bytes(process: impl Display, kind: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(kind))?;
    let kilobytes = line.strip_prefix(':')?.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<u64>().ok()? * 1024)
}
