//! CAPs on their way onto a card, and CAPs with something changed.

use jpkise_cap::model::PackageInfo;
use jpkise_cap::{Cap, ComponentTag, LoadOptions, PackageVersion};
use jpkise_card::CommandApdu;
use jpkise_gpse::GpSe;
use jpkise_wire::tlv::object;

use super::{case4, lv, Host};

/// A CAP as it is sent: components in load order.
pub fn load_file(cap: &[u8]) -> Vec<u8> {
    Cap::read(cap).unwrap().load_file_data_block(LoadOptions::default())
}

/// AID of the package in a CAP or load file, in hexadecimal.
pub fn package_of(cap: &[u8]) -> String {
    hex::encode_upper(Cap::read(cap).unwrap().header.package.aid.as_bytes())
}

/// The CAP, importing one more package than its code needs.
pub fn importing(cap: &[u8], aid: &str, version: (u8, u8)) -> Vec<u8> {
    let mut cap = Cap::read(cap).unwrap();
    let (aid, version) = (aid.parse().unwrap(), PackageVersion::new(version.0, version.1));
    cap.import.packages.push(PackageInfo { version, aid });
    cap.directory.import_count += 1;
    let size = cap.component_info(ComponentTag::Import).unwrap().len();
    cap.directory.sizes[ComponentTag::Import as usize - 1] = u16::try_from(size).unwrap();
    cap.to_jar().unwrap()
}

/// LOAD commands, not yet secured, with so many bytes in each.
pub fn blocks(load_file: &[u8], size: usize) -> Vec<CommandApdu> {
    let content = object(0xC4, load_file);
    let pieces: Vec<&[u8]> = content.chunks(size).collect();
    let last = pieces.len() - 1;
    let command = |(number, piece): (usize, &&[u8])| {
        let p1 = if number == last { 0x80 } else { 0x00 };
        let p2 = u8::try_from(number).unwrap();
        CommandApdu::new(0x80, 0xE8, p1, p2).with_data(*piece).expecting_all()
    };
    pieces.iter().enumerate().map(command).collect()
}

/// INSTALL [for load] into the domain addressed.
pub fn announce(package: &str, hash: &str, parameters: &str) -> String {
    case4("80E60200", &lv(&[package, "", hash, parameters, ""]))
}

/// INSTALL [for load], LOAD to the end; the first answer that is not 009000, or that one.
pub fn load(host: &mut Host, card: &mut GpSe, cap: &[u8]) -> String {
    let announced = host.send(card, &announce(&package_of(cap), "", ""));
    if announced != "009000" {
        return announced;
    }
    load_blocks(host, card, &load_file(cap))
}

/// LOAD to the end; the first answer that is not 009000, or that one.
pub fn load_blocks(host: &mut Host, card: &mut GpSe, load_file: &[u8]) -> String {
    for block in blocks(load_file, 239) {
        let answer = hex::encode_upper(host.exchange(card, &block).to_bytes());
        if answer != "009000" {
            return answer;
        }
    }
    "009000".to_owned()
}
