//! `env.<name>`: what is inherited, what is not, and what a mistake there is told.

use super::*;

const TWO: &str = r#"{
  "name": "shop", "main": "src/index.ts", "compatibility_date": "2026-01-01",
  "limits": { "cpu_ms": 10 },
  "routes": ["shop.example/*"],
  "vars": { "STAGE": "none", "KEY": "k" },
  "env": {
    "staging": { "vars": { "STAGE": "staging" }, "route": "staging.example/*" },
    "production": { "name": "shop-live", "limits": { "subrequests": 5 } }
  }
}"#;

fn load_env(scratch: &Scratch, name: &str) -> Result<Project, Diagnostics> {
    load(scratch.directory(), &in_environment(name))
}

#[test]
fn without_an_environment_the_top_level_holds() {
    let project = loaded(&jsonc(TWO));
    assert_eq!((project.name.as_str(), project.environment), ("shop", None));
    assert_eq!(project.vars.effective()["STAGE"], json!("none"));
    assert_eq!(project.warnings, []);
}

#[test]
fn an_environment_inherits_what_is_inheritable() {
    let scratch = jsonc(TWO);
    let project = load_env(&scratch, "staging").unwrap();
    assert_eq!(project.name, "shop-staging");
    assert_eq!(project.environment.as_deref(), Some("staging"));
    assert_eq!(project.limits.cpu_ms, Some(10));
    assert_eq!(project.vars.effective(), BTreeMap::from([("STAGE".to_owned(), json!("staging"))]));
    let patterns: Vec<String> = project.routes.iter().map(|route| route.pattern.to_string()).collect();
    assert_eq!(patterns, ["staging.example/*"], "a route of the environment replaces all of the top level");
    assert_eq!(
        lines(&scratch, &project.warnings),
        [
            "warning 7:18 `vars` of the top level has KEY that `env.staging.vars` has not | nothing of `vars` is inherited; add what the environment needs"
        ]
    );
}

#[test]
fn a_key_is_replaced_whole_and_a_forgotten_one_is_warned_about() {
    let scratch = jsonc(TWO);
    let project = load_env(&scratch, "production").unwrap();
    assert_eq!(project.name, "shop-live");
    assert_eq!(project.limits, InvocationLimits { cpu_ms: None, subrequests: Some(5) });
    assert!(project.vars.effective().is_empty());
    assert_eq!(
        lines(&scratch, &project.warnings),
        [
            "warning 5:3 `vars` is set at the top level, but not in `env.production`, and is not inherited | add `vars` to `env.production`; give it an empty value if the environment needs none"
        ]
    );
}

#[test]
fn an_unknown_environment_is_refused_with_the_known_ones() {
    let scratch = jsonc(TWO);
    assert_eq!(
        lines(&scratch, load_env(&scratch, "stagging").unwrap_err().iter()),
        [
            "error 6:3 there is no environment `stagging` in this configuration | did you mean `staging`? There are staging, production"
        ]
    );
    assert_eq!(
        lines(&scratch, load_env(&scratch, "qa").unwrap_err().iter()),
        [
            "error 6:3 there is no environment `qa` in this configuration | choose one of staging, production, or add `env.qa`"
        ]
    );
    assert!(load_env(&scratch, "../secrets").is_err());
}

#[test]
fn where_there_are_no_environments_the_top_level_will_do() {
    let scratch = minimal("\"vars\": { \"A\": \"1\" }");
    let project = load_env(&scratch, "production").unwrap();
    assert_eq!(project.name, "a-production");
    assert_eq!(project.vars.effective()["A"], json!("1"));
    assert_eq!(project.warnings[0].message, "there is no environment `production` in this configuration");
}

#[test]
fn the_variable_of_the_process_selects_unless_the_option_does() {
    let scratch = jsonc(TWO);
    let mut options = options();
    options.host_environment.insert("CLOUDFLARE_ENV".into(), "staging".into());
    assert_eq!(load(scratch.directory(), &options).unwrap().name, "shop-staging");
    options.env = Some("production".into());
    assert_eq!(load(scratch.directory(), &options).unwrap().name, "shop-live");
}

#[test]
fn mistakes_in_an_environment_have_its_key() {
    let scratch = minimal(
        "\"env\": { \"x\": {\n\"minify\": 1,\n\"alias\": { \"a\": \"b\" },\n\"nmae\": \"b\",\n\"kv_namespaces\": [{ \"binding\": \"KV\" }] } }",
    );
    assert_eq!(
        lines(&scratch, load_env(&scratch, "x").unwrap_err().iter()),
        [
            "error 3:11 `env.x.minify` must be a boolean, found a number | give a boolean",
            "warning 4:1 `env.x.alias` has no effect: `alias` is read at the top level only | move it to the top level",
            "warning 5:1 unknown key `env.x.nmae` | did you mean `name`?",
            "error 6:1 `env.x.kv_namespaces` is not supported yet: KV is not available | remove `env.x.kv_namespaces`, or run this worker where it is supported",
        ]
    );
    assert_eq!(loaded(&scratch).warnings, [], "another environment is nobody's business");
}

#[test]
fn a_binding_of_the_top_level_does_not_count_in_an_environment() {
    let scratch = minimal("\"kv_namespaces\": [{ \"binding\": \"KV\" }],\n\"env\": { \"x\": {} }");
    let project = load_env(&scratch, "x").unwrap();
    assert!(project.warnings[0].message.starts_with("`kv_namespaces` is set at the top level, but not in `env.x`"));
}
