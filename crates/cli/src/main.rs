//! `baton`: the control plane between a product and its language models.

mod commands;
mod exit;
mod lab;
mod reload;
mod retiring;
mod setup;
mod signals;
mod telemetry;
mod transports;
mod watch;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What is logged unless `BATON_LOG` says otherwise. A slow disk is not the user's to mend.
const LOGGED: &str = "warn,sqlx=error";

fn main() -> ExitCode {
    let arguments = commands::Arguments::parse();
    let json = arguments.json();
    if let Err(exit) = log() {
        return exit.report(json);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::Exit::outside(format!("no runtime could be started: {error}")).report(json),
    };
    match runtime.block_on(commands::dispatch(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(json),
    }
}

/// Logs to standard error: lines for people, or with `BATON_LOG_FORMAT=json` an object each.
fn log() -> Result<(), exit::Exit> {
    let filter = tracing_subscriber::EnvFilter::try_from_env("BATON_LOG").unwrap_or_else(|_| LOGGED.into());
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match std::env::var("BATON_LOG_FORMAT").as_deref() {
        Err(_) | Ok("" | "text") => log.with_ansi(std::io::stderr().is_terminal()).init(),
        Ok("json") => log.json().with_ansi(false).init(),
        Ok(other) => {
            return Err(exit::Exit::usage(format!("BATON_LOG_FORMAT: `{other}` is no format; write text or json")));
        }
    }
    Ok(())
}
