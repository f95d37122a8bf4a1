//! Which of several key sets a security domain holds, found without risking a try: an INITIALIZE UPDATE alone.
//!
//! The card cryptogram in its answer proves the card's keys; nothing that a card counts as a failed authentication is
//! sent. (A card with pseudo-random challenges counts its sequence counter on, as at every opening.)

use jpkise_card::{Card, CommandApdu, Transport};
use jpkise_gp::commands::initialize_update::initialize_update;
use jpkise_gp::keys::{Handshake, KeySet, KeySource};
use jpkise_gp::scp03::{ScpError, Session};
use jpkise_gp::SecureRandom;
use jpkise_wire::scp03::Challenge;
use jpkise_wire::{Aid, StatusWord};

/// What a domain answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Probed {
    /// Key version and diversification data.
    pub set: KeySet,
    /// Index of the candidate whose keys these are; `None` when it is none of them.
    pub fits: Option<usize>,
}

/// Asks `aid` (a domain, or an applet of it) for its key version `kvn` (00: the default). `None` when there is no such
/// version. Ends whatever selection and channel there was.
pub fn probe<T: Transport>(
    card: &mut Card<T>,
    aid: &Aid,
    kvn: u8,
    candidates: &[&dyn KeySource],
    rng: &mut dyn SecureRandom,
) -> Result<Option<Probed>, ScpError> {
    Session::select(card, Some(aid))?;
    // Eight bytes first; a card in S16 mode refuses them by their length.
    for length in [8, 16] {
        let mut bytes = [0; 16];
        rng.fill_bytes(&mut bytes);
        let Some(host) = Challenge::new(&bytes[..length]) else { break };
        let command: CommandApdu = initialize_update(kvn, &host);
        let answer = card.send(&command)?;
        match answer.sw {
            StatusWord::SUCCESS => {
                let handshake =
                    Handshake::parse(command.to_bytes()?.as_slice(), &answer.to_bytes(), Some(*aid))?;
                let mut fits = None;
                for (index, keys) in candidates.iter().enumerate() {
                    // A source without this version is none that fits.
                    if fits.is_none() && matches!(handshake.fits(*keys), Ok(Some(_))) {
                        fits = Some(index);
                    }
                }
                return Ok(Some(Probed { set: handshake.set(), fits }));
            }
            StatusWord::WRONG_LENGTH => {}
            _ => return Ok(None),
        }
    }
    Ok(None)
}
