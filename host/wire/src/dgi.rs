//! Data groupings of STORE DATA: identifier (2), length (1, or FF then 2), value (GP Card Spec 2.3.1 section 11.11;
//! EMV CPS 1.1 section 3.1).

/// Appends one data grouping. `None` when the value is longer than 65,535 bytes.
pub fn write(out: &mut Vec<u8>, identifier: u16, value: &[u8]) -> Option<()> {
    let length = u16::try_from(value.len()).ok()?;
    out.extend_from_slice(&identifier.to_be_bytes());
    out.extend_from_slice(header_length(length).as_slice());
    out.extend_from_slice(value);
    Some(())
}

/// The length field alone: one byte up to 254, else FF and two bytes.
#[must_use]
pub fn header_length(length: u16) -> Vec<u8> {
    match u8::try_from(length) {
        Ok(short) if short != 0xFF => vec![short],
        _ => {
            let [hi, lo] = length.to_be_bytes();
            vec![0xFF, hi, lo]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_from_255_on_take_three_bytes() {
        for (length, header) in [(0, "8113 00"), (254, "8113 fe"), (255, "8113 ff00ff"), (256, "8113 ff0100")]
        {
            let mut out = Vec::new();
            write(&mut out, 0x8113, &vec![0; length]).unwrap();
            let header = header.replace(' ', "");
            assert_eq!(hex::encode(&out[..header.len() / 2]), header);
            assert_eq!(out.len(), header.len() / 2 + length);
        }
        assert!(write(&mut Vec::new(), 1, &vec![0; 65536]).is_none());
    }
}
