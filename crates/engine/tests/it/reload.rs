//! Another configuration while calls run.

use std::collections::HashSet;

use baton_core::{AttemptOutcome, ErrorCode, Status};
use baton_engine::Call;
use serde_json::json;
use tokio::time::{Duration, sleep};

use crate::house::{House, SORT, WRITE, read, settle, sort, write};
use crate::models::Says;

/// `sort`, which tells the version that it is by what it asks and whom it asks second.
fn version(n: usize) -> House {
    let second = if n.is_multiple_of(2) { "b" } else { "c" };
    let policy = SORT.replace("\"b\"", &format!("\"{second}\"")).replace("[cache]", "[retry]\nmax = 0\n[cache]");
    let prompt = format!("## system\n\nVersion {n}.\n\n## user\n\n{{{{ input }}}}\n");
    let baton = "[providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\n\
                 [models.a]\nid = \"sim/a\"\n[models.b]\nid = \"sim/b\"\n[models.c]\nid = \"sim/c\"\n";
    House::sort(&policy).with("baton.toml", baton).with("intents/sort/prompt.md", &prompt)
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_keep_the_version_that_they_began_with() {
    let open = version(0).open();
    open.models.say("a", &[Says::Status(100, 500)]);
    open.models.say("b", &[Says::Text(100, "bug")]);
    open.models.say("c", &[Says::Text(100, "bug")]);
    let mut running = Vec::new();
    let mut versions = Vec::new();
    for n in 0..200 {
        // A swap each 40 calls, while all of those before wait for their first model.
        if n > 0 && n % 40 == 0 {
            let changes = open.orchestrator.reload(version(n / 40).snapshot()).unwrap();
            assert_eq!(changes.changed, ["sort".into()], "{changes}");
        }
        let sort_is = open.orchestrator.snapshot().intents[&"sort".into()].hashes.policy[..8].to_owned();
        versions.push(sort_is);
        let mut call = sort(&format!("ticket {n}"));
        call.session = Some(n.to_string());
        let orchestrator = open.orchestrator.clone();
        running.push(tokio::spawn(async move { orchestrator.execute(call).await }));
        tokio::task::yield_now().await;
    }
    for call in running {
        call.await.unwrap().unwrap();
    }
    let records = open.records();
    assert_eq!(records.len(), 200);
    for record in records {
        let n: usize = record.session.as_ref().unwrap().parse().unwrap();
        assert_eq!(record.version, versions[n], "call {n}");
        let second = if (n / 40).is_multiple_of(2) { "sim/b" } else { "sim/c" };
        assert_eq!(record.model.unwrap().as_str(), second, "call {n}");
    }
    // Each prompt is that of its version: 40 of each, asked twice.
    for n in 0..5 {
        let asked = open.models.asked();
        let of_it = asked.iter().filter(|asked| asked.prompt.starts_with(&format!("Version {n}.")));
        assert!(of_it.clone().count() >= 40, "version {n}: {}", of_it.count());
    }
    assert_eq!(versions.iter().collect::<HashSet<_>>().len(), 5);
    let configuration = open.orchestrator.configuration();
    assert_eq!((configuration.applied, configuration.refused), (4, None));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_one_is_refused_as_a_whole() {
    let open = House::sort(SORT).open();
    open.models.say("a", &[Says::Text(1, "bug")]);
    let before = open.orchestrator.configuration();
    let keyless = "[providers.sim]\nkind = \"simulated\"\nscenario = \"scenario.toml\"\n\
                   [providers.house]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
                   api_key = { env = \"BATON_TEST_NO_SUCH_KEY\" }\n\
                   [models.a]\nid = \"house/a\"\n[models.b]\nid = \"sim/b\"\n";
    let wrong = || House::sort(SORT).with("baton.toml", keyless).snapshot();
    let error = open.orchestrator.reload(wrong()).unwrap_err();
    assert!(error.to_string().contains("BATON_TEST_NO_SUCH_KEY"), "{error}");
    sleep(Duration::from_secs(5)).await;
    assert!(open.orchestrator.reload(wrong()).is_err());
    let after = open.orchestrator.configuration();
    assert_eq!((after.hash, after.since_us, after.refusals), (before.hash, before.since_us, 2));
    let refused = after.refused.unwrap();
    assert_eq!(refused.since_us, before.since_us, "since the first of them");
    assert!(refused.reason.contains("BATON_TEST_NO_SUCH_KEY"));
    assert_eq!(open.told(sort("it broke")).await.unwrap().0, json!({ "label": "bug" }));

    // Back to what is in force: nothing to do, and nothing is refused any more.
    assert!(open.orchestrator.reload(House::sort(SORT).snapshot()).unwrap().is_empty());
    let after = open.orchestrator.configuration();
    assert_eq!((after.refused, after.unchanged, after.applied), (None, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn what_is_known_of_an_endpoint_survives_and_what_is_remembered_too() {
    let open = House::sort(SORT).open();
    open.models.say("a", &[Says::Status(1, 401)]);
    open.models.say("b", &[Says::Text(1, "bug")]);
    open.execute(sort("one")).await.unwrap();
    let is_open = |name: &str| {
        let lanes = open.orchestrator.lanes();
        lanes.iter().find(|lane| lane.model.as_str() == name).unwrap().open_for.is_some()
    };
    assert!(is_open("sim/a"));
    let another = SORT.replace("ttl = \"10s\"", "ttl = \"20s\"");
    let changes = open.orchestrator.reload(
        House::sort(&another)
            .with("intents/write/intent.toml", WRITE)
            .with("intents/write/prompt.md", "## user\n\n{{ topic }}\n")
            .snapshot(),
    );
    assert_eq!(changes.unwrap().to_string(), "added write; changed sort");
    assert_eq!((is_open("sim/a"), is_open("sim/b")), (true, false));
    // Another ttl is the same answer: it is still remembered.
    let (_, via) = open.told(sort("one")).await.unwrap();
    assert_eq!(via.as_str(), "cache-exact");
    open.execute(sort("two")).await.unwrap();
    let outcomes: Vec<_> = open.records()[2].attempts.iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes, [AttemptOutcome::BreakerOpen, AttemptOutcome::Passed], "nobody waits for it again");
}

#[tokio::test(start_paused = true)]
async fn another_key_or_address_is_another_lane() {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let house = |port: u16| {
        let baton = format!(
            "[providers.sim]\nkind = \"openai-compatible\"\nbase_url = \"http://127.0.0.1:{port}/v1\"\n\
             api_key = {{ file = \"{}\" }}\n[models.a]\nid = \"sim/a\"\n[models.b]\nid = \"sim/b\"\n",
            key.display()
        );
        House::sort(SORT).with("baton.toml", &baton)
    };
    std::fs::write(&key, "one\n").unwrap();
    let open = house(1).open();
    open.models.say("a", &[Says::Status(1, 401)]);
    open.models.say("b", &[Says::Text(1, "bug")]);
    open.execute(sort("one")).await.unwrap();
    let is_open = || open.orchestrator.lanes()[0].open_for.is_some();
    assert!(is_open());

    std::fs::write(&key, " one").unwrap();
    assert!(open.orchestrator.reload(house(1).snapshot()).unwrap().is_empty(), "the same key");
    assert!(is_open());

    std::fs::write(&key, "two").unwrap();
    let changes = open.orchestrator.reload(house(1).snapshot()).unwrap();
    assert_eq!(changes.to_string(), "providers: sim");
    assert!(!is_open(), "a new key has done nothing wrong");

    std::fs::write(&key, "one").unwrap();
    open.orchestrator.reload(house(1).snapshot()).unwrap();
    assert!(is_open(), "and the old one is as it was");

    let changes = open.orchestrator.reload(house(2).snapshot()).unwrap();
    assert_eq!(changes.to_string(), "changed sort; baton.toml: [providers]; providers: sim");
    assert!(!is_open());
}

#[tokio::test(start_paused = true)]
async fn a_removed_intent_is_unknown_to_new_calls_and_running_ones_finish() {
    let open = House::write(WRITE).with("intents/sort/intent.toml", SORT).open();
    open.models.say("a", &[Says::Pieces(&[(10, "once"), (100, " upon"), (100, " a time")])]);
    let running = open.orchestrator.start(write("kings"));
    let reading = tokio::spawn(read(running.events));
    sleep(Duration::from_millis(50)).await;
    let changes = open.orchestrator.reload(House::sort(SORT).snapshot()).unwrap();
    assert_eq!(changes.removed, ["write".into()]);
    assert_eq!(open.told(write("queens")).await.unwrap_err(), ErrorCode::UnknownIntent);
    assert_eq!(reading.await.unwrap(), ["start sim/a", "once", " upon", " a time", "end model"]);
    settle().await;
    let statuses = open.statuses();
    assert_eq!(statuses, [Status::Failed, Status::Succeeded]);
    assert_eq!(open.records()[1].intent, Some("write".into()));
}

#[tokio::test(start_paused = true)]
async fn local_learns_the_new_cases_before_it_answers() {
    let policy = "models = [\"local\"]\nlocal.cut = 0\n[labels]\nbilling = \"\"\nbug = \"\"\n";
    let cases = |a: &str, b: &str| {
        let case = |text: &str, label: &str| {
            format!("{}\n", json!({ "input": text, "expected": { "label": label }, "share": "examples" }))
        };
        case("the page crashed", a) + &case("the invoice is wrong", b)
    };
    let house = |cases: String| House::sort(policy).with("intents/sort/cases.jsonl", &cases);
    let open = house(cases("bug", "billing")).open();
    let ask = || open.told(Call::intent("sort", json!("the page crashed again")));
    assert_eq!(ask().await.unwrap().0, json!({ "label": "bug" }));
    open.orchestrator.reload(house(cases("billing", "bug")).snapshot()).unwrap();
    assert_eq!(ask().await.unwrap().0, json!({ "label": "billing" }));
}
