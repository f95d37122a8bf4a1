//! Nothing is allocated after installation, and what there is stays within the design's budget.

use jpkise_card::{CommandApdu, Expected};
use jpkise_jcvm::FreeMemory;
use jpkise_jpki::edge::{admin, data, file, signature, Ef, KeyRef, KeyState, Offset};
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::se::{self, Se, PIN};

/// The design's budget, bytes.
const PERSISTENT: u32 = 13 * 1024;
const TRANSIENT: u32 = 600;
const COMMANDS: u32 = 10_000;

fn free(se: &Se) -> FreeMemory {
    se.image().free_memory()
}

/// One command or one short sequence; how many were sent.
fn step(se: &mut Se, random: &mut ChaCha8Rng) -> u32 {
    let key = *KeyRef::ALL.choose(random).unwrap();
    let block = |key| <[u8; 32]>::try_from(se::secret_block(se::temporary(key))).unwrap();
    match random.gen_range(0..24) {
        0 => drop(se.select()),
        1 => se.reset(),
        2 => {
            se.select();
            let level = [0x33, 0x13, 0x03, 0x01].choose(random).unwrap();
            se.open(*level).unwrap();
            return 3;
        }
        3 | 4 => drop(se.clear(&se::verify(key, se::secret(key)))),
        5 => {
            se.clear(&se::verify(key, b"0000"));
            se.clear(&se::verify(key, se::secret(key)));
            return 2;
        }
        6 => drop(se.clear(&se::sign(key, &random.gen()))),
        7 => drop(se.clear(
            &CommandApdu::new(0x80, 0x2A, random.gen_range(0..6), 0x97).with_data([7; 32]).expecting_all(),
        )),
        8 => {
            let chain = CommandApdu::new(0x90, 0x2A, 0x03, 0x9A).with_data(vec![1; random.gen_range(1..255)]);
            se.clear(&chain);
        }
        9..12 => {
            let ef = [Ef::TOKEN_INFO, Ef::AVAILABILITY, key.certificate_ef(), key.ca_certificate_ef()];
            se.clear(&file::select_ef(*ef.choose(random).unwrap()));
            se.clear(&file::read_binary(
                Offset::new(random.gen_range(0..300)).unwrap(),
                Expected::from_short(0),
            ));
            return 2;
        }
        12 => drop(se.clear(&signature::get_challenge(Expected::from_short(random.gen())))),
        13 => drop(se.clear(&se::change(KeyRef::Auth, PIN, PIN))),
        14 => drop(se.clear(&data::get_status())),
        _ if !se.has_session() => {
            se.administer();
            return 3;
        }
        15 => drop(se.secured(&data::get_attestation(&random.gen()).expecting_all())),
        16 => drop(se.secured(&data::get_public_key(key, random.gen_range(0..3)).expecting_all())),
        17 => drop(se.secured(&admin::prove_possession(key, &[0x11; 32]))),
        18 => {
            se.secured(&admin::reset_retry_counter(key, &block(key)));
            se.clear(&se::change(key, se::temporary(key), se::secret(key)));
            return 2;
        }
        19 => drop(se.store(&se::dgi(0x0006, &[0x20; 160]))),
        20 => drop(se.store(&[se::dgi(0x0101, &[0]), se::dgi(0x0002, &[0; 100])].concat())),
        21 => {
            se.secured(&admin::hold(key));
            se.secured(&admin::resume(key));
            return 2;
        }
        22 => drop(se.secured(&CommandApdu::new(0x00, 0xB0, 0x86, 0).expecting_all())),
        _ => {
            let mut bytes = vec![0; random.gen_range(4..40)];
            random.fill(&mut bytes[..]);
            // Not what selects another application.
            bytes[1] |= 0x01;
            se.send(&bytes);
        }
    }
    1
}

#[test]
fn nothing_is_allocated_after_installation_over_10000_mixed_commands() {
    let blank = free(&Se::blank());
    let mut se = Se::on_jcvm(&[]);
    let installed = free(&se);
    let persistent = blank.persistent - installed.persistent;
    let transient = blank.transient - installed.transient;
    assert!(persistent <= PERSISTENT, "{persistent} bytes persistent");
    assert!(transient <= TRANSIENT, "{transient} bytes transient");
    let mut random = ChaCha8Rng::seed_from_u64(20_261_123);
    let mut sent = 0;
    while sent < COMMANDS {
        // Now and then the whole life, from the wipe to the user's own secrets.
        if sent == 0 || random.gen_bool(0.001) {
            se.administer();
            se.must(&admin::wipe());
            for key in KeyRef::ALL {
                se.bring(key, KeyState::Active);
            }
            sent += 40;
        }
        sent += step(&mut se, &mut random);
        assert_eq!(free(&se), installed, "after {sent} commands");
    }
    println!("memory: {persistent} bytes persistent, {transient} transient; none more after {sent} commands");
}
