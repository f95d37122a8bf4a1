//! One set of packages in every form a CAP file may have: the same answers.

use jpkise_cap::model::{ClassComponent, ClassRef, CpInfo, FormatVersion, TokenMapping};
use jpkise_cap::{Cap, LoadOptions};
use jpkise_jcvm::Profile;

use super::bench::{aid, card, classes, convert, install, load, options, select, send};
use super::packages;

/// A dialogue of client and server over these files.
fn dialogue(files: &[Vec<u8>]) -> Vec<String> {
    let mut card = card(Profile::default());
    for (file, instance) in files.iter().zip([None, Some("D2760001775301"), Some("D2760001774301")]) {
        let package = load(&mut card, &Cap::read(file).unwrap());
        if let Some(instance) = instance {
            install(&mut card, package.aid, package.modules[0], aid(instance));
        }
    }
    assert_eq!(select(&mut card, 0, aid("D2760001774301")), Ok(true));
    let commands = ["0030550003010203", "0032550000", "0034550000", "0036550000", "003A550000", "0038550000"];
    commands.iter().map(|apdu| send(&mut card, apdu)).collect()
}

fn load_file(cap: &Cap) -> Vec<u8> {
    cap.load_file_data_block(LoadOptions::default())
}

#[test]
fn descriptor_and_debug_are_not_needed_and_do_not_hurt() {
    let Some(classes) = classes() else { return };
    let debug = ["vault", "server", "client"].map(|package| {
        let mut options = options(package);
        options.debug = true;
        options
    });
    let debug: Vec<Cap> = convert(classes, &debug).into_iter().map(|c| c.cap).collect();
    let plain = packages::caps().unwrap();
    let expected = dialogue(&plain.iter().map(load_file).collect::<Vec<_>>());
    assert_eq!(expected, ["000C9000", "6F07", "00439000", "6F07", "00239000", "00049000"]);
    for (name, caps) in [("2.1", &plain), ("2.2", &debug)] {
        let version = caps[0].header.format.numbers();
        assert_eq!(format!("{}.{}", version.0, version.1), name);
        for descriptor in [false, true] {
            for debug in [false, true] {
                let all: Vec<Vec<u8>> =
                    caps.iter().map(|c| c.load_file_data_block(LoadOptions { descriptor, debug })).collect();
                assert_eq!(dialogue(&all), expected, "{name}, descriptor {descriptor}, debug {debug}");
            }
        }
        let jars: Vec<Vec<u8>> = caps.iter().map(|c| c.to_jar().unwrap()).collect();
        assert_eq!(dialogue(&jars), expected, "{name} as JAR");
    }
}

#[test]
fn the_compact_format_2_3_runs_the_same() {
    let Some(classes) = classes() else { return };
    let all = ["vault", "server", "client"].map(|package| {
        let mut options = options(package);
        options.debug = true;
        options
    });
    let plain = packages::caps().unwrap();
    let files: Vec<Vec<u8>> =
        convert(classes, &all).into_iter().map(|c| load_file(&compact(c.cap))).collect();
    for file in &files {
        let cap = Cap::read(file).unwrap();
        assert_eq!(cap.header.format, FormatVersion::V2_3);
        assert!(cap.class.classes.iter().all(|c| c.token_mapping.is_some()));
    }
    assert_eq!(dialogue(&files), dialogue(&plain.iter().map(load_file).collect::<Vec<_>>()));
}

/// The same package in the compact format 2.3 (JCVM 3.1, chapter 6): classes end with a token mapping, which moves them,
/// and with them everything that names one by its offset. Descriptor and Debug are left out.
fn compact(mut cap: Cap) -> Cap {
    cap.header.format = FormatVersion::V2_3;
    cap.directory.static_resources_size = Some(0);
    cap.descriptor = None;
    cap.debug = None;
    for class in &mut cap.class.classes {
        let tokens =
            class.public_method_table_base + u8::try_from(class.public_virtual_method_table.len()).unwrap();
        class.token_mapping = Some(TokenMapping {
            public_virtual_method_tokens: (0..tokens).collect(),
            inheritable_public_count: tokens,
        });
    }
    let moved = ClassComponent::read(&cap.class.write(), FormatVersion::V2_3).unwrap();
    let places: Vec<(u16, u16)> = (cap.class.interfaces.iter().map(|i| i.offset))
        .zip(moved.interfaces.iter().map(|i| i.offset))
        .chain((cap.class.classes.iter().map(|c| c.offset)).zip(moved.classes.iter().map(|c| c.offset)))
        .collect();
    let place = |old: u16| places.iter().find(|(from, _)| *from == old).unwrap().1;
    let class = |at: &mut ClassRef| {
        if let ClassRef::Internal(offset) = at {
            *offset = place(*offset);
        }
    };
    for info in &mut cap.class.classes {
        info.superclass.iter_mut().for_each(class);
        info.interfaces.iter_mut().for_each(|i| class(&mut i.interface));
    }
    cap.class.interfaces.iter_mut().for_each(|i| i.superinterfaces.iter_mut().for_each(class));
    for entry in &mut cap.constant_pool.entries {
        match entry {
            CpInfo::Class { class: c, .. }
            | CpInfo::InstanceField { class: c, .. }
            | CpInfo::VirtualMethod { class: c, .. }
            | CpInfo::SuperMethod { class: c, .. } => class(c),
            CpInfo::StaticField(_) | CpInfo::StaticMethod(_) => {}
        }
    }
    for export in cap.export.iter_mut().flat_map(|e| &mut e.classes) {
        export.class_offset = place(export.class_offset);
    }
    cap
}
