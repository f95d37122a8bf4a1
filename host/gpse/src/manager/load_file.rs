//! What arrives with LOAD: tag and length around the load file data block, and the components in it.
//!
//! The form of every component is judged by `jpkise_cap`; here it is seen that they are the announced package's, come
//! in the order a loader needs (JCVM 6.2) and have the sizes that Directory says (JCVM 6.4). Whether tokens and offsets
//! lead anywhere is the runtime's to find out when it links; types are not verified on the card.

use jpkise_cap::{Cap, CapError, ComponentTag};
use jpkise_wire::Aid;

/// Load file data block in clear (section 11.6.2.3).
const TAG_LOAD_FILE_DATA_BLOCK: u8 = 0xC4;
/// Tag and size of a component (JCVM 6.1).
const COMPONENT_HEAD: usize = 3;

/// What the registry keeps of a load file, beside what the runtime tells.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Structure {
    /// Packages it imports, those of the platform among them.
    pub imports: Vec<Aid>,
}

/// Why a load file data block is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Cap(#[from] CapError),
    #[error("it is package {0}, another one was announced")]
    OtherPackage(jpkise_cap::Aid),
    #[error("component {0} stands out of order")]
    Order(ComponentTag),
    #[error("Directory says that {component} has {stated} bytes, it has {actual}")]
    Size { component: ComponentTag, stated: usize, actual: usize },
    #[error("an imported package's AID is none")]
    Import,
}

/// Length of the tag and length in front, and of the block behind them. `None` for another tag, or a length that is
/// none or runs over the end of the first LOAD block.
pub(super) fn head(first: &[u8]) -> Option<(usize, usize)> {
    let (&tag, rest) = first.split_first()?;
    let (&length, rest) = rest.split_first()?;
    if tag != TAG_LOAD_FILE_DATA_BLOCK {
        return None;
    }
    match length {
        0..=0x7F => Some((2, usize::from(length))),
        0x81..=0x84 => {
            let count = usize::from(length & 0x7F);
            let bytes = rest.get(..count)?;
            let length = bytes.iter().fold(0usize, |length, byte| length << 8 | usize::from(*byte));
            Some((2 + count, length))
        }
        _ => None,
    }
}

/// Checks the structure of a load file data block.
pub(super) fn check(block: &[u8], announced: &Aid) -> Result<Structure, Refusal> {
    let cap = Cap::read_load_file(block)?;
    let package = cap.header.package.aid;
    if package.as_bytes() != announced.as_bytes() {
        return Err(Refusal::OtherPackage(package));
    }
    check_order(block)?;
    check_sizes(block, &cap)?;
    let imports = cap.import.packages.iter().map(|p| Aid::new(p.aid.as_bytes()).map_err(|_| Refusal::Import));
    Ok(Structure { imports: imports.collect::<Result<_, _>>()? })
}

/// Tag and size of the info of each component, as they stand there.
fn components(block: &[u8]) -> impl Iterator<Item = (u8, usize)> + '_ {
    let mut rest = block;
    std::iter::from_fn(move || {
        let (&[tag, high, low], _) = rest.split_first_chunk::<COMPONENT_HEAD>()?;
        let size = usize::from(u16::from_be_bytes([high, low]));
        rest = rest.get(COMPONENT_HEAD + size..).unwrap_or_default();
        Some((tag, size))
    })
}

fn check_order(block: &[u8]) -> Result<(), Refusal> {
    let place = |tag| ComponentTag::LOAD_ORDER.iter().position(|known| *known == tag);
    let mut furthest = None;
    // Custom components have no place in the order.
    for tag in components(block).filter_map(|(tag, _)| ComponentTag::from_u8(tag)) {
        let place = place(tag);
        if place < furthest {
            return Err(Refusal::Order(tag));
        }
        furthest = place;
    }
    Ok(())
}

fn check_sizes(block: &[u8], cap: &Cap) -> Result<(), Refusal> {
    for (index, stated) in cap.directory.sizes.iter().enumerate() {
        let Some(component) = u8::try_from(index + 1).ok().and_then(ComponentTag::from_u8) else { continue };
        let actual = components(block).find(|(tag, _)| *tag == component as u8).map(|(_, size)| size);
        // Descriptor is counted in Directory and mostly not sent.
        let actual = match actual {
            None if component == ComponentTag::Descriptor => continue,
            actual => actual.unwrap_or(0),
        };
        if usize::from(*stated) != actual {
            return Err(Refusal::Size { component, stated: usize::from(*stated), actual });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_load_file_is_read_or_refused() {
        for (bytes, read) in [
            (&[0xC4, 0x05, 1][..], Some((2, 5))),
            (&[0xC4, 0x81, 0x80, 1], Some((3, 0x80))),
            (&[0xC4, 0x82, 0x12, 0x34], Some((4, 0x1234))),
            (&[0xC4, 0x83, 1, 0, 0], Some((5, 0x10000))),
            (&[0xC4, 0x82, 0x12], None),
            (&[0xC4, 0x80], None),
            (&[0xC4, 0x85, 0, 0, 0, 0, 1], None),
            (&[0xC4], None),
            (&[0xD4, 0x05], None),
            (&[0xE2, 0x05], None),
            (&[], None),
        ] {
            assert_eq!(head(bytes), read, "{bytes:02X?}");
        }
    }

    fn load_file() -> (Aid, Vec<u8>) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../applet/dist/jpki.cap");
        let cap = Cap::read(&std::fs::read(path).unwrap()).unwrap();
        let aid = Aid::new(cap.header.package.aid.as_bytes()).unwrap();
        (aid, cap.load_file_data_block(jpkise_cap::LoadOptions::default()))
    }

    /// The components one by one, as bytes.
    fn pieces(block: &[u8]) -> Vec<&[u8]> {
        let mut at = 0;
        components(block)
            .map(|(_, size)| {
                let piece = &block[at..at + COMPONENT_HEAD + size];
                at += piece.len();
                piece
            })
            .collect()
    }

    #[test]
    fn a_load_file_in_order_passes_and_names_its_imports() {
        let (aid, block) = load_file();
        let structure = check(&block, &aid).unwrap();
        let lang = Aid::literal([0xA0, 0, 0, 0, 0x62, 0, 1]);
        assert!(structure.imports.contains(&lang), "{structure:?}");
    }

    #[test]
    fn what_is_out_of_order_missing_or_of_another_size_is_refused() {
        let (aid, block) = load_file();
        let other = Aid::literal([1, 2, 3, 4, 5]);
        assert!(matches!(check(&block, &other), Err(Refusal::OtherPackage(_))));
        let pieces = pieces(&block);
        for at in 0..pieces.len() - 1 {
            let mut swapped = pieces.clone();
            swapped.swap(at, at + 1);
            assert!(matches!(check(&swapped.concat(), &aid), Err(Refusal::Order(_))), "{at}");
        }
        for at in 0..pieces.len() {
            let mut without = pieces.clone();
            without.remove(at);
            assert!(check(&without.concat(), &aid).is_err(), "{at}");
        }
        for length in 0..block.len() {
            assert!(check(&block[..length], &aid).is_err(), "cut at {length}");
        }
        // One byte more in a component that takes any.
        let method = pieces.iter().position(|p| p[0] == ComponentTag::Method as u8).unwrap();
        let mut longer = pieces[method].to_vec();
        longer.push(0);
        let size = u16::try_from(longer.len() - COMPONENT_HEAD).unwrap();
        longer[1..3].copy_from_slice(&size.to_be_bytes());
        let mut changed = pieces.clone();
        changed[method] = &longer;
        let refusal = check(&changed.concat(), &aid).unwrap_err();
        assert!(matches!(refusal, Refusal::Size { component: ComponentTag::Method, .. }), "{refusal}");
    }
}
