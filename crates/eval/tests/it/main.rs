//! Checks from outside: what a text becomes, what each check says, and that nothing is made up.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod kinds;
mod opinion;
mod parse;
mod plan;
mod promptfoo;
mod props;
mod span;
mod whole;
