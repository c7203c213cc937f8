//! baton-local
