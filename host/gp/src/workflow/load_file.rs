//! From a CAP to what LOAD sends: the load file data block in the order of the specification, its hash, the announcement.

use jpkise_cap::model::Cap;
use jpkise_cap::LoadOptions;
use jpkise_wire::{Aid, AidError};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

use super::LoadRequest;
use crate::commands::install::ForLoad;
use crate::identity::HashAlgorithm;

/// An executable load file ready to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadFile {
    aid: Aid,
    data_block: Vec<u8>,
}

impl LoadFile {
    /// Takes a CAP's components in loading order (Java Card VM Specification section 6.2); Descriptor and Debug only
    /// where `options` ask for them.
    pub fn from_cap(cap: &Cap, options: LoadOptions) -> Result<Self, AidError> {
        Ok(Self {
            aid: Aid::new(cap.header.package.aid.as_bytes())?,
            data_block: cap.load_file_data_block(options),
        })
    }

    /// Its AID, the package's.
    pub fn aid(&self) -> Aid {
        self.aid
    }

    /// The load file data block, without C4 and its length.
    pub fn data_block(&self) -> &[u8] {
        &self.data_block
    }

    /// The load file data block hash (GP Card Specification 2.3.1 section C.2): over the data block alone.
    pub fn hash(&self, algorithm: HashAlgorithm) -> Vec<u8> {
        match algorithm {
            HashAlgorithm::Sha1 => Sha1::digest(&self.data_block).to_vec(),
            HashAlgorithm::Sha256 => Sha256::digest(&self.data_block).to_vec(),
            HashAlgorithm::Sha384 => Sha384::digest(&self.data_block).to_vec(),
            HashAlgorithm::Sha512 => Sha512::digest(&self.data_block).to_vec(),
        }
    }

    /// The request for [`super::load`]: into `domain` (`None` for the one addressed), announced with its hash.
    pub fn request(&self, domain: Option<Aid>, hash: Option<HashAlgorithm>) -> LoadRequest<'_> {
        let mut announcement = ForLoad::new(self.aid, domain);
        announcement.hash = hash.map(|algorithm| self.hash(algorithm)).unwrap_or_default();
        LoadRequest { announcement, data_block: &self.data_block, daps: Vec::new(), block_size: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::load::{blocks, load_file};
    use jpkise_cap::convert::{convert_classes, ClassBytes, ConvertOptions};
    use jpkise_cap::PackageVersion;

    /// `package p; public interface I extends javacard.framework.Shareable {}`, as javac --release 8 -g:none makes it.
    const INTERFACE: &str = "cafebabe000000340007070002010003702f490700040100106a6176612f6c616e672f4f626a6563740700\
                             0601001c6a617661636172642f6672616d65776f726b2f536861726561626c650601000100030001000500\
                             0000000000";

    fn cap() -> Cap {
        let aid = "D392F00026".parse().unwrap();
        let options = ConvertOptions::new("p", aid, PackageVersion::new(1, 0));
        let bytes = hex::decode(INTERFACE).unwrap();
        let files = [ClassBytes { name: "p/I.class".into(), bytes }];
        convert_classes(&files, &options).unwrap().cap
    }

    /// Tags of the components in a data block, in order.
    fn tags(mut block: &[u8]) -> Vec<u8> {
        let mut tags = Vec::new();
        while let [tag, hi, lo, rest @ ..] = block {
            tags.push(*tag);
            block = &rest[usize::from(u16::from_be_bytes([*hi, *lo]))..];
        }
        tags
    }

    #[test]
    fn components_go_in_loading_order_and_the_descriptor_stays_at_home_unless_asked() {
        let cap = cap();
        let plain = LoadFile::from_cap(&cap, LoadOptions::default()).unwrap();
        assert_eq!(tags(plain.data_block()), [1, 2, 4, 6, 7, 8, 10, 5, 9]);
        let whole = LoadFile::from_cap(&cap, LoadOptions { descriptor: true, debug: true }).unwrap();
        assert_eq!(tags(whole.data_block()), [1, 2, 4, 6, 7, 8, 10, 5, 9, 11]);
    }

    #[test]
    fn the_hash_is_over_the_data_block_alone_and_its_length_names_the_algorithm() {
        let file = LoadFile::from_cap(&cap(), LoadOptions::default()).unwrap();
        let structure = load_file(file.data_block(), &[]);
        assert_eq!(structure[0], 0xC4);
        assert!(structure.ends_with(file.data_block()));
        for (algorithm, length) in [
            (HashAlgorithm::Sha1, 20),
            (HashAlgorithm::Sha256, 32),
            (HashAlgorithm::Sha384, 48),
            (HashAlgorithm::Sha512, 64),
        ] {
            let request = file.request(None, Some(algorithm));
            assert_eq!(request.announcement.hash.len(), length);
            assert_eq!(request.announcement.load_file, file.aid());
        }
        assert!(file.request(None, None).announcement.hash.is_empty());
    }

    #[test]
    fn blocks_put_together_are_the_structure() {
        let file = LoadFile::from_cap(&cap(), LoadOptions::default()).unwrap();
        let structure = load_file(file.data_block(), &[]);
        let joined: Vec<u8> =
            blocks(&structure, 17).unwrap().iter().flat_map(|b| b.data().to_vec()).collect();
        assert_eq!(joined, structure);
    }
}
