//! What authors are told when there is no bundle.

mod fixture;

use fixture::Fixture;
use holm_bundler::{BundleError, BundleMessage};

fn only(error: &BundleError) -> &BundleMessage {
    assert_eq!(error.messages.len(), 1, "{error}");
    &error.messages[0]
}

fn help(message: &BundleMessage) -> &str {
    message.help.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn a_syntax_error_has_its_place() {
    let fixture = Fixture::new(&[
        ("src/index.ts", "import './broken';\nexport default { fetch: () => new Response('') };"),
        ("src/broken.ts", "const fine = 1;\nconst broken = = 2;\nconst also = 3;\n"),
    ]);
    let error = fixture.error().await;
    let message = only(&error);
    assert_eq!(message.file.as_deref(), Some(fixture.path("src/broken.ts").as_path()));
    assert_eq!((message.line, message.column), (Some(2), Some(16)));
    assert_eq!(
        message.excerpt.as_deref(),
        Some("   1 | const fine = 1;\n   2 | const broken = = 2;\n     |                ^\n   3 | const also = 3;")
    );
    assert!(message.message.starts_with("syntax error: "), "{error}");
    for name in ["src/index.ts", "src/broken.ts"] {
        assert!(error.inputs.contains(&fixture.path(name)), "{name} is not in {:?}", error.inputs);
    }
}

#[tokio::test]
async fn a_missing_file_says_what_was_looked_for() {
    let fixture = Fixture::new(&[("src/index.ts", "export { default } from './worker/main';")]);
    let error = fixture.error().await;
    let message = only(&error);
    assert_eq!(message.message, "cannot find `./worker/main`");
    assert_eq!((message.line, message.column), (Some(1), Some(25)));
    assert!(help(message).contains("src/worker/main") && help(message).contains(".tsx"), "{error}");
    assert!(message.excerpt.as_deref().is_some_and(|excerpt| excerpt.ends_with("^^^^^^^^^^^^^^^")), "{error}");
}

#[tokio::test]
async fn a_missing_package_can_be_installed() {
    let fixture = Fixture::new(&[("src/index.ts", "\nimport { Hono } from 'hono/tiny';\nexport default new Hono();")]);
    let error = fixture.error().await;
    let message = only(&error);
    assert_eq!(message.message, "cannot find the package `hono`");
    assert_eq!((message.line, message.column), (Some(2), Some(22)));
    assert!(help(message).contains("looked for node_modules/hono"), "{error}");
    assert!(help(message).contains("npm install hono"), "{error}");
}

#[tokio::test]
async fn a_declared_package_is_not_installed_yet() {
    let fixture = Fixture::new(&[
        ("src/index.ts", "import { Hono } from 'hono';\nexport default new Hono();"),
        ("package.json", r#"{ "dependencies": { "hono": "^4" } }"#),
    ]);
    let error = fixture.error().await;
    assert!(help(only(&error)).contains("run `npm install`"), "{error}");
}

#[tokio::test]
async fn an_installed_package_may_lack_a_path() {
    let files = |package: &'static str| {
        Fixture::new(&[
            ("src/index.ts", "import x from 'x/other';\nexport default { fetch: () => new Response(x) };"),
            ("node_modules/x/package.json", package),
            ("node_modules/x/index.js", "export default 1;"),
        ])
    };
    let error = files(r#"{ "name": "x", "exports": { ".": "./index.js" } }"#).error().await;
    assert_eq!(only(&error).message, "cannot resolve `x/other` (package subpath is not defined by exports)");
    assert_eq!(only(&error).line, Some(1));

    let error = files(r#"{ "name": "x", "main": "./index.js" }"#).error().await;
    assert_eq!(only(&error).message, "the package `x` is installed, but it has no `x/other`");
    assert!(help(only(&error)).contains("node_modules/x/package.json"), "{error}");
}

#[tokio::test]
async fn a_node_builtin_is_no_missing_package() {
    let fixture = Fixture::new(&[(
        "src/index.ts",
        "import { readFile } from 'fs/promises';\nexport default { fetch: () => readFile('x') };",
    )]);
    let error = fixture.error().await;
    let message = only(&error);
    assert!(message.message.contains("`fs/promises` is a Node.js built-in"), "{error}");
    assert!(message.message.contains("the compatibility flag `nodejs_compat` is off"), "{error}");
    assert_eq!((message.line, message.column), (Some(1), Some(26)));
}

#[tokio::test]
async fn an_optional_require_of_a_package_is_left_to_the_runtime() {
    let fixture = Fixture::new(&[
        ("src/index.ts", "import x from 'x';\nexport default { fetch: () => new Response(x) };"),
        ("node_modules/x/package.json", r#"{ "name": "x", "main": "index.js" }"#),
        (
            "node_modules/x/index.js",
            "let fast; try { fast = require('fast-native'); } catch { fast = 'slow-code'; } module.exports = fast;",
        ),
    ]);
    let bundled = fixture.bundle().await;
    assert!(fixture::main_text(&bundled).contains("slow-code"));
}

#[tokio::test]
async fn a_missing_export_is_an_error() {
    let fixture = Fixture::new(&[
        ("src/index.ts", "import { nothing } from './lib';\nexport default { fetch: () => new Response(nothing) };"),
        ("src/lib.ts", "export const something = 1;"),
    ]);
    let error = fixture.error().await;
    let message = only(&error);
    assert!(message.message.contains("nothing"), "{error}");
    assert_eq!((message.line, message.column), (Some(1), Some(10)));
}

#[tokio::test]
async fn an_entry_module_that_offers_nothing_is_explained() {
    let fixture = Fixture::new(&[("src/index.js", "const hi = 'hi';\nconsole.log(hi);")]);
    let error = fixture.error().await;
    let message = only(&error);
    assert!(message.message.contains("no exports, and listens for no events"), "{error}");
    assert!(help(message).contains("export default { fetch("), "{error}");
}

#[tokio::test]
async fn a_service_worker_cannot_import_what_is_not_bundled() {
    let fixture = Fixture::new(&[
        (
            "src/index.js",
            "import text from './a.txt';\naddEventListener('fetch', (event) => event.respondWith(new Response(text)));",
        ),
        ("src/a.txt", "text"),
    ]);
    let error = fixture.error().await;
    let message = only(&error);
    assert!(message.message.contains("it cannot import"), "{error}");
    assert_eq!(message.line, Some(2));
}

#[tokio::test]
async fn a_url_is_not_downloaded() {
    let fixture = Fixture::new(&[("src/index.ts", "import x from 'https://example.com/x.js';\nexport default x;")]);
    let error = fixture.error().await;
    assert!(only(&error).message.contains("not downloaded"), "{error}");
    assert_eq!(only(&error).line, Some(1));
}

#[tokio::test]
async fn an_alias_without_target_is_named() {
    let fixture = Fixture::with_settings(
        r#""alias": { "fs": "./src/nowhere.ts" }"#,
        &[("src/index.ts", "import fs from 'fs';\nexport default { fetch: () => new Response(fs) };")],
    );
    let error = fixture.error().await;
    assert!(only(&error).message.contains("cannot find `./src/nowhere.ts`, the alias of `fs`"), "{error}");
}

#[tokio::test]
async fn a_define_that_is_no_expression_is_named() {
    let fixture = Fixture::with_settings(
        r#""define": { "A": "not an expression" }"#,
        &[("src/index.ts", "export default { fetch: () => new Response('') };")],
    );
    let error = fixture.error().await;
    assert!(error.to_string().contains("define"), "{error}");
}

#[tokio::test]
async fn a_file_of_an_unknown_kind_needs_a_rule() {
    let fixture = Fixture::new(&[
        ("src/index.ts", "import readme from './readme.md';\nexport default { fetch: () => new Response(readme) };"),
        ("src/readme.md", "# Hello there, world"),
    ]);
    let error = fixture.error().await;
    assert!(help(only(&error)).contains("\"globs\": [\"**/*.md\"]"), "{error}");
}

#[tokio::test]
async fn a_style_sheet_needs_a_rule() {
    let fixture = Fixture::new(&[
        ("src/index.ts", "import css from './page.css';\nexport default { fetch: () => new Response(css) };"),
        ("src/page.css", "p { color: red }"),
    ]);
    let error = fixture.error().await;
    assert!(only(&error).message.contains("`./page.css` is a style sheet"), "{error}");
    assert_eq!((only(&error).line, only(&error).column), (Some(1), Some(17)));
}

#[tokio::test]
async fn jsx_in_plain_typescript_is_pointed_out() {
    let fixture = Fixture::new(&[("src/index.ts", "export default { fetch: () => <b>hi</b> };")]);
    let error = fixture.error().await;
    assert!(help(only(&error)).contains(".tsx"), "{error}");
}

#[tokio::test]
async fn a_broken_tsconfig_is_named_and_watched() {
    let fixture = Fixture::new(&[("src/index.ts", "export default {};"), ("tsconfig.json", "{ \"compilerOptions\": ")]);
    let error = fixture.error().await;
    assert!(only(&error).message.contains("tsconfig.json"), "{error}");
    assert!(error.inputs.contains(&fixture.path("tsconfig.json")), "{:?}", error.inputs);
}

#[tokio::test]
async fn several_errors_are_reported_at_once() {
    let fixture = Fixture::new(&[
        (
            "src/index.ts",
            "import './a';\nimport './b';\nimport 'missing';\nexport default { fetch: () => new Response('') };",
        ),
        ("src/a.ts", "import './nowhere';"),
        ("src/b.ts", "import { } from = 'x';"),
    ]);
    let error = fixture.error().await;
    assert!(error.messages.len() >= 2, "{error}");
}

#[tokio::test]
async fn a_missing_entry_module_is_named() {
    let fixture = Fixture::with_settings(r#""build": { "command": "true" }"#, &[("src/index.ts", "")]);
    let mut project = fixture.project();
    project.main = fixture.path("src/gone.ts");
    let error = holm_bundler::bundle(&project).await.expect_err("there is no entry module");
    assert!(only(&error).message.contains("gone.ts does not exist"), "{error}");
    assert!(help(only(&error)).contains("build.command"), "{error}");
}

#[cfg(unix)]
#[tokio::test]
async fn the_build_command_runs_in_its_directory() {
    let fixture = Fixture::with_settings(
        r#""build": { "command": "cp template.js ../src/made.js", "cwd": "tools" }"#,
        &[("src/made.js", ""), ("tools/template.js", "export default { fetch: () => new Response('made') };")],
    );
    let project = fixture.project();
    holm_bundler::run_build_command(&project).await.unwrap_or_else(|error| panic!("{error}"));
    let bundled = holm_bundler::bundle(&project).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(fixture::main_text(&bundled).contains("made"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_failing_build_command_says_how_it_ended() {
    let fixture =
        Fixture::with_settings(r#""build": { "command": "exit 7" }"#, &[("src/index.js", "export default {}")]);
    let error = holm_bundler::run_build_command(&fixture.project()).await.expect_err("it fails");
    assert!(only(&error).message.contains("`exit 7` exited with status 7"), "{error}");
}
