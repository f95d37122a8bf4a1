//! Power that fails at any write of a command.

use jpkise_card::{CommandApdu, Transport, TransportError};
use jpkise_gpse::runtime::jcvm::Memory;
use jpkise_gpse::{GpSe, Jcvm, Profile};
use jpkise_jcvm::store::NamedRegions;

use super::{send, unhex, Host};

/// A card of its own with the same content.
pub fn twin(memory: &Memory) -> (GpSe, Memory) {
    let runtime = Jcvm::with_card(memory.card());
    let memory = runtime.memory();
    (GpSe::on_jcvm(Profile::default(), runtime).unwrap(), memory)
}

/// What the card manager has stored.
pub fn registry(memory: &Memory) -> Vec<u8> {
    memory.card().store().read_region("gp").unwrap()
}

/// A command to the issuer's domain in a new session, ready to be sent.
pub fn secured(card: &mut GpSe, command: &str) -> Vec<u8> {
    send(card, "00A4040000");
    let mut host = Host::default(card, 0x01);
    host.wrap(&CommandApdu::parse(&unhex(command)).unwrap()).to_bytes().unwrap().to_vec()
}

/// Cuts the power after every cell write of the command that `prepare` makes, until it gets through with an
/// answer that ends in 9000; `check` sees each card after the cut and the next reset, and whether an answer came. How
/// many writes the command takes.
pub fn cut(
    base: &Memory,
    prepare: impl Fn(&mut GpSe) -> Vec<u8>,
    check: impl Fn(&mut GpSe, &Memory, bool),
) -> usize {
    for n in 0u64.. {
        let (mut card, memory) = twin(base);
        let command = prepare(&mut card);
        memory.cut_power_after(Some(n));
        let answered = match card.transmit(&command) {
            Ok(answer) => {
                assert!(answer.ends_with(&[0x90, 0x00]), "write {n}: {answer:02X?}");
                true
            }
            Err(TransportError::Removed) => false,
            Err(error) => panic!("write {n}: {error}"),
        };
        memory.cut_power_after(None);
        card.reset().unwrap();
        check(&mut card, &memory, answered);
        if answered {
            return usize::try_from(n).unwrap();
        }
    }
    unreachable!()
}
