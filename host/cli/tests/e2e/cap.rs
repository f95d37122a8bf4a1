//! `jpkise cap` as a user runs it: the applet of this project, and files that are none.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{jpkise, ok, run, text};

/// The applet's classes, where Maven has put them.
fn classes() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../applet/jpki/target/classes");
    if path.join("jp/jpkise/jpki/JpkiApplet.class").exists() {
        return Some(path);
    }
    assert!(std::env::var_os("JPKISE_REQUIRE_PCSC").is_none(), "the applet is not built");
    eprintln!("SKIP: the applet is not built; run: mvn -f applet/pom.xml install");
    None
}

fn build(classes: &Path, output: &Path, more: &[&str]) -> std::process::Output {
    let (classes, output) = (classes.to_str().unwrap(), output.to_str().unwrap());
    let arguments = ["cap", "build", "--classes", classes, "--output", output, "--aid", "D392F000264A504B01"];
    run(&mut jpkise(&[&arguments, more].concat()))
}

#[test]
fn the_applet_converts_the_same_every_time_and_verifies() {
    let Some(classes) = classes() else { return };
    let out = tempfile::tempdir().unwrap();
    let named =
        ["--package", "jp.jpkise.jpki", "--version", "1.0", "--applet", "JpkiApplet=D392F000264A504B0101"];
    let (one, two) = (out.path().join("one.cap"), out.path().join("two.cap"));
    for cap in [&one, &two] {
        let built = build(&classes, cap, &named);
        assert!(built.status.success(), "{}", text(&built));
    }
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    assert_eq!(fs::read(out.path().join("one.exp")).unwrap(), fs::read(out.path().join("two.exp")).unwrap());

    ok(&mut jpkise(&["cap", "verify", one.to_str().unwrap()]));
    let info = ok(&mut jpkise(&["cap", "info", "--json", one.to_str().unwrap()]));
    let info: serde_json::Value = serde_json::from_str(&info).unwrap();
    assert_eq!(
        info["package"]["aid"].as_str().or(info["aid"].as_str()),
        Some("D392F000264A504B01"),
        "{info}"
    );
    let dump = ok(&mut jpkise(&["cap", "dump", one.to_str().unwrap()]));
    assert!(dump.contains("invokevirtual") && dump.contains("APDU"), "no disassembly with names");

    // Found by itself: the AID is the package's with a counter, and it is printed.
    let found = build(&classes, &one, &["--package", "jp.jpkise.jpki"]);
    assert!(text(&found).contains("D392F000264A504B0101"), "{}", text(&found));
}

#[test]
fn what_cannot_be_converted_leaves_no_file_and_says_why() {
    let Some(classes) = classes() else { return };
    let out = tempfile::tempdir().unwrap();
    let cap = out.path().join("x.cap");
    let truncated = out.path().join("classes/p");
    fs::create_dir_all(&truncated).unwrap();
    fs::write(truncated.join("A.class"), [0xCA, 0xFE, 0xBA, 0xBE, 0, 0]).unwrap();
    for (tree, more, says) in [
        (classes.as_path(), &["--package", "no.such.package"][..], "no.such.package"),
        (&classes, &["--package", "jp.jpkise.jpki", "--applet", "Nobody=D392F000264A504B0101"], "Nobody"),
        (
            &classes,
            &["--package", "jp.jpkise.jpki", "--applet", "JpkiApplet=A0000000620101"],
            "A0000000620101",
        ),
        (&classes, &["--package", "jp.jpkise.jpki", "--applet", "JpkiApplet=D392"], "D392"),
        (&classes, &["--package", "jp.jpkise.jpki", "--target", "9.9"], "9.9"),
        (&classes, &["--package", "jp.jpkise.jpki", "--export-path", "/nonexistent"], "/nonexistent"),
        (&out.path().join("classes"), &["--package", "p"], "A.class"),
    ] {
        let refused = build(tree, &cap, more);
        assert_eq!(refused.status.code(), Some(2), "{more:?}: {}", text(&refused));
        assert!(text(&refused).contains(says), "{more:?}: {}", text(&refused));
        let left: Vec<_> = fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["classes"], "{more:?} left files behind");
    }
}

#[test]
fn files_that_lie_are_refused_by_every_verb() {
    let Some(classes) = classes() else { return };
    let out = tempfile::tempdir().unwrap();
    let cap = out.path().join("x.cap");
    assert!(build(&classes, &cap, &["--package", "jp.jpkise.jpki"]).status.success());
    let good = fs::read(&cap).unwrap();
    let bad = out.path().join("bad.cap");
    for (name, bytes) in [
        ("empty", Vec::new()),
        ("text", b"not a CAP".to_vec()),
        ("truncated", good[..good.len() / 2].to_vec()),
        ("a load file that lies about its length", vec![1, 0xFF, 0xFF, 0xDE, 0xCA, 0xFF, 0xED]),
    ] {
        fs::write(&bad, bytes).unwrap();
        for verb in ["info", "dump", "verify"] {
            let refused = run(&mut jpkise(&["cap", verb, bad.to_str().unwrap()]));
            assert_eq!(refused.status.code(), Some(2), "{verb} {name}: {}", text(&refused));
        }
    }
    let missing = run(&mut jpkise(&["cap", "verify", "/nonexistent.cap"]));
    assert_eq!(missing.status.code(), Some(2), "{}", text(&missing));
}
