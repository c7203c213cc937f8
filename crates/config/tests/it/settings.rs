//! Where each setting comes from.

use baton_config::{Durability, Origin, Secret, Topic};

use crate::folder::Folder;

#[test]
fn flags_win_over_the_environment_over_files_over_defaults() {
    let file = Folder::smallest().with("baton.toml", "[store]\n\nurl = \"sqlite://file\"\n");
    let environment = file.clone().env("BATON_STORE_URL", "sqlite://env").env("BATON_STORE_DURABILITY", "machine");
    let flag = [("store-url", "sqlite:///flag")];
    let empty = file.clone().env("BATON_STORE_URL", "");
    for (folder, flags, store, durability, origin) in [
        (Folder::smallest(), &[][..], ".baton", Durability::Process, "default"),
        (file, &[], "file", Durability::Process, "baton.toml:3"),
        (empty, &[], "file", Durability::Process, "baton.toml:3"),
        (environment.clone(), &[], "env", Durability::Machine, "BATON_STORE_URL"),
        (environment, &flag, "/flag", Durability::Machine, "--store-url"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let loaded = folder.load_in(dir.path(), flags).unwrap_or_else(|report| panic!("{report}"));
        assert_eq!(loaded.snapshot.store.dir, dir.path().join(store));
        assert_eq!(loaded.snapshot.store.durability, durability);
        let url = loaded.effective.iter().find(|e| e.key == "store.url").unwrap();
        assert_eq!(url.origin.to_string().replace(&format!("{}/", dir.path().display()), ""), origin);
    }
}

#[test]
fn every_setting_is_listed_with_its_origin() {
    let folder = Folder::smallest().with(
        "intents/classify-ticket/intent.toml",
        "models = [\"openai/x\"]\n[labels]\na = \"\"\nb = \"\"\n[[checks]]\ntype = \"length\"\nmax = 5\n[retry]\nmax = 1\n",
    );
    let dir = tempfile::tempdir().unwrap();
    let loaded = folder.load_in(dir.path(), &[]).unwrap_or_else(|report| panic!("{report}"));
    let line = |e: &baton_config::Effective| format!("{} = {} ({})\n", e.key, e.value, e.origin);
    let shown: String = loaded.effective.iter().map(line).collect();
    let prefix = format!("{}/intents/classify-ticket/", dir.path().display());
    insta::assert_snapshot!(shown.replace(&prefix, ""), @r#"
    store.url = "sqlite://.baton" (default)
    store.durability = "process" (default)
    server.max_running = 16384 (default)
    server.queue_max = 1024 (default)
    intents.classify-ticket.models = ["openai/x"] (intent.toml:1)
    intents.classify-ticket.route = "ordered" (default)
    intents.classify-ticket.on_exhausted = "error" (default)
    intents.classify-ticket.examples = 0 (default)
    intents.classify-ticket.stream_unverified = false (default)
    intents.classify-ticket.labels.a = "" (intent.toml:3)
    intents.classify-ticket.labels.b = "" (intent.toml:4)
    intents.classify-ticket.objective.quality = 0.95 (default)
    intents.classify-ticket.objective.confidence = 0.9 (default)
    intents.classify-ticket.objective.unproven = "pass" (default)
    intents.classify-ticket.objective.latency_ms = 30000 (default)
    intents.classify-ticket.retry.max = 1 (intent.toml:9)
    intents.classify-ticket.hedge.max_share = 0.05 (default)
    intents.classify-ticket.stream.first_token = "30s" (default)
    intents.classify-ticket.stream.idle = "20s" (default)
    intents.classify-ticket.stream.total = "10m" (default)
    intents.classify-ticket.stream.min_bytes_per_second = 4 (default)
    intents.classify-ticket.stream.grace = "30s" (default)
    intents.classify-ticket.cache.partition = [] (default)
    intents.classify-ticket.cache.ttl = "0s" (default)
    intents.classify-ticket.checks[0].type = "length" (intent.toml:6)
    intents.classify-ticket.checks[0].on_fail = "gate" (default)
    intents.classify-ticket.checks[0].max = 5 (intent.toml:7)
    intents.classify-ticket.privacy.store = "full" (default)
    intents.classify-ticket.privacy.keep = "30d" (default)
    "#);
    assert!(loaded.effective.iter().any(|e| e.origin == Origin::Default));
}

#[test]
fn webhooks_take_everything_where_they_name_nothing() {
    let hooks = "[[webhooks]]\nurl = \"https://a.example/x?y\"\nsecret = { env = \"A\" }\n\
                 [[webhooks]]\nurl = \"http://127.0.0.1:9/\"\nsecret = { file = \"b\" }\nevents = [\"journal\", \"budget\", \"journal\"]\n";
    let dir = tempfile::tempdir().unwrap();
    let loaded = Folder::smallest().with("baton.toml", hooks).load_in(dir.path(), &[]);
    let loaded = loaded.unwrap_or_else(|report| panic!("{report}"));
    assert!(loaded.warnings.is_empty());
    let [all, some] = &loaded.snapshot.webhooks[..] else { panic!("two are written") };
    assert_eq!((all.topics.as_slice(), &all.secret), (&Topic::ALL[..], &Secret::Env("A".into())));
    assert_eq!(some.topics, [Topic::Budget, Topic::Journal]);
    assert_eq!(some.secret, Secret::File(dir.path().join("b")));
}
