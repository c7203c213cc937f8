//! That the checks can fail: each is shown what it must find.

use serde_json::json;

use super::oracle;
use crate::simulate::tap::{End, Exchange};

fn exchange(body: &str, events: bool) -> Exchange {
    Exchange {
        task: None,
        key: None,
        request: bytes::Bytes::new(),
        status: Some(200),
        length: None,
        events,
        retry_after_s: None,
        body: body.as_bytes().to_vec(),
        pieces: Vec::new(),
        began_us: 0,
        ended_us: 0,
        end: End::Whole,
    }
}

#[test]
fn the_oracle_tells_whole_from_broken() {
    let piece = |text: &str, finish: Option<&str>| {
        let choice = json!({ "index": 0, "delta": { "content": text }, "finish_reason": finish });
        format!("data: {}\n\n", json!({ "choices": [choice], "usage": null }))
    };
    let whole = format!(": hello\n\n{}{}data: [DONE]\n\n", piece("bi", None), piece("lling", Some("stop")));
    let said = oracle::read(&exchange(&whole, true));
    assert_eq!((said.text.as_str(), said.finish.as_deref(), said.sound), ("billing", Some("stop"), true));
    for (broken, sound, finished) in [
        (piece("bi", None), true, false),
        (piece("bi", None) + "data: {\"choices\": [\n\n", false, false),
        (piece("bi", None) + "data: {\"error\": {\"message\": \"x\"}}\n\n", false, false),
        (piece("bi", Some("stop")) + "data: {\"id", false, true),
    ] {
        let said = oracle::read(&exchange(&broken, true));
        assert_eq!((said.sound, said.finish.is_some()), (sound, finished), "{broken}");
    }
    assert!(!oracle::read(&exchange("{\"choices\": [", false)).sound);
    let cut = Exchange { length: Some(400), ..exchange(&json!({ "choices": [{ "message": {} }] }).to_string(), false) };
    assert!(!oracle::read(&cut).sound, "shorter than its headers say");
}

#[test]
fn a_value_stands_in_its_source_word_by_word() {
    for (value, stands) in [("Acme stores", true), ("ACME 12.50", true), ("Acme Store", false), ("12.5", false)] {
        assert_eq!(oracle::stands_in(value, "ACME Stores\nTotal 12.50"), stands, "{value}");
    }
}
