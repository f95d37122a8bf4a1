//! Decisions of an established verifier on changes to a CAP file it accepted: ours are the same.

use jpkise_cap::exports::ExportSet;
use jpkise_cap::model::*;
use jpkise_cap::verify::{is_accepted, verify};
use jpkise_cap::{CapError, LoadOptions};

use crate::asm::{assemble, fill_directory};
use crate::samples::APPLET;

/// The components one behind the other, changed, and what reader and verifier together say.
fn accepted(change: impl FnOnce(&mut Vec<u8>)) -> bool {
    let cap = assemble(APPLET);
    let mut bytes = cap.load_file_data_block(LoadOptions { descriptor: true, debug: true });
    change(&mut bytes);
    match Cap::read(&bytes) {
        Ok(cap) => is_accepted(&cap, &ExportSet::any_platform()),
        Err(_) => false,
    }
}

fn accepted_cap(change: impl FnOnce(&mut Cap)) -> bool {
    let mut cap = assemble(APPLET);
    change(&mut cap);
    fill_directory(&mut cap);
    let cap = Cap::read(&cap.to_jar().unwrap()).unwrap();
    is_accepted(&cap, &ExportSet::any_platform())
}

/// Without a component.
fn without(name: &str) -> Result<Cap, CapError> {
    let jar = assemble(APPLET).to_jar().unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(jar)).unwrap();
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in 0..archive.len() {
        let file = archive.by_index(index).unwrap();
        if !file.name().ends_with(name) {
            out.raw_copy_file(file).unwrap();
        }
    }
    Cap::read(&out.finish().unwrap().into_inner())
}

#[test]
fn what_is_refused() {
    assert!(accepted(|_| ()));
    // Offsets in the load file: three bytes of tag and size come first.
    assert!(!accepted(|bytes| bytes[3] ^= 1), "magic");
    assert!(!accepted(|bytes| bytes[7] = 2), "format 2.2 in the layout of 2.1");
    assert!(!accepted(|bytes| bytes[9] &= !FLAG_APPLET), "applet flag cleared");
    let directory = 3 + assemble(APPLET).component_info(ComponentTag::Header).unwrap().len();
    assert!(!accepted(|bytes| bytes[directory + 3 + 13] ^= 1), "a size in Directory");
    assert!(!accepted_cap(|c| c.import.packages[1].version.minor = 100), "import minor version too high");
    assert!(!accepted_cap(|c| c.import.packages[1].version.major = 2), "import major version too high");
    assert!(
        !accepted_cap(|c| c.applet.as_mut().unwrap().applets[0].install_method_offset -= 1),
        "install offset"
    );
    assert!(!accepted_cap(|c| c.descriptor = None), "missing Descriptor");
    assert!(without("RefLocation.cap").is_err(), "missing RefLocation");
    assert!(without("StaticField.cap").is_err(), "missing StaticField");
    assert!(!accepted_cap(|c| c.reference_location.byte2_deltas[3] += 1), "a reference delta");
    assert!(!accepted_cap(|c| header_of_install(c)[0] -= 1), "max_stack 1 too small");
    assert!(!accepted_cap(|c| header_of_install(c)[1] += 0x10), "nargs changed");
    assert!(!accepted_cap(change_token), "a token in the constant pool");
    assert!(
        !accepted_cap(|c| {
            let types = &mut c.descriptor.as_mut().unwrap().types.entries;
            let signature = types.iter_mut().find(|t| t.descriptor.nibble_count == 4).unwrap();
            signature.descriptor.bytes[0] ^= 0x70;
        }),
        "a type string"
    );
    assert!(
        !accepted_cap(|c| c.descriptor.as_mut().unwrap().classes[3].methods[0].access_flags ^= access::STATIC),
        "a flag in Descriptor"
    );
}

#[test]
fn the_wrong_location_is_named() {
    let mut cap = assemble(APPLET);
    let right = cap.reference_location.byte2_positions()[5];
    cap.reference_location.byte2_deltas[5] += 1;
    let found = verify(&cap, &ExportSet::any_platform());
    assert!(found[0].message.contains(&format!("{right:#06x}")), "{found:?}");
}

#[test]
fn what_is_accepted() {
    assert!(accepted_cap(|c| header_of_install(c)[0] += 1), "max_stack too large");
    assert!(accepted_cap(|c| c.import.packages[1].version.minor -= 1), "lower import minor version");
    assert!(accepted_cap(|c| c.header.flags |= FLAG_INT), "int flag without int");
    // Another order in the JAR.
    let jar = assemble(APPLET).to_jar().unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(jar)).unwrap();
    let mut out = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for index in (0..archive.len()).rev() {
        out.raw_copy_file(archive.by_index(index).unwrap()).unwrap();
    }
    let cap = Cap::read(&out.finish().unwrap().into_inner()).unwrap();
    assert!(is_accepted(&cap, &ExportSet::any_platform()));
}

fn header_of_install(cap: &mut Cap) -> &mut [u8] {
    let offset = cap.applet.as_ref().unwrap().applets[0].install_method_offset;
    let at = usize::from(offset) - cap.method.first_method_offset();
    &mut cap.method.methods[at..]
}

fn change_token(cap: &mut Cap) {
    for entry in &mut cap.constant_pool.entries {
        if let CpInfo::StaticMethod(StaticRef::External { token, .. }) = entry {
            *token += 1;
            return;
        }
    }
}
