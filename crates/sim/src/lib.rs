//! Seeded, scripted model servers.
//!
//! Tests, the demonstration and the simulation need models that fail, stall and lie on purpose and
//! do it again the same way. A [`Scenario`] says how each model behaves; a [`Sim`] decides from
//! (seed, model, call number, prompt) what each call does, as a [`Script`]; and the script is played
//! either over sockets ([`Sim::serve`]) or in memory ([`Sim::transport`]) on tokio's clock, which
//! may be paused. The bytes are written here by hand, not by Baton's own encoder, so that the decoder is
//! tested against something that it did not come from.
//!
//! Every response carries `x-baton-simulated: true`, and every answer
//! `"system_fingerprint": "baton-simulated"`. The scenario format is documented in `docs/simulator.md`.

mod answer;
mod batch;
mod batches;
mod behaviour;
mod cases;
mod date;
mod fault;
mod openai;
mod raw_fault;
mod rng;
mod routes;
mod scenario;
mod script;
mod server;
mod sim;
mod transport;
mod wrong;

pub use batches::{BatchBehaviour, BatchEnd};
pub use behaviour::{Behaviour, InBatch, Latency, Phase, Share, Speed};
pub use fault::{Fault, FaultShare, RetryAfter, StatusShare};
pub use scenario::{Scenario, ScenarioError};
pub use script::{Ending, Opening, Piece, Script, Truth};
pub use sim::{Sim, Stats};
pub use transport::MemoryTransport;

/// The response header that marks simulated traffic; its value is `true`.
pub const SIMULATED_HEADER: &str = "x-baton-simulated";
/// The `system_fingerprint` of every simulated answer.
pub const FINGERPRINT: &str = "baton-simulated";
