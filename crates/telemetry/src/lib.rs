//! What leaves the system.
