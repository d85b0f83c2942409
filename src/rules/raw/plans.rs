//! Recovery plans as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::model::Class;

use super::super::plans::{Kind, Risk};
use super::{At, Span};

#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct PlanFile {
    #[serde(default)]
    pub(in crate::rules) plans: Vec<Plan>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::rules) struct Plan {
    pub(in crate::rules) name: At<String>,
    pub(in crate::rules) kind: Kind,
    #[serde(default)]
    pub(in crate::rules) scenarios: Vec<At<String>>,
    #[serde(default)]
    pub(in crate::rules) entities: Vec<At<String>>,
    #[serde(default)]
    pub(in crate::rules) causes: Vec<Class>,
    /// Kinds of the change that is suspected; `*` is any.
    #[serde(default)]
    pub(in crate::rules) changes: Vec<String>,
    #[serde(default)]
    pub(in crate::rules) link: String,
    #[serde(default)]
    pub(in crate::rules) owner: String,
    pub(in crate::rules) takes: Option<At<Span>>,
    #[serde(default)]
    pub(in crate::rules) risk: Risk,
}
