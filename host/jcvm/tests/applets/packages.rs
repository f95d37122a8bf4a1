//! Libraries, imports, and shareable objects across packages.

use jpkise_cap::Cap;
use jpkise_jcvm::{Card, NoServices, Profile};

use super::bench::{self, aid, card, classes, convert, load, options, put, select, send};

/// Library, server, client.
pub fn caps() -> Option<Vec<Cap>> {
    let classes = classes()?;
    let all = ["vault", "server", "client"].map(options);
    Some(convert(classes, &all).into_iter().map(|c| c.cap).collect())
}

const SERVER: &str = "D2760001775301";
const CLIENT: &str = "D2760001774301";

fn prepared(profile: Profile) -> Option<Card> {
    let [vault, server, client]: [Cap; 3] = caps()?.try_into().unwrap();
    let mut card = card(profile);
    load(&mut card, &vault);
    put(&mut card, &server, 0, SERVER);
    put(&mut card, &client, 0, CLIENT);
    assert_eq!(select(&mut card, 0, aid(CLIENT)), Ok(true));
    Some(card)
}

#[test]
fn a_client_uses_the_servers_object_through_the_librarys_interface() {
    let Some(mut card) = prepared(Profile::default()) else { return };
    // Counted twice by the server's class, whose superclass is the library's.
    assert_eq!(send(&mut card, "0030550003 010203"), "000C9000");
    assert_eq!(send(&mut card, "0030550002 0A0B"), "00369000");
    assert_eq!(send(&mut card, "0034550000"), "00439000", "the server saw the client's AID");
    assert_eq!(send(&mut card, "0038550000"), "00059000", "one static field for all");
    assert_eq!(send(&mut card, "003A550000"), "00239000", "five times seven, in the client's own ledger");
    assert_eq!(send(&mut card, "0038550000"), "00069000");
    assert_eq!(send(&mut card, "0030540000"), "6A81", "the server gives its object for the password only");
}

#[test]
fn the_firewall_stands_between_the_packages() {
    let Some(mut card) = prepared(Profile::default()) else { return };
    assert_eq!(send(&mut card, "0032550000"), "6F07", "the client's array, read in the server's context");
    assert_eq!(send(&mut card, "0036550000"), "6F07", "instanceof a class, on a foreign object");
    assert_eq!(send(&mut card, "0038550000"), "00009000", "nothing was entered");
}

#[test]
fn packages_are_loaded_after_and_removed_before_what_they_import() {
    let Some(all) = caps() else { return };
    let [vault, server, client] = &all[..] else { panic!("three") };
    let mut card = bench::card(Profile::default());
    let error = card.load_cap(server).unwrap_err().to_string();
    assert_eq!(
        error, "Import component, offset 0x0001: imports package D2760001777661, which is not on the card",
        "named with component and offset"
    );
    assert!(card.packages().is_empty());
    load(&mut card, vault);
    load(&mut card, client);
    assert_eq!(card.unload(vault.header.package.aid).unwrap_err().to_string(), "refused with 6985");
    card.unload(client.header.package.aid).unwrap();
    card.unload(vault.header.package.aid).unwrap();
    card.settle(&[], &[]).unwrap();
    assert!(card.packages().is_empty());
    let mut newer = vault.clone();
    newer.header.package.version.minor = 1;
    load(&mut card, &newer);
    load(&mut card, client);
}

#[test]
fn a_server_that_is_gone_leaves_no_way_in() {
    let Some(mut card) = prepared(Profile::default()) else { return };
    card.delete(&[aid(SERVER)], &mut NoServices).unwrap();
    let packages: Vec<_> = card.packages().iter().map(|p| p.aid).collect();
    card.settle(&packages, &[aid(CLIENT)]).unwrap();
    // lookupAID gives null, and nobody can be asked for null's object.
    assert_eq!(send(&mut card, "0030550003 010203"), "6F00");
}
