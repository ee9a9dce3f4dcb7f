//! Log lines on standard error, as text or JSON. No token is ever logged.

use std::fs::File;
use std::io::IsTerminal as _;
use std::os::fd::AsFd as _;
use std::sync::OnceLock;

use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use super::log_writer::LogWriter;
use crate::config::{Config, LogFormat};

/// What writes the log of this process.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

/// Why logs could not be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up logs: {0}")]
pub struct LogsError(#[source] Box<dyn std::error::Error + Send + Sync>);

/// Logs to standard error, as configured, panics included. A log that cannot be written, or that nobody reads, is lost in part.
///
/// # Errors
/// When the filter cannot be read, or logs were set up before.
pub fn init(config: &Config) -> Result<(), LogsError> {
    let stderr = std::io::stderr();
    let ansi = stderr.is_terminal();
    // a file of its own: a write that blocks does not hold the lock of the standard error
    let output = stderr.as_fd().try_clone_to_owned().map(File::from);
    let writer = output.and_then(LogWriter::start);
    let writer = writer.map_err(|error| LogsError(error.into()))?;
    let lines = writer.clone();
    subscriber(config.log_format, &config.log_level, ansi, move || {
        lines.clone()
    })?
    .try_init()
    .map_err(|error| LogsError(error.into()))?;
    WRITER.get_or_init(|| writer);
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!(
            location = panic.location().map(tracing::field::display),
            "panic: {}",
            panic.payload_as_str().unwrap_or("without a message")
        );
    }));
    Ok(())
}

/// Waits until what was logged is written; not for long, if nobody reads it. To be called before the process ends.
pub fn flush() {
    if let Some(writer) = WRITER.get() {
        writer.flush();
    }
}

fn subscriber<W>(
    format: LogFormat,
    filter: &str,
    ansi: bool,
    writer: W,
) -> Result<impl tracing::Subscriber + Send + Sync, LogsError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let filter: Targets = filter
        .parse()
        .map_err(|error: ParseError| LogsError(error.into()))?;
    let lines = fmt::layer().with_writer(writer);
    let lines = match format {
        LogFormat::Text => lines.with_ansi(ansi).boxed(),
        LogFormat::Json => lines
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .boxed(),
    };
    Ok(tracing_subscriber::registry().with(filter).with(lines))
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("lock").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(format: LogFormat, filter: &str) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber =
            subscriber(format, filter, false, move || writer.clone()).expect("valid filter");
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("rpc", call_id = "r1").entered();
            tracing::info!(rows = 3, "trained");
            tracing::debug!("quiet");
        });
        let bytes = lines.0.lock().expect("lock").clone();
        String::from_utf8(bytes).expect("utf-8")
    }

    #[test]
    fn json_lines_carry_fields_and_the_span() {
        let text = logged(LogFormat::Json, "info");
        let line: serde_json::Value = serde_json::from_str(text.trim()).expect("one JSON line");
        assert_eq!(line["message"], "trained");
        assert_eq!(line["rows"], 3);
        assert_eq!(line["span"]["call_id"], "r1");
    }

    #[test]
    fn the_filter_decides_what_is_written() {
        let text = logged(LogFormat::Text, "info");
        assert!(
            text.contains("trained") && text.contains("call_id=\"r1\""),
            "{text}"
        );
        assert!(!text.contains("quiet"));
        assert!(logged(LogFormat::Text, "debug").contains("quiet"));
    }
}
