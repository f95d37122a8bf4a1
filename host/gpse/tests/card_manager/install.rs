//! INSTALL [for install] and [for make selectable].

use crate::common::{case4, lv};
use crate::support::{
    card_with_applets, issuer, listed, select, MODULE, ONE, PACKAGE, SD_MODULE, SD_PACKAGE, SP, TWO,
};

#[test]
fn install_checks_fields_names_and_privileges() {
    let (mut card, log) = card_with_applets();
    let mut host = issuer(&mut card, 0x03);
    let cases = [
        (lv(&[PACKAGE, MODULE, ONE, "00", "C900", ""]), "009000"),
        (lv(&[PACKAGE, MODULE, ONE, "00", "C900", ""]), "6985"),
        (lv(&[PACKAGE, MODULE, PACKAGE, "00", "C900", ""]), "6985"),
        (lv(&["F0F0F0F0F0", MODULE, TWO, "00", "C900", ""]), "6A88"),
        (lv(&[PACKAGE, SD_MODULE, TWO, "00", "C900", ""]), "6A88"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C901", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, "F0F0F0F0", "00", "C900", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "", "C900", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "80", "C900", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C900", "0102"]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C900"]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C900", "", ""]), "6A80"),
        (lv(&[PACKAGE, MODULE, TWO, "00", "C90101", ""]), "6A84"),
        (lv(&[SD_PACKAGE, SD_MODULE, SP, "00", "C900", ""]), "6A80"),
        (lv(&[SD_PACKAGE, SD_MODULE, SP, "A00000", "C900", ""]), "6A80"),
        (lv(&[SD_PACKAGE, SD_MODULE, SP, "800000", "C90481020215", ""]), "6A80"),
        (lv(&[SD_PACKAGE, SD_MODULE, SP, "800000", "C904810203FF", ""]), "6A80"),
    ];
    for (data, sw) in cases {
        assert_eq!(host.send(&mut card, &case4("80E60C00", &data)), sw, "{data}");
    }
    for p1 in ["00", "01", "03", "18", "44"] {
        assert_eq!(host.send(&mut card, &format!("80E6{p1}000100")), "6A86", "P1 {p1}");
    }
    assert_eq!(host.send(&mut card, "80E60C010100"), "6A86");
    assert_eq!(host.send(&mut card, "80E60E000100"), "6A86", "neither beginning nor end");
    // What failed left nothing behind, in the registry or in the runtime.
    assert_eq!(listed(&host.send(&mut card, "80F24002024F0000")), [ONE]);
    let log = log.lock().unwrap();
    assert_eq!(log.last().unwrap(), &format!("settled {ONE}"));
    assert!(log.contains(&format!("install {ONE} 000000  in state 03")), "{log:?}");
}

#[test]
fn what_is_only_installed_cannot_be_selected_until_made_selectable() {
    let (mut card, _) = card_with_applets();
    let mut host = issuer(&mut card, 0x01);
    let fields = lv(&[PACKAGE, MODULE, ONE, "00", "C900", ""]);
    assert_eq!(host.send(&mut card, &case4("80E60400", &fields)), "009000");
    assert_eq!(select(&mut card, ONE), "6A82");
    let mut host = issuer(&mut card, 0x01);
    let make = case4("80E60800", &lv(&["", "", ONE, "00", "", ""]));
    assert_eq!(host.send(&mut card, &make), "009000");
    assert_eq!(host.send(&mut card, &make), "6985");
    assert_eq!(host.send(&mut card, &case4("80E60800", &lv(&["", "", TWO, "00", "", ""]))), "6A88");
    assert_eq!(select(&mut card, ONE), "9000");
}
