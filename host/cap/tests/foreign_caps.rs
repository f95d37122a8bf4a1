//! CAP and EXP files made by other converters: `JPKISE_CAP_CORPUS` names folders (separated by `:`) to search.

#![allow(clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use jpkise_cap::code;
use jpkise_cap::exports::ExportPackage;
use jpkise_cap::model::{Cap, ComponentTag};
use jpkise_cap::LoadOptions;

fn corpus(extension: &str) -> Vec<PathBuf> {
    fn walk(path: &Path, extension: &str, out: &mut Vec<PathBuf>) {
        if path.is_dir() {
            for entry in std::fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), extension, out);
            }
        } else if path.extension().is_some_and(|e| e == extension) {
            out.push(path.to_owned());
        }
    }
    let mut out = Vec::new();
    match std::env::var("JPKISE_CAP_CORPUS") {
        Ok(folders) => folders.split(':').for_each(|folder| walk(Path::new(folder), extension, &mut out)),
        Err(_) => eprintln!("skipped: JPKISE_CAP_CORPUS names no folder with foreign .{extension} files"),
    }
    out.sort();
    out
}

#[test]
fn every_component_is_written_back_byte_for_byte() {
    for path in corpus("cap") {
        let bytes = std::fs::read(&path).unwrap();
        let cap = Cap::read(&bytes).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&bytes)).unwrap();
        let mut seen = 0;
        for tag in ComponentTag::ALL {
            let member = format!("{}/{}.cap", cap.folder, tag.member_name());
            let mut original = Vec::new();
            if let Ok(mut file) = archive.by_name(&member) {
                std::io::Read::read_to_end(&mut file, &mut original).unwrap();
                assert_eq!(cap.component_bytes(tag), Some(original), "{} {tag}", path.display());
                seen += 1;
            }
        }
        assert!(seen >= 9, "{}", path.display());
        assert_eq!(Cap::read(&cap.to_jar().unwrap()).unwrap().component_sizes(), cap.component_sizes());
        let all = cap.load_file_data_block(LoadOptions { descriptor: true, debug: true });
        let loaded = Cap::read(&all).unwrap();
        for tag in ComponentTag::ALL {
            assert_eq!(loaded.component_bytes(tag), cap.component_bytes(tag));
        }
    }
}

#[test]
fn every_method_decodes_and_encodes_to_the_same_bytes() {
    for path in corpus("cap") {
        let cap = Cap::read(&std::fs::read(&path).unwrap()).unwrap();
        let Some(descriptor) = &cap.descriptor else { continue };
        let methods = descriptor.classes.iter().flat_map(|c| &c.methods);
        for method in methods.filter(|m| m.bytecode_count > 0) {
            let header = cap.method.header_at(method.method_offset).unwrap();
            let body = cap.method.bytes_at(method.method_offset).unwrap();
            let body = &body[header.size()..][..usize::from(method.bytecode_count)];
            let instructions = code::decode(body).unwrap();
            assert_eq!(code::encode(&instructions), body);
        }
    }
}

#[test]
fn export_files_say_what_the_built_in_tables_say() {
    for path in corpus("exp") {
        let package = ExportPackage::read_exp(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!(ExportPackage::read_exp(&package.write_exp()).unwrap(), package, "{}", path.display());
        match jpkise_cap::exports::embedded(&package.name, package.version) {
            Some(table) => assert_eq!(table, &package, "{}", path.display()),
            None => eprintln!("no built-in table of {} {}", package.name, package.version),
        }
    }
}
