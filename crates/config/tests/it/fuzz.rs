//! Whatever the files hold, loading ends with a snapshot or a report, never a panic.

use proptest::prelude::*;

use crate::folder::Folder;

const FILES: [&str; 6] = [
    "baton.toml",
    "intents/a/intent.toml",
    "intents/a/prompt.md",
    "intents/a/input.schema.json",
    "intents/a/output.schema.json",
    "intents/a/cases.jsonl",
];

/// A folder that uses every file; fields of the output are optional so that edits keep it alive.
fn whole() -> [(&'static str, String); 6] {
    let intent = "models = [\"gpt\", \"house/x\"]\nexamples = 1\non_exhausted = { default = { total = 1 } }\n\
                  [objective]\nlatency_ms = 100\n[cache]\nttl = \"1h\"\npartition = [\"metadata.a\"]\n\
                  [[checks]]\ntype = \"range\"\nfield = \"total\"\nmin = 0\n";
    let baton = "[models.gpt]\nid = \"openai/gpt\"\nprice = { input = \"1 USD/M\", output = \"2 USD/M\" }\n\
                 [providers.house]\nkind = \"openai-compatible\"\nbase_url = \"http://h/v1\"\napi_key = { env = \"K\" }\n\
                 [teams.t]\nintents = [\"a\"]\n[store]\nurl = \"sqlite://.baton\"\n";
    let prompt =
        "## system\nFill in {{ output_schema }}\n## user\n{{ text }}{% for n in range(2) %}{{ n }}{% endfor %}\n";
    let input = r#"{"type": "object", "properties": {"text": {"type": "string", "default": "é"}}, "$defs": {"a": {}}}"#;
    let output =
        r##"{"type": "object", "properties": {"total": {"$ref": "#/$defs/n"}}, "$defs": {"n": {"type": "number"}}}"##;
    let cases = "{\"input\": {\"text\": \"12 €\"}, \"expected\": {\"total\": 12}, \"share\": \"examples\"}\n";
    let texts = [baton, intent, prompt, input, output, cases].map(str::to_owned);
    let mut texts = texts.into_iter();
    FILES.map(|file| (file, texts.next().unwrap_or_default()))
}

fn check(files: &[(&str, Vec<u8>)]) {
    let folder = files.iter().fold(Folder::default(), |f, (path, text)| f.with(path, text));
    if let Err(report) = folder.load() {
        assert!(report.diagnostics.iter().all(|d| d.line > 0 && d.column > 0 && !d.message.is_empty()));
        assert!(!report.render(false).is_empty());
    }
}

#[test]
fn the_folder_that_is_edited_is_whole() {
    let folder = whole().iter().fold(Folder::default(), |f, (path, text)| f.with(path, text));
    assert!(folder.diagnostics().is_empty(), "{}", folder.diagnostics());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn arbitrary_bytes_in_any_file(file in 0..FILES.len(), bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut files = whole().map(|(path, text)| (path, text.into_bytes()));
        files[file].1 = bytes;
        check(&files);
    }

    #[test]
    fn edits_of_valid_files(
        edits in proptest::collection::vec((0..FILES.len(), any::<prop::sample::Index>(), 0..8_usize, "[ -~é\n]{0,6}"), 1..4),
    ) {
        let mut files = whole();
        for (file, at, length, new) in &edits {
            let text = &mut files[*file].1;
            let bounds: Vec<usize> = text.char_indices().map(|(n, _)| n).collect();
            if bounds.is_empty() {
                continue;
            }
            let start = at.index(bounds.len());
            let end = bounds.get(start + length).copied().unwrap_or(text.len());
            text.replace_range(bounds[start]..end, new);
        }
        check(&files.map(|(path, text)| (path, text.into_bytes())));
    }
}

#[test]
fn deep_nesting_and_long_names_end() {
    let deep = "[".repeat(50_000);
    let keys = vec!["a"; 50_000].join(".");
    let braces = "{\"properties\":{\"a\":".repeat(50_000);
    for (path, text) in [
        ("intents/a/intent.toml", format!("models = {deep}")),
        ("intents/a/intent.toml", format!("{keys} = 1")),
        ("intents/a/intent.toml", format!("[{keys}]")),
        ("baton.toml", format!("{keys} = {deep}")),
        ("intents/a/output.schema.json", braces.clone()),
        ("intents/a/input.schema.json", braces),
        ("intents/a/prompt.md", format!("{{{{ {}", "(".repeat(50_000))),
        ("intents/a/prompt.md", "{% if a %}".repeat(5_000)),
        ("intents/a/cases.jsonl", format!("{{\"input\": {deep}")),
    ] {
        let mut files = whole().map(|(path, text)| (path, text.into_bytes()));
        for file in files.iter_mut().filter(|(name, _)| *name == path) {
            file.1 = text.clone().into_bytes();
        }
        check(&files);
    }
}
