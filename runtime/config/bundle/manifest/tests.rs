//! A bundle that is written is read back as it was, and nothing else is read.

use time::macros::date;

use super::*;
use crate::scratch::Scratch;

fn module(specifier: &str, kind: ModuleKind, source: &str) -> Module {
    Module { specifier: specifier.into(), kind, source: Arc::from(source.as_bytes()), source_map: None }
}

fn service() -> Service {
    Service {
        binding: "AUTH".into(),
        service: "auth".into(),
        entrypoint: Some("Admin".into()),
        props: Some(serde_json::json!({ "level": 2 })),
        location: Location::of_file("holm.json"),
    }
}

fn sample() -> (Bundle, WorkerSettings) {
    let mut main = module("index.js", ModuleKind::EsModule, "export default {}");
    main.source_map = Some(Arc::from("{\"version\":3}"));
    let bundle = Bundle {
        main: "index.js".into(),
        modules: vec![
            main,
            module("lib/add.wasm", ModuleKind::CompiledWasm, "\0asm"),
            module("a", ModuleKind::Text, "beside a directory of the same name"),
            module("a/b", ModuleKind::Text, "inside of it"),
            module("../outside.txt", ModuleKind::Text, "a specifier is no path"),
            module("page.html?x=1", ModuleKind::Text, "nor is this"),
        ],
    };
    let settings = WorkerSettings {
        name: "hello".into(),
        compatibility: Compatibility::new(date!(2026 - 01 - 31), vec!["nodejs_als".into()]),
        limits: InvocationLimits { cpu_ms: Some(20), subrequests: None },
        vars: BTreeMap::from([("GREETING".into(), Value::from("hi")), ("LIST".into(), serde_json::json!([1, 2.5]))]),
        routes: vec!["example.com/api/*".parse().unwrap()],
        services: vec![service(), Service { entrypoint: None, props: None, ..service() }],
        crons: vec![holm_cron::Trigger::parse("CRON_TZ=Europe/Berlin 0 9 * * *").unwrap()],
    };
    (bundle, settings)
}

fn written() -> Scratch {
    let scratch = Scratch::new("out");
    let (bundle, settings) = sample();
    bundle.write(&settings, scratch.directory()).unwrap();
    scratch
}

fn read_error(scratch: &Scratch) -> String {
    let error = Bundle::read(scratch.directory()).expect_err("an error").to_string();
    error.replace(&scratch.directory().display().to_string(), "out")
}

fn edit(scratch: &Scratch, from: &str, to: &str) {
    let path = scratch.path(MANIFEST);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn is_read_back_as_it_was_written() {
    let scratch = written();
    let (bundle, settings) = sample();
    let (read, read_settings) = Bundle::read(scratch.directory()).unwrap();
    let location = Location::of_file(scratch.directory().join(MANIFEST));
    let services = settings.services.iter().map(|service| Service { location: location.clone(), ..service.clone() });
    assert_eq!(read_settings, WorkerSettings { services: services.collect(), ..settings });
    assert_eq!(read.main, bundle.main);
    assert_eq!(read.modules.len(), bundle.modules.len());
    for (read, module) in read.modules.iter().zip(&bundle.modules) {
        assert_eq!(read.specifier, module.specifier);
        assert_eq!(read.kind, module.kind);
        assert_eq!(read.source, module.source);
        assert_eq!(read.source_map, module.source_map);
    }
}

#[test]
fn a_bundle_replaces_a_bundle_and_leaves_nothing_of_it() {
    let scratch = written();
    let (mut bundle, settings) = sample();
    bundle.modules.truncate(1);
    bundle.write(&settings, scratch.directory()).unwrap();
    assert_eq!(Bundle::read(scratch.directory()).unwrap().0.modules.len(), 1);
    assert!(!scratch.path("modules/lib").exists());
    let beside: Vec<_> = fs::read_dir(scratch.directory().parent().unwrap()).unwrap().collect();
    assert_eq!(beside.len(), 1, "{beside:?}");
}

#[test]
fn a_directory_with_other_files_is_not_replaced() {
    let scratch = Scratch::with("out", &[("thesis.tex", "years of work")]);
    let (bundle, settings) = sample();
    let error = bundle.write(&settings, scratch.directory()).unwrap_err();
    assert!(matches!(error, BundleDirectoryError::Occupied { .. }), "{error}");
    assert!(scratch.path("thesis.tex").exists());
}

#[test]
fn a_directory_without_a_manifest_is_no_bundle() {
    let scratch = Scratch::new("out");
    assert_eq!(read_error(&scratch), "out has no holm.json; name a directory that `holm build` wrote");
}

#[test]
fn a_missing_module_is_named() {
    let scratch = written();
    fs::remove_file(scratch.path("modules/lib/add.wasm")).unwrap();
    assert_eq!(
        read_error(&scratch),
        "cannot read out/modules/lib/add.wasm: No such file or directory (os error 2); build the bundle again with `holm build`"
    );
}

#[test]
fn a_changed_module_is_refused_by_size_and_by_content() {
    let scratch = written();
    scratch.write("modules/index.js", "export default 1");
    assert!(read_error(&scratch).contains("the file has 16 bytes, the manifest says 17"));
    scratch.write("modules/index.js", "export default []");
    assert!(read_error(&scratch).contains("its SHA-256 differs"));
}

#[test]
fn a_path_out_of_the_directory_is_refused() {
    for file in ["../secret", "/etc/passwd", "modules/../../secret", "", "modules//x", "..\\\\secret"] {
        let scratch = written();
        edit(&scratch, "\"modules/index.js\"", &format!("\"{file}\""));
        assert!(read_error(&scratch).contains("leaves the bundle"), "{file}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_directory_is_refused() {
    let scratch = written();
    let outside = scratch.directory().parent().unwrap().join("outside.js");
    fs::write(&outside, "export default {}").unwrap();
    fs::remove_file(scratch.path("modules/index.js")).unwrap();
    std::os::unix::fs::symlink(&outside, scratch.path("modules/index.js")).unwrap();
    assert!(read_error(&scratch).contains("leaves the bundle's directory"));
}

#[test]
fn another_format_is_told_from_a_broken_manifest() {
    let scratch = written();
    edit(&scratch, "\"format\": 1", "\"format\": 2, \"news\": true");
    assert_eq!(
        read_error(&scratch),
        "out/holm.json: the bundle has format 2, this holm reads format 1; build it again with this version"
    );
    scratch.write(MANIFEST, "{ \"format\": 1, ");
    assert!(read_error(&scratch).starts_with("out/holm.json:1:15: the manifest cannot be read"));
}

#[test]
fn what_is_not_valid_in_the_manifest_is_refused() {
    let cases = [
        ("\"main\": \"index.js\"", "\"main\": \"other.js\"", "the main module other.js is not among the modules"),
        ("\"specifier\": \"a\"", "\"specifier\": \"index.js\"", "the module index.js is there twice"),
        ("\"2026-01-31\"", "\"2026-02-31\"", "\"2026-02-31\" is no date"),
        ("\"nodejs_als\"", "\"nodejs_ale\"", "there is no compatibility flag `nodejs_ale`"),
        ("\"name\": \"hello\"", "\"name\": \"Hello\"", "the name is not valid"),
        ("\"format\": 1,", "\"format\": 1, \"surprise\": 1,", "unknown field `surprise`"),
        ("\"example.com/api/*\"", "\"example.com:1/\"", "a port cannot be matched"),
        ("\"size\": 17", "\"size\": 99999999999", "bytes, more than 1073741824"),
        ("\"cpu_ms\": 20", "\"cpu_ms\": 0", "limits.cpu_ms is 0, outside of 1 to 300000"),
    ];
    for (from, to, message) in cases {
        let scratch = written();
        edit(&scratch, from, to);
        let error = read_error(&scratch);
        assert!(error.contains(message), "{message} in {error}");
    }
}
