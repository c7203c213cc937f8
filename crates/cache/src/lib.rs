//! baton-cache
