//! One small package per language feature: compiled by javac, converted, disassembled, and compared with the
//! instruction list beside the sources (`expected.txt`; rewritten when `UPDATE_EXPECTED` is set, then reviewed).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::format_push_string)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jpkise_cap::convert::{convert_all, ConvertOptions, Converted};
use jpkise_cap::exports::ExportSet;
use jpkise_cap::inspect::{cap_info, disassemble, dump, info_text, Names};
use jpkise_cap::model::{Cap, ClassRef, ComponentTag, CpInfo, StaticRef};
use jpkise_cap::LoadOptions;

/// Packages by folder below `tests/java/features`.
fn packages() -> Vec<String> {
    let all: BTreeSet<String> =
        support::sources("features").keys().map(|path| path.split('/').next().unwrap().to_owned()).collect();
    all.into_iter().collect()
}

fn options(package: &str) -> ConvertOptions {
    let mut options = support::options(package);
    options.int = package == "integers";
    options.debug = true;
    if package == "client" {
        // Another AID than the library it imports.
        options.aid = "D276000177AA02".parse().unwrap();
    }
    options
}

fn compile(release: u32) -> PathBuf {
    static DONE: Mutex<BTreeMap<u32, PathBuf>> = Mutex::new(BTreeMap::new());
    let mut done = DONE.lock().unwrap();
    let compiled = done.entry(release).or_insert_with(|| {
        let sources: Vec<(String, String)> = support::sources("features").into_iter().collect();
        support::javac(&format!("features-{release}"), release, &sources).unwrap()
    });
    compiled.clone()
}

/// All packages; `library` is converted before `client`, which needs it.
fn convert_features(classes: &Path) -> Vec<(String, Converted)> {
    let mut all = Vec::new();
    for package in packages().iter().filter(|p| !["client", "library"].contains(&p.as_str())) {
        all.push((package.clone(), support::convert_ok(classes, &options(package))));
    }
    let set = convert_all(classes, &[options("client"), options("library")]);
    let set = set.unwrap_or_else(|e| panic!("{}", support::lines(&e)));
    support::verify(&set[0], &[]);
    support::verify(&set[1], &[set[0].exp.clone()]);
    let names = ["library", "client"].map(str::to_owned);
    all.extend(names.into_iter().zip(set));
    all
}

fn listing(converted: &Converted, library: &Converted) -> String {
    let mut exports = ExportSet::any_platform();
    exports.add(library.exp.clone());
    exports.add(converted.exp.clone());
    let names = Names::new(&converted.cap, &exports);
    let mut text = String::new();
    for method in disassemble(&converted.cap, &names) {
        text.push_str(&support::listing(&method));
        let head = usize::from(method.offset) + method.header.size();
        for handler in &method.handlers {
            let start = usize::from(handler.start_offset) - head;
            let end = start + usize::from(handler.active_length);
            let at = usize::from(handler.handler_offset) - head;
            let catch = match handler.catch_type_index {
                0 => "any".to_owned(),
                index => names.constant(converted.cap.constant_pool.get(index).unwrap()),
            };
            let stop = if handler.stop { " stop" } else { "" };
            text.push_str(&format!("      try {start} to {end} catch {catch} at {at}{stop}\n"));
        }
    }
    for warning in &converted.warnings {
        text.push_str(&format!("warning: {warning}\n"));
    }
    text
}

#[test]
fn every_feature_becomes_the_expected_instructions() {
    if !support::has_javac() {
        return;
    }
    let classes = compile(8);
    let update = std::env::var_os("UPDATE_EXPECTED").is_some();
    let all = convert_features(&classes);
    let library = &all.iter().find(|(package, _)| package == "library").unwrap().1;
    for (package, converted) in &all {
        let path = support::java_root().join("features").join(package).join("expected.txt");
        let text = listing(converted, library);
        if update {
            std::fs::write(&path, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(text, expected, "package {package}");
    }
}

#[test]
fn every_javac_release_is_accepted_and_gives_the_same_code_where_javac_does() {
    if !support::has_javac() {
        return;
    }
    let base: Vec<(String, Converted)> = convert_features(&compile(8));
    for release in [7, 11, 17] {
        for ((package, converted), (_, of_8)) in convert_features(&compile(release)).iter().zip(&base) {
            check(&converted.cap);
            // From 11 on javac writes no access methods, and other conditions; the rest is the same.
            if release == 7 || !["nested"].contains(&package.as_str()) {
                assert_eq!(
                    listing(converted, converted),
                    listing(of_8, of_8),
                    "package {package}, release {release}"
                );
            }
        }
    }
}

#[test]
fn private_members_of_nest_mates_are_reached_directly() {
    if !support::has_javac() {
        return;
    }
    let converted = support::convert_ok(&compile(17), &options("nested"));
    let text = listing(&converted, &converted);
    assert!(!text.contains("access$"), "{text}");
    assert!(text.contains("invokevirtual Outer.bump(S)V"), "{text}");
    assert!(text.contains("getfield_s Outer.secret"), "{text}");
}

#[test]
fn debug_information_changes_no_code() {
    if !support::has_javac() {
        return;
    }
    let classes = compile(8);
    for package in packages().iter().filter(|p| *p != "client") {
        let mut plain = options(package);
        plain.debug = false;
        let plain = support::convert_ok(&classes, &plain).cap;
        let debug = support::convert_ok(&classes, &options(package)).cap;
        assert_eq!(plain.method, debug.method);
        assert_eq!(plain.static_field, debug.static_field);
        assert!(plain.debug.is_none() && debug.debug.is_some());
        assert_eq!((plain.format().numbers(), debug.format().numbers()), ((2, 1), (2, 2)));
        assert_eq!(Cap::read(&debug.to_jar().unwrap()).unwrap().debug, debug.debug);
    }
}

/// What holds for every CAP whatever is in it.
fn check(cap: &Cap) {
    let reread = Cap::read(&cap.to_jar().unwrap()).unwrap();
    for tag in ComponentTag::ALL {
        let bytes = cap.component_bytes(tag);
        assert_eq!(reread.component_bytes(tag), bytes, "{tag}");
        let size = bytes.map_or(0, |b| b.len() - 3);
        assert_eq!(cap.directory.size_of(tag), u32::try_from(size).unwrap(), "{tag}");
    }
    assert_eq!(Cap::read(&cap.load_file_data_block(LoadOptions::default())).unwrap().method, cap.method);
    let exports = ExportSet::any_platform();
    let text = format!("{}{}", dump(cap, &exports), info_text(&cap_info(cap, &exports)));
    assert!(text.len() > 100);
    references_resolve(cap, &exports);
    reference_locations_name_all_pool_operands(cap);
}

/// Every token and offset in the constant pool leads somewhere.
fn references_resolve(cap: &Cap, exports: &ExportSet) {
    let class = |r: ClassRef| match r {
        ClassRef::Internal(offset) => {
            assert!(cap.class.class_at(offset).is_some() || cap.class.interface_at(offset).is_some());
            None
        }
        ClassRef::External { package, class } => {
            let import = cap.imported(package).unwrap();
            // The library of the client package is no platform package.
            let table = exports.by_import(import.aid, import.version)?;
            Some(table.class_by_token(class).unwrap())
        }
    };
    for entry in &cap.constant_pool.entries {
        match *entry {
            CpInfo::Class { class: r, .. } => {
                class(r);
            }
            CpInfo::InstanceField { class: r, token } => {
                if let Some(class) = class(r) {
                    assert!(class.instance_field(token).is_some());
                }
            }
            CpInfo::VirtualMethod { class: r, token } | CpInfo::SuperMethod { class: r, token } => {
                if let Some(class) = class(r) {
                    assert!(class.virtual_method(token).is_some());
                }
            }
            CpInfo::StaticField(StaticRef::Internal { offset, .. }) => {
                assert!(offset < cap.static_field.image_size);
            }
            CpInfo::StaticMethod(StaticRef::Internal { offset, .. }) => {
                let all = cap.descriptor.iter().flat_map(|d| &d.classes).flat_map(|c| &c.methods);
                assert_eq!(all.filter(|m| m.method_offset == offset).count(), 1);
            }
            CpInfo::StaticField(StaticRef::External { package, class: token, token: member }) => {
                if let Some(class) = class(ClassRef::External { package, class: token }) {
                    assert!(class.static_field(member).is_some());
                }
            }
            CpInfo::StaticMethod(StaticRef::External { package, class: token, token: member }) => {
                if let Some(class) = class(ClassRef::External { package, class: token }) {
                    assert!(class.static_method(member).is_some());
                }
            }
        }
    }
}

fn reference_locations_name_all_pool_operands(cap: &Cap) {
    let names = Names::new(cap, &EXPORTS);
    let (mut byte, mut byte2) = (Vec::new(), Vec::new());
    for (index, handler) in cap.method.handlers.iter().enumerate() {
        if handler.catch_type_index != 0 {
            byte2.push(1 + 8 * index + 6);
        }
    }
    for method in disassemble(cap, &names) {
        for line in &method.instructions {
            if let Some((at, one_byte)) = line.instruction.pool_operand() {
                let at = usize::from(method.offset) + method.header.size() + at;
                if one_byte {
                    byte.push(at);
                } else {
                    byte2.push(at);
                }
            }
        }
    }
    assert_eq!(cap.reference_location.byte_positions(), byte);
    assert_eq!(cap.reference_location.byte2_positions(), byte2);
}

static EXPORTS: std::sync::LazyLock<ExportSet> = std::sync::LazyLock::new(ExportSet::any_platform);
