//! Hostile bytes: the reader answers with an error or a model that writes the same bytes, and nothing panics.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use jpkise_cap::exports::{embedded, ExportPackage, ExportSet, Platform};
use jpkise_cap::inspect::{cap_info, dump, info_text};
use jpkise_cap::model::{
    Aid, Applet, AppletEntry, Cap, ClassComponent, ClassInfo, ClassRef, ConstantPool, CpInfo, Descriptor,
    Directory, FormatVersion, Header, Import, MethodComponent, PackageInfo, PackageVersion,
    ReferenceLocation, StaticField, MAGIC,
};
use jpkise_cap::{CapError, ContainerRule, LoadOptions};
use proptest::prelude::*;

const ALL: LoadOptions = LoadOptions { descriptor: true, debug: true };

/// A small CAP in every component of which something stands.
fn sample() -> Cap {
    let aid = |bytes: &[u8]| Aid::new(bytes).unwrap();
    let package = PackageInfo { aid: aid(&[0xD2, 0x76, 0, 1, 0x77, 1]), version: PackageVersion::new(1, 0) };
    let class = ClassInfo {
        offset: 0,
        flags: 0,
        superclass: Some(ClassRef::External { package: 0, class: 3 }),
        declared_instance_size: 1,
        first_reference_token: 0xFF,
        reference_count: 0,
        public_method_table_base: 7,
        public_virtual_method_table: vec![1],
        package_method_table_base: 0,
        package_virtual_method_table: vec![5],
        interfaces: Vec::new(),
        remote: None,
        token_mapping: None,
    };
    Cap {
        folder: "t/javacard".into(),
        header: Header { format: FormatVersion::V2_1, flags: 4, package, package_name: None },
        directory: Directory::default(),
        applet: Some(Applet {
            applets: vec![AppletEntry { aid: aid(&[0xD2, 0x76, 0, 1, 0x77, 2]), install_method_offset: 1 }],
        }),
        import: Import { packages: vec![package, package] },
        constant_pool: ConstantPool {
            entries: vec![
                CpInfo::class(ClassRef::Internal(0)),
                CpInfo::VirtualMethod { class: ClassRef::External { package: 0, class: 3 }, token: 1 },
            ],
        },
        class: ClassComponent { signature_pool: None, interfaces: Vec::new(), classes: vec![class] },
        // Header, aload_0, invokevirtual, a switch, return.
        method: MethodComponent {
            handlers: Vec::new(),
            methods: vec![0x11, 0x10, 0x18, 0x8B, 0, 1, 0x03, 0x75, 0, 4, 0, 0, 0x7A, 0x01, 0x10, 0x7A],
        },
        static_field: StaticField { image_size: 2, reference_count: 1, ..StaticField::default() },
        reference_location: ReferenceLocation::from_positions(&[], &[4, 600]),
        export: None,
        descriptor: Some(Descriptor::default()),
        debug: None,
        raw: Vec::new(),
        others: Vec::new(),
    }
}

#[test]
fn the_sample_comes_back_as_it_was() {
    let cap = sample();
    let jar = Cap::read(&cap.to_jar().unwrap()).unwrap();
    assert_eq!(jar, cap);
    assert_eq!(cap.to_jar().unwrap(), jar.to_jar().unwrap());
    assert_eq!(jar.reference_location.byte2_positions(), [4, 600]);
    let loaded = Cap::read(&cap.load_file_data_block(LoadOptions::default())).unwrap();
    assert_eq!(loaded.descriptor, None);
    assert_eq!(
        loaded.component_info(jpkise_cap::ComponentTag::Method),
        cap.component_info(jpkise_cap::ComponentTag::Method)
    );
}

#[test]
fn components_are_sent_in_the_order_of_the_specification() {
    let block = sample().load_file_data_block(ALL);
    let (mut at, mut tags) = (0, Vec::new());
    while at < block.len() {
        tags.push(block[at]);
        at += 3 + usize::from(u16::from_be_bytes([block[at + 1], block[at + 2]]));
    }
    assert_eq!(tags, [1, 2, 4, 3, 6, 7, 8, 5, 9, 11]);
}

#[test]
fn a_file_that_is_no_cap_is_called_so() {
    for bytes in [&b""[..], b"hello", &MAGIC.to_be_bytes()] {
        assert_eq!(Cap::read(bytes), Err(CapError::Container(ContainerRule::NotCap)));
    }
    assert!(matches!(Cap::read(b"PK\x03\x04"), Err(CapError::Container(ContainerRule::Zip(_)))));
    let mut lying = sample().load_file_data_block(ALL);
    lying[2] = 0xFF;
    assert!(Cap::read(&lying).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn flipped_bytes_are_refused_or_read_and_written_back(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut bytes = sample().load_file_data_block(ALL);
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(cap) = Cap::read(&bytes) {
            let mut before: Vec<u8> = bytes.clone();
            let mut after = cap.load_file_data_block(ALL);
            // The same components, perhaps in another order.
            prop_assert_eq!(before.len(), after.len());
            before.sort_unstable();
            after.sort_unstable();
            prop_assert_eq!(before, after);
            let exports = ExportSet::any_platform();
            prop_assert!(!dump(&cap, &exports).is_empty());
            prop_assert!(!info_text(&cap_info(&cap, &exports)).is_empty());
        }
    }

    #[test]
    fn damaged_jars_do_no_harm(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5)) {
        let mut bytes = sample().to_jar().unwrap();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = Cap::read(&bytes);
    }

    #[test]
    fn damaged_export_files_do_no_harm(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..5), cut in any::<prop::sample::Index>()) {
        let version = Platform::V3_0_4.version_of("javacardx/crypto").unwrap();
        let mut bytes = embedded("javacardx/crypto", version).unwrap().write_exp();
        for (at, value) in flips {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(package) = ExportPackage::read_exp(&bytes) {
            prop_assert_eq!(ExportPackage::read_exp(&package.write_exp()).unwrap(), package);
        }
        bytes.truncate(cut.index(bytes.len()));
        prop_assert!(ExportPackage::read_exp(&bytes).is_err());
    }

    #[test]
    fn random_code_decodes_to_itself_or_not_at_all(code in prop::collection::vec(any::<u8>(), 0..60)) {
        if let Ok(instructions) = jpkise_cap::code::decode(&code) {
            prop_assert_eq!(jpkise_cap::code::encode(&instructions), code);
        }
    }
}
