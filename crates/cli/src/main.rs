//! `baton`: the control plane between a product and its language models.

mod commands;
mod exit;
mod lab;
mod log;
mod reload;
mod retiring;
mod setup;
mod signals;
mod telemetry;
mod transports;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = commands::Arguments::parse();
    let json = arguments.json();
    let ended = match log::start(arguments.serves()) {
        Ok(()) => run(arguments, json),
        Err(exit) => exit.report(json),
    };
    log::flush();
    ended
}

fn run(arguments: commands::Arguments, json: bool) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return exit::Exit::outside(format!("no runtime could be started: {error}")).report(json),
    };
    match runtime.block_on(commands::dispatch(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(exit) => exit.report(json),
    }
}
