//! How a command ends when it is not done: a message and a status that scripts rely on.

use std::io::Write as _;
use std::process::ExitCode;

/// 1 the thing asked about failed, 2 wrong usage or configuration, 3 something outside failed.
#[derive(Debug)]
pub(crate) struct Exit {
    status: u8,
    message: String,
}

impl Exit {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { status: 1, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { status: 2, message: message.into() }
    }

    pub(crate) fn outside(message: impl Into<String>) -> Self {
        Self { status: 3, message: message.into() }
    }

    /// Prints the message to standard error, where there is one.
    pub(crate) fn report(self) -> ExitCode {
        if !self.message.is_empty() {
            let _closed = writeln!(std::io::stderr(), "{}", self.message.trim_end());
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
    ($($text:tt)*) => {{
        use std::io::Write as _;
        let _closed = writeln!(std::io::stderr(), $($text)*);
    }};
}

pub(crate) use {say, tell};
