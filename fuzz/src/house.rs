//! The folder `fuzz/house`, compiled: intents of every kind, for targets that need some.

use std::path::Path;

use baton_config::{Given, Snapshot, load};

/// Everything that the folder says.
pub(crate) fn snapshot() -> Snapshot {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("house");
    let given = Given { env: &|_| None, flags: &[], known_providers: &[], price: &|_| None };
    match load(&folder, &given) {
        Ok(loaded) => loaded.snapshot,
        Err(report) => panic!("{}", report.render(false)),
    }
}
