//! Which env files are read, and what wins.

use super::*;

const CONFIG: &str = r#"{ "name": "a", "main": "src/index.ts", "compatibility_date": "2026-01-01",
  "vars": { "A": "config", "B": { "json": true } }, "env": { "staging": { "vars": { "A": "config" } } } }"#;

fn project_with(files: &[(&str, &str)]) -> Scratch {
    let scratch = jsonc(CONFIG);
    for (path, text) in files {
        scratch.write(path, text);
    }
    scratch
}

fn value(project: &Project, name: &str) -> String {
    project.vars.effective().get(name).and_then(Value::as_str).unwrap_or("absent").to_owned()
}

fn names(paths: &[PathBuf]) -> Vec<&str> {
    paths.iter().filter_map(|path| path.file_name()?.to_str()).collect()
}

#[test]
fn dev_vars_win_over_the_configuration_and_shut_out_env_files() {
    let scratch = project_with(&[(".dev.vars", "A=secret\nB=text\n"), (".env", "A=env\nC=env\n")]);
    let project = loaded(&scratch);
    assert_eq!(
        (value(&project, "A"), value(&project, "B"), value(&project, "C")),
        ("secret".into(), "text".into(), "absent".into())
    );
    assert_eq!(names(&project.inputs), ["wrangler.jsonc", ".dev.vars"]);
    assert!(project.inputs.iter().all(|path| path.is_absolute()));
}

#[test]
fn dev_vars_of_the_environment_stand_in_for_the_general_ones() {
    let scratch = project_with(&[(".dev.vars", "A=general\nC=general\n"), (".dev.vars.staging", "A=staging\n")]);
    let project = load(scratch.directory(), &in_environment("staging")).unwrap();
    assert_eq!((value(&project, "A"), value(&project, "C")), ("staging".into(), "absent".into()));
    assert_eq!(value(&loaded(&scratch), "A"), "general");
}

#[test]
fn env_files_are_merged_and_the_later_wins() {
    let scratch = project_with(&[
        (".env", "A=1\nB=1\nC=1\nD=1\nURL=https://${A}.example\n"),
        (".env.local", "B=2\nC=2\nD=2\n"),
        (".env.staging", "C=3\nD=3\n"),
        (".env.staging.local", "D=4\n"),
    ]);
    let project = load(scratch.directory(), &in_environment("staging")).unwrap();
    let values: Vec<String> = ["A", "B", "C", "D", "URL"].iter().map(|name| value(&project, name)).collect();
    assert_eq!(values, ["1", "2", "3", "4", "https://1.example"]);
    assert_eq!(value(&loaded(&scratch), "D"), "2");
    assert_eq!(names(&project.absent_inputs), [".dev.vars.staging", ".dev.vars"]);
}

#[test]
fn the_command_line_wins_over_everything() {
    let scratch = project_with(&[(".dev.vars", "A=secret\n")]);
    let options = LoadOptions { var_overrides: vec![("A".into(), "given".into())], ..options() };
    assert_eq!(value(&load(scratch.directory(), &options).unwrap(), "A"), "given");
}

#[test]
fn a_bundle_gets_no_value_of_an_env_file() {
    let scratch = project_with(&[(".dev.vars", "A=secret\nTOKEN=secret\n")]);
    let settings = loaded(&scratch).worker_settings();
    assert_eq!(settings.vars, BTreeMap::from([("A".into(), json!("config")), ("B".into(), json!({ "json": true }))]));
    let without = LoadOptions { env_files: false, ..options() };
    let project = load(scratch.directory(), &without).unwrap();
    assert_eq!(value(&project, "A"), "config");
    assert_eq!(names(&project.inputs), ["wrangler.jsonc"]);
}

#[test]
fn a_line_that_is_no_assignment_is_an_error_that_shows_no_value() {
    let scratch = project_with(&[(".dev.vars", "A=1\nTOKEN secret\nB='open\n")]);
    let diagnostics = refused(&scratch);
    assert_eq!(
        lines(&scratch, diagnostics.iter()),
        [
            "error 2:6 expected `=` after the name | write NAME=value, or put `#` in front of a comment",
            "error 3:3 the quote is never closed | close it, or put the value into another kind of quotes",
        ]
    );
    assert!(diagnostics.iter().all(|diagnostic| diagnostic.file.ends_with(".dev.vars")));
    assert!(!diagnostics.to_string().contains("secret"));
}

#[test]
fn switches_of_the_process_are_honoured() {
    let scratch = project_with(&[(".env", "A=env\n")]);
    let mut options = options();
    options.host_environment.insert("CLOUDFLARE_LOAD_DEV_VARS_FROM_DOT_ENV".into(), "false".into());
    assert_eq!(value(&load(scratch.directory(), &options).unwrap(), "A"), "config");
    options.host_environment = BTreeMap::from([
        ("CLOUDFLARE_INCLUDE_PROCESS_ENV".into(), "true".into()),
        ("A".into(), "process".into()),
        ("HOME".into(), "/home".into()),
    ]);
    let project = load(scratch.directory(), &options).unwrap();
    assert_eq!((value(&project, "A"), value(&project, "HOME")), ("process".into(), "/home".into()));
}

#[test]
fn a_required_secret_must_be_set() {
    let scratch = minimal("\"secrets\": { \"required\": [\"TOKEN\", \"KEY\"] }");
    scratch.write(".dev.vars", "KEY=1\n");
    assert_eq!(
        errors(&scratch),
        ["error 2:27 the required secret `TOKEN` is not set | add TOKEN=… to .dev.vars, or to .env"]
    );
    let served = LoadOptions { env_files: false, ..options() };
    let found = load(scratch.directory(), &served).unwrap_err();
    assert_eq!(found.len(), 2);
    assert_eq!(found.0[0].message, "the secret `TOKEN` cannot be set yet: there is no store of secrets");
    scratch.write(".dev.vars", "KEY=1\nTOKEN=2\n");
    assert_eq!(loaded(&scratch).bindings.required_secrets, ["TOKEN", "KEY"]);
}
