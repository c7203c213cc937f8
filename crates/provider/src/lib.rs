//! baton-provider
