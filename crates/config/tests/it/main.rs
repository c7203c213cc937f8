//! Folders in, snapshots or diagnostics out.

mod compiles;
mod folder;
