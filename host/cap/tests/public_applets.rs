//! Sizes compared with the established converter's on public applets. `JPKISE_PUBLIC_APPLETS` names a folder with
//! checkouts called `<owner>+<repository>` at the commits recorded in `sizes.json`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use std::path::{Path, PathBuf};

use jpkise_cap::convert::AppletOption;
use jpkise_cap::model::PackageVersion;

fn java_files(folder: &Path, package: &str, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("src/test") {
            java_files(&path, package, out);
        } else if path.extension().is_some_and(|e| e == "java") {
            let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
            if text.lines().any(|line| line.trim() == format!("package {package};")) {
                out.push(path);
            }
        }
    }
}

#[test]
fn public_applets_are_no_larger_than_from_the_reference_converter() {
    let sizes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors/cap/sizes.json");
    let (Ok(folder), Ok(sizes)) = (std::env::var("JPKISE_PUBLIC_APPLETS"), std::fs::read_to_string(&sizes))
    else {
        eprintln!(
            "skipped: JPKISE_PUBLIC_APPLETS names no folder with public applets, or sizes.json is absent"
        );
        return;
    };
    if !support::has_javac() {
        return;
    }
    let sizes: serde_json::Value = serde_json::from_str(&sizes).unwrap();
    for applet in sizes["applets"].as_array().unwrap() {
        let text = |key: &str| applet[key].as_str().unwrap();
        let root = Path::new(&folder).join(text("repository").replace('/', "+"));
        let mut files = Vec::new();
        java_files(&root, text("package"), &mut files);
        if files.is_empty() {
            eprintln!("skipped: no sources of {} below {}", text("name"), root.display());
            continue;
        }
        // Latin-1 sources: every byte is a character.
        let read =
            |path: &PathBuf| std::fs::read(path).unwrap().into_iter().map(char::from).collect::<String>();
        let sources: Vec<(String, String)> = files
            .iter()
            .map(|path| {
                (
                    format!(
                        "{}/{}",
                        text("package").replace('.', "/"),
                        path.file_name().unwrap().to_str().unwrap()
                    ),
                    read(path),
                )
            })
            .collect();
        let classes = support::javac(text("name"), 8, &sources).unwrap_or_else(|e| panic!("{e}"));
        let mut options = support::options(text("package"));
        options.aid = text("package_aid").parse().unwrap();
        options.version = PackageVersion::new(1, 0);
        let class_and_aid = applet["applets"].as_array().unwrap();
        options.applets = vec![AppletOption {
            class: class_and_aid[0].as_str().unwrap().to_owned(),
            aid: Some(class_and_aid[1].as_str().unwrap().parse().unwrap()),
        }];
        let converted = support::convert_ok(&classes, &options);
        for (tag, size) in &converted.sizes {
            let reference =
                usize::try_from(applet["components"][tag.member_name()].as_u64().unwrap()).unwrap();
            assert!(
                *size <= reference,
                "{} {tag}: {size} bytes, the reference has {reference}",
                text("name")
            );
        }
        let reference = applet["load_bytes"].as_u64().unwrap();
        println!("{:<14} {:>6} of {reference} bytes to load", text("name"), converted.load_size());
    }
}
