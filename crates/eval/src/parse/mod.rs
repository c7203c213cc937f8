//! From a model's text to an output. What is repaired on the way is marked; nothing is made up.

mod json;
mod label;
mod read;

pub(crate) use json::{extract, objects_in};
pub(crate) use label::Labels;
pub(crate) use read::plain_number;

/// The largest text that is parsed, in bytes.
pub(crate) const BYTES_MAX: usize = 1 << 20;
/// The deepest nesting that is parsed.
pub(crate) const DEPTH_MAX: usize = 64;

/// The kinds of repair that were needed, each once, in the order in which they were.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Repairs(Vec<&'static str>);

impl Repairs {
    pub(crate) fn mark(&mut self, kind: &'static str) {
        if !self.0.contains(&kind) {
            self.0.push(kind);
        }
    }

    pub(crate) fn names(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}
