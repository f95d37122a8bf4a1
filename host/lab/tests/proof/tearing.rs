//! Power is cut at every persistent write of every command that writes; what is there afterwards is the card before the
//! command or the card after it.

use std::time::Instant;

use jpkise_card::{CommandApdu, TransportError};
use jpkise_jpki::edge::{admin, KeyRef, KeyState};

use super::se::{self, Se, PASSWORD, PIN, TEMPORARY_PASSWORD, TEMPORARY_PIN};
use super::view::View;

/// What the user sets in place of the secret he has.
const NEW_PIN: &[u8] = b"2580";
const NEW_PASSWORD: &[u8] = b"NEWPASSWORD2";

/// Everything that might open a key after a tear; zeros take the place of a secret that was reset.
const CANDIDATES: [&[u8]; 7] =
    [PIN, PASSWORD, NEW_PIN, NEW_PASSWORD, TEMPORARY_PIN, TEMPORARY_PASSWORD, &[0; 16]];

type Done = Result<u16, TransportError>;

struct Case {
    name: &'static str,
    /// State of the authentication key and of the signature key before.
    states: [KeyState; 2],
    /// What else is on the card before.
    before: fn(&mut Se),
    /// What happens while the power is still safe: selection, session, VERIFY.
    arrange: fn(&mut Se),
    /// The command, or the commands of one sequence, to its last status word.
    act: fn(&mut Se) -> Done,
    answers: u16,
    /// By default every so-manieth write between the first and the last ones is cut.
    stride: u64,
    /// Which view, neither old nor new, the documents allow.
    between: fn(old: &View, new: &View, found: &View) -> bool,
}

const fn case(name: &'static str, states: [KeyState; 2], act: fn(&mut Se) -> Done) -> Case {
    Case {
        name,
        states,
        before: |_| {},
        arrange: Se::administer,
        act,
        answers: 0x9000,
        stride: 8,
        between: |_, _, _| false,
    }
}

fn secured(se: &mut Se, command: &CommandApdu) -> Done {
    se.try_secured(command).map(|(_, sw)| sw)
}

fn clear(se: &mut Se, command: &CommandApdu) -> Done {
    se.transmit(&command.to_bytes().unwrap()).map(|(_, sw)| sw)
}

fn selected(se: &mut Se) {
    assert_eq!(se.select(), 0x9000);
}

fn verified(se: &mut Se) {
    selected(se);
    for key in KeyRef::ALL {
        se.clear(&se::verify(key, se::secret(key)));
    }
}

fn with_temporary(se: &mut Se) {
    se.administer();
    for key in KeyRef::ALL {
        let block: [u8; 32] = se::secret_block(se::temporary(key)).try_into().unwrap();
        se.secured(&admin::reset_retry_counter(key, &block));
    }
}

/// Wrong ones, so that few tries are left.
fn spend(se: &mut Se, key: KeyRef, wrong: usize) {
    selected(se);
    for _ in 0..wrong {
        assert_eq!(se.clear(&se::verify(key, b"000000")).1 & 0xFFF0, 0x63C0);
    }
}

/// Random bytes that are no certificate: nothing looks into those of a CA.
fn ca(byte: u8) -> Vec<u8> {
    vec![byte; 1330]
}

fn token(byte: u8) -> Vec<u8> {
    [&b"JPKIAPGPSETOKEN                 "[..], &[byte; 128]].concat()
}

/// A try may be lost to the tear: it is counted before the comparison.
fn a_try_less(old: &View, _: &View, found: &View) -> bool {
    let mut expected = old.clone();
    expected.keys[0].tries = old.keys[0].tries.wrapping_sub(1);
    if expected.keys[0].tries == 0 {
        // Blocked by pulling the card on the last try: nothing opens it, and the SP-TSM can reset it.
        expected.keys[0].opened_by.clear();
        expected.keys[0].signs = false;
        expected.keys[0].certificate = None;
    }
    *found == expected
}

/// The old value was right, so the tries are full again, and the new one is not there yet.
fn compared(old: &View, new: &View, found: &View) -> bool {
    let mut expected = old.clone();
    expected.keys[0].tries = new.keys[0].tries;
    *found == expected || a_try_less(old, new, found)
}

use KeyState::{Active, Certified, Empty, Held, Keyed, Revoked};

fn cases() -> Vec<Case> {
    vec![
        Case {
            stride: 16,
            ..case("GENERATE", [Empty, Active], |se| secured(se, &admin::generate_key_pair(KeyRef::Auth)))
        },
        case("PROVE", [Keyed, Empty], |se| secured(se, &admin::prove_possession(KeyRef::Auth, &[0x11; 32]))),
        case("STORE DATA 000A", [Keyed, Active], |se| {
            let der = se::certificate(&se.modulus(KeyRef::Auth), 200);
            se.store(&se::dgi(0x000A, &der))
        }),
        case("STORE DATA 0001", [Active, Keyed], |se| {
            let der = se::certificate(&se.modulus(KeyRef::Sign), 600);
            se.store(&se::dgi(0x0001, &der))
        }),
        Case {
            before: |se| {
                se.administer();
                assert_eq!(se.store(&se::dgi(0x000B, &ca(1))).unwrap(), 0x9000);
            },
            between: |old, _, found| {
                // The old one goes before the new one comes.
                let mut expected = old.clone();
                expected.keys[0].ca = None;
                *found == expected
            },
            ..case("STORE DATA 000B, replaced", [Keyed, Active], |se| se.store(&se::dgi(0x000B, &ca(2))))
        },
        case("STORE DATA 0002", [Active, Empty], |se| se.store(&se::dgi(0x0002, &ca(3)))),
        Case {
            before: |se| {
                se.administer();
                assert_eq!(se.store(&se::dgi(0x0006, &token(1))).unwrap(), 0x9000);
            },
            ..case("STORE DATA 0006", [Active, Active], |se| se.store(&se::dgi(0x0006, &token(2))))
        },
        case("STORE DATA 0101", [Active, Active], |se| se.store(&se::dgi(0x0101, &[0x01]))),
        case("STORE DATA 8201", [Active, Active], |se| {
            se.store(&se::dgi(0x8201, &se::secret_block(TEMPORARY_PIN)))
        }),
        case("STORE DATA 8202", [Active, Certified], |se| {
            se.store(&se::dgi(0x8202, &se::secret_block(TEMPORARY_PASSWORD)))
        }),
        Case {
            before: |se| spend(se, KeyRef::Auth, 3),
            ..case("RESET RETRY COUNTER, blocked", [Active, Active], |se| {
                let block: [u8; 32] = se::secret_block(TEMPORARY_PIN).try_into().unwrap();
                secured(se, &admin::reset_retry_counter(KeyRef::Auth, &block))
            })
        },
        Case {
            arrange: with_temporary,
            ..case("CHANGE REFERENCE DATA, temporary PIN", [Certified, Active], |se| {
                clear(se, &se::change(KeyRef::Auth, TEMPORARY_PIN, NEW_PIN))
            })
        },
        Case {
            arrange: with_temporary,
            ..case("CHANGE REFERENCE DATA, temporary password", [Active, Certified], |se| {
                clear(se, &se::change(KeyRef::Sign, TEMPORARY_PASSWORD, NEW_PASSWORD))
            })
        },
        Case {
            arrange: verified,
            ..case("CHANGE REFERENCE DATA after VERIFY", [Active, Active], |se| {
                clear(se, &se::change_verified(KeyRef::Auth, NEW_PIN))
            })
        },
        Case {
            arrange: verified,
            ..case("CHANGE REFERENCE DATA of the password", [Active, Held], |se| {
                clear(se, &se::change_verified(KeyRef::Sign, NEW_PASSWORD))
            })
        },
        Case {
            before: |se| spend(se, KeyRef::Auth, 1),
            arrange: selected,
            between: compared,
            ..case("CHANGE REFERENCE DATA with the old value", [Active, Active], |se| {
                clear(se, &se::change(KeyRef::Auth, PIN, NEW_PIN))
            })
        },
        Case {
            arrange: selected,
            answers: 0x63C2,
            ..case("VERIFY, wrong", [Active, Active], |se| clear(se, &se::verify(KeyRef::Auth, b"0000")))
        },
        Case {
            before: |se| spend(se, KeyRef::Auth, 2),
            arrange: selected,
            answers: 0x63C0,
            ..case("VERIFY, wrong at the last try", [Active, Active], |se| {
                clear(se, &se::verify(KeyRef::Auth, b"0000"))
            })
        },
        Case {
            before: |se| spend(se, KeyRef::Auth, 1),
            arrange: selected,
            between: a_try_less,
            ..case("VERIFY, right", [Active, Active], |se| clear(se, &se::verify(KeyRef::Auth, PIN)))
        },
        Case {
            before: |se| spend(se, KeyRef::Auth, 2),
            arrange: selected,
            between: a_try_less,
            ..case("VERIFY, right at the last try", [Active, Active], |se| {
                clear(se, &se::verify(KeyRef::Auth, PIN))
            })
        },
        Case {
            arrange: verified,
            ..case("COMPUTE DIGITAL SIGNATURE", [Active, Active], |se| {
                clear(se, &se::sign(KeyRef::Sign, &[0x22; 32]))
            })
        },
        case("DEACTIVATE FILE", [Active, Active], |se| secured(se, &admin::hold(KeyRef::Sign))),
        case("ACTIVATE FILE", [Active, Held], |se| secured(se, &admin::resume(KeyRef::Sign))),
        case("TERMINATE EF", [Active, Active], |se| secured(se, &admin::revoke(KeyRef::Sign))),
        case("TERMINATE EF of a held key", [Active, Held], |se| secured(se, &admin::revoke(KeyRef::Sign))),
        case("DELETE FILE of one", [Active, Active], |se| secured(se, &admin::delete(KeyRef::Sign))),
        case("DELETE FILE of a revoked one", [Revoked, Active], |se| {
            secured(se, &admin::delete(KeyRef::Auth))
        }),
        Case {
            before: |se| {
                se.administer();
                let list = [se::dgi(0x0006, &token(1))].concat();
                assert_eq!(se.store(&list).unwrap(), 0x9000);
            },
            ..case("DELETE FILE of all", [Active, Active], |se| secured(se, &admin::wipe()))
        },
    ]
}

/// By default a command is cut at so many of its first and of its last writes, and at every [`Case::stride`]th between;
/// `JPKISE_TEARING=full` cuts at every one. All trials follow the first so many cuts, every sixteenth after them, and any
/// that changed what is seen from outside.
const CLOSE: u64 = 48;

/// Figures of one command.
#[derive(Default, Clone, Copy)]
struct Cuts {
    made: usize,
    /// Cuts after which every candidate was tried, and with those that open a key, reading and signing.
    tried: usize,
    old: usize,
    new: usize,
    between: usize,
}

impl Case {
    fn memory_before(&self) -> jpkise_jcvm::Card {
        let mut se = Se::on_jcvm(&[]);
        for (key, state) in KeyRef::ALL.into_iter().zip(self.states) {
            se.bring(key, state);
        }
        (self.before)(&mut se);
        se.reset();
        se.image()
    }

    fn run(&self) -> Cuts {
        let before = self.memory_before();
        // What arranging changes (the tries that a right VERIFY gives back) is part of the card before the command.
        let arranged = || {
            let mut se = Se::of(before.clone());
            se.reset();
            (self.arrange)(&mut se);
            se
        };
        let old = View::of(&arranged().image(), &CANDIDATES).unwrap();
        let mut whole = arranged();
        let begun = whole.memory().writes();
        assert_eq!((self.act)(&mut whole).unwrap(), self.answers, "{}", self.name);
        let writes = whole.memory().writes() - begun;
        let new = View::of(&whole.image(), &CANDIDATES).unwrap();
        let (old_outside, new_outside) = (old.outside_view(), new.outside_view());
        let full = std::env::var_os("JPKISE_TEARING").is_some_and(|value| value == "full");
        let mut last = None;
        let mut figures = Cuts::default();
        let chosen = |n: &u64| full || *n < CLOSE || n % self.stride == 0 || n + CLOSE >= writes;
        for n in (0..=writes).filter(chosen) {
            let mut se = arranged();
            se.memory().cut_power_after(Some(n));
            match (self.act)(&mut se) {
                Ok(sw) => {
                    assert_eq!(sw, self.answers, "{} after {n} writes", self.name);
                    break;
                }
                Err(TransportError::Removed) => {}
                Err(error) => panic!("{} after {n} writes: {error}", self.name),
            }
            se.memory().cut_power_after(None);
            se.reset();
            // The first selection may have a wipe to finish: cut that one too, somewhere else each time.
            let again = n * 7 % 97;
            se.memory().cut_power_after(Some(again));
            let first = se.transmit(
                &jpkise_jpki::edge::file::select_application(&jpkise_jpki::edge::INSTANCE_AID)
                    .to_bytes()
                    .unwrap(),
            );
            se.memory().cut_power_after(None);
            assert!(matches!(first, Ok((_, 0x9000)) | Err(TransportError::Removed)), "{first:?}");
            se.reset();
            figures.made += 1;
            let memory = se.image();
            let outside = View::of(&memory, &[]).unwrap();
            let changed = last.replace(outside.clone()).is_none_or(|last| last != outside);
            let (old, new, found) = if full || changed || n < CLOSE || n % 16 == 0 {
                figures.tried += 1;
                (&old, &new, View::of(&memory, &CANDIDATES).unwrap())
            } else {
                (&old_outside, &new_outside, outside)
            };
            if found == *old {
                assert_eq!(figures.new, 0, "{}: back to the old state after {n} writes", self.name);
                figures.old += 1;
            } else if found == *new {
                figures.new += 1;
            } else if (self.between)(old, new, &found) {
                figures.between += 1;
            } else {
                let [found, old, new] = [&found, old, new].map(View::brief);
                panic!("{} after {n} writes:\n{found}\nis neither\n{old}\nnor\n{new}", self.name);
            }
        }
        figures
    }
}

#[test]
fn a_command_cut_at_any_write_leaves_the_card_before_it_or_after_it() {
    let started = Instant::now();
    let mut all = 0;
    let (mut commands, mut tried) = (0, 0);
    for case in cases() {
        let began = Instant::now();
        let Cuts { made: cuts, tried: deep, old, new, between } = case.run();
        let took = began.elapsed().as_secs_f32();
        let counts = format!("{cuts:5} cuts: {old} old, {new} new, {between} between, {deep} tried");
        println!("{:48} {counts}; {took:.1} s", case.name);
        tried += deep;
        all += cuts;
        commands += 1;
    }
    println!(
        "tearing: {all} cuts in {commands} commands, all trials after {tried}; {:.0} s",
        started.elapsed().as_secs_f32()
    );
}

/// What install and deletion leave: whether the applet is there, as which card, and how much memory is free.
type Content = (Option<View>, jpkise_jcvm::FreeMemory);

fn content(se: &Se) -> Content {
    let memory = se.image();
    (View::of(&memory, &CANDIDATES), memory.free_memory())
}

/// Cuts a command of the card manager at every write; what the card may be then is for `allowed` to say.
fn cut_content(
    name: &str,
    before: &Se,
    command: &CommandApdu,
    allowed: fn(&Content, &Content, &Content) -> bool,
) -> usize {
    let arranged = || {
        let mut se = Se::of(before.image());
        se.reset();
        se.open_issuer();
        se
    };
    let old = content(before);
    let mut whole = arranged();
    assert_eq!(secured(&mut whole, command).unwrap(), 0x9000);
    whole.reset();
    let new = content(&whole);
    let full = std::env::var_os("JPKISE_TEARING").is_some_and(|value| value == "full");
    let mut cuts = 0;
    for n in (0..).filter(|n| full || *n < CLOSE || n % 8 == 0) {
        let mut se = arranged();
        se.memory().cut_power_after(Some(n));
        if secured(&mut se, command).is_ok() {
            break;
        }
        se.memory().cut_power_after(None);
        se.reset();
        let found = content(&se);
        assert!(
            found == old || found == new || allowed(&old, &new, &found),
            "{name} after {n} writes: {:?} {:?}, free {:?} of {:?} and {:?}",
            found.0.is_some(),
            found.0.as_ref().map(View::brief),
            found.1,
            old.1,
            new.1
        );
        // Whatever is left, the card manager can finish it.
        se.open_issuer();
        let sw = secured(&mut se, command).unwrap();
        se.reset();
        assert!(sw == 0x9000 || found == new, "{name} again after {n} writes: {sw:04X}");
        assert_eq!(content(&se).0, new.0, "{name} again after {n} writes");
        cuts += 1;
    }
    println!("{name:48} {cuts:5} cuts");
    cuts
}

#[test]
fn an_installation_cut_at_any_write_is_done_or_undone() {
    let before = Se::blank();
    let mut all = cut_content("INSTALL", &before, &se::install_command(&[]), |_, _, _| false);
    let mut se = Se::on_jcvm(&[]);
    for key in KeyRef::ALL {
        se.bring(key, Active);
    }
    se.reset();
    let delete = jpkise_gp::commands::delete::delete(&jpkise_jpki::edge::INSTANCE_AID, false);
    all += cut_content("DELETE, uninstall wipes first", &se, &delete, |_, _, found| {
        // uninstall() ran and the instance is still there: wiped, not as it was.
        found.0.as_ref().is_some_and(|view| {
            view.keys
                .iter()
                .all(|key| key.state == Empty && key.opened_by.is_empty() && key.certificate.is_none())
        })
    });
    println!("tearing: {all} cuts in INSTALL and DELETE");
}
