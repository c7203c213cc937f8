//! Errors of providers: each kind has the disposition of its row in the taxonomy.

use std::time::{Duration, SystemTime};

use baton_core::Disposition::{self, CallersFault, HardDown, RateLimited, TooLong, Transient};
use baton_wire::{MESSAGE_CHARS_MAX, WireError, openai};
use http::{HeaderMap, StatusCode};
use serde_json::json;

/// Sunday, 6 November 1994, 08:49:37.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777)
}

fn decode(status: u16, body: &str) -> WireError {
    openai::decode_error(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), now())
}

#[test]
fn statuses_alone() {
    let limited = RateLimited { retry_after: None };
    for (statuses, expected) in [
        (&[400, 406, 413, 415, 422, 451][..], CallersFault),
        (&[301, 307, 401, 402, 403, 404, 405, 410], HardDown),
        (&[429, 498, 529], limited),
        (&[408, 409, 425, 500, 502, 503, 504, 520, 599], Transient),
    ] {
        for status in statuses {
            for body in ["", "<html>Bad</html>", "{}", r#"{"error":{"message":"no"}}"#] {
                let error = decode(*status, body);
                assert_eq!(error.disposition, expected, "{status} {body}");
                assert_eq!(error.status, Some(*status));
                assert!(error.message.contains(&status.to_string()), "{error}");
            }
        }
    }
}

/// Bodies as vendors send them: OpenAI, Anthropic, Mistral, Groq, xAI, Gemini, OpenRouter, vLLM.
#[test]
fn what_vendors_say_goes_before_the_status() {
    let limited = RateLimited { retry_after: None };
    let cases: Vec<(u16, &str, Disposition)> = vec![
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            TooLong,
        ),
        (
            400,
            r#"{"error":{"code":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum","type":"invalid_request_error","param":null}}"#,
            TooLong,
        ),
        (
            400,
            r#"{"object":"error","message":"This model's maximum context length is 8192 tokens.","type":"BadRequestError","param":null,"code":400}"#,
            TooLong,
        ),
        (
            413,
            r#"{"error":{"message":"Request too large for model on tokens per minute (TPM)","type":"tokens","code":"rate_limit_exceeded"}}"#,
            TooLong,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"The input token count (1100000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
            TooLong,
        ),
        (
            429,
            r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            HardDown,
        ),
        (
            429,
            r#"{"error":{"message":"Rate limit reached for gpt-4o","type":"tokens","code":"rate_limit_exceeded"}}"#,
            limited,
        ),
        (
            400,
            r#"{"error":{"type":"invalid_request_error","message":"Your credit balance is too low to access the Anthropic API."}}"#,
            HardDown,
        ),
        (
            400,
            r#"{"code":"Client specified an invalid argument","error":"Incorrect API key provided: xa***1."}"#,
            HardDown,
        ),
        (
            400,
            r#"[{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.","status":"INVALID_ARGUMENT"}}]"#,
            HardDown,
        ),
        (
            400,
            r#"{"object":"error","message":"Invalid model: mistral-huge","type":"invalid_model","param":null,"code":"1500"}"#,
            HardDown,
        ),
        (
            400,
            r#"{"error":{"message":"The model has been decommissioned","type":"invalid_request_error","code":"model_decommissioned"}}"#,
            HardDown,
        ),
        (400, r#"{"error":{"message":"nope/nope is not a valid model ID","code":400}}"#, HardDown),
        (
            404,
            r#"{"error":{"message":"The model `gpt-9` does not exist","type":"invalid_request_error","param":null,"code":"model_not_found"}}"#,
            HardDown,
        ),
        (
            400,
            r#"{"error":{"message":"filtered","type":"invalid_request_error","code":"content_filter"}}"#,
            CallersFault,
        ),
        (
            400,
            r#"{"error":{"message":"Invalid schema for response_format","type":"invalid_request_error","param":"response_format"}}"#,
            CallersFault,
        ),
        (
            422,
            r#"{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}"#,
            CallersFault,
        ),
        (529, r#"{"error":{"type":"overloaded_error","message":"Overloaded"}}"#, limited),
        (503, r#"{"error":{"message":"context window service is down"}}"#, Transient),
        (500, r#"{"error":{"message":"Internal","type":"server_error"}}"#, Transient),
    ];
    for (status, body, expected) in cases {
        let error = decode(status, body);
        assert_eq!(error.disposition, expected, "{status} {body}");
    }
}

#[test]
fn the_providers_words_are_kept_with_their_code_and_field() {
    let error = decode(
        400,
        r#"{"error":{"message":"Unknown tool","type":"invalid_request_error","param":"tools[0]","code":null}}"#,
    );
    assert_eq!(error.message, "the provider answered 400 Bad Request: Unknown tool");
    assert_eq!((error.code.as_deref(), error.param.as_deref()), (Some("invalid_request_error"), Some("tools[0]")));
    let nested = decode(422, r#"{"detail":[{"msg":"Extra inputs are not permitted"}]}"#);
    assert!(nested.message.ends_with(r#"[{"msg":"Extra inputs are not permitted"}]"#), "{nested}");
    let page = decode(502, "<html>\n  <h1>Bad\tGateway</h1>\n</html>");
    assert_eq!(page.message, "the provider answered 502 Bad Gateway: <html> <h1>Bad Gateway</h1> </html>");
    assert_eq!(decode(503, "").message, "the provider answered 503 Service Unavailable");
    let long = decode(500, &json!({"error": {"message": "é".repeat(10_000)}}).to_string());
    assert_eq!(long.message.chars().count(), MESSAGE_CHARS_MAX);
}

#[test]
fn waits_are_read_in_each_form() {
    let wait = |headers: &[(&'static str, &str)]| {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
        let error = openai::decode_error(StatusCode::TOO_MANY_REQUESTS, &HeaderMap::from_iter(headers), b"", now());
        let RateLimited { retry_after } = error.disposition else { panic!("{error:?}") };
        retry_after.map(|wait| wait.as_millis())
    };
    for (value, ms) in [
        ("7", Some(7_000)),
        ("0", Some(0)),
        (" 1.5 ", Some(1_500)),
        ("Sun, 06 Nov 1994 08:49:39 GMT", Some(2_000)),
        ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
        ("Sat, 06 Nov 2094 08:49:39 GMT", Some(86_400_000)),
        ("1e300", Some(86_400_000)),
        ("-3", None),
        ("NaN", None),
        ("soon", None),
        ("", None),
    ] {
        assert_eq!(wait(&[("retry-after", value)]), ms, "{value}");
    }
    assert_eq!(wait(&[("retry-after-ms", "250"), ("retry-after", "7")]), Some(250));
    let its_own = [("date", "Tue, 01 Oct 2024 00:00:00 GMT"), ("retry-after", "Tue, 01 Oct 2024 00:00:03 GMT")];
    assert_eq!(wait(&its_own), Some(3_000), "by the provider's clock");
    assert_eq!(wait(&[("retry-after-ms", "soon"), ("retry-after", "7")]), Some(7_000));
    assert_eq!(wait(&[]), None);
}

#[test]
fn our_envelope_is_openais() {
    let written = openai::encode_error("no such model", "not_found", Some("unknown_model"), Some("/model"));
    let expected =
        json!({"error": {"message": "no such model", "type": "not_found", "param": "/model", "code": "unknown_model"}});
    assert_eq!(written, expected);
}
