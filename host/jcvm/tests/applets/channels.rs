//! Logical channels (JCRE 3.0.5, chapter 4).

use jpkise_jcvm::{Card, NoServices, Profile};

use super::bench::{aid, cap, card, install, put, select, send_on};

const ONE: &str = "D27600017701";
const TWO: &str = "D27600017702";

/// Two instances of the multiselectable applet, one of the other.
fn prepared() -> Option<Card> {
    let (multi, single) = (cap("channels")?, cap("single")?);
    let mut card = card(Profile::default());
    put(&mut card, &multi, 0, ONE);
    let package = card.packages().remove(0);
    install(&mut card, package.aid, package.modules[0], aid(TWO));
    put(&mut card, &single, 0, "D27600017703");
    Some(card)
}

fn send(card: &mut Card, channel: u8, ins: u8, p1: u8) -> String {
    // The channel is in the class byte, as on a card.
    send_on(card, channel, &[channel, ins, p1, 0, 0])
}

#[test]
fn an_applet_on_several_channels_is_told_so() {
    let Some(mut card) = prepared() else { return };
    assert_eq!(select(&mut card, 0, aid(ONE)), Ok(true));
    assert_eq!(select(&mut card, 1, aid(TWO)), Ok(true));
    assert_eq!(select(&mut card, 3, aid(ONE)), Ok(true));
    // select() when the package was nowhere; then MultiSelectable's, with whether this instance was active.
    assert_eq!(send(&mut card, 0, 0x14, 0), "01030D9000");
    card.deselect(0, &mut NoServices).unwrap();
    card.deselect(3, &mut NoServices).unwrap();
    card.deselect(1, &mut NoServices).unwrap();
    assert_eq!(select(&mut card, 2, aid(TWO)), Ok(true));
    assert_eq!(send(&mut card, 2, 0x14, 0), "0E0402019000");
}

#[test]
fn each_channel_has_its_own_selection_and_number() {
    let Some(mut card) = prepared() else { return };
    for (channel, instance, value) in [(0, ONE, 0xA0), (2, TWO, 0xB0), (3, ONE, 0xC0)] {
        assert_eq!(select(&mut card, channel, aid(instance)), Ok(true));
        assert_eq!(send(&mut card, channel, 0x10, value), "9000");
    }
    // Instance ONE is one object, whichever channel it is reached by: the last value written counts.
    assert_eq!(send(&mut card, 0, 0x12, 0), "C0C000019000");
    assert_eq!(send(&mut card, 2, 0x12, 0), "B0B002019000");
    assert_eq!(send(&mut card, 3, 0x12, 0), "C0C003019000");
    assert_eq!(send(&mut card, 1, 0x12, 0), "6999", "nothing is selected there");
    assert_eq!(send_on(&mut card, 4, &[0, 0x12, 0, 0, 0]), "6999", "no such channel");
}

#[test]
fn clear_on_deselect_memory_lasts_while_the_package_is_active_anywhere() {
    let Some(mut card) = prepared() else { return };
    assert_eq!(select(&mut card, 0, aid(ONE)), Ok(true));
    assert_eq!(send(&mut card, 0, 0x10, 0x55), "9000");
    // Another instance of the same context keeps it alive (JCRE 5.1).
    assert_eq!(select(&mut card, 1, aid(TWO)), Ok(true));
    card.deselect(0, &mut NoServices).unwrap();
    assert_eq!(select(&mut card, 2, aid(ONE)), Ok(true));
    assert_eq!(send(&mut card, 2, 0x12, 0), "555502019000");
    // An applet of another package does not.
    assert_eq!(select(&mut card, 1, aid("D27600017703")), Ok(true));
    card.deselect(2, &mut NoServices).unwrap();
    assert_eq!(select(&mut card, 2, aid(ONE)), Ok(true));
    assert_eq!(send(&mut card, 2, 0x12, 0), "005502019000");
    card.power_up().unwrap();
    assert_eq!(select(&mut card, 0, aid(ONE)), Ok(true));
    assert_eq!(send(&mut card, 0, 0x12, 0), "000000019000");
}

#[test]
fn an_applet_for_one_channel_stays_on_one() {
    let Some(mut card) = prepared() else { return };
    let single = aid("D27600017703");
    assert_eq!(select(&mut card, 0, single), Ok(true));
    assert_eq!(select(&mut card, 1, single), Err("refused with 6985".into()));
    assert_eq!(select(&mut card, 1, aid(ONE)), Ok(true), "others are not concerned");
    assert_eq!(select(&mut card, 0, single), Ok(true), "again on its own channel");
    card.deselect(0, &mut NoServices).unwrap();
    assert_eq!(select(&mut card, 3, single), Ok(true));
}
