//! One line of log for each failed execution: its ids, and no word of anybody.

use std::sync::Mutex;

use baton_core::{ErrorType, Record, Status};

/// Lines within one second; more are counted, and told with the next.
const LINES_A_SECOND_MAX: u64 = 100;

/// See the module. Give [`Failures::observe`] every record.
#[derive(Debug, Default)]
pub struct Failures(Mutex<Second>);

#[derive(Clone, Copy, Debug, Default)]
struct Second {
    at_s: i64,
    lines: u64,
    held_back: u64,
}

impl Second {
    /// Whether there is room for one more line, and how many were held back before it.
    fn room(&mut self, now_s: i64) -> Option<u64> {
        if self.at_s != now_s {
            (self.at_s, self.lines) = (now_s, 0);
        }
        if self.lines >= LINES_A_SECOND_MAX {
            self.held_back += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.held_back))
    }
}

impl Failures {
    /// Writes the line, where the execution failed. What the caller did wrong is `info`, the rest
    /// `warn`.
    pub fn observe(&self, record: &Record) {
        let (Some(error), Status::Failed | Status::Interrupted) = (&record.error, record.status) else { return };
        let ended_s = record.started_at_us / 1_000_000 + i64::try_from(record.duration_us / 1_000_000).unwrap_or(0);
        let held_back = {
            let mut second = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let Some(held_back) = second.room(ended_s) else { return };
            held_back
        };
        let tried: Vec<String> =
            record.attempts.iter().map(|a| format!("{} {} {}", a.model, a.kind.as_str(), a.outcome.as_str())).collect();
        let intent = record.intent.as_ref().map_or("", |intent| intent.as_str());
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "baton::execution",
                    execution = %record.execution,
                    trace = %record.trace().id,
                    team = record.team.as_str(),
                    intent,
                    version = record.version.as_str(),
                    status = record.status.as_str(),
                    code = error.code.as_str(),
                    duration_ms = record.duration_us / 1000,
                    attempts = tried.join(", "),
                    held_back,
                    "an execution failed"
                )
            };
        }
        if is_callers(error.code.error_type()) { line!(info) } else { line!(warn) }
    }
}

/// What only the caller can mend.
pub(crate) fn is_callers(kind: ErrorType) -> bool {
    use ErrorType::{Authentication, Conflict, InvalidRequest, NotFound, Permission, RateLimited, TooLarge};
    matches!(kind, Authentication | Conflict | InvalidRequest | NotFound | Permission | RateLimited | TooLarge)
        || kind == ErrorType::UpstreamRejected
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use baton_core::{AttemptKind, AttemptOutcome, ErrorCode, Failure};

    use super::*;
    use crate::fixtures::{CONTENT, SECRETS, attempt, record};

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged as JSON of these records.
    fn logged(records: &[Record]) -> Vec<serde_json::Value> {
        let written = Written::default();
        let writer = written.clone();
        let subscriber = tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO);
        let subscriber = subscriber.with_writer(move || writer.clone()).finish();
        let failures = Failures::default();
        tracing::subscriber::with_default(subscriber, || records.iter().for_each(|record| failures.observe(record)));
        let text = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Words of everybody wherever a record has room for them.
    fn failed(code: ErrorCode) -> Record {
        let mut record = record();
        record.status = Status::Failed;
        record.error = Some(Failure::new(code, format!("the provider said {}", CONTENT[0])).at(CONTENT[1]));
        record.reason = Some(CONTENT[0].into());
        record.partition = vec![Some(SECRETS[0].into())];
        record.session = Some(SECRETS[1].into());
        let mut attempt = attempt("sim/a", AttemptKind::Primary, AttemptOutcome::Transient);
        attempt.error = Some(CONTENT[1].into());
        record.attempts = vec![attempt];
        record
    }

    #[test]
    fn a_failed_execution_is_one_line_with_ids_and_no_words() {
        let record = failed(ErrorCode::AllCandidatesFailed);
        let lines = logged(std::slice::from_ref(&record));
        assert_eq!(lines.len(), 1);
        let fields = &lines[0]["fields"];
        assert_eq!(lines[0]["level"], "WARN");
        assert_eq!(fields["execution"], record.execution.to_string());
        assert_eq!(fields["code"], "all_candidates_failed");
        assert_eq!(fields["attempts"], "sim/a primary transient");
        let text = lines[0].to_string();
        for word in CONTENT.iter().chain(&SECRETS) {
            assert!(!text.contains(word), "{word} is logged: {text}");
        }
    }

    #[test]
    fn what_succeeds_is_no_line_and_a_callers_fault_is_no_warning() {
        assert_eq!(logged(&[record()]), Vec::<serde_json::Value>::new());
        assert_eq!(logged(&[failed(ErrorCode::InputInvalid)])[0]["level"], "INFO");
    }

    #[test]
    fn lines_have_a_bound_and_what_was_held_back_is_told() {
        let mut records = vec![failed(ErrorCode::QueueFull); 130];
        let mut later = failed(ErrorCode::QueueFull);
        later.started_at_us += 1_000_000;
        records.push(later);
        let lines = logged(&records);
        assert_eq!(lines.len(), 101);
        assert_eq!(lines[100]["fields"]["held_back"], 30);
    }
}
