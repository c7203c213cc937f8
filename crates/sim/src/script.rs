//! One call's course, decided beforehand: what is sent when, and how it ends. Sockets and memory play the
//! same script, so that they behave alike.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde_json::Value;

use crate::answer::Answer;
use crate::behaviour::Speed;
use crate::date::http_date;
use crate::fault::{Fault, RetryAfter};
use crate::openai::{self, DONE, Frame, Prompt, pieces};

/// What a call does. All times are since the request arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Script {
    /// How it begins.
    pub opening: Opening,
    /// The body, in the pieces in which it is sent; times never go back.
    pub body: Vec<Piece>,
    /// What comes after the body.
    pub ending: Ending,
    /// What a prompt that was recognised should have been answered with.
    pub truth: Option<Truth>,
    /// The fault's name, if there is one: one of those of `docs/simulator.md`, or `limit`, `unknown_model`,
    /// `bad_request`.
    pub fault: Option<&'static str>,
}

/// How a call begins.
#[derive(Clone, Debug, PartialEq)]
pub enum Opening {
    /// No connection, or one that closes without an answer.
    Refuse,
    /// Never answered.
    Hang,
    /// Status and headers.
    Respond {
        /// When.
        at: Duration,
        /// The status.
        status: StatusCode,
        /// The headers.
        headers: HeaderMap,
    },
}

/// A piece of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// When it is sent.
    pub at: Duration,
    /// What is sent.
    pub bytes: Bytes,
}

/// How a body ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In good order.
    Finish,
    /// The connection closes.
    Close,
    /// Never: nothing more comes.
    Hang,
    /// Never: the same comes again and again.
    Repeat {
        /// Between two of them.
        every: Duration,
        /// What.
        bytes: Bytes,
    },
}

/// What is true, and whether the model says so.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// The case's expected output.
    pub expected: Value,
    /// Whether what the model wrote differs from it (before any fault of delivery).
    pub wrong: bool,
}

/// What the course of one call depends on, besides its prompt and answer.
pub(crate) struct Course {
    pub(crate) id: String,
    /// Unix seconds.
    pub(crate) now: u64,
    pub(crate) first_token: Duration,
    pub(crate) speed: Option<Speed>,
}

impl Course {
    /// An error, after the time to the first token.
    pub(crate) fn error(&self, status: u16, message: Option<&str>, name: &'static str) -> Script {
        let body = openai::error(status, message).to_string();
        self.short(status, "application/json", body, name)
    }

    /// A call that fails without any answer being written, if this fault is of that sort.
    pub(crate) fn without_answer(&self, fault: &Fault) -> Option<Script> {
        let name = fault.name();
        let json = "application/json";
        let whole = |status, kind, body| self.short(status, kind, body, name);
        Some(match fault {
            Fault::Refuse => bare(Opening::Refuse, name),
            Fault::Hang => bare(Opening::Hang, name),
            Fault::Status { status, retry_after, body } => {
                let mut script = match body {
                    Some(body) => whole(*status, json, body.clone()),
                    None => self.error(*status, None, name),
                };
                self.retry_after(&mut script, *retry_after);
                script
            }
            Fault::ModelGone => self.error(404, None, name),
            Fault::Unauthorized => self.error(401, None, name),
            Fault::Payment => self.error(402, None, name),
            Fault::ErrorBody200 => whole(200, json, openai::error(500, None).to_string()),
            Fault::Html200 => whole(200, "text/html; charset=utf-8", PAGE.to_owned()),
            _ => return None,
        })
    }

    fn retry_after(&self, script: &mut Script, when: Option<RetryAfter>) {
        let Opening::Respond { headers, .. } = &mut script.opening else { return };
        let value = match when {
            None => return,
            Some(RetryAfter::Seconds(seconds)) => HeaderValue::from(seconds),
            Some(RetryAfter::Date(seconds)) => http_date(self.now.saturating_add(seconds)),
        };
        headers.insert(header::RETRY_AFTER, value);
    }

    /// More calls at a time than the model's `concurrency`: 429 at once.
    pub(crate) fn over_limit(mut self) -> Script {
        self.first_token = Duration::ZERO;
        let mut script = self.error(429, Some("Too many concurrent requests."), "limit");
        self.retry_after(&mut script, Some(RetryAfter::Seconds(1)));
        script
    }

    /// A body that is no answer, all at once.
    fn short(&self, status: u16, kind: &'static str, body: String, name: &'static str) -> Script {
        let at = self.first_token;
        let headers = self.headers(kind, Some(body.len()));
        Script {
            opening: opening(at, status, headers),
            body: vec![Piece { at, bytes: body.into() }],
            ending: Ending::Finish,
            truth: None,
            fault: Some(name),
        }
    }

    fn headers(&self, kind: &'static str, length: Option<usize>) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(header::DATE, http_date(self.now));
        headers.insert(HeaderName::from_static(crate::SIMULATED_HEADER), HeaderValue::from_static("true"));
        if let Ok(id) = HeaderValue::from_str(&self.id.replace("chatcmpl-", "req_")) {
            headers.insert(HeaderName::from_static("x-request-id"), id);
        }
        if let Some(length) = length {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        headers
    }

    /// When the token of this index is sent.
    fn token_at(&self, index: usize) -> Duration {
        self.first_token + self.speed.map_or(Duration::ZERO, |speed| speed.until(index))
    }

    /// The delivery of an answer that is not streamed.
    pub(crate) fn whole(&self, prompt: &Prompt, answer: &Answer, fault: Option<&Fault>) -> Script {
        let frame = Frame { id: self.id.clone(), created: self.now, prompt, answer };
        let finish = if matches!(fault, Some(Fault::NoTerminal)) { None } else { Some(answer.finish) };
        let mut body = Bytes::from(frame.whole(finish, !matches!(fault, Some(Fault::NoUsage))));
        let at = self.token_at(pieces(answer.said()).len().saturating_sub(1));
        let mut length = Some(body.len());
        let mut ending = Ending::Finish;
        let mut starts = at;
        let mut each = None;
        match fault {
            Some(Fault::CutBody | Fault::CutStream { .. }) => {
                body.truncate(body.len() / 2);
                ending = Ending::Close;
            }
            Some(Fault::TruncatedJson) => {
                body.truncate(body.len() / 2);
                length = None;
            }
            Some(Fault::InvalidJson | Fault::MalformedChunk { .. }) => {
                body = format!("{{\"id\": \"{}\", \"choices\": [{{\"index\": 0, }}\n", self.id).into();
                length = Some(body.len());
            }
            Some(Fault::ErrorEvent { .. }) => {
                body = openai::error(500, None).to_string().into();
                length = Some(body.len());
            }
            Some(Fault::HeadersThenSilence | Fault::Stall { .. }) => {
                body.clear();
                starts = self.first_token;
                ending = Ending::Hang;
            }
            Some(Fault::KeepaliveForever { every }) => {
                body.clear();
                starts = self.first_token;
                length = None;
                // White space before the JSON is what keeps such connections alive.
                ending = Ending::Repeat { every: *every, bytes: Bytes::from_static(b"\n") };
            }
            Some(Fault::Trickle { every }) => {
                starts = self.first_token;
                each = Some(*every);
            }
            Some(Fault::SplitUtf8) => each = Some(Duration::ZERO),
            _ => {}
        }
        let body = match each {
            Some(every) => byte_by_byte(&body, starts, every),
            None if body.is_empty() => Vec::new(),
            None => vec![Piece { at, bytes: body }],
        };
        let opening = opening(starts, 200, self.headers("application/json", length));
        Script { opening, body, ending, truth: answer.truth.clone(), fault: fault.map(Fault::name) }
    }

    /// The delivery of a streamed answer.
    pub(crate) fn stream(&self, prompt: &Prompt, answer: &Answer, fault: Option<&Fault>) -> Script {
        let frame = Frame { id: self.id.clone(), created: self.now, prompt, answer };
        let text = answer.said();
        // A huge chunk is one event, whatever its size.
        let tokens = if matches!(fault, Some(Fault::HugeChunk { .. })) { vec![text.to_owned()] } else { pieces(text) };
        let mut events = vec![(self.first_token, frame.role())];
        events.extend(tokens.iter().enumerate().map(|(n, token)| (self.token_at(n), frame.token(token))));
        let last = self.token_at(tokens.len().saturating_sub(1));
        events.extend(answer.calls.iter().enumerate().map(|(n, call)| (last, frame.call(n, call))));
        events.push((last, frame.finish()));
        if prompt.include_usage && !matches!(fault, Some(Fault::NoUsage)) {
            events.push((last, frame.usage_event()));
        }
        events.push((last, DONE.to_owned()));

        let ending = spoil(&mut events, tokens.len(), fault);
        if let Some(Fault::Trickle { every }) = fault {
            for (n, event) in events.iter_mut().enumerate() {
                event.0 = self.first_token + *every * u32::try_from(n).unwrap_or(u32::MAX);
            }
        }
        let split = matches!(fault, Some(Fault::SplitUtf8));
        let as_pieces = |(at, text): (Duration, String)| {
            let bytes = Bytes::from(text);
            if split { byte_by_byte(&bytes, at, Duration::ZERO) } else { vec![Piece { at, bytes }] }
        };
        let mut headers = self.headers("text/event-stream; charset=utf-8", None);
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Script {
            opening: opening(self.first_token, 200, headers),
            body: events.into_iter().flat_map(as_pieces).collect(),
            ending,
            truth: answer.truth.clone(),
            fault: fault.map(Fault::name),
        }
    }
}

/// Does to a stream of role, `tokens` tokens and its terminal events what the fault says, and returns how it ends.
fn spoil(events: &mut Vec<(Duration, String)>, tokens: usize, fault: Option<&Fault>) -> Ending {
    // Where the first `n` tokens end; never past the tokens.
    let after = |n: usize| 1 + n.min(tokens);
    match fault {
        Some(Fault::CutStream { after_tokens }) => {
            events.truncate(after(*after_tokens));
            return Ending::Close;
        }
        Some(Fault::CutBody) => {
            events.truncate(after(tokens / 2));
            return Ending::Close;
        }
        Some(Fault::TruncatedJson) => {
            let cut = after(tokens.div_ceil(2));
            events.truncate(cut);
            if let Some((_, last)) = events.last_mut() {
                let half = (0..=last.len() / 2).rev().find(|at| last.is_char_boundary(*at));
                last.truncate(half.unwrap_or(0));
            }
        }
        Some(Fault::ErrorEvent { after_tokens }) => {
            let keep = if *after_tokens == 0 { 0 } else { after(*after_tokens) };
            let at = events[keep.saturating_sub(1)].0;
            events.truncate(keep);
            events.push((at, openai::sse(&openai::error(500, None))));
        }
        Some(Fault::NoTerminal) => events.truncate(after(tokens)),
        Some(Fault::InvalidJson) => events.insert(0, (events[0].0, BROKEN_EVENT.to_owned())),
        Some(Fault::MalformedChunk { after_tokens }) => {
            let at = after(*after_tokens);
            events.insert(at, (events[at - 1].0, BROKEN_EVENT.to_owned()));
        }
        // So that there is a long character to split, whatever the answer.
        Some(Fault::SplitUtf8) => events.insert(0, (events[0].0, ": größer, 答え\n\n".to_owned())),
        Some(Fault::HeadersThenSilence) => {
            events.clear();
            return Ending::Hang;
        }
        Some(Fault::Stall { after_tokens, every }) => {
            events.truncate(after(*after_tokens));
            return every.map_or(Ending::Hang, |every| Ending::Repeat { every, bytes: COMMENT });
        }
        Some(Fault::KeepaliveForever { every }) => {
            events.clear();
            return Ending::Repeat { every: *every, bytes: COMMENT };
        }
        _ => {}
    }
    Ending::Finish
}

const COMMENT: Bytes = Bytes::from_static(b": keep-alive\n\n");
const BROKEN_EVENT: &str = "data: {\"id\": \"chatcmpl-\", \"choices\": [{\"index\": 0, \"delta\"\n\n";
const PAGE: &str =
    "<!DOCTYPE html>\n<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>\n";

fn bare(opening: Opening, name: &'static str) -> Script {
    Script { opening, body: Vec::new(), ending: Ending::Finish, truth: None, fault: Some(name) }
}

fn opening(at: Duration, status: u16, headers: HeaderMap) -> Opening {
    // Scenario files hold no status outside of 400 to 599; code could.
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Opening::Respond { at, status, headers }
}

fn byte_by_byte(bytes: &Bytes, start: Duration, every: Duration) -> Vec<Piece> {
    let at = |n: usize| start + every * u32::try_from(n).unwrap_or(u32::MAX);
    (0..bytes.len()).map(|n| Piece { at: at(n), bytes: bytes.slice(n..=n) }).collect()
}
