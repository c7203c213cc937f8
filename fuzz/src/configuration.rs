//! `baton.toml` and one intent's files: a snapshot, or everything that is wrong with them.

use std::path::Path;

use baton_config::{Given, load};

/// The files that a script may hold; any other name is passed over.
const FILES: [&str; 6] = [
    "baton.toml",
    "intents/it/intent.toml",
    "intents/it/prompt.md",
    "intents/it/input.schema.json",
    "intents/it/output.schema.json",
    "intents/it/cases.jsonl",
];

/// Files one behind the other, each after a line `=== NAME`.
///
/// # Panics
/// Where a folder is refused without saying what is wrong and where, is accepted with something that
/// a call would stumble over, or compiles to another version the second time.
pub fn configuration(script: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), script);
    let given = Given { env: &|_| None, flags: &[], known_providers: &["openai"], price: &|_| None };
    match (load(folder.path(), &given), load(folder.path(), &given)) {
        (Ok(once), Ok(again)) => {
            for (name, plan) in &once.snapshot.intents {
                assert!(!plan.candidates.is_empty(), "{name} has no candidates");
                assert!(
                    plan.ceilings.latency_default <= plan.ceilings.latency,
                    "{name}: the default is over the ceiling"
                );
                assert!(plan.candidates.iter().all(|c| !c.timeout.is_zero()), "{name}: a model without time");
                assert_eq!(plan.hashes.policy, again.snapshot.intents[name].hashes.policy, "{name}");
            }
            for setting in &once.effective {
                assert!(!setting.key.is_empty());
            }
        }
        (Err(report), Err(_)) => assert!(!report.render(false).trim().is_empty(), "refused, and nothing said"),
        _ => panic!("the same folder is right and wrong"),
    }
}

fn write(folder: &Path, script: &[u8]) {
    let mut file: Option<(&str, Vec<u8>)> = None;
    let put = |file: Option<(&str, Vec<u8>)>| {
        let Some((name, bytes)) = file else { return };
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    for line in script.split_inclusive(|byte| *byte == b'\n') {
        let named = line.strip_prefix(b"=== ").and_then(|name| std::str::from_utf8(name.trim_ascii()).ok());
        match named.and_then(|named| FILES.into_iter().find(|name| *name == named)) {
            Some(name) => put(file.replace((name, Vec::new()))),
            None => {
                if let Some((_, bytes)) = &mut file {
                    bytes.extend_from_slice(line);
                }
            }
        }
    }
    put(file);
}
