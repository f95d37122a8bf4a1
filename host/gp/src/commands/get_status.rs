//! GET STATUS (section 11.4).
//!
//! ```text
//! 80 F2 P1 P2 | 4F AID prefix [5C tags] | 00
//! P1 80 issuer domain, 40 applications and domains, 20 load files, 10 load files with modules
//! P2 b2 TLV, b1 next                          9000, 6310 more, 6A88 none, 6A80
//! E3 { 4F AID, 9F70 state, C5 privileges, CF, C4 load file, CE version, 84 module…, CC domain }…
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{self, Tag, Tlv};
use jpkise_wire::Aid;

use super::{AnswerError, CLA_GP};
use crate::registry::{Entry, Kind, LifeCycle, Privileges};

/// GET STATUS.
pub const INS_GET_STATUS: u8 = 0xF2;
/// P2: TLV answer.
pub const P2_TLV: u8 = 0x02;
/// P2: next occurrences.
pub const P2_NEXT: u8 = 0x01;

const TAG_ENTRY: Tag = Tag(0xE3);
const TAG_AID: Tag = Tag(0x4F);
const TAG_TAG_LIST: Tag = Tag(0x5C);
const TAG_LIFE_CYCLE: Tag = Tag(0x9F70);
const TAG_PRIVILEGES: Tag = Tag(0xC5);
const TAG_IMPLICIT_SELECTION: Tag = Tag(0xCF);
const TAG_LOAD_FILE: Tag = Tag(0xC4);
const TAG_VERSION: Tag = Tag(0xCE);
const TAG_MODULE: Tag = Tag(0x84);
const TAG_DOMAIN: Tag = Tag(0xCC);

/// What to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subset {
    /// The issuer security domain.
    IssuerDomain,
    /// Applications and supplementary security domains.
    Applications,
    /// Executable load files.
    LoadFiles,
    /// Executable load files with their modules.
    LoadFilesAndModules,
}

impl Subset {
    /// P1.
    pub const fn p1(self) -> u8 {
        match self {
            Self::IssuerDomain => 0x80,
            Self::Applications => 0x40,
            Self::LoadFiles => 0x20,
            Self::LoadFilesAndModules => 0x10,
        }
    }
}

/// Form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnswerForm {
    /// E3 templates.
    #[default]
    Tlv,
    /// The format older than 2.2: length and AID, state, one privilege byte.
    Deprecated,
}

/// The command: all of `subset` whose AID begins with `prefix`; `tags` limits what is told (empty: everything).
pub fn get_status(subset: Subset, form: AnswerForm, next: bool, prefix: &[u8], tags: &[Tag]) -> CommandApdu {
    let mut data = Vec::with_capacity(2 + prefix.len());
    tlv::write(&mut data, TAG_AID, prefix);
    if !tags.is_empty() {
        let mut list = Vec::new();
        for tag in tags {
            tag.write(&mut list);
        }
        tlv::write(&mut data, TAG_TAG_LIST, &list);
    }
    let form = if form == AnswerForm::Tlv { P2_TLV } else { 0 };
    let next = if next { P2_NEXT } else { 0 };
    CommandApdu::new(CLA_GP, INS_GET_STATUS, subset.p1(), form | next).with_data(data).expecting_all()
}

/// Entries of one answer.
pub fn parse(subset: Subset, form: AnswerForm, answer: &[u8]) -> Result<Vec<Entry>, AnswerError> {
    match form {
        AnswerForm::Tlv => parse_tlv(subset, answer),
        AnswerForm::Deprecated => parse_deprecated(subset, answer),
    }
}

fn aid(field: &'static str, bytes: &[u8]) -> Result<Aid, AnswerError> {
    Aid::new(bytes).map_err(|_| AnswerError::Field { field, length: bytes.len() })
}

fn kind(subset: Subset, privileges: Option<Privileges>) -> Kind {
    match subset {
        Subset::IssuerDomain => Kind::IssuerDomain,
        Subset::LoadFiles | Subset::LoadFilesAndModules => Kind::LoadFile,
        Subset::Applications if privileges.is_some_and(Privileges::is_security_domain) => Kind::Domain,
        Subset::Applications => Kind::Application,
    }
}

fn parse_tlv(subset: Subset, answer: &[u8]) -> Result<Vec<Entry>, AnswerError> {
    let mut entries = Vec::new();
    for template in Tlv::read_all(answer)? {
        // Cards add templates of their own beside E3.
        if template.tag == TAG_ENTRY {
            entries.push(entry(subset, &template)?);
        }
    }
    Ok(entries)
}

fn entry(subset: Subset, template: &Tlv<'_>) -> Result<Entry, AnswerError> {
    let mut entry = Entry {
        aid: aid("AID", template.child(TAG_AID)?.value)?,
        life_cycle: LifeCycle { kind: kind(subset, None), value: 0 },
        contactless: None,
        privileges: None,
        load_file: None,
        version: None,
        modules: Vec::new(),
        domain: None,
        implicit_selection: Vec::new(),
    };
    for object in template.children()? {
        let length = object.value.len();
        match object.tag {
            TAG_LIFE_CYCLE => match *object.value {
                [value] => entry.life_cycle.value = value,
                [value, contactless] => {
                    entry.life_cycle.value = value;
                    entry.contactless = Some(contactless);
                }
                _ => return Err(AnswerError::Field { field: "life cycle", length }),
            },
            TAG_PRIVILEGES => {
                let error = AnswerError::Field { field: "privileges", length };
                entry.privileges = Some(Privileges::new(object.value).ok_or(error)?);
            }
            TAG_IMPLICIT_SELECTION => entry.implicit_selection.extend_from_slice(object.value),
            TAG_LOAD_FILE => entry.load_file = Some(aid("load file AID", object.value)?),
            TAG_VERSION => {
                // Two bytes on Java Card; other platforms may have other versions.
                entry.version = match *object.value {
                    [major, minor] => Some((major, minor)),
                    _ => None,
                };
            }
            TAG_MODULE => entry.modules.push(aid("module AID", object.value)?),
            // Empty on cards that do not know.
            TAG_DOMAIN if length > 0 => entry.domain = Some(aid("domain AID", object.value)?),
            _ => {}
        }
    }
    entry.life_cycle.kind = kind(subset, entry.privileges);
    Ok(entry)
}

/// Length and AID, state, privileges (one byte, meaningless for load files); with P1 10 then a count and modules.
fn parse_deprecated(subset: Subset, answer: &[u8]) -> Result<Vec<Entry>, AnswerError> {
    fn field<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], AnswerError> {
        let (now, later) =
            rest.split_at_checked(length).ok_or(AnswerError::Field { field: "entry", length: rest.len() })?;
        *rest = later;
        Ok(now)
    }
    fn byte(rest: &mut &[u8]) -> Result<u8, AnswerError> {
        Ok(field(rest, 1)?[0])
    }
    let mut rest = answer;
    let mut entries = Vec::new();
    while !rest.is_empty() {
        let length = usize::from(byte(&mut rest)?);
        let aid_bytes = field(&mut rest, length)?;
        let value = byte(&mut rest)?;
        let privileges = Privileges::new(&[byte(&mut rest)?]);
        let privileges = privileges.filter(|_| kind(subset, None) != Kind::LoadFile);
        let mut modules = Vec::new();
        if subset == Subset::LoadFilesAndModules {
            for _ in 0..byte(&mut rest)? {
                let length = usize::from(byte(&mut rest)?);
                modules.push(aid("module AID", field(&mut rest, length)?)?);
            }
        }
        entries.push(Entry {
            aid: aid("AID", aid_bytes)?,
            life_cycle: LifeCycle { kind: kind(subset, privileges), value },
            contactless: None,
            privileges,
            load_file: None,
            version: None,
            modules,
            domain: None,
            implicit_selection: Vec::new(),
        });
    }
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_asked_for_as_the_established_clients_ask() {
        for (subset, bytes) in [
            (Subset::IssuerDomain, "80f28002024f0000"),
            (Subset::Applications, "80f24002024f0000"),
            (Subset::LoadFilesAndModules, "80f21002024f0000"),
            (Subset::LoadFiles, "80f22002024f0000"),
        ] {
            let command = get_status(subset, AnswerForm::Tlv, false, &[], &[]);
            assert_eq!(hex::encode(command.to_bytes().unwrap()), bytes);
        }
        let next = get_status(Subset::Applications, AnswerForm::Tlv, true, &[], &[]);
        assert_eq!(hex::encode(next.to_bytes().unwrap()), "80f24003024f0000");
        let limited = get_status(
            Subset::LoadFiles,
            AnswerForm::Tlv,
            false,
            &[0x12, 0x34],
            &[TAG_AID, TAG_LIFE_CYCLE, TAG_PRIVILEGES],
        );
        assert_eq!(hex::encode(limited.to_bytes().unwrap()), "80f220020a4f0212345c044f9f70c500");
    }

    #[test]
    fn an_issuer_domain_and_a_load_file_are_read() {
        // The issuer domain of the published vectors of this project.
        let answer = hex::decode("e31d4f08a0000001510000009f70010fc5039efe80cc08a000000151000000").unwrap();
        let entries = parse(Subset::IssuerDomain, AnswerForm::Tlv, &answer).unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!(entries[0].life_cycle.to_string(), "SECURED");
        assert_eq!(entries[0].privileges.unwrap().to_string(), "9EFE80");
        assert_eq!(entries[0].domain, Some(entries[0].aid));

        let answer =
            hex::decode("e3224f07a00000006200019f700101ce0201008408a0000000620001018405a0000000ff").unwrap();
        let files = parse(Subset::LoadFilesAndModules, AnswerForm::Tlv, &answer).unwrap();
        assert_eq!((files[0].version, files[0].modules.len()), (Some((1, 0)), 2));
        assert_eq!(files[0].life_cycle.to_string(), "LOADED");
    }

    #[test]
    fn the_deprecated_format_is_read() {
        // Answered by a card in Samsung's published transcript: three load files.
        let answer = "08a00000015141434c010010a00000022020030101010000000000060100\
                      10a0000002202003010101000000000011010005a0000002480100";
        let entries =
            parse(Subset::LoadFiles, AnswerForm::Deprecated, &hex::decode(answer).unwrap()).unwrap();
        assert_eq!(entries.len(), 4);
        assert_eq!(entries[3].aid.to_string(), "A000000248");
        assert!(entries.iter().all(|e| e.life_cycle.to_string() == "LOADED" && e.privileges.is_none()));
    }

    #[test]
    fn malformed_entries_are_errors() {
        for (form, answer) in [
            (AnswerForm::Tlv, "e3"),
            (AnswerForm::Tlv, "e3024f00"),
            (AnswerForm::Tlv, "e3039f7000"),
            (AnswerForm::Tlv, "e30a4f05a0000000039f7000"),
            (AnswerForm::Tlv, "e30b4f05a000000003c5020102"),
            (AnswerForm::Deprecated, "05a0000000"),
            (AnswerForm::Deprecated, "05a00000000307"),
            (AnswerForm::Deprecated, "00ff00"),
        ] {
            let bytes = hex::decode(answer).unwrap();
            assert!(parse(Subset::Applications, form, &bytes).is_err(), "{answer}");
        }
    }
}
