//! Offline evaluation: cases × candidates through the real engine, graded, compared in pairs, and
//! reported. Never on the request path: nothing that answers a call depends on this crate.

mod assert;
mod cache;
mod cascade;
mod case;
mod compare;
mod figures;
mod given;
mod grade;
mod grid;
mod pairs;
mod read;
mod report;
mod similarity;
mod traffic;

pub use assert::Assert;
pub use cache::AnswerCache;
pub use cascade::{InTurn, Together, together};
pub use case::{Case, Seen, ShareAsked, of_plan};
pub use compare::{Comparison, Pairing, Results, Rules, Verdict, baseline_of_file, compare, compare_bounded, results};
pub use figures::{Figures, Objective, figures};
pub use given::{Given, Refusal};
pub use grade::{Grade, Grader};
pub use grid::{Cell, Column, Options, Variant, run};
pub use pairs::{Preferences, Shown, prefer};
pub use read::{ReadError, read};
pub use report::{Evaluation, html, jsonl, junit, markdown};
pub use traffic::{Drawn, Wanted, from_traffic};
