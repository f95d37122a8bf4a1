//! The project's applets: converted from source, accepted by the verifier, within their budget.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

fn java_files(folder: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            java_files(&path, out);
        } else if path.extension().is_some_and(|e| e == "java") {
            out.push(path);
        }
    }
}

#[test]
fn our_applets_convert_and_verify_within_their_budget() {
    if !support::has_javac() {
        return;
    }
    let applets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../applet");
    for (name, package, aid, most) in [
        ("jpki", "jp.jpkise.jpki", "D392F000264A504B01", 14 * 1024),
        ("ara", "jp.jpkise.ara", "A00000015141434C", 14 * 1024),
    ] {
        let mut files = Vec::new();
        java_files(&applets.join(name).join("src/main/java"), &mut files);
        if files.is_empty() {
            eprintln!("skipped: there are no sources of applet/{name}");
            continue;
        }
        files.sort();
        let sources: Vec<(String, String)> = files
            .iter()
            .map(|path| {
                let file = path.file_name().unwrap().to_string_lossy();
                (format!("{}/{file}", package.replace('.', "/")), std::fs::read_to_string(path).unwrap())
            })
            .collect();
        for release in [8, 17] {
            let classes = support::javac(&format!("{name}-{release}"), release, &sources)
                .unwrap_or_else(|e| panic!("{e}"));
            let mut options = support::options(package);
            options.aid = aid.parse().unwrap();
            let converted = support::convert_ok(&classes, &options);
            assert!(converted.warnings.is_empty(), "{}", support::lines(&converted.warnings));
            assert!(!converted.cap.header.uses_int());
            assert!(converted.load_size() <= most, "{name}: {} bytes to load", converted.load_size());
            let sizes: Vec<String> =
                converted.sizes.iter().map(|(tag, size)| format!("{tag} {size}")).collect();
            println!("{name} release {release}: {} to load ({})", converted.load_size(), sizes.join(", "));
        }
    }
}
