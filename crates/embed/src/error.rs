//! What can be wrong with weights, and what to do about it.

use std::path::PathBuf;

use crate::NAMES;

/// Why there is no embedder.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no embedding `{name}`; there are: {}", NAMES.join(", "))]
    Unknown { name: String },
    #[error("{} is not there: run `baton embeddings pull {name}`", path.display())]
    Missing { name: &'static str, path: PathBuf },
    #[error("cannot read {}: {source}", path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("{} is not what `{name}` needs: {what}; `baton embeddings pull {name}` fetches it again", path.display())]
    Broken { name: &'static str, path: PathBuf, what: String },
}
