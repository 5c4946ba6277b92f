//! Lists the scripts of `js-shims/node`, so that the crate has their text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::path::PathBuf;

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../js-shims/node");
    println!("cargo:rerun-if-changed=../../js-shims/node");
    let mut scripts = BTreeMap::new();
    collect(&root.join("lib"), "", &mut scripts);
    // Holm's own win over Node's of the same name.
    collect(&root.join("own"), "", &mut scripts);

    let mut table = String::from("[\n");
    for (name, path) in &scripts {
        let path = path.canonicalize().expect("a script that was found is there");
        writeln!(table, "    ({name:?}, include_str!({:?})),", path.display().to_string()).expect("text is written");
    }
    table.push_str("]\n");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo gives it"));
    std::fs::write(out.join("scripts.rs"), table).expect("the table is written");
}

fn collect(directory: &Path, prefix: &str, scripts: &mut BTreeMap<String, PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("the folder is there").flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() {
            collect(&path, &format!("{prefix}{name}/"), scripts);
        } else if let Some(stem) = name.strip_suffix(".js") {
            scripts.insert(format!("{prefix}{stem}"), path);
        }
    }
}
