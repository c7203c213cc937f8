//! The bounds of the gateway: everything that a client could make grow has one.

use std::time::Duration;

/// See the module. [`Default`] is what `baton serve` uses.
#[derive(Clone, Debug)]
pub struct GatewayOptions {
    /// The largest body of a request, in bytes; more is `body_too_large`.
    pub max_body_bytes: usize,
    /// How deep a body may nest; more is `invalid_json`.
    pub max_json_depth: usize,
    /// The most bytes of a request's headers; also the read buffer of a connection. At least 8192.
    /// Over it, or over 100 header lines, is 431.
    pub max_header_bytes: usize,
    /// From the connection to the first request's last header; from its headers to the body's end.
    pub read_timeout: Duration,
    /// How long a connection may stay open between requests.
    pub idle_timeout: Duration,
    /// How long a write to a client may wait for it to read; then the connection is closed, and its
    /// calls are cancelled.
    pub write_timeout: Duration,
    /// Connections at a time; more wait in the system's queue.
    pub max_connections: usize,
    /// Executions at a time, where the configuration does not say less; more are refused with `queue_full`. Of the last ninth only what other
    /// teams leave free is a team's: see [`baton_core::may_hold_more`].
    pub max_running: usize,
    /// How often a silent stream is given a comment, so that nobody in between closes it.
    pub keep_alive: Duration,
    /// At shutdown, how long `/readyz` says 503 while calls are still taken, so that a load
    /// balancer looks away first. Zero: stop taking connections at once.
    pub shutdown_delay: Duration,
    /// At shutdown, how long open calls and streams may take to end before they are cut.
    pub shutdown_grace: Duration,
    /// Whether everybody may call while the store has no keys. [`serve`](crate::serve) forbids it
    /// on any address but loopback.
    pub open_without_keys: bool,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        Self {
            max_body_bytes: 4 << 20,
            max_json_depth: 64,
            max_header_bytes: 16 << 10,
            read_timeout: Duration::from_secs(15),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(30),
            max_connections: 16_384,
            max_running: usize::MAX,
            keep_alive: Duration::from_secs(10),
            shutdown_delay: Duration::ZERO,
            shutdown_grace: Duration::from_secs(30),
            open_without_keys: true,
        }
    }
}
