//! A provider's batches: many requests in a file, answered within a day, at half the price as a rule.

use std::collections::BTreeMap;

use baton_wire::openai::{self, Batch, BatchLine};
use baton_wire::{BodyStream, ChatRequest, WireError};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::{HeaderValue, Method};

use crate::provider::{BODY_BYTES_MAX, Provider, whole};

/// Batches of a page, the most that OpenAI gives.
const PAGE: usize = 100;
/// Pages that are looked through.
const PAGES_MAX: usize = 100;
/// Between two parts of a form: nothing that JSON has at the start of a line.
const BOUNDARY: &str = "----baton-batch-7d1b0a5e6c4f";

/// See the module. Each call is one exchange, without retries.
pub struct Batches<'a>(&'a Provider);

/// A file of requests.
#[derive(Default)]
pub struct BatchFile(Vec<u8>);

/// What came of a batch's requests, as it arrives.
pub struct BatchLines {
    /// Whether a simulator answered.
    pub simulated: bool,
    body: BodyStream,
    buffer: BytesMut,
    ended: bool,
}

impl Provider {
    /// Its batches, where it takes any.
    #[must_use]
    pub fn batches(&self) -> Option<Batches<'_>> {
        self.batches.then_some(Batches(self))
    }
}

impl BatchFile {
    /// Its bytes so far.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }
}

impl Batches<'_> {
    /// Adds a request under a name.
    pub fn add(&self, file: &mut BatchFile, name: &str, request: &ChatRequest) {
        openai::encode_batch_line(&mut file.0, name, &self.0.body(request, false));
    }

    /// Uploads a file of requests: its id.
    ///
    /// # Errors
    /// With the disposition that its kind has.
    pub async fn upload(&self, file: &BatchFile) -> Result<String, WireError> {
        let mut form = Vec::with_capacity(file.0.len() + 512);
        form.extend_from_slice(
            format!(
                "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--{BOUNDARY}\r\n\
                 content-disposition: form-data; name=\"file\"; filename=\"baton.jsonl\"\r\n\
                 content-type: application/jsonl\r\n\r\n"
            )
            .as_bytes(),
        );
        form.extend_from_slice(&file.0);
        form.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
        let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={BOUNDARY}")).ok();
        let response = self.0.ask_at(Method::POST, "files", (kind, Bytes::from(form))).await?;
        openai::decode_file(&whole(response).await?)
    }

    /// Makes a batch of a file.
    ///
    /// # Errors
    /// As [`Batches::upload`].
    pub async fn create(&self, file: &str, metadata: &BTreeMap<String, String>) -> Result<Batch, WireError> {
        let body = openai::encode_batch(file, metadata);
        let response = self.0.ask_at(Method::POST, "batches", (None, body)).await?;
        openai::decode_batch(&whole(response).await?)
    }

    /// How far a batch is.
    ///
    /// # Errors
    /// As [`Batches::upload`].
    pub async fn get(&self, id: &str) -> Result<Batch, WireError> {
        let response = self.0.ask_at(Method::GET, &format!("batches/{id}"), (None, Bytes::new())).await?;
        openai::decode_batch(&whole(response).await?)
    }

    /// The batch with this metadata, of those made since then, Unix seconds.
    ///
    /// # Errors
    /// As [`Batches::upload`].
    pub async fn find(&self, metadata: &BTreeMap<String, String>, since: i64) -> Result<Option<Batch>, WireError> {
        let mut place = format!("batches?limit={PAGE}");
        for _ in 0..PAGES_MAX {
            let response = self.0.ask_at(Method::GET, &place, (None, Bytes::new())).await?;
            let (batches, after) = openai::decode_batches(&whole(response).await?)?;
            // The latest come first.
            let older = batches.iter().any(|batch| batch.created_at < since);
            let ours = |batch: &Batch| {
                let has =
                    |(name, value): (&String, &String)| batch.metadata.as_ref()?.get(name).filter(|v| *v == value);
                metadata.iter().all(|entry| has(entry).is_some())
            };
            if let Some(batch) = batches.into_iter().find(ours) {
                return Ok(Some(batch));
            }
            match after.filter(|_| !older) {
                Some(after) => place = format!("batches?limit={PAGE}&after={after}"),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    /// Asks for a batch to be cancelled.
    ///
    /// # Errors
    /// As [`Batches::upload`].
    pub async fn cancel(&self, id: &str) -> Result<Batch, WireError> {
        let response = self.0.ask_at(Method::POST, &format!("batches/{id}/cancel"), (None, Bytes::new())).await?;
        openai::decode_batch(&whole(response).await?)
    }

    /// Downloads what came of a batch's requests.
    ///
    /// # Errors
    /// As [`Batches::upload`].
    pub async fn download(&self, file: &str) -> Result<BatchLines, WireError> {
        let response = self.0.ask_at(Method::GET, &format!("files/{file}/content"), (None, Bytes::new())).await?;
        let simulated = self.0.is_simulated(&response);
        Ok(BatchLines { simulated, body: response.body, buffer: BytesMut::new(), ended: false })
    }

    /// Deletes a file, which has content.
    ///
    /// # Errors
    /// As [`Batches::upload`].
    pub async fn delete(&self, file: &str) -> Result<(), WireError> {
        self.0.ask_at(Method::DELETE, &format!("files/{file}"), (None, Bytes::new())).await.map(drop)
    }
}

impl BatchLines {
    /// The next one; none is longer than an answer may be.
    ///
    /// # Errors
    /// Transient: the download broke off. Bad answer: what is no line of a batch.
    pub async fn next(&mut self) -> Result<Option<BatchLine>, WireError> {
        let mut looked = 0;
        loop {
            let end = self.buffer[looked..].iter().position(|byte| *byte == b'\n').map(|at| looked + at + 1);
            looked = self.buffer.len();
            if let Some(end) = end.or_else(|| (self.ended && looked > 0).then_some(looked)) {
                let line = self.buffer.split_to(end);
                looked = 0;
                if !line.trim_ascii().is_empty() {
                    return openai::decode_batch_line(&line).map(Some);
                }
                continue;
            }
            if self.ended {
                return Ok(None);
            }
            if looked > BODY_BYTES_MAX {
                return Err(WireError::bad_answer(format!("a line of a batch is larger than {BODY_BYTES_MAX} bytes")));
            }
            match self.body.next().await {
                Some(piece) => self.buffer.extend_from_slice(&piece?),
                None => self.ended = true,
            }
        }
    }
}
