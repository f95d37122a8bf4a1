//! Names of commands, for traces: the standards' words, with what P1 P2 add to them.

use std::borrow::Cow;

/// The name of the command with this header before secure messaging.
///
/// Class and P1 tell apart what shares an instruction: 80 E4 is DELETE, 80 E4 with a key reference is the JPKI applet's
/// DELETE FILE; 00 82 and 80 82 are different EXTERNAL AUTHENTICATEs.
pub fn command_name(header: [u8; 4]) -> Cow<'static, str> {
    let [cla, ins, p1, p2] = header;
    let name = if cla & 0x80 == 0 { interindustry(ins, p1, p2) } else { proprietary(ins, p1) };
    match (name, ins) {
        (Some(name), 0xCA | 0xCB) => {
            // The tag is what one looks for in a trace.
            let tag = if p1 == 0 { format!("{p2:02X}") } else { format!("{p1:02X}{p2:02X}") };
            format!("{name} {tag}").into()
        }
        (Some(name), _) => name.into(),
        (None, _) => format!("{cla:02X} {ins:02X} {p1:02X} {p2:02X}").into(),
    }
}

fn interindustry(ins: u8, p1: u8, p2: u8) -> Option<&'static str> {
    Some(match ins {
        0x20 => "VERIFY",
        0x22 => "MANAGE SECURITY ENVIRONMENT",
        0x24 => "CHANGE REFERENCE DATA",
        0x2A => "PERFORM SECURITY OPERATION",
        0x2C => "RESET RETRY COUNTER",
        0x70 if p1 & 0x80 != 0 => "MANAGE CHANNEL [close]",
        0x70 => "MANAGE CHANNEL [open]",
        0x82 => "EXTERNAL AUTHENTICATE [device key]",
        0x84 => "GET CHALLENGE",
        0x88 => "INTERNAL AUTHENTICATE",
        0xA4 => match p1 {
            0x00 | 0x01 | 0x02 | 0x08 | 0x09 => "SELECT [file]",
            _ if p2 & 0x03 == 0x02 => "SELECT [next]",
            _ => "SELECT",
        },
        0xB0 | 0xB1 => "READ BINARY",
        0xB2 => "READ RECORD",
        0xC0 => "GET RESPONSE",
        0xCA | 0xCB => "GET DATA",
        0xD6 | 0xD7 => "UPDATE BINARY",
        0xE2 => "APPEND RECORD",
        _ => return None,
    })
}

fn proprietary(ins: u8, p1: u8) -> Option<&'static str> {
    // References of the JPKI applet's keys: 01 user authentication, 02 signature, FF all. P1 of the GlobalPlatform
    // commands with the same instruction is 00 or 80.
    let key_reference = matches!(p1, 0x01 | 0x02 | 0xFF);
    Some(match ins {
        0x04 => "DEACTIVATE FILE",
        0x2A => "COMPUTE DIGITAL SIGNATURE",
        0x2B => "PROVE POSSESSION",
        0x2C => "RESET RETRY COUNTER",
        0x44 => "ACTIVATE FILE",
        0x46 => "GENERATE ASYMMETRIC KEY PAIR",
        0x50 => "INITIALIZE UPDATE",
        0x78 => "END R-MAC SESSION",
        0x7A => "BEGIN R-MAC SESSION",
        0x82 => "EXTERNAL AUTHENTICATE",
        0xA4 => "SELECT",
        0xC0 => "GET RESPONSE",
        0xCA | 0xCB => "GET DATA",
        0xD8 => "PUT KEY",
        0xE2 => "STORE DATA",
        0xE4 if key_reference => "DELETE FILE",
        0xE4 => "DELETE",
        0xE6 => match p1 & 0x7F {
            0x02 => "INSTALL [for load]",
            0x04 => "INSTALL [for install]",
            0x08 => "INSTALL [for make selectable]",
            0x0C => "INSTALL [for install and make selectable]",
            0x0E => "INSTALL [for load, install and make selectable]",
            0x10 => "INSTALL [for extradition]",
            0x20 => "INSTALL [for personalization]",
            0x40 => "INSTALL [for registry update]",
            _ => "INSTALL",
        },
        0xE8 if key_reference => "TERMINATE EF",
        0xE8 => "LOAD",
        0xF0 => "SET STATUS",
        0xF2 => "GET STATUS",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_the_names_of_their_standards() {
        for (header, name) in [
            ([0x00, 0xA4, 0x04, 0x00], "SELECT"),
            ([0x00, 0xA4, 0x04, 0x02], "SELECT [next]"),
            ([0x00, 0xA4, 0x02, 0x0C], "SELECT [file]"),
            ([0x80, 0x50, 0x30, 0x00], "INITIALIZE UPDATE"),
            ([0x84, 0x82, 0x33, 0x00], "EXTERNAL AUTHENTICATE"),
            ([0x00, 0x82, 0x00, 0x00], "EXTERNAL AUTHENTICATE [device key]"),
            ([0x80, 0xCA, 0x9F, 0x7F], "GET DATA 9F7F"),
            ([0x80, 0xCA, 0x00, 0x66], "GET DATA 66"),
            ([0x84, 0xCA, 0xDF, 0x32], "GET DATA DF32"),
            ([0x80, 0xE6, 0x0C, 0x00], "INSTALL [for install and make selectable]"),
            ([0x80, 0xE6, 0x90, 0x00], "INSTALL [for extradition]"),
            ([0x80, 0xE4, 0x00, 0x80], "DELETE"),
            ([0x84, 0xE4, 0xFF, 0x00], "DELETE FILE"),
            ([0x80, 0xE8, 0x80, 0x05], "LOAD"),
            ([0x84, 0xE8, 0x02, 0x00], "TERMINATE EF"),
            ([0x80, 0x2A, 0x00, 0x80], "COMPUTE DIGITAL SIGNATURE"),
            ([0x84, 0x46, 0x01, 0x00], "GENERATE ASYMMETRIC KEY PAIR"),
            ([0x84, 0x2B, 0x01, 0x00], "PROVE POSSESSION"),
            ([0x00, 0x24, 0x01, 0x80], "CHANGE REFERENCE DATA"),
            ([0x00, 0x70, 0x80, 0x01], "MANAGE CHANNEL [close]"),
            ([0x80, 0xFE, 0x12, 0x34], "80 FE 12 34"),
        ] {
            assert_eq!(command_name(header), name);
        }
    }
}
