//! The phone's access control in front of the applet: who gets through, who does not, and why.

use jpkise_card::{Card, Transport};
use jpkise_jpki::edge::{admin, data, KeyRef, INSTANCE_AID};
use jpkise_omapi::ace::{Denial, Reason, SeKind, WithoutAra};
use jpkise_omapi::service::Security;
use jpkise_omapi::{OmapiError, Reader, SeService};
use serde::Serialize;

use super::error::{ChainError, FailedCheck};
use super::{Event, Run, Step};
use crate::apps::DemoApp;

/// What came of an app's attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Admitted {
    /// [`DemoApp::id`].
    pub app: &'static str,
    /// Whether a channel to the applet was opened.
    pub opened: bool,
    /// The search of the access rules that decided: `A`, `A-conflict`, …
    pub search: &'static str,
    /// The exception it was thrown: at the opening, or, for an app that got through, at a command that is not a user's.
    pub exception: &'static str,
}

/// Every app tries, through the Open Mobile API: the listed one opens a channel, sends a command of users, and is refused one
/// of the SP-TSM's; the others open nothing.
pub(super) fn attempt<T: Transport>(run: &mut Run<'_, T>) -> Result<Vec<Admitted>, ChainError> {
    run.step(Step::Access, |run, _| {
        // The user's client still has the applet selected on the basic channel, and it is on one channel at a time.
        run.card.reset()?;
        let mut service = SeService::new();
        let card = Card::new(run.card.served());
        let reader = service.add_reader(SeKind::Embedded, WithoutAra::FullAccess, card);
        let mut results = Vec::new();
        for app in DemoApp::ALL {
            let result = one(&reader, app)?;
            (run.events)(&Event::Admitted(&result));
            results.push(result);
        }
        Ok(results)
    })
}

fn one<T: Transport>(reader: &Reader<T>, app: DemoApp) -> Result<Admitted, ChainError> {
    let unexpected = |found: String| FailedCheck::Access { app: app.id(), found };
    let session = reader.open_session(app.app()?);
    let opened = session.open_logical_channel(Some(INSTANCE_AID.as_bytes()), 0);
    if app != DemoApp::Listed {
        return match opened {
            Err(OmapiError::Security(Security::Denied(denial))) => match *denial {
                Denial::Rules(decision) => Ok(Admitted {
                    app: app.id(),
                    opened: false,
                    search: decision.step.name(),
                    exception: OmapiError::from(Security::Denied(Box::new(Denial::Rules(decision))))
                        .exception(),
                }),
                other => Err(unexpected(other.to_string()).into()),
            },
            Err(other) => Err(unexpected(other.to_string()).into()),
            Ok(_) => Err(unexpected("let through".to_owned()).into()),
        };
    }
    let mut channel = opened
        .map_err(|error| unexpected(error.to_string()))?
        .ok_or_else(|| unexpected("no channel left".to_owned()))?;
    let Reason::Rules(decision) = channel.grant().reason.clone() else {
        return Err(unexpected("let through without a rule".to_owned()).into());
    };
    let version = data::get_version().to_bytes().map_err(jpkise_card::CardError::from)?;
    let answer = channel.transmit(&version).map_err(|error| unexpected(error.to_string()))?;
    if !answer.ends_with(&[0x90, 0x00]) {
        return Err(unexpected(hex::encode_upper(answer)).into());
    }
    let command = admin::generate_key_pair(KeyRef::Sign).to_bytes().map_err(jpkise_card::CardError::from)?;
    match channel.transmit(&command) {
        Err(error @ OmapiError::Security(Security::Filtered { .. })) => Ok(Admitted {
            app: app.id(),
            opened: true,
            search: decision.step.name(),
            exception: error.exception(),
        }),
        other => Err(unexpected(format!("{other:?}")).into()),
    }
}
