//! The semantic cache: an answer given before to an input that means the same, served only where
//! the evidence shows that the promised error is kept. Pure and in memory, as the exact cache is.

pub mod accept;
pub mod cell;
pub mod index;
mod numbered;
pub mod pair;
pub mod refuse;
pub mod words;
