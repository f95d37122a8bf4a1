//! What the tests share: API stubs made from the export tables, javac, and looking into the result.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
// Listings are built from lines.
#![allow(clippy::format_collect, clippy::format_push_string)]

pub mod evaluate;
pub mod stubs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use jpkise_cap::convert::{convert, ConvertOptions, Converted, Diagnostic};
use jpkise_cap::exports::{ExportPackage, ExportSet};
use jpkise_cap::inspect::{disassemble, DisassembledMethod, Names};
use jpkise_cap::model::{Aid, Cap, PackageVersion};

/// Package AID of all test packages; the last byte tells them apart where it matters.
pub const AID: &str = "D276000177AA01";

/// Where this test program may write.
pub fn scratch(name: &str) -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let program = program.file_stem().unwrap().to_string_lossy().into_owned();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(program).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// Whether there is a Java compiler; says so once when there is none.
pub fn has_javac() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| {
        let found = Command::new("javac").arg("-version").output().is_ok_and(|o| o.status.success());
        if !found {
            eprintln!("skipped: there is no javac on the path");
        }
        found
    })
}

/// Folder with class files of the Java Card API, as the export tables describe it.
pub fn api() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = scratch("api");
        stubs::write(&folder);
        folder
    })
}

/// Compiles sources given as (path below the source root, text); gives the class folder or javac's messages.
pub fn javac(name: &str, release: u32, sources: &[(String, String)]) -> Result<PathBuf, String> {
    let root = scratch(name);
    let (src, classes) = (root.join("src"), root.join("classes"));
    std::fs::create_dir_all(&classes).unwrap();
    let mut command = Command::new("javac");
    command.args([
        "-g",
        "-nowarn",
        "-Xlint:none",
        "-encoding",
        "UTF-8",
        "--release",
        &release.to_string(),
        "-d",
    ]);
    command.arg(&classes).arg("-cp").arg(api());
    for (path, text) in sources {
        let file = src.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(&file, text).unwrap();
        command.arg(file);
    }
    let output = command.output().unwrap();
    if output.status.success() {
        Ok(classes)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// Compiles one class given by its body lines in package `t`.
pub fn compile_one(name: &str, release: u32, class: &str, text: &str) -> PathBuf {
    javac(name, release, &[(format!("t/{class}.java"), text.to_owned())]).unwrap()
}

/// All sources below `tests/java/<folder>`, by path below that folder.
pub fn sources(folder: &str) -> BTreeMap<String, String> {
    fn walk(root: &Path, at: &Path, out: &mut BTreeMap<String, String>) {
        let mut entries: Vec<_> = std::fs::read_dir(at).unwrap().map(|e| e.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                walk(root, &path, out);
            } else if path.extension().is_some_and(|e| e == "java") {
                let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
                out.insert(name, std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let root = java_root().join(folder);
    let mut out = BTreeMap::new();
    walk(&root, &root, &mut out);
    out
}

/// `tests/java`
pub fn java_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java")
}

/// Options for a test package.
pub fn options(package: &str) -> ConvertOptions {
    ConvertOptions::new(package, AID.parse::<Aid>().unwrap(), PackageVersion::new(1, 0))
}

/// Converts a package, failing with its diagnostics or with what the verifier finds.
pub fn convert_ok(classes: &Path, options: &ConvertOptions) -> Converted {
    let converted =
        convert(classes, options).unwrap_or_else(|errors| panic!("{}:\n{}", options.package, lines(&errors)));
    verify(&converted, &options.exports);
    converted
}

/// Fails unless the verifier accepts a CAP, its own export table and those of `others` at hand.
pub fn verify(converted: &Converted, others: &[ExportPackage]) {
    let mut exports = ExportSet::any_platform();
    others.iter().chain([&converted.exp]).cloned().for_each(|package| exports.add(package));
    let findings = jpkise_cap::verify::verify(&converted.cap, &exports);
    assert!(findings.is_empty(), "{}", findings.iter().map(|f| format!("{f}\n")).collect::<String>());
}

/// Diagnostics one a line.
pub fn lines(errors: &[Diagnostic]) -> String {
    errors.iter().map(|e| format!("{e}\n")).collect()
}

/// Methods of a CAP by name, with names from its own export table.
pub fn methods(converted: &Converted) -> Vec<DisassembledMethod> {
    let mut exports = ExportSet::any_platform();
    exports.add(converted.exp.clone());
    disassemble(&converted.cap, &Names::new(&converted.cap, &exports))
}

/// The listing of a method: one instruction a line, with offsets.
pub fn listing(method: &DisassembledMethod) -> String {
    let head = &method.header;
    let mut text = format!(
        "{} (stack {}, args {}, locals {})\n",
        method.name, head.max_stack, head.nargs, head.max_locals
    );
    for line in &method.instructions {
        text.push_str(&format!("  {:>3} {line}\n", line.instruction.offset));
    }
    assert_eq!(method.undecoded, None, "{text}");
    text
}

/// A CAP read back from the JAR it is written as.
pub fn reread(converted: &Converted) -> Cap {
    Cap::read(&converted.cap.to_jar().unwrap()).unwrap()
}
