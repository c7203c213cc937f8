//! What Baton's codec makes of the simulator's bytes, which were not written by Baton's encoder: nothing
//! broken comes out as a whole answer.

use std::time::Duration;

use baton_wire::{Block, Delta, StreamEvent, Transport, openai};
use futures_util::StreamExt;

use crate::support::{TICKET, body, chat, read, sim};

/// The answer's text and finish reason; `None` for whatever is no whole answer within a minute.
async fn decoded(fault: &str, stream: bool) -> Option<String> {
    let sim = sim(&format!("[models.gpt-4]\nfaults = [{{ {fault}, share = 1.0 }}]"));
    let whole = async {
        let response = sim.transport().send(chat(body(TICKET, stream))).await.ok()?;
        if !response.status.is_success() {
            return None;
        }
        if stream {
            return streamed(openai::decode_stream(response.body)).await;
        }
        let (_, bytes, error) = read(response).await;
        let completion = openai::decode_response(&bytes).ok().filter(|_| error.is_none())?;
        let refusal = completion.content.iter().find_map(|b| if let Block::Refusal(r) = b { Some(r) } else { None });
        Some(format!("{}{} {:?}", completion.text(), refusal.map_or("", |r| r), completion.finish))
    };
    tokio::time::timeout(Duration::from_secs(60), whole).await.ok()?
}

async fn streamed<E>(mut events: impl futures_util::Stream<Item = Result<StreamEvent, E>> + Unpin) -> Option<String> {
    let (mut text, mut end) = (String::new(), None);
    while let Some(event) = events.next().await {
        match event.ok()? {
            StreamEvent::Delta(Delta::Text(piece) | Delta::Refusal(piece)) => text.push_str(&piece),
            StreamEvent::End { finish } => end = Some(finish),
            _ => {}
        }
    }
    Some(format!("{text} {:?}", end?))
}

#[tokio::test(start_paused = true)]
async fn whole_answers_are_decoded_and_nothing_else() {
    const REFUSAL: Option<&str> = Some("I'm sorry, but I can't help with that. Stop");
    const FENCED: Option<&str> = Some("Here is the answer:\n\n```\nbilling\n```\n\nLet me know. Stop");
    let right = Some("billing Stop");
    // The fault, what is made of it streamed, and otherwise.
    for (fault, stream, whole) in [
        ("kind = \"refuse\"", None, None),
        ("kind = \"hang\"", None, None),
        ("kind = \"headers_then_silence\"", None, None),
        ("kind = \"keepalive_forever\", every_ms = 1000", None, None),
        ("kind = \"stall\", after_tokens = 1", None, None),
        ("kind = \"stall\", after_tokens = 1, every_ms = 1000", None, None),
        ("kind = \"status\", status = 500", None, None),
        ("kind = \"error_body_200\"", None, None),
        ("kind = \"html_200\"", None, None),
        ("kind = \"invalid_json\"", None, None),
        ("kind = \"truncated_json\"", None, None),
        ("kind = \"cut_body\"", None, None),
        ("kind = \"error_event\", after_tokens = 0", None, None),
        ("kind = \"error_event\", after_tokens = 1", None, None),
        ("kind = \"cut_stream\", after_tokens = 1", None, None),
        ("kind = \"malformed_chunk\", after_tokens = 1", None, None),
        ("kind = \"trickle\", every_ms = 20", right, right),
        ("kind = \"split_utf8\"", right, right),
        ("kind = \"no_usage\"", right, right),
        ("kind = \"length\"", Some("bil Length"), Some("bil Length")),
        ("kind = \"empty\"", Some(" Stop"), Some(" Stop")),
        ("kind = \"refusal\"", REFUSAL, REFUSAL),
        ("kind = \"fenced\"", FENCED, FENCED),
        ("kind = \"duplicate_tool_calls\"", Some(" ToolUse"), Some(" ToolUse")),
        ("kind = \"huge_chunk\", bytes = 5", Some("xxxxx Stop"), Some("xxxxx Stop")),
    ] {
        assert_eq!(decoded(fault, true).await.as_deref(), stream, "{fault}, streamed");
        assert_eq!(decoded(fault, false).await.as_deref(), whole, "{fault}, whole");
    }
    // A stream that ends early is broken; a body without finish reason is the codec's to judge.
    assert_eq!(decoded("kind = \"no_terminal\"", true).await, None);
}
