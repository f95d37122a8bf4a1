//! LV fields: a length, then the value. INSTALL, PUT KEY and Java Card install parameters are series of them.
//!
//! GP Card Specification 2.3.1 section 11.1.4: lengths up to 127 in one byte, longer ones in BER form; the value 80 may
//! stand for 128 in one byte.

use crate::tlv::write_length;

/// The input ends inside a length or a value, or the length is coded with a reserved byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed LV field at offset {offset}")]
pub struct LvError {
    /// Byte offset in the input.
    pub offset: usize,
}

/// Appends one field; lengths above 127 in BER form.
pub fn write(out: &mut Vec<u8>, value: &[u8]) {
    write_length(out, value.len());
    out.extend_from_slice(value);
}

/// A series of fields as bytes.
#[must_use]
pub fn fields(values: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::new();
    for value in values {
        write(&mut out, value);
    }
    out
}

/// Reads fields from a byte string one after the other.
#[derive(Debug, Clone)]
pub struct LvReader<'a> {
    input: &'a [u8],
    offset: usize,
}

impl<'a> LvReader<'a> {
    /// Starts at the beginning of `input`.
    pub fn new(input: &'a [u8]) -> Self {
        Self { input, offset: 0 }
    }

    /// The next field's value.
    pub fn field(&mut self) -> Result<&'a [u8], LvError> {
        let error = LvError { offset: self.offset };
        let mut at = self.offset;
        let first = *self.input.get(at).ok_or(error)?;
        at += 1;
        let length = match first {
            // 80 is 128 in one byte (section 11.1.4), not the indefinite form.
            0..=0x80 => usize::from(first),
            0x81 | 0x82 => {
                let mut length = 0usize;
                for _ in 0..first & 0x7F {
                    length = length << 8 | usize::from(*self.input.get(at).ok_or(error)?);
                    at += 1;
                }
                length
            }
            _ => return Err(error),
        };
        let value = self.input.get(at..at + length).ok_or(error)?;
        self.offset = at + length;
        Ok(value)
    }

    /// Whether everything was read.
    pub fn is_at_end(&self) -> bool {
        self.offset == self.input.len()
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        &self.input[self.offset..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_read_back_at_every_length_border() {
        for length in [0usize, 1, 127, 128, 129, 255, 256, 1000] {
            let value = vec![7; length];
            let coded = fields(&[&value, &[1]]);
            let mut reader = LvReader::new(&coded);
            assert_eq!(reader.field().unwrap(), value);
            assert_eq!(reader.field().unwrap(), [1]);
            assert!(reader.is_at_end());
        }
    }

    #[test]
    fn eighty_is_128_in_one_byte() {
        let mut coded = vec![0x80];
        coded.extend([9; 128]);
        assert_eq!(LvReader::new(&coded).field().unwrap().len(), 128);
    }

    #[test]
    fn truncated_fields_are_refused() {
        for input in [&[][..], &[1], &[0x81], &[0x82, 1], &[0x83, 0, 0, 1, 5], &[2, 1]] {
            assert!(LvReader::new(input).field().is_err(), "{input:02X?}");
        }
    }
}
