//! The exact cache from outside: what is the same call, what is found, what is forgotten.

mod exact;
mod key;
