//! Environments: which of `env.<name>` and the top level each key is taken from.
//!
//! An inheritable key of the top level holds in every environment that does not set it; a key that is not inheritable
//! holds only where it stands, and a forgotten one is worth a warning (wrangler, "Non-inheritable keys").

use super::keys::{self, Key, Scope};
use crate::decode::{At, Report, suggest};
use crate::value::{Node, Table, Value};

/// The top level and the selected environment of one configuration file.
#[derive(Debug)]
pub(super) struct Environment<'a> {
    top: At<'a>,
    top_table: &'a Table,
    /// `None`: the top level is selected.
    selected: Option<Selected<'a>>,
}

#[derive(Debug)]
struct Selected<'a> {
    name: String,
    at: At<'a>,
    table: &'a Table,
}

/// The names of all environments, of a configuration that may be wrong in whatever way.
pub(super) fn names(root: &Node) -> Vec<String> {
    let Value::Table(top) = &root.value else { return Vec::new() };
    match top.get("env").map(|entry| &entry.node.value) {
        Some(Value::Table(environments)) => environments.entries.iter().map(|entry| entry.key.clone()).collect(),
        _ => Vec::new(),
    }
}

// === impl Environment ===

impl<'a> Environment<'a> {
    /// `None` when the file is no object or has no such environment, which has been reported.
    pub(super) fn select(root: &'a Node, name: Option<&str>, report: &mut Report<'_>) -> Option<Self> {
        let top = At::root(root);
        let Value::Table(top_table) = &root.value else {
            report.error(&top, "a configuration must be an object", "start the file with { and end it with }");
            return None;
        };
        let mut environment = Self { top, top_table, selected: None };
        environment.warn_unknown_keys(report);
        let environments = environment.environments(report)?;
        if let Some(name) = name {
            environment.selected = environment.find(name, &environments, report)?;
        }
        if let Some(selected) = &environment.selected {
            warn_misplaced_keys(selected, report);
        }
        Some(environment)
    }

    /// Every `env.<name>`.
    fn environments(&self, report: &mut Report<'_>) -> Option<Vec<(&'a str, At<'a>)>> {
        match self.top_table.get("env") {
            Some(entry) => self.top.child(entry).entries(report),
            None => Some(Vec::new()),
        }
    }

    /// `None`: there is no such environment. `Some(None)`: there are none at all, and the top level will do.
    fn find(
        &self,
        name: &str,
        environments: &[(&'a str, At<'a>)],
        report: &mut Report<'_>,
    ) -> Option<Option<Selected<'a>>> {
        if let Some((_, at)) = environments.iter().find(|(known, _)| *known == name) {
            let table = at.table(report)?;
            return Some(Some(Selected { name: name.to_owned(), at: at.clone(), table }));
        }
        let message = format!("there is no environment `{name}` in this configuration");
        let Some(entry) = self.top_table.get("env").filter(|_| !environments.is_empty()) else {
            report.warn(
                &self.top,
                message,
                format!("the top level is used; add `env.{name}`, or leave out the environment"),
            );
            return Some(None);
        };
        let names: Vec<&str> = environments.iter().map(|(known, _)| *known).collect();
        let help = match suggest(name, names.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`? There are {}", names.join(", ")),
            None => format!("choose one of {}, or add `env.{name}`", names.join(", ")),
        };
        report.error_at_key(&self.top.child(entry), message, help);
        None
    }

    /// The value that is in force for `key`.
    pub(super) fn effective(&self, key: &Key, report: &mut Report<'_>) -> Option<At<'a>> {
        let top = self.top_table.get(key.name).map(|entry| self.top.child(entry));
        let Some(selected) = &self.selected else {
            return top;
        };
        let own = selected.table.get(key.name).map(|entry| selected.at.child(entry));
        match key.scope {
            Scope::TopLevel => top,
            Scope::Inheritable => match own {
                Some(own) => Some(own),
                // A route in an environment stands in the place of all routes of the top level.
                None if self.sets_other_route_key(key.name, selected) => None,
                None => top,
            },
            Scope::NotInheritable => {
                if let Some(top) = top {
                    warn_not_inherited(key, &top, own.as_ref(), &selected.name, report);
                }
                own
            }
        }
    }

    fn sets_other_route_key(&self, name: &str, selected: &Selected<'_>) -> bool {
        match name {
            "route" => selected.table.get("routes").is_some(),
            "routes" => selected.table.get("route").is_some(),
            _ => false,
        }
    }

    /// Whether the value in force comes from the selected environment.
    pub(super) fn is_own(&self, key: &str) -> bool {
        self.selected.as_ref().is_some_and(|selected| selected.table.get(key).is_some())
    }

    fn warn_unknown_keys(&self, report: &mut Report<'_>) {
        let known: Vec<&str> = keys::KEYS.iter().map(|key| key.name).chain(["env"]).collect();
        for entry in &self.top_table.entries {
            if !known.contains(&entry.key.as_str()) {
                report.unknown_key(&self.top.child(entry), &entry.key, &known);
            }
        }
    }
}

fn warn_misplaced_keys(selected: &Selected<'_>, report: &mut Report<'_>) {
    let known: Vec<&str> = keys::KEYS.iter().filter(|key| key.scope != Scope::TopLevel).map(|key| key.name).collect();
    for entry in &selected.table.entries {
        let at = selected.at.child(entry);
        match keys::find(&entry.key) {
            Some(key) if key.scope == Scope::TopLevel => report.warn_at_key(
                &at,
                format!("`{}` has no effect: `{}` is read at the top level only", at.key, entry.key),
                "move it to the top level",
            ),
            Some(_) => {}
            None => report.unknown_key(&at, &entry.key, &known),
        }
    }
}

fn warn_not_inherited(key: &Key, top: &At<'_>, own: Option<&At<'_>>, env: &str, report: &mut Report<'_>) {
    let Some(own) = own else {
        if !top.node.value.is_inert() {
            report.warn_at_key(
                top,
                format!("`{}` is set at the top level, but not in `env.{env}`, and is not inherited", key.name),
                format!("add `{}` to `env.{env}`; give it an empty value if the environment needs none", key.name),
            );
        }
        return;
    };
    if !matches!(key.name, "vars" | "define") {
        return;
    }
    let (Value::Table(top), Value::Table(table)) = (&top.node.value, &own.node.value) else {
        return;
    };
    let missing: Vec<&str> =
        top.entries.iter().map(|entry| entry.key.as_str()).filter(|name| table.get(name).is_none()).collect();
    if !missing.is_empty() {
        report.warn_at_key(
            own,
            format!("`{}` of the top level has {} that `{}` has not", key.name, missing.join(", "), own.key),
            format!("nothing of `{}` is inherited; add what the environment needs", key.name),
        );
    }
}
