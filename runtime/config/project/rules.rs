//! Module rules: which imports are modules of their own, and of which kind, by the globs of `rules` and the default rules.
//!
//! Invariant: of each kind, the rules up to and including the first without `fallthrough` are active; the later ones are
//! kept aside, so that an import that only they match can be explained. Made while a project is loaded; read by the
//! bundler.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::bundle::ModuleKind;
use crate::decode::{At, Decode, Fields, Report};

/// The rules of a project, in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct ModuleRules {
    active: Vec<ModuleRule>,
    removed: Vec<ModuleRule>,
}

/// One entry of `rules`, or a default rule.
#[derive(Clone, Debug)]
pub struct ModuleRule {
    pub kind: ModuleKind,
    pub globs: Vec<String>,
    /// Whether it comes from Holm and not from the project.
    pub is_default: bool,
    matcher: GlobSet,
}

/// What the rules say about an import.
#[derive(Clone, Copy, Debug)]
pub enum RuleMatch<'r> {
    /// A module of its own.
    Module(&'r ModuleRule),
    /// Only a rule matches that is out of force, since an earlier rule of its kind has no `fallthrough = true`.
    Removed(&'r ModuleRule),
}

/// An entry of `rules` as it was read.
struct Declared {
    rule: ModuleRule,
    fallthrough: Option<bool>,
}

const DEFAULTS: [(ModuleKind, &[&str]); 3] = [
    (ModuleKind::Text, &["**/*.txt", "**/*.html", "**/*.sql"]),
    (ModuleKind::Data, &["**/*.bin"]),
    (ModuleKind::CompiledWasm, &["**/*.wasm", "**/*.wasm?module"]),
];

const KINDS: [(&str, Option<ModuleKind>); 6] = [
    ("ESModule", Some(ModuleKind::EsModule)),
    ("CommonJS", Some(ModuleKind::CommonJs)),
    ("CompiledWasm", Some(ModuleKind::CompiledWasm)),
    ("Text", Some(ModuleKind::Text)),
    ("Data", Some(ModuleKind::Data)),
    // Known, and refused with a reason.
    ("PythonModule", None),
];

// === impl ModuleRules ===

impl Default for ModuleRules {
    /// The default rules alone.
    fn default() -> Self {
        Self { active: default_rules(), removed: Vec::new() }
    }
}

impl ModuleRules {
    /// The rules in force, in the order in which they are tried.
    #[must_use]
    pub fn active(&self) -> &[ModuleRule] {
        &self.active
    }

    /// What the rules say about an import, given as it is written (`./page.html`, `./add.wasm?module`) or as a path.
    #[must_use]
    pub fn find(&self, import: &str) -> Option<RuleMatch<'_>> {
        let matching = |rules: &'_ [ModuleRule]| rules.iter().position(|rule| rule.matches(import));
        if let Some(rule) = matching(&self.active).and_then(|index| self.active.get(index)) {
            return Some(RuleMatch::Module(rule));
        }
        matching(&self.removed).and_then(|index| self.removed.get(index)).map(RuleMatch::Removed)
    }

    fn new(declared: Vec<(Declared, At<'_>)>, report: &mut Report<'_>) -> Self {
        let mut rules = Self { active: Vec::new(), removed: Vec::new() };
        let mut last_of_kind: Vec<(ModuleKind, Option<bool>, At<'_>)> = Vec::new();
        for (Declared { rule, fallthrough }, at) in declared {
            match last_of_kind.iter().find(|(kind, ..)| *kind == rule.kind) {
                Some((kind, None, earlier)) => {
                    warn_removed(&rule, *kind, earlier, report);
                    rules.removed.push(rule);
                }
                Some(_) => rules.removed.push(rule),
                None => {
                    if fallthrough != Some(true) {
                        last_of_kind.push((rule.kind, fallthrough, at));
                    }
                    rules.active.push(rule);
                }
            }
        }
        for rule in default_rules() {
            match last_of_kind.iter().find(|(kind, ..)| *kind == rule.kind) {
                Some((kind, fallthrough, earlier)) => {
                    if fallthrough.is_none() {
                        warn_removed(&rule, *kind, earlier, report);
                    }
                    rules.removed.push(rule);
                }
                None => rules.active.push(rule),
            }
        }
        rules
    }
}

impl Decode for ModuleRules {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let items = at.items(report)?;
        let declared: Vec<_> =
            items.into_iter().filter_map(|item| Some((Declared::decode(&item, report)?, item))).collect();
        Some(Self::new(declared, report))
    }
}

fn warn_removed(rule: &ModuleRule, kind: ModuleKind, earlier: &At<'_>, report: &mut Report<'_>) {
    report.warn(
        earlier,
        format!(
            "`{}` ends the rules for {}: the {}rule for {} is out of force",
            earlier.key,
            kind_name(kind),
            if rule.is_default { "default " } else { "" },
            rule.globs.join(", "),
        ),
        "add `fallthrough: true` to this rule to keep the later ones, or `fallthrough: false` to silence this warning",
    );
}

fn default_rules() -> Vec<ModuleRule> {
    DEFAULTS
        .iter()
        .filter_map(|(kind, globs)| {
            let globs: Vec<String> = globs.iter().map(|glob| (*glob).to_owned()).collect();
            let matcher = compile(&globs).ok()?;
            Some(ModuleRule { kind: *kind, globs, is_default: true, matcher })
        })
        .collect()
}

fn kind_name(kind: ModuleKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == Some(kind)).map_or("Json", |(name, _)| name)
}

// === impl ModuleRule ===

impl ModuleRule {
    fn matches(&self, import: &str) -> bool {
        self.matcher.is_match(import)
    }
}

impl Decode for Declared {
    fn decode(at: &At<'_>, report: &mut Report<'_>) -> Option<Self> {
        let mut fields = Fields::new(at, report)?;
        let kind = match fields.at("type") {
            Some(at) => at.one_of(&KINDS, report).and_then(|kind| {
                if kind.is_none() {
                    report.error(&at, "Python modules are not supported yet", "remove the rule");
                }
                kind
            }),
            None => {
                report.error(at, format!("`{}` has no `type`", at.key), "add `type`, for example \"Text\"");
                None
            }
        };
        let globs: Option<Vec<String>> = fields.required("globs", report);
        let fallthrough = fields.optional("fallthrough", report);
        fields.finish(report);
        let (kind, globs) = (kind?, globs?);
        match compile(&globs) {
            Ok(matcher) => {
                let rule = ModuleRule { kind, globs, is_default: false, matcher };
                Some(Self { rule, fallthrough })
            }
            Err(error) => {
                report.error(at, format!("`{}` has a glob that cannot be read: {error}", at.key), "correct the glob");
                None
            }
        }
    }
}

/// `*` is the only wildcard, and crosses `/`, as in wrangler's bundler.
fn compile(globs: &[String]) -> Result<GlobSet, globset::Error> {
    let mut set = GlobSetBuilder::new();
    for glob in globs {
        let literal = |part: &str| globset::escape(part);
        let pattern = glob.split('*').map(literal).collect::<Vec<_>>().join("*");
        set.add(GlobBuilder::new(&pattern).literal_separator(false).backslash_escape(true).build()?);
    }
    set.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_rules_know_the_usual_extensions() {
        let rules = ModuleRules::default();
        let kind = |import: &str| match rules.find(import) {
            Some(RuleMatch::Module(rule)) => Some(rule.kind),
            _ => None,
        };
        assert_eq!(kind("./page.html"), Some(ModuleKind::Text));
        assert_eq!(kind("readme.txt"), Some(ModuleKind::Text));
        assert_eq!(kind("../sql/001.sql"), Some(ModuleKind::Text));
        assert_eq!(kind("/abs/data.bin"), Some(ModuleKind::Data));
        assert_eq!(kind("./add.wasm"), Some(ModuleKind::CompiledWasm));
        assert_eq!(kind("./add.wasm?module"), Some(ModuleKind::CompiledWasm));
        assert_eq!(kind("./index.ts"), None);
        assert_eq!(kind("./page.html.js"), None);
    }

    #[test]
    fn only_the_star_is_a_wildcard() {
        let set = compile(&["a[1]?.{b}*".to_owned()]).unwrap();
        assert!(set.is_match("a[1]?.{b}/c/d"));
        assert!(!set.is_match("a1x.b"));
    }
}
