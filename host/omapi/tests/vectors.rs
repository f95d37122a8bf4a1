//! Every vector file of access control, by the runner that users have; those of other projects where they are.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use jpkise_omapi::vectors::VectorFile;
use serde_json::{json, Value};

const FILES: [&str; 7] = [
    "rules.json",
    "rules-malformed.json",
    "store-data.json",
    "paging.json",
    "decisions.json",
    "apdu-filters.json",
    "apk.json",
];

fn folder(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(of)
}

fn run(path: &Path) -> usize {
    let file = VectorFile::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
    for vector in &file.vectors {
        vector.run(path.parent().unwrap()).unwrap_or_else(|e| panic!("{}: {e}", vector.id));
    }
    file.vectors.len()
}

#[test]
fn this_project_s_vectors_pass() {
    let passed: usize = FILES.iter().map(|name| run(&folder("tests/data").join(name))).sum();
    println!("{passed} vectors");
    assert!(passed >= 45, "{passed}");
}

#[test]
fn the_vectors_of_other_projects_pass_too() {
    let shared = folder("../../../shared/vectors/ara");
    if !shared.is_dir() {
        println!("skipped: the vectors of other projects are not here");
        return;
    }
    let passed: usize = FILES.iter().map(|name| run(&shared.join(name))).sum();
    println!("{passed} vectors");
    assert!(passed >= 55, "{passed}");
}

/// A runner that cannot fail proves nothing: of every vector something is changed, and each must be noticed.
#[test]
fn a_changed_vector_fails() {
    let mut tried = 0;
    for name in FILES {
        let path = folder("tests/data").join(name);
        let document: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for vector in document["vectors"].as_array().unwrap() {
            let Some(changed) = changed(vector) else { continue };
            let text = json!({ "format": "gp-se vectors 1", "vectors": [changed] }).to_string();
            let file = VectorFile::parse(&text).unwrap();
            let outcome = file.vectors[0].run(path.parent().unwrap());
            assert!(outcome.is_err(), "{}: a changed vector passes", vector["id"]);
            tried += 1;
        }
    }
    assert!(tried >= 40, "{tried}");
}

fn changed(vector: &Value) -> Option<Value> {
    let mut vector = vector.clone();
    match vector["type"].as_str().unwrap() {
        "rule" | "store-data-apdu" => vector["decoded"] = json!([]),
        // A good rule in place of the malformed one.
        "rule-malformed" if vector["kind"] == "ref-ar-do" => {
            vector["hex"] = json!("e20ee1044f00c100e306d00101d10100");
        }
        "rule-malformed" => vector["hex"] = json!("df20080102030405060708"),
        "store-data-status" => vector["expect_status_words"] = json!(["6f00"]),
        "decision" => vector["expect"]["via"] = json!("E"),
        "apdu-filter" => vector["allowed"] = json!(!vector["allowed"].as_bool().unwrap()),
        "paging" => vector["whole"] = json!("ff4000"),
        "apk" if vector["expect_error"] == true => vector["expect_error"] = json!(false),
        "apk" => vector["schemes"] = json!(["v9"]),
        _ => return None,
    }
    Some(vector)
}

#[test]
fn another_format_and_other_types_are_refused() {
    for text in [
        "",
        "{}",
        r#"{"format":"gp-se vectors 2","vectors":[]}"#,
        r#"{"format":"gp-se vectors 1","vectors":[{"id":"x","type":"cmac"}]}"#,
    ] {
        assert!(VectorFile::parse(text).is_err(), "{text}");
    }
}
