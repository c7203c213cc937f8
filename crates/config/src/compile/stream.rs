//! `[stream]` to the limits that streams must keep to.

use std::time::Duration;

use baton_core::StreamLimits;

use super::intent::duration;
use crate::diagnostics::Sink;
use crate::document::Document;
use crate::files::StreamFile;

/// The longest that anything may be written for.
const MAX: Duration = Duration::from_secs(24 * 3600);

/// The limits; `None` where one of them is wrong, which is reported.
pub(super) fn stream(document: &Document, file: &StreamFile, sink: &mut Sink) -> Option<StreamLimits> {
    let mut time = |key: &str, text: &str| {
        let pointer = format!("/stream/{key}");
        let time = duration(document, &pointer, text, sink)?;
        if time.is_zero() || time > MAX {
            let help = "write a time of `1ms` to `24h`, as in `20s`";
            sink.error(document.at(&pointer), format!("`{key}` is {text}, which no stream can keep to"), help);
            return None;
        }
        Some(time)
    };
    // Each is looked at before the first `?`: all mistakes, not only the first.
    let (first_token, idle) = (time("first_token", &file.first_token), time("idle", &file.idle));
    let (total, grace) = (time("total", &file.total), time("grace", &file.grace));
    Some(StreamLimits {
        first_token: first_token?,
        idle: idle?,
        total: total?,
        bytes_per_second_min: file.min_bytes_per_second,
        grace: grace?,
    })
}
