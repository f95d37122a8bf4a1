//! Cards with applets of a stub, the issuer's session, commands in short.

pub use crate::common::stub::{Log, Stub, MODULE, PACKAGE};
use crate::common::{case4, lv, put_key_data, send, status, unhex, Host, TEST_KEY};
use jpkise_gpse::{GpSe, Profile};
use jpkise_wire::scp03::StaticKeys;
use jpkise_wire::tlv::{Tag, Tlv};

pub const SD_PACKAGE: &str = "A0000001515350";
pub const SD_MODULE: &str = "A000000151535041";
pub const SP: &str = "A00000015153504A504B49";
pub const ONE: &str = "F04A504B4900000001";
pub const TWO: &str = "F04A504B4900000002";

pub fn card_with_applets() -> (GpSe, Log) {
    let stub = Stub::default();
    let log = stub.log.clone();
    (GpSe::in_memory(Profile::default().seeded(2), Box::new(stub)).unwrap(), log)
}

pub fn keys(byte: u8) -> StaticKeys {
    StaticKeys::same(&[byte; 16]).unwrap()
}

pub fn test_keys() -> StaticKeys {
    StaticKeys::same(&unhex(TEST_KEY)).unwrap()
}

pub fn select(card: &mut GpSe, aid: &str) -> String {
    send(card, &format!("00A4040C{:02X}{aid}", aid.len() / 2))
}

/// Selects the issuer security domain and opens a channel.
pub fn issuer(card: &mut GpSe, level: u8) -> Host {
    assert!(matches!(status(card, "00A4040000").as_str(), "9000" | "6283"));
    Host::default(card, level)
}

pub fn install(host: &mut Host, card: &mut GpSe, instance: &str, privileges: &str, c9: &str) -> String {
    let parameters = format!("C9{:02X}{c9}", c9.len() / 2);
    host.send(card, &case4("80E60C00", &lv(&[PACKAGE, MODULE, instance, privileges, &parameters, ""])))
}

pub fn install_domain(host: &mut Host, card: &mut GpSe, aid: &str, c9: &str) -> String {
    let parameters = format!("C9{:02X}{c9}", c9.len() / 2);
    let fields = lv(&[SD_PACKAGE, SD_MODULE, aid, "800000", &parameters, ""]);
    host.send(card, &case4("80E60C00", &fields))
}

pub fn put_keys(host: &mut Host, card: &mut GpSe, session: &StaticKeys, new: &StaticKeys, kvn: u8) -> String {
    let data = hex::encode(put_key_data(session, new, kvn, true));
    host.send(card, &case4("80D80081", &data))
}

pub fn aid_object(aid: &str) -> String {
    format!("4F{:02X}{aid}", aid.len() / 2)
}

/// AIDs of a GET STATUS answer.
pub fn listed(answer: &str) -> Vec<String> {
    let bytes = unhex(answer);
    let (data, _) = bytes.split_at(bytes.len() - 2);
    let entries = Tlv::read_all(data).unwrap();
    entries.iter().map(|e| hex::encode_upper(e.child(Tag(0x4F)).unwrap().value)).collect()
}
