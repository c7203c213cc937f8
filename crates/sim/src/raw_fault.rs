//! Faults as written in a scenario file: one flat table each, whose keys must be those of its kind.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::behaviour::Share;
use crate::fault::{Fault, FaultShare, RetryAfter, StatusShare};

/// More than any sensible answer; keeps a typing error from filling the memory.
const BYTES_MAX: usize = 1 << 30;

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Refuse,
    Hang,
    HeadersThenSilence,
    Trickle,
    Status,
    ModelGone,
    Unauthorized,
    Payment,
    #[serde(rename = "error_body_200")]
    ErrorBody200,
    #[serde(rename = "html_200")]
    Html200,
    InvalidJson,
    TruncatedJson,
    CutBody,
    ErrorEvent,
    CutStream,
    NoTerminal,
    NoUsage,
    MalformedChunk,
    HugeChunk,
    #[serde(rename = "split_utf8")]
    SplitUtf8,
    KeepaliveForever,
    Stall,
    Length,
    Empty,
    Refusal,
    WrongSchema,
    Invented,
    Fenced,
    DuplicateToolCalls,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawFault {
    kind: Kind,
    share: Share,
    after_tokens: Option<usize>,
    every_ms: Option<u64>,
    bytes: Option<usize>,
    status: Option<u16>,
    retry_after: Option<u64>,
    retry_after_date: Option<u64>,
    body: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RawStatus {
    share: Share,
    status: u16,
    retry_after: Option<u64>,
    retry_after_date: Option<u64>,
    body: Option<String>,
}

impl<'de> Deserialize<'de> for FaultShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table::<RawFault, Self>(PhantomData))
    }
}

impl<'de> Deserialize<'de> for StatusShare {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Table::<RawStatus, Self>(PhantomData))
    }
}

/// Reads a table as `R` and makes a `T` of it while still inside the table, so that an error points at it
/// (`#[serde(try_from)]` would point at the list around it).
struct Table<R, T>(PhantomData<(R, T)>);

impl<'de, R: Deserialize<'de>, T: TryFrom<R, Error = String>> Visitor<'de> for Table<R, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table with `share` and what it is the share of")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::try_from(R::deserialize(MapAccessDeserializer::new(map))?).map_err(A::Error::custom)
    }
}

impl TryFrom<RawStatus> for StatusShare {
    type Error = String;
    fn try_from(raw: RawStatus) -> Result<Self, String> {
        Ok(Self {
            share: raw.share,
            status: error_status(raw.status)?,
            retry_after: retry_after(raw.retry_after, raw.retry_after_date)?,
            body: raw.body,
        })
    }
}

impl TryFrom<RawFault> for FaultShare {
    type Error = String;
    fn try_from(mut raw: RawFault) -> Result<Self, String> {
        let fault = match raw.kind {
            Kind::Refuse => Fault::Refuse,
            Kind::Hang => Fault::Hang,
            Kind::HeadersThenSilence => Fault::HeadersThenSilence,
            Kind::Trickle => Fault::Trickle { every: raw.every()? },
            Kind::Status => Fault::Status {
                status: error_status(need(raw.status.take(), "status")?)?,
                retry_after: retry_after(raw.retry_after.take(), raw.retry_after_date.take())?,
                body: raw.body.take(),
            },
            Kind::ModelGone => Fault::ModelGone,
            Kind::Unauthorized => Fault::Unauthorized,
            Kind::Payment => Fault::Payment,
            Kind::ErrorBody200 => Fault::ErrorBody200,
            Kind::Html200 => Fault::Html200,
            Kind::InvalidJson => Fault::InvalidJson,
            Kind::TruncatedJson => Fault::TruncatedJson,
            Kind::CutBody => Fault::CutBody,
            Kind::ErrorEvent => Fault::ErrorEvent { after_tokens: raw.after_tokens()? },
            Kind::CutStream => Fault::CutStream { after_tokens: raw.after_tokens()? },
            Kind::NoTerminal => Fault::NoTerminal,
            Kind::NoUsage => Fault::NoUsage,
            Kind::MalformedChunk => Fault::MalformedChunk { after_tokens: raw.after_tokens()? },
            Kind::HugeChunk => Fault::HugeChunk { bytes: raw.bytes()? },
            Kind::SplitUtf8 => Fault::SplitUtf8,
            Kind::KeepaliveForever => Fault::KeepaliveForever { every: raw.every()? },
            Kind::Stall => Fault::Stall {
                after_tokens: raw.after_tokens()?,
                every: raw.every_ms.is_some().then(|| raw.every()).transpose()?,
            },
            Kind::Length => Fault::Length,
            Kind::Empty => Fault::Empty,
            Kind::Refusal => Fault::Refusal,
            Kind::WrongSchema => Fault::WrongSchema,
            Kind::Invented => Fault::Invented,
            Kind::Fenced => Fault::Fenced,
            Kind::DuplicateToolCalls => Fault::DuplicateToolCalls,
        };
        raw.nothing_left(&fault)?;
        Ok(Self { share: raw.share, fault })
    }
}

impl RawFault {
    fn after_tokens(&mut self) -> Result<usize, String> {
        need(self.after_tokens.take(), "after_tokens")
    }

    fn every(&mut self) -> Result<Duration, String> {
        match need(self.every_ms.take(), "every_ms")? {
            0 => Err("`every_ms` is 1 or more".to_owned()),
            ms => Ok(Duration::from_millis(ms)),
        }
    }

    fn bytes(&mut self) -> Result<usize, String> {
        let bytes = need(self.bytes.take(), "bytes")?;
        if bytes <= BYTES_MAX { Ok(bytes) } else { Err(format!("`bytes` is {BYTES_MAX} at most")) }
    }

    /// What its kind did not take does not belong to it.
    fn nothing_left(&self, fault: &Fault) -> Result<(), String> {
        let left = [
            ("after_tokens", self.after_tokens.is_some()),
            ("every_ms", self.every_ms.is_some()),
            ("bytes", self.bytes.is_some()),
            ("status", self.status.is_some()),
            ("retry_after", self.retry_after.is_some()),
            ("retry_after_date", self.retry_after_date.is_some()),
            ("body", self.body.is_some()),
        ];
        match left.iter().find(|(_, present)| *present) {
            Some((key, _)) => Err(format!("`{key}` does not apply to `kind = \"{}\"`: remove it", fault.name())),
            None => Ok(()),
        }
    }
}

fn need<T>(value: Option<T>, key: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("this kind of fault needs `{key}`"))
}

fn error_status(status: u16) -> Result<u16, String> {
    if (400..600).contains(&status) {
        return Ok(status);
    }
    Err(format!("`status` is an HTTP error, 400 to 599, not {status}"))
}

fn retry_after(seconds: Option<u64>, date: Option<u64>) -> Result<Option<RetryAfter>, String> {
    match (seconds, date) {
        (Some(_), Some(_)) => Err("`retry_after` or `retry_after_date`, not both".to_owned()),
        (Some(s), None) => Ok(Some(RetryAfter::Seconds(s))),
        (None, Some(s)) => Ok(Some(RetryAfter::Date(s))),
        (None, None) => Ok(None),
    }
}
