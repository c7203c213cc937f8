//! What is asked and what is true: so many inputs of each task that no two calls at a time are the same.

use serde_json::{Value, json};

/// Of each task so many inputs.
pub(crate) const INPUTS: usize = 24;

/// What a caller asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Task {
    /// A label: its form is checked before anything is released.
    Classify,
    /// Fields that must stand in the input.
    Extract,
    /// Text, released as it comes.
    Reply,
    /// Text, or calls of a tool.
    Tools,
}

/// One input.
pub(crate) struct Question {
    pub(crate) intent: &'static str,
    pub(crate) input: String,
    /// The output that is true.
    pub(crate) truth: Value,
    pub(crate) tools: bool,
}

const LABELS: [&str; 4] = ["billing", "bug", "how-to", "account"];
const HOUSES: [&str; 4] = ["Harbour Books Ltd", "Café Größenwahn", "North Line Rail", "Oak & Sons"];
const TOPICS: [&str; 4] = ["the invoice of March", "the broken export", "adding a colleague", "a locked account"];

impl Task {
    /// The n-th input of this task.
    pub(crate) fn question(self, n: usize) -> Question {
        let n = n % INPUTS;
        match self {
            Self::Classify => Question {
                intent: "classify",
                input: format!("Ticket {n:03}: it is about {}.", TOPICS[n % 4]),
                truth: json!({ "label": LABELS[n % 4] }),
                tools: false,
            },
            Self::Extract => {
                let (company, total) = (HOUSES[n % 4], format!("{}.{:02}", 11 + n * 7, n * 3));
                Question {
                    intent: "extract",
                    input: format!("Receipt {n:03} of {company}, two items, total {total} EUR, paid by card."),
                    truth: json!({ "company": company, "total": total }),
                    tools: false,
                }
            }
            Self::Reply | Self::Tools => Question {
                intent: "reply",
                input: format!("Letter {n:03}: please tell me more about {}.", TOPICS[n % 4]),
                truth: json!({ "text": format!(
                    "Thank you for letter {n:03}. About {}: we looked into it, and wrote to you the same day.",
                    TOPICS[n % 4]
                ) }),
                tools: self == Self::Tools,
            },
        }
    }

    /// The lines of a truth file.
    pub(crate) fn lines(self) -> String {
        let line = |n| {
            let question = self.question(n);
            json!({ "input": question.input, "expected": question.truth }).to_string() + "\n"
        };
        (0..INPUTS).map(line).collect()
    }
}
