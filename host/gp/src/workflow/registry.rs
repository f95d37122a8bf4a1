//! Reading the registry with GET STATUS, page by page.

use jpkise_wire::{Aid, StatusWord};

use super::Exchange;
use crate::commands::get_status::{get_status, parse, AnswerForm, Subset};
use crate::error::{GpError, Refusal, Stage};
use crate::registry::{Entry, Registry};

/// A list of more pages than this is a card gone mad.
const MAX_PAGES: usize = 256;

/// The whole registry: issuer domain, applications and domains, load files with modules.
///
/// Pages are fetched until the card says it is done. A list that breaks off leaves `partial` set. Cards that do not know
/// modules are asked for load files alone, and cards of before version 2.2 in their own format.
pub fn read_registry(channel: &mut impl Exchange) -> Result<Registry, GpError> {
    let mut reader = Reader { channel, form: AnswerForm::Tlv, partial: false };
    let issuer = reader.list(Subset::IssuerDomain)?;
    let applications = reader.list(Subset::Applications)?;
    let load_files = match reader.list(Subset::LoadFilesAndModules) {
        Err(GpError::Refused(Refusal { sw, .. })) if unknown(sw) => reader.list(Subset::LoadFiles)?,
        other => other?,
    };
    Ok(Registry { issuer: issuer.into_iter().next(), applications, load_files, partial: reader.partial })
}

/// Load files without their modules, and applications and domains where they matter: what a load has to know, in one
/// command or two.
pub fn read_content(channel: &mut impl Exchange, with_applications: bool) -> Result<Registry, GpError> {
    let mut reader = Reader { channel, form: AnswerForm::Tlv, partial: false };
    let applications = if with_applications { reader.list(Subset::Applications)? } else { Vec::new() };
    let load_files = reader.list(Subset::LoadFiles)?;
    Ok(Registry { issuer: None, applications, load_files, partial: reader.partial })
}

/// The entry of one AID among applications, domains and load files; `None` when the card shows none.
pub fn read_entry(channel: &mut impl Exchange, aid: &Aid) -> Result<Option<Entry>, GpError> {
    for subset in [Subset::Applications, Subset::LoadFilesAndModules] {
        let answer = channel.exchange(&get_status(subset, AnswerForm::Tlv, false, aid.as_bytes(), &[]))?;
        if !answer.sw.is_success() && answer.sw != StatusWord::MORE_DATA {
            continue;
        }
        let found = parse(subset, AnswerForm::Tlv, &answer.data)
            .map_err(|error| GpError::Answer { stage: Stage::GetStatus, error })?;
        // The filter is a prefix: longer AIDs answer to it as well.
        if let Some(entry) = found.into_iter().find(|e| e.aid == *aid) {
            return Ok(Some(entry));
        }
    }
    Ok(None)
}

/// Status words by which a card says that it does not know P1 or P2.
fn unknown(sw: StatusWord) -> bool {
    matches!(sw, StatusWord::INCORRECT_P1_P2 | StatusWord::WRONG_P1_P2 | StatusWord::FUNCTION_NOT_SUPPORTED)
}

struct Reader<'a, X> {
    channel: &'a mut X,
    form: AnswerForm,
    partial: bool,
}

impl<X: Exchange> Reader<'_, X> {
    fn list(&mut self, subset: Subset) -> Result<Vec<Entry>, GpError> {
        match self.pages(subset) {
            Err(GpError::Refused(refusal)) if unknown(refusal.sw) && self.form == AnswerForm::Tlv => {
                // Modules came with the TLV format; a card may know that but not P1 = 10.
                if subset == Subset::LoadFilesAndModules {
                    return Err(refusal.into());
                }
                self.form = AnswerForm::Deprecated;
                self.pages(subset)
            }
            other => other,
        }
    }

    fn pages(&mut self, subset: Subset) -> Result<Vec<Entry>, GpError> {
        let mut entries = Vec::new();
        for page in 0..MAX_PAGES {
            let answer = self.channel.exchange(&get_status(subset, self.form, page > 0, &[], &[]))?;
            let more = answer.sw == StatusWord::MORE_DATA;
            if answer.sw == StatusWord::REFERENCED_DATA_NOT_FOUND && page == 0 {
                return Ok(entries);
            }
            if !answer.sw.is_success() && !more {
                if page == 0 {
                    return Err(Refusal {
                        stage: Stage::GetStatus,
                        sw: answer.sw,
                        subject: None,
                        progress: None,
                    }
                    .into());
                }
                self.partial = true;
                return Ok(entries);
            }
            let found = parse(subset, self.form, &answer.data)
                .map_err(|error| GpError::Answer { stage: Stage::GetStatus, error })?;
            // "More" without anything new would never end.
            let stuck = more && found.is_empty();
            entries.extend(found);
            if stuck {
                break;
            }
            if !more {
                return Ok(entries);
            }
        }
        self.partial = true;
        Ok(entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::script::Script;

    const ISD: &str = "e31a4f08a0000001510000009f70010fc5039efe80cc05a0000000ff";
    const APP: &str = "e3104f05a0000000019f700107c503000000";
    const SSD: &str = "e3104f05a0000000029f70010fc503800000";
    const FILE: &str = "e3124f05a0000000039f7001018405a000000004";

    #[test]
    fn pages_are_read_until_the_card_is_done() {
        let mut script = Script::new(&[
            ("80f28002024f0000", &format!("{ISD}9000")),
            ("80f24002024f0000", &format!("{APP}6310")),
            ("80f24003024f0000", &format!("{SSD}9000")),
            ("80f21002024f0000", &format!("{FILE}9000")),
        ]);
        let registry = read_registry(&mut script).unwrap();
        assert_eq!(registry.applications.len(), 2);
        assert_eq!(registry.domains().count(), 1);
        assert_eq!(registry.load_files[0].modules.len(), 1);
        assert!(!registry.partial);
    }

    #[test]
    fn what_a_load_has_to_know_takes_one_command_or_two() {
        let file = "e30f4f05a0000000039f700101ce020103";
        let mut script = Script::new(&[("80f22002024f0000", &format!("{file}9000"))]);
        let content = read_content(&mut script, false).unwrap();
        assert_eq!((content.load_files[0].version, content.applications.len()), (Some((1, 3)), 0));
        let mut script = Script::new(&[
            ("80f24002024f0000", &format!("{APP}9000")),
            ("80f22002024f0000", &format!("{file}9000")),
        ]);
        assert_eq!(read_content(&mut script, true).unwrap().applications.len(), 1);
    }

    #[test]
    fn one_entry_is_found_among_longer_names_and_in_either_list() {
        let aid: Aid = "A000000001".parse().unwrap();
        let longer = "e3114f06a000000001009f700107c503000000";
        let asked = "80f24002074f05a00000000100";
        let mut script = Script::new(&[(asked, &format!("{longer}{APP}9000"))]);
        assert_eq!(read_entry(&mut script, &aid).unwrap().unwrap().aid, aid);
        let among_files = "80f21002074f05a00000000100";
        let file = "e30b4f05a0000000019f700101";
        let mut script = Script::new(&[(asked, "6a88"), (among_files, &format!("{file}9000"))]);
        assert_eq!(read_entry(&mut script, &aid).unwrap().unwrap().life_cycle.to_string(), "LOADED");
        let mut script = Script::new(&[(asked, &format!("{longer}9000")), (among_files, "6a88")]);
        assert_eq!(read_entry(&mut script, &aid).unwrap(), None);
    }

    #[test]
    fn an_empty_card_has_empty_lists() {
        let mut script = Script::new(&[
            ("80f28002024f0000", &format!("{ISD}9000")),
            ("80f24002024f0000", "6a88"),
            ("80f21002024f0000", "6a86"),
            ("80f22002024f0000", "6a88"),
        ]);
        let registry = read_registry(&mut script).unwrap();
        assert!(registry.issuer.is_some() && registry.applications.is_empty() && !registry.partial);
    }

    #[test]
    fn a_list_that_breaks_off_or_stands_still_is_partial() {
        for second in ["6f00", "6310"] {
            let mut script = Script::new(&[
                ("80f28002024f0000", &format!("{ISD}9000")),
                ("80f24002024f0000", &format!("{APP}6310")),
                ("80f24003024f0000", second),
                ("80f21002024f0000", "6a88"),
            ]);
            let registry = read_registry(&mut script).unwrap();
            assert_eq!((registry.applications.len(), registry.partial), (1, true), "{second}");
        }
    }

    #[test]
    fn an_old_card_is_asked_in_its_own_format() {
        let mut script = Script::new(&[
            ("80f28002024f0000", "6a86"),
            ("80f28000024f0000", "08a0000001510000000f9e9000"),
            ("80f24000024f0000", "6a88"),
            ("80f21000024f0000", "05a0000000030100 01 05a000000004 9000"),
        ]);
        let registry = read_registry(&mut script).unwrap();
        assert_eq!(registry.load_files[0].modules.len(), 1);
    }

    #[test]
    fn a_refused_list_names_stage_and_status_word() {
        let mut script = Script::new(&[("80f28002024f0000", "6982")]);
        let error = read_registry(&mut script).unwrap_err();
        assert_eq!(error.refusal(), Some((Stage::GetStatus, StatusWord::SECURITY_NOT_SATISFIED)));
    }
}
