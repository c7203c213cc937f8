//! How a command ends when it is not done: a message and a status that scripts rely on.

use std::process::ExitCode;

use serde_json::{Value, json};

/// 1 the thing asked about failed, 2 wrong usage or configuration, 3 something outside failed.
#[derive(Debug)]
pub(crate) struct Exit {
    status: u8,
    kind: &'static str,
    message: String,
    document: Option<Value>,
}

impl Exit {
    fn new(status: u8, kind: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, message: message.into(), document: None }
    }

    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self::new(1, "failed", message)
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(2, "usage", message)
    }

    pub(crate) fn outside(message: impl Into<String>) -> Self {
        Self::new(3, "outside", message)
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// With a line of what to do.
    pub(crate) fn with_hint(self, hint: &str) -> Self {
        Self { message: format!("{}\n{hint}", self.message), ..self }
    }

    /// What `--json` prints, instead of the message as an error.
    pub(crate) fn with_document(self, document: Value) -> Self {
        Self { document: Some(document), ..self }
    }

    /// Prints the message to standard error, where there is one; with `json` also one document to
    /// standard output, so that its reader always finds one.
    pub(crate) fn report(self, json: bool) -> ExitCode {
        let message = self.message.trim_end();
        if json {
            let error = || json!({ "error": { "type": self.kind, "message": message } });
            say!("{}", self.document.unwrap_or_else(error));
        }
        if !message.is_empty() {
            tell!("{message}");
        }
        ExitCode::from(self.status)
    }
}

/// Prints a line to standard output; a reader that closed it is no error.
macro_rules! say {
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _closed = writeln!(std::io::stdout(), $($text)*);
    }};
}

/// Prints a line to standard error.
macro_rules! tell {
    ($($text:tt)*) => {
        $crate::log::tell(format_args!($($text)*))
    };
}

pub(crate) use {say, tell};
