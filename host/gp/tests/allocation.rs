//! The hot path of secure messaging leaves the heap alone.

#![allow(clippy::unwrap_used)]

use jpkise_card::CommandApdu;
use jpkise_gp::scp03::{Policy, SecureMessaging};
use jpkise_wire::scp03::{Challenge, SMode, SecurityLevel, SessionKeys, StaticKeys};

#[test]
fn securing_a_command_allocates_nothing() {
    let keys = StaticKeys::same(&[0x40; 16]).unwrap();
    let challenge = Challenge::new(&[7; 8]).unwrap();
    let session = SessionKeys::derive(&keys.enc, &keys.mac, &challenge, &challenge);
    let mut messaging =
        SecureMessaging::new(&session, [0; 16], SecurityLevel::L33, SMode::S8, Policy::default());
    let command = CommandApdu::new(0x80, 0xE2, 0x88, 0).with_data(vec![0x5A; 223]);
    let mut out = Vec::with_capacity(300);
    let counted = allocation_counter::measure(|| messaging.wrap_into(&command, &mut out).unwrap());
    assert_eq!((out.len(), counted.count_total), (5 + 224 + 8, 0));
}
