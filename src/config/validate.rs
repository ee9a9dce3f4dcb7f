//! The ranges of options, and the rules that span several.

use std::time::Duration;

use bytesize::ByteSize;
use tracing_subscriber::filter::Targets;

use super::value::Value;
use super::{Config, ConfigError};

const MAX_COMPUTE_THREADS: usize = 1024;
const MAX_QUARANTINE_DAYS: usize = 3650;
const MAX_RESERVOIR_SIZE: usize = 10_000_000;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

impl Config {
    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        if self.listen.is_empty() && self.unix_socket.is_none() {
            return Err(ConfigError::value(
                "listen",
                "is empty and there is no `unix_socket`; give at least one of them",
            ));
        }
        within(
            "max_message_bytes",
            self.max_message_bytes.as_u64(),
            64 * KIB,
            2 * GIB,
        )?;
        within(
            "max_dataset_bytes",
            self.max_dataset_bytes.as_u64(),
            64 * KIB,
            1024 * GIB,
        )?;
        within(
            "stream_window_bytes",
            self.stream_window_bytes.as_u64(),
            64 * KIB,
            64 * MIB,
        )?;
        if self.request_memory_bytes < self.max_message_bytes {
            return Err(ConfigError::value(
                "request_memory_bytes",
                format!(
                    "{} is less than `max_message_bytes`, {}; a largest message would never fit",
                    self.request_memory_bytes.show(),
                    self.max_message_bytes.show()
                ),
            ));
        }
        within(
            "answer_memory_bytes",
            self.answer_memory_bytes.as_u64(),
            64 * MIB,
            1024 * GIB,
        )?;
        within(
            "dataset_memory_bytes",
            self.dataset_memory_bytes.as_u64(),
            64 * MIB,
            1024 * GIB,
        )?;
        at_least_a_second("answer_stall_timeout", self.answer_stall_timeout)?;
        at_least(
            "max_concurrent_streams",
            self.max_concurrent_streams as usize,
            1,
        )?;
        at_least("max_connections", self.max_connections, 1)?;
        at_least("max_total_streams", self.max_total_streams, 1)?;
        at_least("compute_queue", self.compute_queue, 1)?;
        at_least("reservoir_size", self.reservoir_size, 2)?;
        at_most("reservoir_size", self.reservoir_size, MAX_RESERVOIR_SIZE)?;
        at_most(
            "quarantine_days",
            self.quarantine_days as usize,
            MAX_QUARANTINE_DAYS,
        )?;
        at_most("compute_threads", self.compute_threads, MAX_COMPUTE_THREADS)?;
        at_least_a_second("arrival_timeout", self.arrival_timeout)?;
        at_least_a_second("keepalive_interval", self.keepalive_interval)?;
        at_least_a_second("keepalive_timeout", self.keepalive_timeout)?;
        for (option, duration) in [
            ("max_connection_age", self.max_connection_age),
            ("max_connection_idle", self.max_connection_idle),
        ] {
            if !duration.is_zero() {
                at_least_a_second(option, duration)?;
            }
        }
        self.log_level.parse::<Targets>().map_err(|error| {
            ConfigError::value(
                "log_level",
                format!(
                    "`{}` is not a filter: {error}; give a level, such as info, or directives, such as info,anomalyd::server=debug",
                    self.log_level
                ),
            )
        })?;
        Ok(())
    }
}

fn within(option: &'static str, bytes: u64, min: u64, max: u64) -> Result<(), ConfigError> {
    if (min..=max).contains(&bytes) {
        return Ok(());
    }
    Err(ConfigError::value(
        option,
        format!(
            "{} is out of range; give {} to {}",
            ByteSize(bytes).show(),
            ByteSize(min).show(),
            ByteSize(max).show()
        ),
    ))
}

fn at_least(option: &'static str, count: usize, min: usize) -> Result<(), ConfigError> {
    if count >= min {
        return Ok(());
    }
    Err(ConfigError::value(
        option,
        format!("{count} is too small; give at least {min}"),
    ))
}

fn at_most(option: &'static str, count: usize, max: usize) -> Result<(), ConfigError> {
    if count <= max {
        return Ok(());
    }
    Err(ConfigError::value(
        option,
        format!("{count} is too large; give at most {max}"),
    ))
}

fn at_least_a_second(option: &'static str, duration: Duration) -> Result<(), ConfigError> {
    if duration >= Duration::from_secs(1) {
        return Ok(());
    }
    Err(ConfigError::value(
        option,
        format!("{} is too short; give at least 1s", duration.show()),
    ))
}
