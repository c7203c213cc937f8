//! When a server is told to stop.

use tokio::signal::unix::{SignalKind, signal};

use crate::exit::tell;

/// Ctrl-C or SIGTERM.
pub(crate) async fn stop() {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return tokio::signal::ctrl_c().await.unwrap_or_default();
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
}

/// The same once more: whoever asks twice does not want to wait. What is answered is recorded; open
/// streams are recorded as interrupted at the next start.
pub(crate) async fn again() {
    stop().await;
    tell!("cut");
    std::process::exit(3);
}
