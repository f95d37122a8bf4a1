//! INSTALL (section 11.5).
//!
//! ```text
//! 80 E6 P1 00 | LV fields | 00                                  9000, 6A80, 6A84, 6A88, 6985, 6581
//! P1 02 for load          load file, domain, hash, parameters, token
//!    04 for install       load file, module, application, privileges, parameters, token (0C: and make selectable)
//!    08 make selectable   -, -, application, privileges, parameters, token
//!    10 for extradition   domain, -, application or load file, -, parameters, token
//!    20 personalization   -, -, application, -, -, -
//!    40 registry update   domain or -, -, application or -, privileges or -, parameters, token
//! ```

use jpkise_card::CommandApdu;
use jpkise_wire::tlv::{self, Tag};
use jpkise_wire::{lv, Aid};

use super::CLA_GP;
use crate::registry::Privileges;

/// INSTALL.
pub const INS_INSTALL: u8 = 0xE6;
/// P1 of INSTALL [for load].
pub const P1_FOR_LOAD: u8 = 0x02;
/// P1 of INSTALL [for install].
pub const P1_FOR_INSTALL: u8 = 0x04;
/// P1 of INSTALL [for make selectable].
pub const P1_FOR_MAKE_SELECTABLE: u8 = 0x08;
/// P1 of INSTALL [for extradition].
pub const P1_FOR_EXTRADITION: u8 = 0x10;
/// P1 of INSTALL [for personalization].
pub const P1_FOR_PERSONALIZATION: u8 = 0x20;
/// P1 of INSTALL [for registry update].
pub const P1_FOR_REGISTRY_UPDATE: u8 = 0x40;

/// Application specific parameters.
pub const TAG_APPLICATION_PARAMETERS: Tag = Tag(0xC9);
/// System specific parameters.
pub const TAG_SYSTEM_PARAMETERS: Tag = Tag(0xEF);
/// Non-volatile code memory needed, in load parameters.
pub const TAG_CODE_MEMORY: Tag = Tag(0xC6);
/// Volatile data memory quota.
pub const TAG_VOLATILE_MEMORY: Tag = Tag(0xC7);
/// Non-volatile data memory quota.
pub const TAG_NON_VOLATILE_MEMORY: Tag = Tag(0xC8);

fn install(p1: u8, fields: &[&[u8]]) -> CommandApdu {
    CommandApdu::new(CLA_GP, INS_INSTALL, p1, 0).with_data(lv::fields(fields)).expecting_all()
}

/// What INSTALL [for load] says about a load file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForLoad {
    /// AID of the load file.
    pub load_file: Aid,
    /// Domain it is loaded into; `None` for the one addressed.
    pub domain: Option<Aid>,
    /// Hash of the load file data block (SHA-1 or SHA-2 by its length), empty when not needed.
    pub hash: Vec<u8>,
    /// Load parameters as TLV, often empty.
    pub parameters: Vec<u8>,
    /// Load token of delegated management, empty without.
    pub token: Vec<u8>,
}

impl ForLoad {
    /// Into `domain`, without hash, parameters and token.
    pub fn new(load_file: Aid, domain: Option<Aid>) -> Self {
        Self { load_file, domain, hash: Vec::new(), parameters: Vec::new(), token: Vec::new() }
    }

    /// The command.
    pub fn command(&self) -> CommandApdu {
        install(
            P1_FOR_LOAD,
            &[
                self.load_file.as_bytes(),
                self.domain.as_ref().map_or(&[], Aid::as_bytes),
                &self.hash,
                &self.parameters,
                &self.token,
            ],
        )
    }
}

/// What INSTALL [for install] says about an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForInstall {
    /// AID of the load file.
    pub load_file: Aid,
    /// AID of the module in it.
    pub module: Aid,
    /// AID of the new instance.
    pub application: Aid,
    /// Privileges of the instance.
    pub privileges: Privileges,
    /// Value of C9: application specific parameters, handed to the applet.
    pub application_parameters: Vec<u8>,
    /// Further parameters as TLV beside C9, for example EF { C7, C8 }.
    pub system_parameters: Vec<u8>,
    /// Install token of delegated management, empty without.
    pub token: Vec<u8>,
}

impl ForInstall {
    /// An instance without privileges and parameters.
    pub fn new(load_file: Aid, module: Aid, application: Aid) -> Self {
        Self {
            load_file,
            module,
            application,
            privileges: Privileges::NONE,
            application_parameters: Vec::new(),
            system_parameters: Vec::new(),
            token: Vec::new(),
        }
    }

    /// With privileges.
    #[must_use]
    pub fn with_privileges(mut self, privileges: Privileges) -> Self {
        self.privileges = privileges;
        self
    }

    /// With application specific parameters, the value of C9.
    #[must_use]
    pub fn with_parameters(mut self, parameters: impl Into<Vec<u8>>) -> Self {
        self.application_parameters = parameters.into();
        self
    }

    /// INSTALL [for install] alone: the instance is INSTALLED, not yet selectable.
    pub fn command(&self) -> CommandApdu {
        self.with_p1(P1_FOR_INSTALL)
    }

    /// INSTALL [for install and make selectable].
    pub fn command_selectable(&self) -> CommandApdu {
        self.with_p1(P1_FOR_INSTALL | P1_FOR_MAKE_SELECTABLE)
    }

    fn with_p1(&self, p1: u8) -> CommandApdu {
        // C9 is mandatory, even when empty (table 11-49).
        let mut parameters = Vec::new();
        tlv::write(&mut parameters, TAG_APPLICATION_PARAMETERS, &self.application_parameters);
        parameters.extend_from_slice(&self.system_parameters);
        install(
            p1,
            &[
                self.load_file.as_bytes(),
                self.module.as_bytes(),
                self.application.as_bytes(),
                &self.privileges.to_bytes(),
                &parameters,
                &self.token,
            ],
        )
    }
}

/// INSTALL [for make selectable] of an INSTALLED instance; of `privileges` only card reset counts here.
pub fn make_selectable(application: &Aid, privileges: Privileges) -> CommandApdu {
    install(P1_FOR_MAKE_SELECTABLE, &[&[], &[], application.as_bytes(), &privileges.to_bytes(), &[], &[]])
}

/// INSTALL [for extradition]: `object`, an application or load file, goes to `domain`.
pub fn extradite(object: &Aid, domain: &Aid) -> CommandApdu {
    install(P1_FOR_EXTRADITION, &[domain.as_bytes(), &[], object.as_bytes(), &[], &[], &[]])
}

/// INSTALL [for personalization]: STORE DATA to the domain goes to `application` from here on.
pub fn personalize(application: &Aid) -> CommandApdu {
    install(P1_FOR_PERSONALIZATION, &[&[], &[], application.as_bytes(), &[], &[], &[]])
}

/// INSTALL [for registry update] of an application (`None`: of the card's own entry).
pub fn update_registry(
    domain: Option<&Aid>,
    application: Option<&Aid>,
    privileges: Option<Privileges>,
    parameters: &[u8],
) -> CommandApdu {
    let privileges = privileges.map(Privileges::to_bytes);
    install(
        P1_FOR_REGISTRY_UPDATE,
        &[
            domain.map_or(&[], Aid::as_bytes),
            &[],
            application.map_or(&[], Aid::as_bytes),
            privileges.as_ref().map_or(&[], |p| p.as_slice()),
            parameters,
            &[],
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKAGE: Aid = Aid::literal([0xA0, 0, 0, 1, 0x51, 0x53, 0x50]);
    const MODULE: Aid = Aid::literal([0xA0, 0, 0, 1, 0x51, 0x53, 0x50, 0x41]);
    const INSTANCE: Aid = Aid::literal([0xA0, 0, 0, 1, 0x51, 0x53, 0x50, 0x42]);

    #[test]
    fn each_variant_has_the_fields_of_its_table() {
        let isd = Aid::literal([0xA0, 0, 0, 1, 0x51, 0, 0, 0]);
        let instance = ForInstall::new(PACKAGE, MODULE, INSTANCE);
        let domain = ForInstall::new(PACKAGE, MODULE, INSTANCE)
            .with_privileges(Privileges::SECURITY_DOMAIN)
            .with_parameters([0x81, 2, 3, 0x70, 0x82, 2, 0x20, 0x20, 0x87, 2, 0x20, 0x20]);
        for (name, command, bytes) in [
            (
                "for load",
                ForLoad::new(PACKAGE, Some(isd)).command(),
                "80e60200 14 07a0000001515350 08a000000151000000 00 00 00 00",
            ),
            (
                "for install and make selectable",
                instance.command_selectable(),
                "80e60c00 23 07a0000001515350 08a000000151535041 08a000000151535042 03000000 02c900 00 00",
            ),
            (
                "for install",
                instance.command(),
                "80e60400 23 07a0000001515350 08a000000151535041 08a000000151535042 03000000 02c900 00 00",
            ),
            (
                "security domain",
                domain.command_selectable(),
                "80e60c00 2f 07a0000001515350 08a000000151535041 08a000000151535042 03800000 \
                 0ec90c8102037082022020 87022020 00 00",
            ),
            (
                "make selectable",
                make_selectable(&INSTANCE, Privileges::CARD_RESET),
                "80e60800 10 00 00 08a000000151535042 03040000 00 00 00",
            ),
            (
                "extradition",
                extradite(&INSTANCE, &MODULE),
                "80e61000 16 08a000000151535041 00 08a000000151535042 00 00 00 00",
            ),
            (
                "personalization, as recorded",
                personalize(&"A00000015141434C00".parse().unwrap()),
                "80e620000f000009a00000015141434c0000000000",
            ),
            (
                "registry update",
                update_registry(None, Some(&INSTANCE), Some(Privileges::CARD_RESET), &[]),
                "80e64000 11 00 00 08a000000151535042 03040000 00 00 00",
            ),
        ] {
            let expected = bytes.replace(' ', "");
            let expected = hex::decode(&expected).unwrap();
            let found = command.to_bytes().unwrap();
            // Lc is computed here, so that the table needs no counting by hand.
            let lc = found.len() - 6;
            assert_eq!(usize::from(found[4]), lc, "{name}");
            assert_eq!(hex::encode(&found[..4]), hex::encode(&expected[..4]), "{name}");
            assert_eq!(hex::encode(&found[5..]), hex::encode(&expected[5..]), "{name}");
        }
    }

    #[test]
    fn parameters_above_127_bytes_get_ber_lengths() {
        for length in [126usize, 127, 128, 200] {
            let command =
                ForInstall::new(PACKAGE, MODULE, INSTANCE).with_parameters(vec![0xAA; length]).command();
            let mut reader = lv::LvReader::new(command.data());
            for _ in 0..4 {
                reader.field().unwrap();
            }
            let parameters = reader.field().unwrap();
            assert_eq!(tlv::Tlv::expect(parameters, TAG_APPLICATION_PARAMETERS).unwrap().len(), length);
            assert!(reader.field().unwrap().is_empty() && reader.is_at_end());
        }
    }
}
