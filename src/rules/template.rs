//! Entity templates: `service={{ service }}` filled in from labels.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{Entity, Labels};

/// Text with label names to fill in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Part {
    Text(String),
    Label(String),
}

impl Template {
    /// Reads a template of an entity's name.
    ///
    /// # Errors
    /// A brace that is not closed, a label name that is none (`service.name` is one), or no `kind=name` form.
    pub fn parse(text: &str) -> Result<Self, String> {
        let template = Self::of(text)?;
        Entity::parse(&template.render(|label| label.to_owned()))?;
        Ok(template)
    }

    /// Reads a template of any name.
    ///
    /// # Errors
    /// A brace that is not closed, or a label name that is none.
    pub fn of(text: &str) -> Result<Self, String> {
        let mut parts = vec![];
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let (label, tail) = after.split_once("}}").ok_or_else(|| format!("{text:?} opens {{{{ and does not close it"))?;
            let label = label.trim();
            if label.is_empty() || !label.chars().all(|c| c.is_ascii_alphanumeric() || "_.-:/".contains(c)) {
                return Err(format!("{label:?} in {text:?} is not a label name"));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Label(label.to_owned()));
            rest = tail;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|p| *p != Part::Text(String::new()));
        Ok(Self(parts))
    }

    /// The entity, where every label it needs is there.
    #[must_use]
    pub fn entity(&self, labels: &Labels) -> Option<Entity> {
        Entity::parse(&self.fill(labels)?).ok()
    }

    /// The text, where every label it needs is there.
    #[must_use]
    pub fn fill(&self, labels: &Labels) -> Option<String> {
        let whole = self.labels().all(|name| !labels.get(name).is_empty());
        whole.then(|| self.render(|name| labels.get(name).to_owned()))
    }

    /// The labels it fills in.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Label(name) => Some(name.as_str()),
        })
    }

    fn render(&self, value: impl Fn(&str) -> String) -> String {
        let part = |p: &Part| match p {
            Part::Text(text) => text.clone(),
            Part::Label(name) => value(name),
        };
        self.0.iter().map(part).collect()
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(|name| format!("{{{{ {name} }}}}")))
    }
}
