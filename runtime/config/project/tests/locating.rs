//! From a path to a project: directories, configuration files, scripts.

use super::*;

const CONFIG: &str = "{ \"name\": \"json\", \"main\": \"src/index.ts\", \"compatibility_date\": \"2026-01-01\" }";

#[test]
fn of_two_configurations_the_first_in_wranglers_order_is_used() {
    let scratch = jsonc(CONFIG);
    scratch.write("wrangler.toml", "name = \"toml\"");
    let project = loaded(&scratch);
    assert_eq!(project.name, "json");
    assert_eq!(project.config_file, Some(scratch.path("wrangler.jsonc")));
    assert_eq!(
        lines(&scratch, &project.warnings),
        [
            "warning 0:0 wrangler.jsonc is used, wrangler.toml is not | keep one configuration file in the directory, or name the one to use"
        ]
    );
}

#[test]
fn a_configuration_may_have_any_name() {
    let scratch = Scratch::with("project", &[("other.json", CONFIG), ("src/index.ts", "")]);
    assert_eq!(load(&scratch.path("other.json"), &options()).unwrap().name, "json");
}

#[test]
fn a_script_is_a_project_without_configuration() {
    let scratch = Scratch::with("My Shop", &[("hello_world.ts", ""), ("src/index.js", ""), (".dev.vars", "A=1\n")]);
    let project = load(&scratch.path("hello_world.ts"), &options()).unwrap();
    assert_eq!(project.name, "hello_world");
    assert_eq!((project.main, project.directory), (scratch.path("hello_world.ts"), scratch.directory().to_owned()));
    assert_eq!(project.config_file, None);
    assert_eq!(project.compatibility.date, date!(2026 - 09 - 01));
    assert_eq!(project.vars.effective()["A"], json!("1"));
    assert_eq!(project.warnings.len(), 1);
    let project = load(&scratch.path("src/index.js"), &options()).unwrap();
    assert_eq!(project.name, "src");
}

#[test]
fn what_is_no_project_is_told_what_would_be_one() {
    let empty = Scratch::with("project", &[("readme.md", "")]);
    assert!(errors(&empty)[0].contains("the directory has no wrangler configuration | add a wrangler.jsonc"));
    let missing = load(&empty.path("nowhere"), &options()).unwrap_err();
    assert_eq!(missing.0[0].message, "there is no such file or directory");
    let neither = load(&empty.path("readme.md"), &options()).unwrap_err();
    assert_eq!(neither.0[0].message, "the file is neither a configuration nor a script");
    let script = Scratch::with("project", &[("a.js", "")]);
    let environment = load(&script.path("a.js"), &in_environment("x")).unwrap_err();
    assert_eq!(environment.0[0].message, "a script alone has no environment `x`");
}

#[test]
fn an_entry_module_that_does_not_exist_is_an_error_with_a_guess() {
    let scratch = Scratch::with(
        "project",
        &[
            (
                "wrangler.jsonc",
                "{ \"name\": \"a\", \"compatibility_date\": \"2026-01-01\",\n\"main\": \"src/index.js\" }",
            ),
            ("src/index.ts", ""),
        ],
    );
    assert_eq!(errors(&scratch), ["error 2:9 `main` names no file: src/index.js | did you mean \"src/index.ts\"?"]);
    let built = Scratch::with(
        "project",
        &[(
            "wrangler.toml",
            "name = \"a\"\nmain = \"dist/a.js\"\ncompatibility_date = \"2026-01-01\"\nbuild.command = \"make\"\n",
        )],
    );
    assert_eq!(loaded(&built).build.watch, [built.path("src")]);
}

#[test]
fn a_project_without_an_entry_module_is_refused() {
    let scratch = jsonc("{ \"name\": \"a\", \"compatibility_date\": \"2026-01-01\" }");
    assert_eq!(
        errors(&scratch),
        ["error 0:0 there is no `main`: the worker has no entry module | add `main`, for example \"src/index.ts\""]
    );
    let python = jsonc("{ \"name\": \"a\", \"main\": \"a.py\", \"compatibility_date\": \"2026-01-01\" }");
    assert!(errors(&python)[0].contains("Python workers are not supported yet"));
}

#[test]
fn a_project_without_a_name_gets_its_directorys() {
    let config = "{ \"main\": \"a.js\", \"compatibility_date\": \"2026-01-01\" }";
    let scratch = Scratch::with("My Shop!", &[("wrangler.json", config), ("a.js", "")]);
    let project = loaded(&scratch);
    assert_eq!(project.name, "my-shop");
    assert_eq!(project.warnings[0].message, "there is no `name`: `my-shop` is used");
}

#[test]
fn names_are_those_of_the_platform() {
    for name in ["a", "a-b_c", "_a", "0"] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    for name in ["", "-a", "A", "a b", "ä", "a.b", &"a".repeat(256)] {
        assert!(check_name(name).is_err(), "{name}");
    }
}
