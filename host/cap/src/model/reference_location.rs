//! ReferenceLocation component (JCVM 6.11): tag 9.
//!
//! ```text
//! u2 byte_index_count  u1 deltas[]  u2 byte2_index_count  u1 deltas[]
//! ```
//! The positions (offsets in the info of Method) of all operands that are constant pool indices, as distances; 255
//! means "go 255 further, no operand here".

use super::ComponentTag;
use crate::bytes::{Reader, Writer};
use crate::error::CapError;

/// ReferenceLocation component, deltas as they stand in the file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReferenceLocation {
    /// Distances between one-byte indices.
    pub byte_deltas: Vec<u8>,
    /// Distances between two-byte indices.
    pub byte2_deltas: Vec<u8>,
}

impl ReferenceLocation {
    /// Builds the deltas from ascending positions.
    pub fn from_positions(byte: &[u16], byte2: &[u16]) -> Self {
        Self { byte_deltas: deltas(byte), byte2_deltas: deltas(byte2) }
    }

    /// Positions of the one-byte indices.
    pub fn byte_positions(&self) -> Vec<usize> {
        positions(&self.byte_deltas)
    }

    /// Positions of the two-byte indices.
    pub fn byte2_positions(&self) -> Vec<usize> {
        positions(&self.byte2_deltas)
    }

    /// Reads the info of the component.
    pub fn read(info: &[u8]) -> Result<Self, CapError> {
        let mut r = Reader::new(ComponentTag::ReferenceLocation, info);
        let len = r.u2()?;
        let byte_deltas = r.take(len.into())?.to_vec();
        let len = r.u2()?;
        let byte2_deltas = r.take(len.into())?.to_vec();
        r.finish()?;
        Ok(Self { byte_deltas, byte2_deltas })
    }

    /// Writes the info of the component.
    pub fn write(&self) -> Vec<u8> {
        let mut w = Writer::default();
        for deltas in [&self.byte_deltas, &self.byte2_deltas] {
            w.count2(deltas.len());
            w.bytes(deltas);
        }
        w.0
    }
}

fn deltas(positions: &[u16]) -> Vec<u8> {
    let mut out = Vec::with_capacity(positions.len());
    let mut last = 0u16;
    for &position in positions {
        let mut gap = position.saturating_sub(last);
        while gap > 254 {
            out.push(255);
            gap -= 255;
        }
        out.push(u8::try_from(gap).unwrap_or(254));
        last = position;
    }
    out
}

fn positions(deltas: &[u8]) -> Vec<usize> {
    let mut at = 0;
    let mut out = Vec::new();
    for &delta in deltas {
        at += usize::from(delta);
        if delta != 255 {
            out.push(at);
        }
    }
    out
}
