//! Dependencies point inward, as the whiteboard draws them.

use toml::{Table, Value};

use super::{Finding, Text};

/// The whiteboard from the inside to the outside: a crate may depend on those of earlier rows.
const ROWS: &[&[&str]] = &[
    &["stats"],
    &["core"],
    &["config", "wire", "embed"],
    &["provider", "local", "cache", "store", "eval", "telemetry"],
    &["engine"],
    &["lab"],
    &["gateway"],
    &["cli"],
];
/// Beside the rows: what they may depend on, and who may depend on them.
const SIM_USES: &[&str] = &["stats", "core", "wire"];
const SIM_USERS: &[&str] = &["cli", "measure"];

/// Crates that are pure: no runtime, no network, no clock, no randomness, no files.
const PURE: &[&str] = &["stats", "core", "eval"];
const IMPURE: &[&str] = &[
    "async-std",
    "axum",
    "chrono",
    "fastrand",
    "futures-util",
    "getrandom",
    "hyper",
    "hyper-rustls",
    "hyper-util",
    "jiff",
    "rand",
    "reqwest",
    "rustls",
    "smol",
    "sqlx",
    "time",
    "tokio",
    "tokio-util",
    "tower",
];

pub(super) fn findings(files: &[Text]) -> Vec<Finding> {
    let manifests = files.iter().filter(|file| file.path.starts_with("crates/") && file.path.ends_with("/Cargo.toml"));
    manifests.flat_map(manifest).collect()
}

fn manifest(file: &Text) -> Vec<Finding> {
    let table: Table = match file.content.parse() {
        Ok(table) => table,
        Err(error) => return vec![Finding::new(&file.path, 1, format!("is not TOML: {error}"))],
    };
    let name = file.path.trim_start_matches("crates/").trim_end_matches("/Cargo.toml");
    let mut findings = Vec::new();
    let package = format!("baton-{name}");
    if table.get("package").and_then(|package| package.get("name")).and_then(Value::as_str) != Some(&package) {
        findings.push(Finding::new(&file.path, 1, format!("the package in crates/{name} is named `{package}`")));
    }
    if table.get("lints").and_then(|lints| lints.get("workspace")).and_then(Value::as_bool) != Some(true) {
        findings.push(Finding::new(&file.path, 1, "add `[lints] workspace = true`"));
    }
    for dependency in dependencies(&table) {
        if let Some(says) = refused(name, &dependency) {
            findings.push(Finding::new(&file.path, line_of(&file.content, &dependency), says));
        }
    }
    findings
}

/// The names of all dependencies but those of tests alone.
fn dependencies(table: &Table) -> Vec<String> {
    let targets = table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let tables = std::iter::once(table).chain(targets.filter_map(Value::as_table));
    let kinds = ["dependencies", "build-dependencies"];
    let sections = tables.flat_map(|table| kinds.iter().filter_map(|kind| table.get(*kind)?.as_table()));
    let name = |(key, value): (&String, &Value)| {
        value.get("package").and_then(Value::as_str).map_or_else(|| key.clone(), str::to_owned)
    };
    sections.flat_map(|section| section.iter().map(name)).collect()
}

fn row(name: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&name))
}

/// Why `name` may not depend on `dependency`.
fn refused(name: &str, dependency: &str) -> Option<String> {
    let Some(used) = dependency.strip_prefix("baton-") else {
        let impure = PURE.contains(&name) && IMPURE.contains(&dependency);
        return impure.then(|| format!("`{name}` is pure: it may not depend on `{dependency}`"));
    };
    let unknown =
        |name: &str| format!("`{name}` is not on the whiteboard: say in xtask/src/tidy/crates.rs where it stands");
    let points_outward =
        || format!("`{name}` may not depend on `{used}`: dependencies point inward, see ARCHITECTURE.md");
    match (name, used) {
        (_, "measure") => Some(format!("`{name}` may not depend on `measure`: it is run, never used")),
        ("measure", _) => None,
        ("sim", used) => (!SIM_USES.contains(&used)).then(points_outward),
        (name, "sim") => (!SIM_USERS.contains(&name)).then(|| {
            format!("`{name}` may use `sim` in its tests only: simulated models are never linked into what is shipped")
        }),
        (name, used) => match (row(name), row(used)) {
            (None, _) => Some(unknown(name)),
            (_, None) => Some(unknown(used)),
            (Some(from), Some(to)) => (from <= to).then(points_outward),
        },
    }
}

fn line_of(content: &str, dependency: &str) -> usize {
    let names = |line: &str| {
        let line = line.trim_start();
        line.starts_with(dependency) && line[dependency.len()..].starts_with(['.', ' ', '='])
            || line.ends_with(&format!(".{dependency}]"))
            || line.contains(&format!("\"{dependency}\""))
    };
    content.lines().position(names).map_or(1, |line| line + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, dependency: &str, says: Option<&str>) {
        let content = format!(
            "[package]\nname = \"baton-{name}\"\n[lints]\nworkspace = true\n[dependencies]\nserde = \"1\"\n{dependency}\n"
        );
        let findings = findings(&[Text { path: format!("crates/{name}/Cargo.toml"), content }]);
        match says {
            None => assert_eq!(findings, []),
            Some(says) => {
                assert_eq!(findings.len(), 1, "{findings:?}");
                assert!(findings[0].says.contains(says), "{}", findings[0]);
                assert_eq!(findings[0].line, 7);
            }
        }
    }

    #[test]
    fn dependencies_point_inward() {
        check("engine", "baton-core.workspace = true", None);
        check("config", "baton-core = { path = \"../core\" }", None);
        check("core", "baton-config.workspace = true", Some("`core` may not depend on `config`"));
        check("core", "other = { package = \"baton-wire\", path = \"\" }", Some("`core` may not depend on `wire`"));
        check("provider", "baton-store.workspace = true", Some("point inward"));
        check("engine", "baton-new.workspace = true", Some("`new` is not on the whiteboard"));
        check("new", "baton-core.workspace = true", Some("`new` is not on the whiteboard"));
    }

    #[test]
    fn sim_and_measure_stand_aside() {
        check("sim", "baton-wire.workspace = true", None);
        check("sim", "baton-engine.workspace = true", Some("`sim` may not depend on `engine`"));
        check("cli", "baton-sim.workspace = true", None);
        check("engine", "baton-sim.workspace = true", Some("in its tests only"));
        check("measure", "baton-gateway.workspace = true", None);
        check("cli", "baton-measure.workspace = true", Some("never used"));
        check("engine", "[dev-dependencies]\nbaton-sim.workspace = true", None);
    }

    #[test]
    fn the_core_is_pure() {
        check("core", "tokio.workspace = true", Some("`core` is pure"));
        check("engine", "tokio.workspace = true", None);
        check("core", "[build-dependencies.rand]", Some("`core` is pure"));
        check("core", "[target.'cfg(unix)'.dependencies]\n", None);
    }
}
