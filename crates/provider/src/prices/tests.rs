//! The embedded data is whole, and a model finds its own row and no other's.

use super::*;

fn at(day: &str) -> i64 {
    day.parse::<Day>().unwrap().start_us()
}

#[test]
fn the_embedded_list_is_whole() {
    let list = PriceList::parse(include_str!("prices.json")).unwrap();
    assert_eq!(&list, PriceList::built_in());
    assert!(list.sources.iter().all(|source| source.wheel_sha256.len() == 64 && !source.version.is_empty()));
    // Those that run on one's own machine have no list price.
    for vendor in crate::VENDORS.iter().filter(|vendor| vendor.key_env.is_some()) {
        assert!(list.vendors.get(vendor.name).is_some_and(|models| !models.is_empty()), "{}", vendor.name);
    }
    for vendor in list.vendors.keys().chain(list.retires.keys()) {
        assert!(crate::vendor(vendor).is_some(), "{vendor}");
    }
}

#[test]
fn a_model_finds_its_own_price() {
    let input = |model: &str| {
        let row = list_price(model)?.at(at("2026-11-20"))?.clone();
        Some(row.price.rates.input_per_million.to_string())
    };
    for (model, dollars) in [
        ("openai/gpt-4o-mini", Some("0.15")),
        ("openai/gpt-4o-mini-2024-07-18", Some("0.15")),
        ("openai/GPT-4o-mini", Some("0.15")),
        ("openai/gpt-4o-2024-05-13", Some("5")),
        ("openai/gpt-4o-unheard-of", None),
        ("openai/gpt-99", None),
        ("openai/whisper-1", None),
        ("anthropic/claude-sonnet-4-20250514", Some("3")),
        ("anthropic/claude-haiku-5-5-20261101", Some("0.1")),
        ("anthropic/claude-haiku-5-5-2026", None),
        ("gemini/gemini-2.5-pro", Some("1.25")),
        ("mistral/mistral-large-2411", Some("2")),
        ("groq/llama-3.1-8b-instant", Some("0.05")),
        ("openrouter/openai/gpt-4o-mini", Some("0.15")),
        ("house/gpt-4o-mini", None),
        ("ollama/llama3", None),
        ("local", None),
    ] {
        assert_eq!(input(model).as_deref(), dollars, "{model}");
    }
}

#[test]
fn patterns_fit_names() {
    for (pattern, name, does) in [
        ("a-####-##-##", "a-2026-01-01", true),
        ("a-####-##-##", "a-2026-01-0x", false),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*-tts", "x-tts", true),
        ("*-tts", "x-tts-1", false),
        ("*b*c", "abbxc", true),
        ("*b*c", "abbx", false),
        ("", "", true),
        ("", "a", false),
    ] {
        assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), does, "{pattern} {name}");
    }
}

#[test]
fn what_is_no_list_is_refused_by_name() {
    let with = |rows: &str| {
        format!("{{\"sources\":[],\"vendors\":{{\"openai\":[{{\"id\":\"m\",\"names\":[\"m\"],\"rows\":[{rows}]}}]}}}}")
    };
    assert!(PriceList::parse(&with(r#"{"input":"1","output":"2"}"#)).is_ok());
    for (text, says) in [
        ("{".to_owned(), "not a price list"),
        (with(r#"{"input":"1"}"#), "output"),
        (with(r#"{"input":"-1","output":"2"}"#), "openai/m: `-1` is not an amount"),
        (with(r#"{"input":"1","output":"2","from":"2026-02-30"}"#), "`2026-02-30` is not a day"),
        (with(r#"{"input":"1","output":"2","hours":["25:00","01:00"]}"#), "`25:00` is not an hour"),
        (
            with(
                r#"{"input":"1","output":"2","tiers":[{"above":2,"input":"1","output":"1"},{"above":1,"input":"1","output":"1"}]}"#,
            ),
            "its tiers are not in order",
        ),
    ] {
        let error = PriceList::parse(&text).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

#[test]
fn retirement_is_of_the_very_model() {
    let on = |day: &str| Some(Retirement::On(day.parse().unwrap()));
    assert_eq!(retirement("openai/gpt-4-0613"), on("2026-10-23"));
    assert_eq!(retirement("openai/gpt-4o-mini"), None);
    assert_eq!(retirement("house/gpt-4-0613"), None);
}
