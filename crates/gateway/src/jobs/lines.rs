//! The lines of a body as it arrives, so that a long one is never in memory as a whole.

use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes};
use baton_core::{ErrorCode, Failure};
use bytes::BytesMut;
use futures_util::StreamExt as _;
use tokio::time::timeout;

/// Bytes of a line: an item, and room for how it is written.
const LINE_BYTES_MAX: usize = 2 << 20;

/// See the module.
pub(super) struct Lines {
    body: BodyDataStream,
    /// The longest that nothing may arrive.
    patience: Duration,
    buffer: BytesMut,
    /// The first byte of the buffer that was not looked at.
    looked: usize,
    ended: bool,
    number: usize,
}

impl Lines {
    pub(super) fn new(body: Body, patience: Duration) -> Self {
        let (body, buffer) = (body.into_data_stream(), BytesMut::new());
        Self { body, patience, buffer, looked: 0, ended: false, number: 0 }
    }

    /// The number of the last line, from 1.
    pub(super) fn number(&self) -> usize {
        self.number
    }

    /// The next line that is not empty.
    ///
    /// # Errors
    /// `body_too_large` for a line, `deadline_exceeded` where nothing arrives, `invalid_json` where it
    /// breaks off.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            while let Some(line) = self.buffered() {
                self.number += 1;
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(line));
                }
            }
            if self.ended {
                return Ok(None);
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                self.number += 1;
                let message = format!("it is over {LINE_BYTES_MAX} bytes: each line is one item");
                return Err(Failure::new(ErrorCode::BodyTooLarge, message));
            }
            match timeout(self.patience, self.body.next()).await {
                Ok(Some(Ok(piece))) => self.buffer.extend_from_slice(&piece),
                Ok(None) => self.ended = true,
                Ok(Some(Err(error))) => {
                    return Err(Failure::new(ErrorCode::InvalidJson, format!("the body broke off: {error}")));
                }
                Err(_) => {
                    let message = format!("nothing of the body arrived for {} s", self.patience.as_secs_f64());
                    return Err(Failure::new(ErrorCode::DeadlineExceeded, message));
                }
            }
        }
    }

    /// A line that is there; at the end of the body, what is left of it.
    fn buffered(&mut self) -> Option<Bytes> {
        let end = self.buffer[self.looked..].iter().position(|byte| *byte == b'\n').map(|at| self.looked + at + 1);
        self.looked = self.buffer.len();
        let end = end.or_else(|| (self.ended && !self.buffer.is_empty()).then_some(self.buffer.len()))?;
        self.looked = 0;
        Some(self.buffer.split_to(end).freeze())
    }
}
