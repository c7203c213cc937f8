//! One request, one answer: whole, streamed, broken.

use baton_core::Disposition::{self, BadAnswer, CallersFault, HardDown, RateLimited, Transient};
use baton_provider::{BODY_BYTES_MAX, ReplyStream};
use baton_wire::{Collector, Completion, TransportError, TransportFault, WireError};
use bytes::Bytes;
use futures_util::StreamExt;
use http::StatusCode;
use serde_json::json;

use crate::support::{ANSWER, Headers, STREAM, Scripted, at, provider, request, spec, with_environment};

const SSE: (&str, &str) = ("content-type", "text/event-stream; charset=utf-8");
const JSON: (&str, &str) = ("content-type", "application/json");

async fn collect(mut reply: ReplyStream) -> Result<Completion, WireError> {
    let mut collector = Collector::default();
    while let Some(event) = reply.events.next().await {
        collector.push(event?);
    }
    Ok(collector.finish().expect("a stream without an error ends with End"))
}

#[tokio::test]
async fn a_whole_answer() {
    let transport = Scripted::answering(200, &[JSON], ANSWER);
    let mut asked = request();
    asked.stream = true;
    let reply = provider(transport.clone()).complete(&asked).await.unwrap();
    assert_eq!(reply.completion.text(), "billing");
    assert!(!reply.simulated);
    let sent = transport.asked();
    assert_eq!(
        (&sent.headers["content-type"], &sent.headers["accept"]),
        (&"application/json".parse().unwrap(), &"application/json".parse().unwrap())
    );
    let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
    assert_eq!(body.get("stream"), None, "the call decides, not the request");
    assert_eq!(body["max_tokens"], json!(9));
}

#[tokio::test]
async fn a_stream_whatever_its_content_type_says() {
    let cases: [(Headers<'_>, &str); 4] =
        [(&[SSE], STREAM), (&[], STREAM), (&[JSON], ANSWER), (&[("content-type", "Text/Event-Stream")], STREAM)];
    for (headers, body) in cases {
        let transport = Scripted::answering(200, headers, body);
        let reply = provider(transport.clone()).stream(&request()).await.unwrap();
        assert_eq!(collect(reply).await.unwrap().text(), "billing", "{headers:?}");
        let sent = transport.asked();
        assert_eq!(sent.headers["accept"], "text/event-stream");
        let body: serde_json::Value = serde_json::from_slice(&sent.body).unwrap();
        assert_eq!((&body["stream"], &body["stream_options"]), (&json!(true), &json!({"include_usage": true})));
    }
}

#[tokio::test]
async fn what_is_simulated_says_so() {
    let ours = with_environment(&spec("simulated"), Scripted::answering(200, &[], ANSWER), &[]).unwrap();
    assert!(ours.complete(&request()).await.unwrap().simulated);
    for (value, simulated) in [("true", true), ("false", false)] {
        let headers = [("x-baton-simulated", value)];
        let whole = provider(Scripted::answering(200, &headers, ANSWER)).complete(&request()).await.unwrap();
        assert_eq!(whole.simulated, simulated);
        let streamed = provider(Scripted::answering(200, &headers, STREAM)).stream(&request()).await.unwrap();
        assert_eq!(streamed.simulated, simulated);
    }
}

/// The same answer, whole and streamed, is an error of this disposition.
async fn check(status: u16, headers: Headers<'_>, body: &str, expected: Disposition) {
    let provider = provider(Scripted::answering(status, headers, body));
    let whole = provider.complete(&request()).await.unwrap_err();
    assert_eq!(whole.disposition, expected, "{status} {whole}");
    let streamed = match provider.stream(&request()).await {
        Ok(reply) => collect(reply).await.unwrap_err(),
        Err(error) => error,
    };
    assert_eq!(streamed.disposition, expected, "{status}, streamed: {streamed}");
    assert!(!format!("{whole:?}{streamed:?}").contains("sk-secret"), "the key is in the message");
}

#[tokio::test]
async fn what_goes_wrong_has_its_disposition() {
    let error = r#"{"error":{"message":"no","type":"invalid_request_error"}}"#;
    let wait = RateLimited { retry_after: Some(std::time::Duration::from_secs(7)) };
    check(400, &[JSON], error, CallersFault).await;
    check(401, &[JSON], r#"{"error":{"message":"Incorrect API key provided: sk-secret."}}"#, HardDown).await;
    check(307, &[("location", "http://127.0.0.1:1/")], "", HardDown).await;
    check(429, &[("retry-after", "7")], "", wait).await;
    check(500, &[JSON], &"x".repeat(1_000_000), Transient).await;
    check(200, &[JSON], error, CallersFault).await;
    check(200, &[JSON], r#"{"error":{"message":"bad key sk-secret","code":401}}"#, HardDown).await;
    check(200, &[("content-type", "text/html")], "<html>Please log in</html>", Transient).await;
    check(200, &[JSON], &ANSWER[..50], Transient).await;
    check(200, &[JSON], "{}", BadAnswer).await;
    check(200, &[JSON, ("content-length", "9999")], ANSWER, Transient).await;
    check(200, &[JSON, ("content-length", "99999999999")], ANSWER, BadAnswer).await;
    check(204, &[JSON], "", Transient).await;
}

#[tokio::test]
async fn a_key_in_an_error_event_is_not_shown() {
    let event = "data: {\"error\":{\"message\":\"bad key sk-secret\",\"code\":401}}\n\n";
    let reply = provider(Scripted::answering(200, &[SSE], event)).stream(&request()).await.unwrap();
    let error = collect(reply).await.unwrap_err();
    assert_eq!(error.message, "the provider answered with an error: bad key [redacted]");
}

#[tokio::test]
async fn what_the_transport_says_is_kept() {
    let fault = || TransportError { fault: TransportFault::Connect, message: "connection refused".into() };
    let unsent = provider(Scripted::new(Err(fault())));
    assert_eq!(unsent.complete(&request()).await.unwrap_err(), WireError::broken("connection refused"));
    assert_eq!(unsent.stream(&request()).await.err(), Some(WireError::broken("connection refused")));

    let pieces = |text: &'static str| vec![Ok(Bytes::from(text)), Err(fault())];
    let cut = provider(Scripted::new(Ok((StatusCode::OK, http::HeaderMap::new(), pieces(ANSWER)))));
    assert_eq!(cut.complete(&request()).await.unwrap_err().disposition, Transient);
    let refused = provider(Scripted::new(Ok((StatusCode::UNAUTHORIZED, http::HeaderMap::new(), pieces("")))));
    assert_eq!(
        refused.complete(&request()).await.unwrap_err().disposition,
        HardDown,
        "an error cut off is still that error"
    );
}

#[tokio::test]
async fn an_answer_is_bounded() {
    let piece = Bytes::from(vec![b' '; 1 << 20]);
    let pieces = vec![Ok(piece); (BODY_BYTES_MAX >> 20) + 1];
    let provider = provider(Scripted::new(Ok((StatusCode::OK, http::HeaderMap::new(), pieces))));
    let error = provider.complete(&request()).await.unwrap_err();
    assert_eq!(error, WireError::bad_answer("the answer is larger than 16777216 bytes"));
    assert!(with_environment(&at("http://127.0.0.1:1"), Scripted::answering(200, &[], ANSWER), &[]).is_ok());
}
