//! Texts with parts to fill in, in minijinja's language (Jinja2's): they see what they are given and nothing else, and a
//! text that would take too long is cut off.

use std::fmt;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde::Serialize;

/// Steps that filling a text in may take.
const FUEL: u64 = 100_000;

/// A text that was found to be well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// Reads a text. It may name only these variables; all where none are given.
    ///
    /// # Errors
    /// It is not well formed, or names another variable.
    pub fn parse(text: &str, variables: &[&str]) -> Result<Self, String> {
        let environment = environment();
        let template = environment.template_from_str(text).map_err(|why| format!("{text:?} is no template: {why}"))?;
        let mut unknown: Vec<String> = template.undeclared_variables(false).into_iter().collect();
        unknown.retain(|name| !variables.is_empty() && !variables.contains(&name.as_str()));
        unknown.sort();
        if let Some(name) = unknown.first() {
            return Err(format!("{text:?} names {name:?}; there are {}", variables.join(", ")));
        }
        // Only as it is filled in it is looked for what it is filled in by.
        let unknown = [ErrorKind::UnknownFilter, ErrorKind::UnknownFunction, ErrorKind::UnknownTest];
        match template.render(()).err().filter(|why| unknown.contains(&why.kind())) {
            Some(why) => Err(format!("{text:?}: {why}")),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// The names in it, as paths such as `incident.level.rank`.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let environment = environment();
        let template = environment.template_from_str(&self.0);
        template.map_or_else(|_| vec![], |template| template.undeclared_variables(true).into_iter().collect())
    }

    /// Fills it in.
    ///
    /// # Errors
    /// What is given has not got what it needs.
    pub fn fill(&self, given: &impl Serialize) -> Result<String, String> {
        environment().render_str(&self.0, given).map_err(|why| format!("{:?}: {why:#}", self.0))
    }
}

/// The text without Markdown's links and pictures, whose words may say something else than where they lead.
#[must_use]
pub fn unlinked(text: &str) -> String {
    text.replace("](", "] (")
}

fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    // Whoever wrote the template may link, but not what it is filled in with.
    environment.set_formatter(|out, state, value| match value.as_str() {
        Some(text) => minijinja::escape_formatter(out, state, &unlinked(text).into()),
        None => minijinja::escape_formatter(out, state, value),
    });
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    environment.set_fuel(Some(FUEL));
    environment
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_text_names_only_what_there_is() {
        let text = Text::parse("#inc-{{ id }} {{ level | lower }}", &["id", "level"]).expect("well formed");
        assert_eq!(text.fill(&json!({"id": "x", "level": "P1"})), Ok("#inc-x p1".into()));
        assert!(Text::parse("{{ ip }}", &["id"]).is_err_and(|why| why.contains("\"ip\"; there are id")));
        assert!(Text::parse("{{ id", &[]).is_err());
        assert!(Text::parse("{{ id | upcase }}", &["id"]).is_err_and(|why| why.contains("filter upcase is unknown")));
        assert!(Text::parse("{{ id.x | upper }}", &["id"]).is_ok());
    }

    #[test]
    fn a_text_that_never_ends_is_cut_off() {
        let endless =
            Text::parse("{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}", &[]).expect("well formed");
        assert!(endless.fill(&json!({})).is_err());
    }
}
