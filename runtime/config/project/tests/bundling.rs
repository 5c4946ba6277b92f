//! Settings of the bundler: module rules, paths, replacements.

use super::*;

fn kind(project: &Project, import: &str) -> Option<ModuleKind> {
    match project.bundling.rules.find(import) {
        Some(RuleMatch::Module(rule)) => Some(rule.kind),
        _ => None,
    }
}

#[test]
fn the_defaults_are_wranglers() {
    let project = loaded(&minimal("\"vars\": {}"));
    let bundling = &project.bundling;
    assert!(bundling.keep_names && !bundling.minify && !bundling.no_bundle && !bundling.upload_source_maps);
    assert_eq!(bundling.base_dir, project.directory.join("src"));
    assert_eq!((bundling.jsx_factory.as_deref(), &bundling.tsconfig), (None, &None));
    assert_eq!(kind(&project, "./a.html"), Some(ModuleKind::Text));
}

#[test]
fn everything_can_be_set() {
    let scratch = minimal(
        r#""alias": { "foo": "./src/foo.ts" }, "define": { "VERSION": "\"1\"" }, "minify": true, "keep_names": false,
           "no_bundle": true, "find_additional_modules": true, "base_dir": ".", "preserve_file_names": true,
           "tsconfig": "tsconfig.json", "jsx_factory": "h", "jsx_fragment": "Fragment", "upload_source_maps": true"#,
    );
    scratch.write("tsconfig.json", "{}");
    let bundling = loaded(&scratch).bundling;
    assert_eq!(bundling.alias["foo"], "./src/foo.ts");
    assert_eq!(bundling.define["VERSION"], "\"1\"");
    assert!(bundling.minify && !bundling.keep_names && bundling.no_bundle && bundling.find_additional_modules);
    assert_eq!(bundling.base_dir, scratch.directory());
    assert_eq!(bundling.tsconfig, Some(scratch.path("tsconfig.json")));
    assert_eq!(bundling.jsx_factory.as_deref(), Some("h"));
    assert_eq!(bundling.jsx_fragment.as_deref(), Some("Fragment"));
    assert!(bundling.upload_source_maps && bundling.preserve_file_names);
}

#[test]
fn paths_that_do_not_exist_are_refused() {
    let scratch = minimal("\"base_dir\": \"gone\",\n\"tsconfig\": \"gone.json\", \"define\": { \"A\": 1 }");
    assert_eq!(
        errors(&scratch),
        [
            "error 2:13 `base_dir` names no directory: gone | correct the path",
            "error 3:13 `tsconfig` names no file: gone.json | correct the path",
            "error 3:43 `define.A` must be a string, found a number | put it in quotes",
        ]
    );
}

#[test]
fn a_rule_without_fallthrough_puts_later_ones_of_its_kind_out_of_force() {
    let scratch = minimal(
        "\"rules\": [\n{ \"type\": \"Text\", \"globs\": [\"**/*.md\"] },\n{ \"type\": \"Text\", \"globs\": [\"**/*.csv\"] },\n{ \"type\": \"Data\", \"globs\": [\"**/*.dat\"], \"fallthrough\": false }]",
    );
    let project = loaded(&scratch);
    assert_eq!(kind(&project, "./a.md"), Some(ModuleKind::Text));
    assert_eq!(kind(&project, "./a.dat"), Some(ModuleKind::Data));
    assert_eq!(kind(&project, "./a.wasm"), Some(ModuleKind::CompiledWasm));
    for removed in ["./a.csv", "./a.html", "./a.bin"] {
        assert!(matches!(project.bundling.rules.find(removed), Some(RuleMatch::Removed(_))), "{removed}");
    }
    let help =
        "add `fallthrough: true` to this rule to keep the later ones, or `fallthrough: false` to silence this warning";
    assert_eq!(
        lines(&scratch, &project.warnings),
        [
            format!("warning 3:1 `rules[0]` ends the rules for Text: the rule for **/*.csv is out of force | {help}"),
            format!(
                "warning 3:1 `rules[0]` ends the rules for Text: the default rule for **/*.txt, **/*.html, **/*.sql is out of force | {help}"
            ),
        ]
    );
}

#[test]
fn a_rule_with_fallthrough_comes_before_the_others() {
    let scratch = minimal(
        "\"rules\": [{ \"type\": \"Text\", \"globs\": [\"**/*.md\"], \"fallthrough\": true }, { \"type\": \"ESModule\", \"globs\": [\"**/*.js\"] }]",
    );
    let project = loaded(&scratch);
    assert_eq!(project.warnings, []);
    assert_eq!(kind(&project, "./a.md"), Some(ModuleKind::Text));
    assert_eq!(kind(&project, "./a.txt"), Some(ModuleKind::Text));
    assert_eq!(kind(&project, "./a.js"), Some(ModuleKind::EsModule));
}

#[test]
fn a_rule_is_checked() {
    let scratch = minimal(
        "\"rules\": [{ \"type\": \"text\", \"globs\": [\"a\"] },\n{ \"globs\": \"a\" },\n{ \"type\": \"PythonModule\", \"globs\": [\"a\"], \"glob\": 1 }]",
    );
    let diagnostics = refused(&scratch);
    assert_eq!(
        lines(&scratch, diagnostics.iter()),
        [
            "error 2:21 `rules[0].type` cannot be \"text\" | use one of \"ESModule\", \"CommonJS\", \"CompiledWasm\", \"Text\", \"Data\", \"PythonModule\"",
            "error 3:1 `rules[1]` has no `type` | add `type`, for example \"Text\"",
            "error 3:12 `rules[1].globs` must be an array, found a string | put it in brackets: [ … ]",
            "error 4:11 Python modules are not supported yet | remove the rule",
            "warning 4:43 unknown key `rules[2].glob` | did you mean `globs`?",
        ]
    );
}
