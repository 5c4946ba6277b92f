//! `holm types`: what the editor of a worker's author knows of `env`.

mod support;

use support::process::Ended;
use support::process::run;
use support::project::Project;
use support::project::config;

fn types(project: &Project, more: &[&str]) -> Ended {
    let path = project.path().to_str().unwrap();
    run(["types", path].iter().chain(more))
}

fn project() -> Project {
    let project = Project::worker("export default { fetch: () => new Response('x') };");
    let vars = r#""vars": { "TEXT": "say \"hi\"", "LIST": [1, { "a": null }], "odd-name": true, "BOTH": "config" },
  "rules": [{ "type": "Text", "globs": ["**/*.md"], "fallthrough": true }],"#;
    project.write("wrangler.jsonc", &config("typed", vars));
    project.write(".dev.vars", "SECRET=x\nBOTH=y\n");
    project
}

#[test]
fn env_is_written_from_the_configuration() {
    let project = project();
    let ended = types(&project, &[]);
    assert_eq!(ended.code, Some(0), "{}", ended.output);
    assert!(ended.output.contains("npm install --save-dev @cloudflare/workers-types"), "{}", ended.output);
    let text = std::fs::read_to_string(project.file("worker-configuration.d.ts")).unwrap();
    for line in [
        "/// <reference types=\"@cloudflare/workers-types/2023-07-01\" />",
        "\t\tTEXT: \"say \\\"hi\\\"\";",
        "\t\tLIST: [1,{\"a\":null}];",
        "\t\t\"odd-name\": true;",
        "\t\tBOTH: string;",
        "\t\tSECRET: string;",
        "interface Env extends Cloudflare.Env {}",
        "declare module \"*.md\" {",
        "declare module \"*.wasm\" {",
    ] {
        assert!(text.lines().any(|written| written == line), "{line}\n{text}");
    }
    assert!(!text.contains("\"x\"") && !text.contains("\"y\""), "a secret is not written down: {text}");
}

#[test]
fn a_check_fails_until_the_file_is_what_would_be_written() {
    let project = project();
    std::fs::create_dir_all(project.file("node_modules/@cloudflare/workers-types")).unwrap();
    let missing = types(&project, &["--check"]);
    assert_eq!(missing.code, Some(1));
    assert!(missing.output.contains("run `holm types`"), "{}", missing.output);
    assert!(!types(&project, &[]).output.contains("npm install"));
    assert_eq!(types(&project, &["--check"]).code, Some(0));
    project.write(".dev.vars", "OTHER=x\n");
    assert_eq!(types(&project, &["--check"]).code, Some(1));
    // Written again in place of itself.
    assert_eq!(types(&project, &[]).code, Some(0));
}

#[test]
fn a_file_of_ones_own_is_not_replaced() {
    let project = project();
    project.write("worker-configuration.d.ts", "interface Mine {}\n");
    let ended = types(&project, &[]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.output.contains("--output"), "{}", ended.output);
    let other = types(&project, &["--output", "other.d.ts", "--env-interface", "Bindings"]);
    assert_eq!(other.code, Some(0), "{}", other.output);
    let text = std::fs::read_to_string(project.file("other.d.ts")).unwrap();
    assert!(text.contains("interface Bindings extends Cloudflare.Env {}"), "{text}");
    assert_ne!(types(&project, &["--output", "other.js"]).code, Some(0));
}

#[test]
fn a_value_that_differs_between_environments_is_each_of_them() {
    let project = Project::worker("export default { fetch: () => new Response('x') };");
    let vars = r#""vars": { "STAGE": "dev", "SAME": 1, "SECRET": "a", "ONLY_HERE": true },
  "env": {
    "staging": { "vars": { "STAGE": "staging", "SAME": 1, "ADDED": null, "SECRET": "b" } },
    "production": { "vars": { "STAGE": "dev", "SAME": 2, "SECRET": "c" } }
  },"#;
    project.write("wrangler.jsonc", &config("typed", vars));
    project.write(".dev.vars.staging", "SECRET=x\n");
    let written = |more: &[&str]| {
        let ended = types(&project, more);
        assert_eq!(ended.code, Some(0), "{}", ended.output);
        let text = std::fs::read_to_string(project.file("worker-configuration.d.ts")).unwrap();
        text.lines().filter_map(|line| line.strip_prefix("\t\t")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        written(&[]),
        ["ADDED?: null;", "ONLY_HERE?: true;", "SAME: 1 | 2;", "SECRET: string;", "STAGE: \"dev\" | \"staging\";"]
    );
    assert_eq!(written(&["--env", "production"]), ["SAME: 2;", "SECRET: \"c\";", "STAGE: \"dev\";"]);
}
