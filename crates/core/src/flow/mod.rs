//! How many calls go to a lane at a time, and who waits for the next place.

#[cfg(test)]
mod closed_loop;
mod gate;
mod limiter;
mod queue;

pub use gate::{Claimant, Gate};
pub use limiter::{Limiter, Signal};
pub use queue::{FairQueue, Ticket, may_hold_more};
