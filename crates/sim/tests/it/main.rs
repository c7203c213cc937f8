//! The simulator from outside: its bytes, its clock, its chances, its sockets.

mod chance;
mod clock;
mod faults;
mod prompts;
mod scenario;
mod sockets;
mod support;
