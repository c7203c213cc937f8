//! baton-measure
