//! Recovery plans as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::Class;

use super::super::plans::{Kind, Risk};
use super::{At, Span};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct PlanFile {
    /// What may be done about a fault.
    #[serde(default)]
    pub(in crate::rules) plans: Vec<Plan>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Plan {
    /// Unique, in words.
    pub(in crate::rules) name: At<String>,
    /// What kind of doing it is.
    pub(in crate::rules) kind: Kind,
    /// For these scenarios; for all where it is missing.
    #[serde(default)]
    pub(in crate::rules) scenarios: Vec<At<String>>,
    /// Where one of these is suspected; wherever, where it is missing.
    #[serde(default)]
    pub(in crate::rules) entities: Vec<At<String>>,
    /// For causes of these classes; of all where it is missing.
    #[serde(default)]
    pub(in crate::rules) causes: Vec<Class>,
    /// Kinds of the change that is suspected; `*` is any.
    #[serde(default)]
    pub(in crate::rules) changes: Vec<String>,
    /// Where it is described.
    #[serde(default)]
    pub(in crate::rules) link: String,
    /// The team that can do it.
    #[serde(default)]
    pub(in crate::rules) owner: String,
    /// How long it takes until it works.
    pub(in crate::rules) takes: Option<At<Span>>,
    /// What it may break; medium where it is missing.
    #[serde(default)]
    pub(in crate::rules) risk: Risk,
}
