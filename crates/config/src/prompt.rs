//! A prompt: split into messages before rendering, values never rendered again.

use minijinja::{Environment, UndefinedBehavior};
use serde_json::Value;

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

/// A compiled `prompt.md`.
pub struct Prompt {
    environment: Environment<'static>,
    roles: Vec<PromptRole>,
}

impl Prompt {
    /// Compiles sections of (role, template).
    ///
    /// # Errors
    /// Where a template is malformed; the text says where.
    pub fn compile(sections: Vec<(PromptRole, String)>) -> Result<Self, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let mut roles = Vec::new();
        for (n, (role, template)) in sections.into_iter().enumerate() {
            environment.add_template_owned(n.to_string(), template).map_err(|e| e.to_string())?;
            roles.push(role);
        }
        Ok(Self { environment, roles })
    }

    /// Renders the sections with these variables.
    ///
    /// # Errors
    /// Where a variable is undefined or an expression fails; the text says which.
    pub fn render(&self, variables: &Value) -> Result<Vec<(PromptRole, String)>, String> {
        let section = |(n, role): (usize, &PromptRole)| {
            let template = self.environment.get_template(&n.to_string()).map_err(|e| e.to_string())?;
            Ok((*role, template.render(minijinja::value::Serde(variables)).map_err(|e| e.to_string())?))
        };
        self.roles.iter().enumerate().map(section).collect()
    }
}
