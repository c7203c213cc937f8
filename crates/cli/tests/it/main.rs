//! The real binary, as a user runs it: in folders of its own, with an environment of its own.

mod commands;
mod folder;
mod http;
mod models;
mod serving;
