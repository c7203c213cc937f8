//! A transport that passes everything on and notes it: what was asked, the bytes that came back, how
//! and when each exchange ended.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use baton_sim::MemoryTransport;
use baton_wire::{HttpRequest, HttpResponse, SendFuture, Transport, TransportError};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode};
use tokio::time::Instant;

use crate::simulate::places::Places;

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is under way.
    Open,
    /// The server ended it in order.
    Whole,
    /// The transport failed.
    Failed,
    /// The client closed it.
    Dropped,
}

/// One exchange.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    /// The task that asked: one for each execution.
    pub(crate) task: Option<tokio::task::Id>,
    /// The number of the key that it was asked with, from 1, where it was.
    pub(crate) key: Option<u32>,
    /// The request's body.
    pub(crate) request: Bytes,
    /// The status, once there was one.
    pub(crate) status: Option<u16>,
    /// What its headers said of its length.
    pub(crate) length: Option<usize>,
    /// Whether its headers say that it is a stream of events.
    pub(crate) events: bool,
    /// How many seconds its headers ask to wait.
    pub(crate) retry_after_s: Option<u64>,
    /// What the client was given of the body.
    pub(crate) body: Vec<u8>,
    /// When, and how much of it there was then: microseconds since the beginning, bytes.
    pub(crate) pieces: Vec<(u64, usize)>,
    /// Microseconds since the beginning.
    pub(crate) began_us: u64,
    /// Likewise.
    pub(crate) ended_us: u64,
    /// How.
    pub(crate) end: End,
}

/// See the module.
#[derive(Clone)]
pub(crate) struct Tap {
    inner: MemoryTransport,
    places: Places,
    origin: Instant,
    exchanges: Arc<Mutex<Vec<Exchange>>>,
}

impl Tap {
    pub(crate) fn new(inner: MemoryTransport, places: Places, origin: Instant) -> Self {
        Self { inner, places, origin, exchanges: Arc::default() }
    }

    fn key(&self, request: &HttpRequest) -> Option<u32> {
        let text = request.headers.get(http::header::AUTHORIZATION)?.to_str().ok()?;
        self.places.number(text.strip_prefix("Bearer ")?)
    }

    /// Refuses a key that is not good, as providers do; models answer the others.
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, TransportError> {
        let Some(status) = self.places.refuses(self.key(&request)) else { return self.inner.send(request).await };
        let body = Bytes::from_static(br#"{"error": {"message": "This key is not good.", "type": "invalid_key"}}"#);
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::UNAUTHORIZED);
        Ok(HttpResponse { status, headers: HeaderMap::new(), body: Box::pin(stream::iter([Ok(body)])) })
    }

    /// All exchanges, in the order in which they began.
    pub(crate) fn exchanges(&self) -> Vec<Exchange> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Exchange>> {
        self.exchanges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now_us(&self) -> u64 {
        self.origin.elapsed().as_micros() as u64
    }

    fn begin(&self, request: &HttpRequest) -> Under {
        let mut exchanges = self.lock();
        exchanges.push(Exchange {
            task: tokio::task::try_id(),
            key: self.key(request),
            request: request.body.clone(),
            status: None,
            length: None,
            events: false,
            retry_after_s: None,
            body: Vec::new(),
            pieces: Vec::new(),
            began_us: self.now_us(),
            ended_us: 0,
            end: End::Open,
        });
        Under { tap: self.clone(), number: exchanges.len() - 1 }
    }
}

/// An exchange under way; dropped by who asked for it.
struct Under {
    tap: Tap,
    number: usize,
}

impl Under {
    fn note(&self, note: impl FnOnce(&mut Exchange)) {
        if let Some(exchange) = self.tap.lock().get_mut(self.number) {
            note(exchange);
        }
    }

    fn end(&self, end: End) {
        let now_us = self.tap.now_us();
        self.note(|exchange| {
            if exchange.end == End::Open {
                (exchange.end, exchange.ended_us) = (end, now_us);
            }
        });
    }
}

impl Drop for Under {
    fn drop(&mut self) {
        self.end(End::Dropped);
    }
}

/// The second of the day of an HTTP date.
fn second(date: &str) -> Option<u64> {
    let clock = date.strip_suffix(" GMT")?.rsplit(' ').next()?;
    clock.split(':').try_fold(0, |sum, part| Some(sum * 60 + part.parse::<u64>().ok()?))
}

impl Transport for Tap {
    fn send(&self, request: HttpRequest) -> SendFuture<'_> {
        Box::pin(async move {
            let under = self.begin(&request);
            let response = match self.answer(request).await {
                Ok(response) => response,
                Err(error) => {
                    under.end(End::Failed);
                    return Err(error);
                }
            };
            let text = |name| response.headers.get(name).and_then(|value| value.to_str().ok());
            let length = text(http::header::CONTENT_LENGTH).and_then(|length| length.parse().ok());
            let events = text(http::header::CONTENT_TYPE).is_some_and(|kind| kind.contains("event-stream"));
            let retry_after_s = text(http::header::RETRY_AFTER).and_then(|after| {
                let date = || second(after)?.checked_sub(second(text(http::header::DATE)?)?);
                after.parse().ok().or_else(date)
            });
            under.note(|exchange| {
                exchange.status = Some(response.status.as_u16());
                (exchange.length, exchange.events, exchange.retry_after_s) = (length, events, retry_after_s);
            });
            let body = stream::unfold((response.body, under), |(mut body, under)| async move {
                let piece = body.next().await;
                match &piece {
                    Some(Ok(bytes)) => {
                        let now_us = under.tap.now_us();
                        under.note(|exchange| {
                            exchange.body.extend_from_slice(bytes);
                            exchange.pieces.push((now_us, exchange.body.len()));
                        });
                    }
                    Some(Err(_)) => under.end(End::Failed),
                    None => under.end(End::Whole),
                }
                Some((piece?, (body, under)))
            });
            Ok(HttpResponse { status: response.status, headers: response.headers, body: Box::pin(body) })
        })
    }
}
