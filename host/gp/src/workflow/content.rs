//! Card content: load, install, extradite, delete, life cycle, personalisation data.

use jpkise_card::CommandApdu;
use jpkise_wire::Aid;

use super::{demand, Exchange};
use crate::commands::install::{self as command, ForInstall, ForLoad};
use crate::commands::load::{blocks, load_file, DapBlock};
use crate::commands::{delete as delete_command, set_status};
use crate::error::{GpError, Progress, Refusal, Stage};
use crate::registry::{CardState, Privileges};

/// A new supplementary security domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRequest {
    /// Load file of the domain's code, in the card's ROM.
    pub load_file: Aid,
    /// Module of the domain's code.
    pub module: Aid,
    /// AID of the new domain.
    pub instance: Aid,
    /// Its privileges.
    pub privileges: Privileges,
    /// Value of C9.
    pub parameters: Vec<u8>,
}

impl DomainRequest {
    /// Load file AID that cards use for their security domain code (practice of the established clients).
    pub const LOAD_FILE: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50]);
    /// Module AID in it.
    pub const MODULE: Aid = Aid::literal([0xA0, 0x00, 0x00, 0x01, 0x51, 0x53, 0x50, 0x41]);

    /// A domain without further privileges, SCP03 with parameter `i`, extradition to and from it accepted.
    pub fn new(instance: Aid, i: u8) -> Self {
        Self {
            load_file: Self::LOAD_FILE,
            module: Self::MODULE,
            instance,
            privileges: Privileges::SECURITY_DOMAIN,
            // 81 protocol, 82 who may send content here, 87 who may take content from here; 2020: as is allowed.
            parameters: vec![0x81, 2, 0x03, i, 0x82, 2, 0x20, 0x20, 0x87, 2, 0x20, 0x20],
        }
    }
}

/// Creates a security domain and makes it selectable.
pub fn create_domain(channel: &mut impl Exchange, request: &DomainRequest) -> Result<(), GpError> {
    let domain = ForInstall::new(request.load_file, request.module, request.instance)
        .with_privileges(request.privileges.and(Privileges::SECURITY_DOMAIN))
        .with_parameters(request.parameters.clone());
    install(channel, &domain)
}

/// Installs an instance and makes it selectable.
pub fn install(channel: &mut impl Exchange, instance: &ForInstall) -> Result<(), GpError> {
    let command = instance.command_selectable();
    demand(channel, Stage::InstallForInstall, Some(instance.application), &command)?;
    Ok(())
}

/// Installs an instance and leaves it INSTALLED.
pub fn install_only(channel: &mut impl Exchange, instance: &ForInstall) -> Result<(), GpError> {
    demand(channel, Stage::InstallForInstall, Some(instance.application), &instance.command())?;
    Ok(())
}

/// Makes an INSTALLED instance selectable.
pub fn make_selectable(
    channel: &mut impl Exchange,
    application: Aid,
    privileges: Privileges,
) -> Result<(), GpError> {
    let command = command::make_selectable(&application, privileges);
    demand(channel, Stage::MakeSelectable, Some(application), &command)?;
    Ok(())
}

/// Gives an application or load file to another domain.
pub fn extradite(channel: &mut impl Exchange, object: Aid, domain: Aid) -> Result<(), GpError> {
    demand(channel, Stage::Extradition, Some(object), &command::extradite(&object, &domain))?;
    Ok(())
}

/// Deletes an application, domain or load file; `related` takes a load file's instances with it.
pub fn delete(channel: &mut impl Exchange, object: Aid, related: bool) -> Result<(), GpError> {
    demand(channel, Stage::Delete, Some(object), &delete_command::delete(&object, related))?;
    Ok(())
}

/// Moves the card to another state. TERMINATED is final: ask first.
pub fn set_card_status(channel: &mut impl Exchange, state: CardState) -> Result<(), GpError> {
    demand(channel, Stage::SetStatus, None, &set_status::set_card(state))?;
    Ok(())
}

/// Locks, unlocks or moves an application or domain.
pub fn set_application_status(
    channel: &mut impl Exchange,
    application: Aid,
    state: u8,
) -> Result<(), GpError> {
    demand(channel, Stage::SetStatus, Some(application), &set_status::set_application(&application, state))?;
    Ok(())
}

/// As [`set_application_status`], for a security domain with everything in it.
pub fn set_domain_status(channel: &mut impl Exchange, domain: Aid, state: u8) -> Result<(), GpError> {
    demand(
        channel,
        Stage::SetStatus,
        Some(domain),
        &set_status::set_domain_and_applications(&domain, state),
    )?;
    Ok(())
}

/// A load file to put onto the card.
#[derive(Debug, Clone)]
pub struct LoadRequest<'a> {
    /// AID, target domain, hash, parameters, token.
    pub announcement: ForLoad,
    /// The load file data block.
    pub data_block: &'a [u8],
    /// Signatures in front of it.
    pub daps: Vec<DapBlock>,
    /// Bytes per block; `None` for the most the channel takes.
    pub block_size: Option<usize>,
}

/// INSTALL [for load] and LOAD. `progress` hears each accepted block. A refusal in between names the block; the card
/// drops a load that is not finished.
pub fn load(
    channel: &mut impl Exchange,
    request: &LoadRequest<'_>,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), GpError> {
    let subject = Some(request.announcement.load_file);
    let structure = load_file(request.data_block, &request.daps);
    let size = request.block_size.unwrap_or(usize::MAX).min(channel.max_data());
    // Before anything is sent: a file that has no blocks must not leave an announcement behind.
    let blocks = blocks(&structure, size)?;
    demand(channel, Stage::InstallForLoad, subject, &request.announcement.command())?;
    series(channel, Stage::Load, subject, &blocks, progress)?;
    Ok(())
}

/// INSTALL [for personalization] of `application`, then blocks for it, sent to its domain.
pub fn personalize(
    channel: &mut impl Exchange,
    application: Aid,
    blocks: &[CommandApdu],
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, GpError> {
    let command = command::personalize(&application);
    demand(channel, Stage::Personalization, Some(application), &command)?;
    series(channel, Stage::StoreData, Some(application), blocks, progress)
}

/// STORE DATA blocks for whatever the session addresses; returns the answers' data.
pub fn store_blocks(
    channel: &mut impl Exchange,
    blocks: &[CommandApdu],
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, GpError> {
    series(channel, Stage::StoreData, None, blocks, progress)
}

fn series(
    channel: &mut impl Exchange,
    stage: Stage,
    subject: Option<Aid>,
    blocks: &[CommandApdu],
    progress: &mut dyn FnMut(Progress),
) -> Result<Vec<u8>, GpError> {
    let of_bytes = blocks.iter().map(|b| b.data().len()).sum();
    let mut state = Progress { blocks: 0, of_blocks: blocks.len(), bytes: 0, of_bytes };
    let mut data = Vec::new();
    for block in blocks {
        let answer = channel.exchange(block)?;
        if !answer.sw.is_success() {
            return Err(Refusal { stage, sw: answer.sw, subject, progress: Some(state) }.into());
        }
        data.extend_from_slice(&answer.data);
        state.blocks += 1;
        state.bytes += block.data().len();
        progress(state);
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::store_data::{self, Format};
    use crate::workflow::script::Script;

    const SSD: Aid = Aid::literal([0xA0, 0, 0, 1, 0x51, 0x53, 0x50, 0x4A, 0x50, 0x4B, 0x49]);
    const FILE: Aid = Aid::literal([0xD3, 0x92, 0xF0, 0, 0x26]);

    #[test]
    fn a_domain_is_created_with_the_parameters_the_established_clients_use() {
        let mut script = Script::new(&[(
            "80e60c00 31 07a0000001515350 08a000000151535041 0ba00000015153504a504b49 03800000 \
             0ec90c810203708202202087022020 00 00",
            "009000",
        )]);
        create_domain(&mut script, &DomainRequest::new(SSD, 0x70)).unwrap();
    }

    #[test]
    fn a_load_file_goes_in_the_largest_blocks_and_reports_each() {
        let mut heard = Vec::new();
        let mut script = Script::new(&[
            ("80e602000a 05d392f00026 00 00 00 00 00", "009000"),
            ("80e80000ef c48201f4*", "009000"),
            ("80e80001ef*", "009000"),
            ("80e880021a*", "009000"),
        ]);
        let request = LoadRequest {
            announcement: ForLoad::new(FILE, None),
            data_block: &[0xCA; 500],
            daps: Vec::new(),
            block_size: None,
        };
        load(&mut script, &request, &mut |p| heard.push((p.blocks, p.bytes))).unwrap();
        assert_eq!(heard, [(1, 239), (2, 478), (3, 504)]);
    }

    #[test]
    fn a_refused_block_is_named() {
        let mut script =
            Script::new(&[("80e602000a*", "009000"), ("80e80000*", "009000"), ("80e80001*", "6985")]);
        let request = LoadRequest {
            announcement: ForLoad::new(FILE, None),
            data_block: &[0xCA; 500],
            daps: Vec::new(),
            block_size: Some(200),
        };
        let error = load(&mut script, &request, &mut |_| {}).unwrap_err();
        let GpError::Refused(refusal) = error else { panic!("{error}") };
        assert_eq!((refusal.stage, refusal.sw.0, refusal.subject), (Stage::Load, 0x6985, Some(FILE)));
        assert_eq!(
            refusal.progress.unwrap(),
            Progress { blocks: 1, of_blocks: 3, bytes: 200, of_bytes: 504 }
        );
    }

    #[test]
    fn personalisation_names_its_target_first_and_gathers_answers() {
        let blocks = store_data::blocks(Format::DGI, &[1; 300], 239).unwrap();
        let mut script = Script::new(&[
            ("80e6200011 00 00 0ba00000015153504a504b49 00 00 00 00", "009000"),
            ("80e20800ef*", "aa9000"),
            ("80e288013d*", "bb9000"),
        ]);
        let answers = personalize(&mut script, SSD, &blocks, &mut |_| {}).unwrap();
        assert_eq!(answers, [0xAA, 0xBB]);
    }

    #[test]
    fn refusals_carry_stage_status_word_and_subject() {
        for (answer, sw) in [("6a88", 0x6A88), ("6985", 0x6985)] {
            let mut script = Script::new(&[("80e400000d4f0ba00000015153504a504b4900", answer)]);
            let error = delete(&mut script, SSD, false).unwrap_err();
            assert_eq!(error.refusal(), Some((Stage::Delete, sw.into())));
        }
        let mut script = Script::new(&[("80f0807f", "6985")]);
        let error = set_card_status(&mut script, CardState::CardLocked).unwrap_err();
        assert_eq!(error.to_string(), "SET STATUS refused with 6985");
        let mut script =
            Script::new(&[("80e61000 16 0ba00000015153504a504b49 00 05d392f00026 00 00 00 00", "6a80")]);
        let error = extradite(&mut script, FILE, SSD).unwrap_err();
        assert_eq!(error.refusal(), Some((Stage::Extradition, 0x6A80.into())));
    }
}
