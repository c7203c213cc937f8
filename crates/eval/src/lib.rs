//! baton-eval
