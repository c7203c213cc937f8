//! The embeddings that measures compare texts by: weights from `BATON_EMBEDDINGS`, or `target/embeddings`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use baton_embed::Embedder;

/// An embedder under the name that it was asked for by.
pub(crate) struct Named {
    pub(crate) name: String,
    pub(crate) embedder: Arc<dyn Embedder>,
}

/// Opens them in this order.
///
/// # Errors
/// Where a name is unknown or its weights are not there.
pub(crate) fn open(names: &[String]) -> anyhow::Result<Vec<Named>> {
    let folder = std::env::var_os("BATON_EMBEDDINGS").map_or_else(|| PathBuf::from("target/embeddings"), PathBuf::from);
    let open = |name: &String| {
        let embedder = baton_embed::open(name, &folder).with_context(|| {
            format!("--embedding {name}: set BATON_EMBEDDINGS to the folder that holds its weights")
        })?;
        Ok(Named { name: name.clone(), embedder })
    };
    names.iter().map(open).collect()
}
