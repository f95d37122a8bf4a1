//! Whatever the bytes: reader and verifier come to an end and do not panic.

use jpkise_cap::exports::ExportSet;
use jpkise_cap::model::{Cap, ComponentTag};
use jpkise_cap::verify::{is_accepted, verify};
use jpkise_cap::LoadOptions;
use proptest::prelude::*;

use crate::asm::assemble;
use crate::samples::{APPLET, LIBRARY};

fn load_file(text: &str) -> Vec<u8> {
    assemble(text).load_file_data_block(LoadOptions { descriptor: true, debug: true })
}

/// `None` when it cannot be read.
fn decide(bytes: &[u8], exports: &ExportSet) -> Option<bool> {
    Cap::read(bytes).ok().map(|cap| is_accepted(&cap, exports))
}

#[test]
fn every_bit_of_a_file_may_be_wrong() {
    let exports = ExportSet::any_platform();
    for text in [APPLET, LIBRARY] {
        let good = load_file(text);
        let (mut unreadable, mut refused, mut accepted) = (0, 0, 0);
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                match decide(&bytes, &exports) {
                    None => unreadable += 1,
                    Some(false) => refused += 1,
                    Some(true) => accepted += 1,
                }
            }
        }
        println!("{unreadable} unreadable, {refused} refused, {accepted} accepted");
        // Constants and directions of branches may be others and still be of the right type.
        assert!(accepted < refused / 4, "{accepted} accepted, {refused} refused");
    }
}

#[test]
fn every_length_may_be_cut() {
    let exports = ExportSet::any_platform();
    for text in [APPLET, LIBRARY] {
        let good = load_file(text);
        for len in 0..good.len() {
            assert_ne!(decide(&good[..len], &exports), Some(true), "{len} of {} bytes", good.len());
        }
    }
}

/// A long method in which every instruction may throw into many handlers, with all locals in use.
#[test]
fn the_work_on_hostile_code_is_bounded() {
    let mut text = String::from("import java/lang 1.0\nclass A\nmethod run ()V static stack 2 locals 250\n");
    for block in 0..250 {
        text += &format!(
            "h{block}:\nastore {block}\nsconst_0\nsstore {block}\nsconst_0\nifeq h{}\n",
            (block * 7 + 3) % 250
        );
        text += &format!("aconst_null\ngoto h{}\n", (block * 31 + 11) % 250);
        text += &format!("aconst_null\ngoto h{}\n", (block * 13 + 5) % 250);
    }
    text += "end:\nreturn\n";
    for block in 0..250 {
        text += &format!("catch h0 end h{block} any\n");
    }
    let cap = assemble(&text.replace("ifeq", "ifeq_w").replace("goto", "goto_w"));
    let found = verify(&cap, &ExportSet::any_platform());
    assert!(!found.is_empty());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn several_bytes_may_be_wrong(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        library in any::<bool>(),
    ) {
        let mut bytes = load_file(if library { LIBRARY } else { APPLET });
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        decide(&bytes, &ExportSet::any_platform());
    }

    /// Structure stays whole, so that the changes reach the later stages.
    #[test]
    fn code_may_be_anything(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        library in any::<bool>(),
    ) {
        let mut cap = assemble(if library { LIBRARY } else { APPLET });
        for (at, value) in changes {
            let at = at.index(cap.method.methods.len());
            cap.method.methods[at] = value;
        }
        let jar = cap.to_jar().unwrap();
        decide(&jar, &ExportSet::any_platform());
    }

    #[test]
    fn a_component_may_be_noise(
        noise in proptest::collection::vec(any::<u8>(), 0..200),
        tag in 1usize..=11,
    ) {
        let cap = assemble(APPLET);
        let mut bytes = Vec::new();
        for component in ComponentTag::ALL {
            if component as usize == tag {
                bytes.extend([component as u8, 0, u8::try_from(noise.len()).unwrap()]);
                bytes.extend(&noise);
            } else if let Some(whole) = cap.component_bytes(component) {
                bytes.extend(whole);
            }
        }
        prop_assert_ne!(decide(&bytes, &ExportSet::any_platform()), Some(true));
    }
}
