//! baton-config
