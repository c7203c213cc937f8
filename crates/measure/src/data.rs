//! Where real data is: `BATON_DATA`, or `../shared/data` beside the project.

use std::path::PathBuf;

use anyhow::bail;

/// The path of a data set's file.
///
/// # Errors
/// Where it is missing: says what it is and where it comes from.
pub(crate) fn file(set: &str, name: &str, source: &str) -> anyhow::Result<PathBuf> {
    let root = std::env::var_os("BATON_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    let path = root.join(set).join(name);
    if !path.is_file() {
        bail!(
            "{} is not there: this measure needs {source}. Set BATON_DATA to the folder that holds {set}/",
            path.display()
        );
    }
    Ok(path)
}
