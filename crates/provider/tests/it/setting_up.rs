//! Keys, addresses and rows: what is wrong is said before the first call, with what to do.

use std::io::Write as _;

use baton_config::{ProviderSpec, Secret};
use baton_provider::{Provider, VENDORS, vendor};

use crate::support::{ANSWER, Scripted, at, request, spec, with_environment};

/// What is said of a provider that cannot be used.
fn check(spec: &ProviderSpec, variables: &[(&str, &str)], expected: &str) {
    let transport = Scripted::answering(200, &[], ANSWER);
    let error = with_environment(spec, transport, variables).unwrap_err().to_string();
    assert_eq!(error, expected);
}

#[test]
fn each_mistake_says_what_to_do() {
    let keyed = |secret| ProviderSpec { api_keys: vec![secret], ..at("http://127.0.0.1:1") };
    let env = || keyed(Secret::Env("HOUSE_KEY".into()));
    check(&spec("openai"), &[], "provider `house`: no key; set the environment variable OPENAI_API_KEY");
    check(&env(), &[], "provider `house`: no key; set the environment variable HOUSE_KEY");
    for empty in ["", " \n", "a\nb", "a\u{7f}"] {
        check(
            &env(),
            &[("HOUSE_KEY", empty)],
            "provider `house`: the environment variable HOUSE_KEY holds no key: it is empty, or has characters that a header cannot have",
        );
    }
    check(
        &keyed(Secret::File("no/such/file".into())),
        &[],
        "provider `house`: cannot read the key from no/such/file: No such file or directory (os error 2)",
    );
    check(
        &spec("openai-compatible"),
        &[],
        "provider `house`: no base_url; give the address before `/chat/completions`, for example http://127.0.0.1:8080/v1",
    );
    for url in ["127.0.0.1:8080/v1", "ftp://host/v1", "http://", "http:///v1", "http://a b/v1", "/v1"] {
        check(
            &at(url),
            &[],
            &format!("provider `house`: base_url `{url}` is not an absolute http:// or https:// address"),
        );
    }
    let unknown =
        with_environment(&spec("opneai"), Scripted::answering(200, &[], ANSWER), &[]).unwrap_err().to_string();
    assert!(
        unknown.starts_with(
            "provider `house`: unknown kind `opneai`; one of openai-compatible, simulated, openai, anthropic"
        ),
        "{unknown}"
    );
}

#[tokio::test]
async fn every_row_is_asked_at_its_address_with_its_key() {
    for row in VENDORS {
        let transport = Scripted::answering(200, &[], ANSWER);
        let variables: Vec<(&str, &str)> = row.key_env.map(|name| (name, "sk-1")).into_iter().collect();
        let provider = with_environment(&spec(row.name), transport.clone(), &variables).unwrap();
        provider.complete(&request()).await.unwrap();
        let asked = transport.asked();
        assert_eq!(asked.uri.to_string(), format!("{}/chat/completions", row.base_url));
        assert_eq!(asked.method, "POST");
        let key = asked.headers.get("authorization");
        assert_eq!(key.map(|key| key.to_str().unwrap()), row.key_env.map(|_| "Bearer sk-1"), "{}", row.name);
        assert!(key.is_none_or(http::HeaderValue::is_sensitive));
        let body: serde_json::Value = serde_json::from_slice(&asked.body).unwrap();
        assert_eq!(body[row.dialect.max_tokens], 9, "{}", row.name);
    }
    assert!(vendor("openai-compatible").is_none());
}

#[tokio::test]
async fn a_key_may_be_in_a_file_and_an_address_may_be_changed() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"  sk-file\n").unwrap();
    let spec = ProviderSpec {
        base_url: Some("https://proxy.example/openai/".into()),
        api_keys: vec![Secret::File(file.path().to_owned())],
        ..spec("openai")
    };
    let transport = Scripted::answering(200, &[], ANSWER);
    let provider = Provider::new(&spec, transport.clone()).unwrap();
    provider.complete(&request()).await.unwrap();
    assert_eq!(transport.asked().uri, "https://proxy.example/openai/chat/completions");
    assert_eq!(transport.asked().headers["authorization"], "Bearer sk-file");
    assert!(!format!("{provider:?} {:?}", transport.asked()).contains("sk-file"), "no Debug shows the key");
}
