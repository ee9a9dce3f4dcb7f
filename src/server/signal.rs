//! The signals that stop the server.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::telemetry::logs;

/// Waits for SIGTERM or SIGINT. The first one completes the future; a second one ends the process at
/// once.
///
/// # Errors
/// When the operating system refuses to watch the signals.
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        either(&mut terminate, &mut interrupt).await;
        tokio::spawn(async move {
            let number = either(&mut terminate, &mut interrupt).await.as_raw_value();
            tracing::warn!("a second signal: exiting at once");
            logs::flush();
            // what a shell reports for a process that the signal ended
            std::process::exit(128 + number);
        });
    })
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) -> SignalKind {
    let (kind, name) = tokio::select! {
        _ = terminate.recv() => (SignalKind::terminate(), "SIGTERM"),
        _ = interrupt.recv() => (SignalKind::interrupt(), "SIGINT"),
    };
    tracing::info!(signal = name, "signal received");
    kind
}
