//! A prompt: split into messages before rendering, values never rendered again.

use std::cell::LazyCell;
use std::fmt;

use minijinja::value::{Serde, ValueKind};
use minijinja::{Environment, Output, State, UndefinedBehavior, Value as Var};
use serde_json::{Value, json};

use crate::{Case, IntentKind, Plan};

/// Names that a prompt may use besides the fields of the input. They win over fields.
pub(crate) const RESERVED: [&str; 5] = ["input", "labels", "output_schema", "examples", "messages"];

/// Those of them that are the same in every call.
pub(crate) const CONSTANTS: [&str; 3] = ["labels", "output_schema", "examples"];

/// Templates that say a text as it is: those of most prompts, of which nothing needs rendering then.
const AS_IT_IS: [&str; 2] = ["{{ input }}", "{{ input | text }}"];

/// Who speaks in a section of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptRole {
    /// `## system`.
    System,
    /// `## user`.
    User,
    /// `## assistant`.
    Assistant,
}

impl PromptRole {
    fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// A compiled `prompt.md`.
///
/// Templates are minijinja's, undefined variables are errors. Text is written as it is, everything
/// else as JSON. The filter `tojson` writes JSON; the filter `text` writes a text, or an object of
/// one text field, as that text, and everything else as JSON.
pub struct Prompt {
    environment: Environment<'static>,
    roles: Vec<PromptRole>,
    /// The text of sections that are the same in every call, by section; rendered at load.
    fixed: Vec<Option<String>>,
    /// Which sections are one of [`AS_IT_IS`].
    as_it_is: Vec<bool>,
    /// User and assistant turns, rendered at load.
    shots: Vec<(String, String)>,
}

/// Where a template is wrong.
pub(crate) struct TemplateError {
    /// Which section.
    pub(crate) section: usize,
    /// Its byte in the section, where known.
    pub(crate) at: usize,
    pub(crate) message: String,
    role: &'static str,
    line: usize,
}

/// `prompt, `## user`, line 2: …`; the line is the section's.
impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prompt, `## {}`, line {}: {}", self.role, self.line, self.message)
    }
}

impl Prompt {
    /// Compiles sections of (role, template).
    ///
    /// # Errors
    /// Where a template is malformed; the text says where.
    pub fn compile(sections: Vec<(PromptRole, String)>) -> Result<Self, String> {
        Self::compile_at(sections).map_err(|e| e.to_string())
    }

    pub(crate) fn compile_at(sections: Vec<(PromptRole, String)>) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_debug(true);
        environment.set_formatter(write_value);
        environment.add_filter("tojson", |value: Var| to_json(&value));
        environment.add_filter("text", |value: Var| value.as_str().map_or_else(|| as_text(&value), str::to_owned));
        let (mut roles, mut as_it_is) = (Vec::new(), Vec::new());
        for (section, (role, template)) in sections.into_iter().enumerate() {
            roles.push(role);
            as_it_is.push(AS_IT_IS.contains(&template.as_str()));
            let added = environment.add_template_owned(section.to_string(), template);
            added.map_err(|e| template_error(section, &roles, &e))?;
        }
        Ok(Self { environment, fixed: vec![None; roles.len()], as_it_is, roles, shots: Vec::new() })
    }

    /// Gives the templates what is the same in every call: `labels`, `output_schema` and `examples`;
    /// and renders the examples as turns of their own unless a template uses `examples`.
    pub(crate) fn with_constants(
        mut self,
        kind: &IntentKind,
        schema: Option<&Value>,
        examples: &[Case],
    ) -> Result<Self, TemplateError> {
        if let IntentKind::Classification(labels) = kind {
            let labels = labels.iter().map(|(name, about)| (Var::from(name.as_str()), Var::from(about.as_str())));
            self.environment.add_global("labels", Var::from_pairs(labels));
        }
        if let Some(schema) = schema {
            let text = serde_json::to_string_pretty(schema).unwrap_or_default();
            self.environment.add_global("output_schema", text);
        }
        if !examples.is_empty() {
            let pairs: Vec<_> = examples.iter().map(|c| json!({"input": c.input, "expected": c.expected})).collect();
            self.environment.add_global("examples", Var::from(Serde(pairs)));
        }
        let used = self.variables();
        let name = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
        for n in 0..self.roles.len() {
            if used.iter().all(|(section, path)| *section != n || CONSTANTS.contains(&name(path).as_str())) {
                self.fixed[n] = Some(self.section(n, &Var::UNDEFINED)?);
            }
        }
        if let Some(user) = self.last_user().filter(|_| !used.iter().any(|(_, path)| name(path) == "examples")) {
            let shot = |case: &Case| Ok((self.section(user, &context(&case.input))?, spoken(kind, &case.expected)));
            self.shots = examples.iter().map(shot).collect::<Result<_, _>>()?;
        }
        Ok(self)
    }

    /// The messages of one call: the sections rendered with this input, few-shot examples as turns
    /// before the last user message. An object's fields are variables; `input` is all of it.
    ///
    /// # Errors
    /// Where a variable is undefined or an expression fails; the text says which and where.
    pub fn messages(&self, input: &Value) -> Result<Vec<(PromptRole, String)>, String> {
        self.messages_at(input).map_err(|e| e.to_string())
    }

    pub(crate) fn messages_at(&self, input: &Value) -> Result<Vec<(PromptRole, String)>, TemplateError> {
        let context = LazyCell::new(|| context(input));
        let last_user = self.last_user();
        let mut messages = Vec::with_capacity(self.roles.len() + 2 * self.shots.len());
        for (n, role) in self.roles.iter().enumerate() {
            if Some(n) == last_user {
                for (user, assistant) in &self.shots {
                    messages.push((PromptRole::User, user.clone()));
                    messages.push((PromptRole::Assistant, assistant.clone()));
                }
            }
            let text = match (&self.fixed[n], input) {
                (Some(text), _) => text.clone(),
                (None, Value::String(text)) if self.as_it_is[n] => text.clone(),
                (None, _) => self.section(n, &context)?,
            };
            messages.push((*role, text));
        }
        Ok(messages)
    }

    /// Renders the sections with these variables, and nothing else.
    ///
    /// # Errors
    /// Where a variable is undefined or an expression fails; the text says which.
    pub fn render(&self, variables: &Value) -> Result<Vec<(PromptRole, String)>, String> {
        let variables = Var::from(Serde(variables));
        let sections = self.roles.iter().enumerate();
        let render = |(n, role): (usize, &PromptRole)| self.section(n, &variables).map(|text| (*role, text));
        sections.map(|s| render(s).map_err(|e| e.to_string())).collect()
    }

    fn section(&self, n: usize, variables: &Var) -> Result<String, TemplateError> {
        let template = self.environment.get_template(&n.to_string());
        template.and_then(|t| t.render(variables.clone())).map_err(|e| template_error(n, &self.roles, &e))
    }

    /// Whether all calls share the same text, and their input comes last, as the user's turn.
    pub(crate) fn ends_with_input(&self) -> bool {
        let Some((last, others)) = self.fixed.split_last() else { return false };
        others.iter().all(Option::is_some) && last.is_none() && self.roles.last() == Some(&PromptRole::User)
    }

    fn last_user(&self) -> Option<usize> {
        self.roles.iter().rposition(|role| *role == PromptRole::User)
    }

    /// Roles and templates, as hashed.
    pub(crate) fn sources(&self) -> Vec<(&'static str, String)> {
        let source = |n: usize| self.environment.get_template(&n.to_string()).map(|t| t.source().to_owned());
        self.roles.iter().enumerate().map(|(n, role)| (role.name(), source(n).unwrap_or_default())).collect()
    }

    /// The variables that sections use and do not declare, as (section, dotted path), sorted.
    pub(crate) fn variables(&self) -> Vec<(usize, String)> {
        let functions: Vec<_> = self.environment.globals().map(|(name, _)| name).collect();
        let function = |path: &str| functions.contains(&path) && !RESERVED.contains(&path);
        let mut all: Vec<(usize, String)> = Vec::new();
        for n in 0..self.roles.len() {
            let Ok(template) = self.environment.get_template(&n.to_string()) else { continue };
            all.extend(template.undeclared_variables(true).into_iter().filter(|v| !function(v)).map(|v| (n, v)));
        }
        all.sort();
        all
    }
}

impl Plan {
    /// The messages of one call. See [`Prompt::messages`].
    ///
    /// # Errors
    /// Where a variable is undefined or an expression fails; the text says which and where.
    pub fn messages(&self, input: &Value) -> Result<Vec<(PromptRole, String)>, String> {
        self.prompt.messages(input)
    }
}

/// The variables of a call: the input, and its fields where it is an object.
fn context(input: &Value) -> Var {
    let all = Var::from(Serde(input));
    let fields = input.as_object().into_iter().flat_map(|o| o.keys()).filter(|k| !RESERVED.contains(&k.as_str()));
    let fields = fields.map(|name| (Var::from(name.as_str()), all.get_attr(name).unwrap_or_default()));
    let pairs: Vec<_> = fields.chain([(Var::from("input"), all.clone())]).collect();
    Var::from_pairs(pairs)
}

/// An expected output as a model would say it: the label, the text, or JSON.
fn spoken(kind: &IntentKind, expected: &Value) -> String {
    let word = match kind {
        IntentKind::Classification(_) => expected.get("label"),
        IntentKind::Generation => expected.get("text"),
        IntentKind::Extraction => None,
    };
    word.and_then(Value::as_str).map_or_else(|| expected.to_string(), str::to_owned)
}

/// Text as it is, everything else as JSON.
fn write_value(out: &mut Output<'_>, state: &mut State<'_, '_>, value: &Var) -> Result<(), minijinja::Error> {
    match value.kind() {
        ValueKind::Map | ValueKind::Seq | ValueKind::Bool | ValueKind::None => {
            out.write_str(&to_json(value)).map_err(Into::into)
        }
        _ => minijinja::escape_formatter(out, state, value),
    }
}

fn to_json(value: &Var) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn as_text(value: &Var) -> String {
    let only = (value.kind() == ValueKind::Map && value.len() == Some(1)).then(|| value.try_iter().ok()?.next());
    let field = only.flatten().and_then(|key| value.get_item(&key).ok());
    field.and_then(|f| f.as_str().map(str::to_owned)).unwrap_or_else(|| to_json(value))
}

fn template_error(section: usize, roles: &[PromptRole], error: &minijinja::Error) -> TemplateError {
    let what = match error.detail() {
        Some(detail) => format!("{}: {detail}", error.kind()),
        None => error.kind().to_string(),
    };
    let role = roles.get(section).map_or("", |role| role.name());
    let line = error.line().unwrap_or(1);
    let at = error.range().map(|range| range.start);
    let at = at.or_else(|| {
        let source = error.template_source()?;
        Some(source.split_inclusive('\n').take(line - 1).map(str::len).sum())
    });
    TemplateError { section, at: at.unwrap_or(0), message: what, role, line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_needs_no_rendering_is_what_rendering_makes_of_it() {
        for template in AS_IT_IS.into_iter().chain(["{{ input }}.", " {{ input | text }}\n"]) {
            let prompt = Prompt::compile(vec![(PromptRole::User, template.to_owned())]).unwrap();
            assert_eq!(prompt.as_it_is, [AS_IT_IS.contains(&template)]);
            for input in [
                json!(""),
                json!(" <b>&amp;\n\"{{ input }}\" é\n"),
                json!({"ticket": "one"}),
                json!({"a": 1, "input": "b"}),
                json!([1]),
                json!(1.5),
                json!(null),
            ] {
                let rendered = prompt.render(&json!({ "input": input.clone() }));
                assert_eq!(prompt.messages(&input), rendered, "{template}: {input}");
            }
        }
    }
}
