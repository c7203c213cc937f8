//! What went wrong on the wire, and so what may be done about it.

use baton_core::Disposition;

use crate::TransportError;

/// The most characters of a provider's message that are kept.
pub const MESSAGE_CHARS_MAX: usize = 500;

/// A failed exchange or an unusable document.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct WireError {
    /// What may be done about it.
    pub disposition: Disposition,
    /// What was wrong; a provider's own words are kept, at most [`MESSAGE_CHARS_MAX`] characters.
    pub message: String,
    /// The HTTP status, where the provider answered with one.
    pub status: Option<u16>,
    /// The provider's code, else its type of error; cut likewise.
    pub code: Option<String>,
    /// The place in the document, as a JSON pointer (ours) or as the provider names it; cut likewise.
    pub param: Option<String>,
}

impl WireError {
    /// An error of this disposition; the message is cut at [`MESSAGE_CHARS_MAX`] characters.
    #[must_use]
    pub fn new(disposition: Disposition, message: impl Into<String>) -> Self {
        Self { disposition, message: bounded(message.into()), status: None, code: None, param: None }
    }

    /// The exchange broke before it was complete: trying again may help.
    #[must_use]
    pub fn broken(message: impl Into<String>) -> Self {
        Self::new(Disposition::Transient, message)
    }

    /// An answer came, and it is none that can be given.
    #[must_use]
    pub fn bad_answer(message: impl Into<String>) -> Self {
        Self::new(Disposition::BadAnswer, message)
    }

    /// A document that is not what was asked for, at this JSON pointer.
    pub(crate) fn at(pointer: String, message: String) -> Self {
        Self { param: Some(bounded(pointer)), ..Self::new(Disposition::CallersFault, message) }
    }

    /// The same error with another disposition.
    pub(crate) fn disposed(mut self, disposition: Disposition) -> Self {
        self.disposition = disposition;
        self
    }
}

/// Others' words, cut at [`MESSAGE_CHARS_MAX`] characters.
pub(crate) fn bounded(mut words: String) -> String {
    if let Some((end, _)) = words.char_indices().nth(MESSAGE_CHARS_MAX) {
        words.truncate(end);
    }
    words
}

impl From<TransportError> for WireError {
    fn from(error: TransportError) -> Self {
        Self::broken(error.message)
    }
}
