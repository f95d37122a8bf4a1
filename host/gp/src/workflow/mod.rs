//! Workflows: series of commands with one purpose, over anything that exchanges commands.
//!
//! Builders make the bytes; here they are sent, refusals become [`Refusal`]s with their stage, and answers are checked.

mod content;
mod identity;
mod keys;
mod load_file;
mod open;
mod preflight;
mod registry;
mod removal;

pub use content::{
    create_domain, delete, extradite, install, install_only, load, make_selectable, personalize,
    set_application_status, set_card_status, set_domain_status, store_blocks, DomainRequest, LoadRequest,
};
pub use identity::{get_data, read_identity};
pub use keys::{delete_key, put_keys, rotate_keys, PutKeysReport, RotateReport, RotateRequest};
pub use load_file::LoadFile;
pub use open::{
    open_channel, open_channel_counted, open_selected, open_selected_counted, ChannelOptions, LevelChoice,
};
pub use preflight::{plan_removal, preflight, remove, LoadNeeds, Obstacle, Removal};
pub use registry::{read_content, read_entry, read_registry};
pub use removal::{plan_deletion, Deletion, DeletionError, DeletionStep};

use jpkise_card::{CommandApdu, ResponseApdu, Transport};
use jpkise_wire::Aid;

use crate::error::{GpError, Refusal, Stage};
use crate::scp03::{Authenticated, ScpError, Selected, Session};

/// Something that carries commands to the selected application: a session, secured or not, or a test's script.
pub trait Exchange {
    /// Sends a command for the basic channel without secure messaging, as the builders give it.
    fn exchange(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError>;

    /// Most plain data bytes of one command.
    fn max_data(&self) -> usize;
}

impl<T: Transport> Exchange for Session<'_, T, Selected> {
    fn exchange(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError> {
        self.send_clear(command)
    }
    fn max_data(&self) -> usize {
        CommandApdu::SHORT_MAX
    }
}

impl<T: Transport> Exchange for Session<'_, T, Authenticated<'_>> {
    fn exchange(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError> {
        self.send(command)
    }
    fn max_data(&self) -> usize {
        Session::max_data(self)
    }
}

/// Sends a command that must be answered 9000.
fn demand(
    channel: &mut impl Exchange,
    stage: Stage,
    subject: Option<Aid>,
    command: &CommandApdu,
) -> Result<Vec<u8>, GpError> {
    let answer = channel.exchange(command)?;
    if answer.sw.is_success() {
        Ok(answer.data)
    } else {
        Err(Refusal { stage, sw: answer.sw, subject, progress: None }.into())
    }
}

/// A channel that asserts each command and gives each answer.
#[cfg(test)]
pub(crate) mod script {
    use std::collections::VecDeque;

    use super::{CommandApdu, Exchange, ResponseApdu, ScpError};

    pub(crate) struct Script(VecDeque<(String, String)>);

    impl Script {
        pub(crate) fn new(steps: &[(&str, &str)]) -> Self {
            Self(steps.iter().map(|(c, r)| (c.replace(' ', ""), r.replace(' ', ""))).collect())
        }
    }

    impl Drop for Script {
        fn drop(&mut self) {
            assert!(std::thread::panicking() || self.0.is_empty(), "not sent: {:?}", self.0);
        }
    }

    impl Exchange for Script {
        fn exchange(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError> {
            let sent = hex::encode(command.to_bytes()?.as_slice());
            let Some((expected, answer)) = self.0.pop_front() else { panic!("nothing expected: {sent}") };
            // An expected command may end in an asterisk: only its beginning matters then.
            match expected.strip_suffix('*') {
                Some(beginning) => assert!(sent.starts_with(beginning), "{sent}, not {expected}"),
                None => assert_eq!(sent, expected),
            }
            Ok(ResponseApdu::parse(&hex::decode(answer).unwrap())?)
        }
        fn max_data(&self) -> usize {
            239
        }
    }
}
