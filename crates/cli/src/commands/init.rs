//! `baton init`: a new intent.

use std::fs;
use std::path::Path;

use baton_config::{INTENT_NAMES, is_intent_name};
use clap::Args;

use crate::exit::{Exit, say};
use crate::setup::Folder;

const INTENT: &str = r#"# What may answer, in this order. "local" is built in: it learns from cases.jsonl, costs nothing, and
# passes on what it is not sure of. Add models behind it; keys come from the environment:
#   models = ["local", "openai/gpt-4o-mini"]          # OPENAI_API_KEY
models = ["local"]

# The labels, and what each is for: the model reads the descriptions.
[labels]
billing = "invoices, refunds, charges"
bug = "something is broken"
how-to = "asks how to do something"
account = "login, seats, permissions"

[local]
cut = 0          # always answer, however unsure. Delete these two lines once another model stands behind
"#;

const CASES: &str = r#"{"input":{"text":"I was charged twice this month"},"expected":{"label":"billing"},"share":"examples"}
{"input":{"text":"Please refund my last invoice"},"expected":{"label":"billing"},"share":"examples"}
{"input":{"text":"Why is the bill higher than the price on your page?"},"expected":{"label":"billing"},"share":"examples"}
{"input":{"text":"The page stays white after I press save"},"expected":{"label":"bug"},"share":"examples"}
{"input":{"text":"The export crashes with error 500"},"expected":{"label":"bug"},"share":"examples"}
{"input":{"text":"Uploading a photo no longer works since the update"},"expected":{"label":"bug"},"share":"examples"}
{"input":{"text":"How do I export my data to a spreadsheet?"},"expected":{"label":"how-to"},"share":"examples"}
{"input":{"text":"Where can I change the language?"},"expected":{"label":"how-to"},"share":"examples"}
{"input":{"text":"Is there a way to schedule a report every Monday?"},"expected":{"label":"how-to"},"share":"examples"}
{"input":{"text":"I cannot log in, my password is not accepted"},"expected":{"label":"account"},"share":"examples"}
{"input":{"text":"Please add two seats for new colleagues"},"expected":{"label":"account"},"share":"examples"}
{"input":{"text":"Make Ana an administrator of our team"},"expected":{"label":"account"},"share":"examples"}
"#;

/// Make an intent: a folder with a policy and a few cases to edit. Overwrites nothing.
#[derive(Args)]
#[command(
    after_help = "Example:\n  baton init classify-ticket\n  baton run classify-ticket --input '{\"text\":\"I was charged twice\"}'"
)]
pub(crate) struct Init {
    /// The intent's name: up to 64 of a-z, 0-9, - and _
    #[arg(default_value = "classify-ticket")]
    name: String,
    #[command(flatten)]
    folder: Folder,
}

impl Init {
    pub(crate) fn run(self) -> Result<(), Exit> {
        if !is_intent_name(&self.name) {
            return Err(Exit::usage(format!("`{}` cannot be an intent's name: {INTENT_NAMES}", self.name)));
        }
        let here = self.folder.dir == Path::new(".");
        let intents = if here { "intents".into() } else { self.folder.dir.join("intents") };
        let intent = intents.join(&self.name);
        if intent.exists() {
            return Err(Exit::usage(format!("{} is there already, and is left as it is", intent.display())));
        }
        write(&intent, "intent.toml", INTENT)?;
        write(&intent, "cases.jsonl", CASES)?;
        let place = if here { String::new() } else { format!(" --dir {}", self.folder.dir.display()) };
        say!("made {}", intent.display());
        say!("  intent.toml   models, labels: edit these first");
        say!("  cases.jsonl   what `local` learns from: one input and its label a line");
        say!("");
        say!("next:");
        say!("  baton run {}{place} --input '{{\"text\":\"I was charged twice\"}}'", self.name);
        say!("  baton serve{place}");
        Ok(())
    }
}

fn write(folder: &Path, name: &str, text: &str) -> Result<(), Exit> {
    let file = folder.join(name);
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&file, text))
        .map_err(|error| Exit::outside(format!("{} cannot be written: {error}", file.display())))
}
