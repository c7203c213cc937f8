//! `baton`: the control plane between a product and its language models.

mod commands;
mod exit;
mod lab;
mod reload;
mod setup;
mod signals;
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
    let filter = tracing_subscriber::EnvFilter::try_from_env("BATON_LOG").unwrap_or_else(|_| LOGGED.into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::Exit::outside(format!("no runtime could be started: {error}")).report(json),
    };
    match runtime.block_on(commands::dispatch(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(json),
    }
}
