//! `jpkise jpki`: the JPKI application as its user, its relying parties and its SP-TSM see it.

mod authority;
mod card;
mod certificate;
mod dry;
mod life;
mod personalize;
mod pin;
mod plan_view;
pub mod secret;
mod sign;
mod status;
mod verify;

use crate::app::App;
use crate::args::{JpkiArgs, JpkiVerb, PinVerb};
use crate::error::CliError;

/// Runs the verb.
pub fn run(app: &App, arguments: &JpkiArgs) -> Result<(), CliError> {
    match &arguments.verb {
        JpkiVerb::Status(own) => status::run(app, arguments, own),
        JpkiVerb::Cert(own) => certificate::run(app, arguments, own),
        JpkiVerb::Sign(own) => sign::run(app, arguments, own),
        JpkiVerb::Verify(own) => verify::run(app, own),
        JpkiVerb::Auth(own) => sign::authenticate(app, arguments, own),
        JpkiVerb::Pin { verb: PinVerb::Status } => pin::status(app, arguments),
        JpkiVerb::Pin { verb: PinVerb::Change(of) } => pin::change(app, arguments, of.secret.into()),
        JpkiVerb::Pin { verb: PinVerb::Reset(own) } => pin::reset(app, arguments, own),
        JpkiVerb::Hold(own) => life::run(app, arguments, own, life::Change::Hold),
        JpkiVerb::Resume(own) => life::run(app, arguments, own, life::Change::Resume),
        JpkiVerb::Revoke(own) => life::run(app, arguments, own, life::Change::Revoke),
        JpkiVerb::Wipe(own) => life::run(app, arguments, own, life::Change::Wipe),
        JpkiVerb::Personalize(own) => personalize::run(app, arguments, own),
    }
}
