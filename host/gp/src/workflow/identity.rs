//! Reading a card's identity.

use jpkise_card::Transport;

use super::Exchange;
use crate::commands::get_data as command;
use crate::commands::select::Fci;
use crate::error::GpError;
use crate::identity::{
    sequence_counter, value_of, CapabilityInformation, CardData, Cplc, Datum, ExtendedResources, Identity,
    KeyInformationTemplate,
};
use crate::scp03::{Selected, Session};

/// GET DATA of one object; `None` when the card refuses it.
pub fn get_data(channel: &mut impl Exchange, tag: u16) -> Result<Option<Vec<u8>>, GpError> {
    let answer = channel.exchange(&command::get_data(tag))?;
    Ok(answer.sw.is_success().then_some(answer.data))
}

/// Everything the issuer security domain tells without a channel. It must be selected: applets could misread the probes.
///
/// A refused object is left out; only the way to the card can make this fail.
pub fn read_identity<T: Transport>(session: &mut Session<'_, T, Selected>) -> Result<Identity, GpError> {
    let fci = session.fci().to_vec();
    let mut identity = read_objects(session)?;
    identity.atr = session.card().atr().to_vec();
    if !fci.is_empty() {
        identity.fci = Some(Datum::new(fci, Fci::parse));
    }
    Ok(identity)
}

fn read_objects(channel: &mut impl Exchange) -> Result<Identity, GpError> {
    let mut cplc = get_data(channel, command::TAG_CPLC)?;
    // Some cards know CPLC under the interindustry class only.
    if cplc.is_none() {
        let answer = channel.exchange(&command::get_data_iso(command::TAG_CPLC))?;
        cplc = answer.sw.is_success().then_some(answer.data);
    }
    Ok(Identity {
        cplc: cplc.map(|bytes| Datum::new(bytes, Cplc::parse)),
        iin: get_data(channel, command::TAG_IIN)?.map(|b| value_of(&b, 0x42).to_vec()),
        cin: get_data(channel, command::TAG_CIN)?.map(|b| value_of(&b, 0x45).to_vec()),
        card_data: get_data(channel, command::TAG_CARD_DATA)?.map(|b| Datum::new(b, CardData::parse)),
        key_information: get_data(channel, command::TAG_KEY_INFORMATION)?
            .map(|b| Datum::new(b, KeyInformationTemplate::parse)),
        capabilities: get_data(channel, command::TAG_CAPABILITIES)?
            .map(|b| Datum::new(b, CapabilityInformation::parse)),
        sequence_counter: get_data(channel, command::TAG_SEQUENCE_COUNTER)?
            .and_then(|b| sequence_counter(&b)),
        resources: get_data(channel, command::TAG_EXTENDED_RESOURCES)?
            .and_then(|b| ExtendedResources::parse(&b)),
        ..Identity::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workflow::script::Script;

    #[test]
    fn what_a_card_refuses_is_left_out_and_cplc_is_asked_for_twice() {
        let mut script = Script::new(&[
            ("80ca9f7f00", "6a88"),
            ("00ca9f7f00", &format!("9f7f2a{}9000", "11".repeat(42))),
            ("80ca004200", "4204123456789000"),
            ("80ca004500", "6a88"),
            ("80ca006600", "6602ffff9000"),
            ("80ca00e000", "e006c004013088109000"),
            ("80ca006700", "6d00"),
            ("80ca00c100", "c1030000019000"),
            ("80caff2100", "6a88"),
        ]);
        let identity = read_objects(&mut script).unwrap();
        assert_eq!(identity.cplc.unwrap().value.unwrap().ic_serial, [0x11; 4]);
        assert_eq!(identity.iin.unwrap(), [0x12, 0x34, 0x56, 0x78]);
        assert_eq!(identity.cin, None);
        let card_data = identity.card_data.unwrap();
        assert_eq!((card_data.raw.len(), card_data.value), (4, None));
        assert_eq!(identity.key_information.unwrap().value.unwrap().keys.len(), 1);
        assert_eq!(identity.sequence_counter.unwrap().value(), 1);
    }
}
