//! What went wrong with rules, for people.

use jpkise_gp::ara::diff::Contradiction;
use jpkise_gp::ara::file::ApduText;
use jpkise_gp::ara::{AraError, ProvideError};
use jpkise_gp::{GpError, Stage};

use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

impl From<AraError> for CliError {
    fn from(error: AraError) -> Self {
        let detail = error.to_string();
        match error {
            AraError::NotThere { sw } => Self::new(Exit::Refused, Text::new("err-ara-missing"))
                .status(sw)
                .next(Text::new("rec-ara-missing"))
                .next(Text::new("rec-ara-missing-open")),
            AraError::Answer(fault) => Self::new(Exit::Refused, Text::new("err-ara-faulty"))
                .detail(fault.to_string())
                .next(Text::new("rec-ara-faulty")),
            AraError::Gp(error) => error.into(),
            AraError::Write { written: 0, source, .. } => {
                let announced =
                    matches!(&source, GpError::Refused(refusal) if refusal.stage == Stage::Personalization);
                let error = Self::from(source);
                if announced {
                    error.next(Text::new("rec-ara-domain"))
                } else {
                    error
                }
            }
            AraError::Write { written, of, source } => {
                let cause = Self::from(source);
                let text = Text::new("err-ara-partial").with("written", written).with("of", of);
                let error = Self::new(Exit::Partial, text.nested("cause", cause.what))
                    .detail(detail)
                    .next(Text::new("rec-ara-partial"));
                cause.sw.into_iter().fold(error, Self::status)
            }
            _ => Self::new(Exit::Refused, Text::new("err-ara-faulty")).detail(detail),
        }
    }
}

impl From<Contradiction> for CliError {
    fn from(error: Contradiction) -> Self {
        let text = Text::new("err-ara-contradiction")
            .with("aid", error.first.reference.aid())
            .with("app", error.first.reference.device_app());
        Self::new(Exit::Usage, text).next(Text::new("rec-ara-contradiction"))
    }
}

impl From<ProvideError> for CliError {
    fn from(error: ProvideError) -> Self {
        let detail = error.to_string();
        match error {
            ProvideError::NoRules(aid) => {
                Self::new(Exit::Usage, Text::new("err-ara-no-rules").with("aid", aid))
                    .next(Text::new("rec-ara-no-rules"))
            }
            ProvideError::OtherApplet { expected, found } => {
                let text = Text::new("err-ara-other-applet")
                    .with("aid", expected)
                    .with("found", found.reference.aid());
                Self::new(Exit::Usage, text).next(Text::new("rec-ara-other-applet"))
            }
            ProvideError::Contradiction(error) => error.into(),
            // Taken back: nothing of it is left, whatever had been written.
            ProvideError::Undone(AraError::Write { source, .. }) => source.into(),
            ProvideError::Undone(error) => error.into(),
            ProvideError::Left { cause, .. } => {
                let cause = Self::from(cause);
                Self::new(Exit::Partial, Text::new("err-ara-left").nested("cause", cause.what))
                    .detail(detail)
                    .next(Text::new("rec-ara-left"))
            }
            _ => Self::new(Exit::Refused, Text::new("err-ara-faulty")).detail(detail),
        }
    }
}

/// A word of `--apdu` that means nothing.
pub fn apdu_text(error: ApduText) -> CliError {
    let described = match error {
        ApduText::NoMeaning(word) => CliError::new(Exit::Usage, Text::new("err-ara-apdu").with("word", word)),
        ApduText::Filter(error) => {
            CliError::new(Exit::Usage, Text::new("err-ara-filter")).detail(error.to_string())
        }
    };
    described.next(Text::new("rec-ara-apdu"))
}
