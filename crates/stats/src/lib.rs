//! baton-stats
