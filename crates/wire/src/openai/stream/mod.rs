//! Answers as they arrive: chunks in, and chunks out.

pub(super) mod decode;
pub(super) mod encode;
