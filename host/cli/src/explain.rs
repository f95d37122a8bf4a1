//! The libraries' typed errors, turned into what a person reads and the exit status of the manual.

use std::path::Path;

use jpkise_card::pcsc::FindReaderError;
use jpkise_card::trace::TraceReadError;
use jpkise_card::{CardError, TransportError};
use jpkise_gp::explain::{causes, causes_at_issuer};
use jpkise_gp::scp03::ScpError;
use jpkise_gp::{GpError, Stage};
use jpkise_gpse::runtime::jcardsim::LaunchError;
use jpkise_gpse::vpcd::VpcdError;
use jpkise_jcvm::store::SnapshotError;
use jpkise_jcvm::LoadSnapshotError;
use jpkise_jpki::personalize::PersonalizeError;
use jpkise_jpki::{AdminError, ChannelError, ClientError};
use jpkise_lab::chain::ChainError;
use jpkise_lab::files::FileError;
use jpkise_lab::simulator::StartError;
use jpkise_wire::StatusWord;

use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// A command the card refused: what the word means for people comes with it.
pub fn refused(command: &str, sw: StatusWord) -> CliError {
    CliError::new(
        Exit::Refused,
        Text::new("err-refused").with("command", command).with("sw", sw).nested("meaning", meaning(sw)),
    )
    .status(sw)
}

/// Message of a status word.
pub fn meaning(sw: StatusWord) -> Text {
    match (sw.tries_left(), sw.standard_text()) {
        (Some(0), _) => Text::new("sw-63c0"),
        (Some(tries), _) => Text::new("sw-63cx").with("tries", tries),
        (None, Some(_)) => Text::new(format!("sw-{sw}").to_lowercase()),
        (None, None) => Text::new("sw-unknown"),
    }
}

impl From<TransportError> for CliError {
    fn from(error: TransportError) -> Self {
        let (key, what) = match &error {
            TransportError::NoReader(name) => ("readers", Text::new("err-no-reader").with("name", name)),
            TransportError::NoCard(name) => ("no-card", Text::new("err-no-card").with("name", name)),
            TransportError::Removed => ("removed", Text::new("err-removed")),
            TransportError::Reset => ("reset", Text::new("err-reset")),
            TransportError::Busy => ("busy", Text::new("err-busy")),
            TransportError::NoService => ("no-service", Text::new("err-no-service")),
            TransportError::ProcessEnded(_) => ("process-ended", Text::new("err-process-ended")),
            TransportError::Timeout(_) => ("timeout", Text::new("err-timeout")),
            TransportError::Malformed(_) => ("malformed", Text::new("err-malformed")),
            TransportError::Pcsc(_) => ("pcsc", Text::new("err-pcsc")),
            _ => ("removed", Text::new("err-io")),
        };
        let described = Self::new(Exit::NoCard, what).next(Text::new(format!("rec-{key}")));
        match error {
            // These say nothing that the sentence does not.
            TransportError::NoReader(_)
            | TransportError::NoCard(_)
            | TransportError::Removed
            | TransportError::Reset
            | TransportError::Busy
            | TransportError::NoService => described,
            TransportError::ProcessEnded(reason) => described.detail(reason),
            other => described.detail(other.to_string()),
        }
    }
}

impl From<CardError> for CliError {
    fn from(error: CardError) -> Self {
        match error {
            CardError::Transport(error) => error.into(),
            other => Self::new(Exit::NoCard, Text::new("err-malformed"))
                .detail(other.to_string())
                .next(Text::new("rec-malformed")),
        }
    }
}

impl From<FindReaderError> for CliError {
    fn from(error: FindReaderError) -> Self {
        match error {
            FindReaderError::NotFound { wanted, names } => {
                Self::new(Exit::NoCard, Text::new("err-no-reader").with("name", wanted))
                    .detail(names.join("; "))
                    .next(Text::new("rec-readers"))
            }
            FindReaderError::Ambiguous { names } => {
                Self::new(Exit::Usage, Text::new("err-ambiguous-reader").with("found", names.join("; ")))
                    .next(Text::new("rec-ambiguous-reader"))
            }
            _ => Self::new(Exit::NoCard, Text::new("err-no-reader-at-all")).next(Text::new("rec-readers")),
        }
    }
}

impl From<ScpError> for CliError {
    fn from(error: ScpError) -> Self {
        let detail = error.to_string();
        match error {
            ScpError::Card(error) => error.into(),
            ScpError::Select { aid, sw } => {
                let what = match aid {
                    Some(aid) => Text::new("err-select").with("aid", aid),
                    None => Text::new("err-select-issuer"),
                };
                Self::new(Exit::Refused, what).detail(detail).status(sw).because(if aid.is_some() {
                    causes(Stage::Select, sw)
                } else {
                    causes_at_issuer(sw)
                })
            }
            ScpError::Refused(refused) => {
                let kvn = format!("{:02X}", refused.kvn);
                Self::new(Exit::Authentication, Text::new("err-refused-before-keys"))
                    .detail(detail)
                    .next(Text::new("rec-refused-before-keys").with("kvn", kvn))
                    .status(refused.sw)
                    .because(causes(Stage::InitializeUpdate, refused.sw))
            }
            ScpError::Cryptogram(differs) => {
                let kvn = format!("{:02X}", differs.set.kvn);
                Self::new(Exit::Authentication, Text::new("err-cryptogram").with("kvn", kvn))
                    .next(Text::new("rec-cryptogram"))
            }
            ScpError::HostRefused(refused) => Self::new(Exit::Authentication, Text::new("err-host-refused"))
                .detail(detail)
                .next(Text::new("rec-host-refused"))
                .status(refused.sw)
                .because(causes(Stage::ExternalAuthenticate, refused.sw)),
            ScpError::LevelNotOffered { level, i } => {
                Self::new(Exit::Refused, Text::new("err-level").with("level", level).with("i", i))
                    .next(Text::new("rec-level"))
            }
            ScpError::OtherProtocol { scp, .. } => {
                Self::new(Exit::Refused, Text::new("err-protocol").with("scp", format!("{scp:02X}")))
            }
            ScpError::Keys(_) => Self::new(Exit::Usage, Text::new("err-keys")).detail(detail),
            ScpError::Fault(_) | ScpError::Closed | ScpError::Segment { .. } => {
                Self::new(Exit::Refused, Text::new("err-fault")).detail(detail).next(Text::new("rec-fault"))
            }
            _ => Self::new(Exit::Refused, Text::new("err-scp")).detail(detail),
        }
    }
}

impl From<GpError> for CliError {
    fn from(error: GpError) -> Self {
        let detail = error.to_string();
        match error {
            GpError::Channel(error) => error.into(),
            GpError::Refused(refusal) => {
                let mut subject: Vec<String> = refusal.subject.iter().map(ToString::to_string).collect();
                // How far it had come is what two runs are compared by.
                subject.extend(refusal.progress.map(|p| {
                    format!("block {} of {}, {} of {} bytes", p.blocks + 1, p.of_blocks, p.bytes, p.of_bytes)
                }));
                let error =
                    refused(refusal.stage.command(), refusal.sw).because(causes(refusal.stage, refusal.sw));
                if subject.is_empty() {
                    error
                } else {
                    error.detail(subject.join(": "))
                }
            }
            GpError::Answer { stage, .. } => {
                Self::new(Exit::Refused, Text::new("err-answer").with("command", stage.command()))
                    .detail(detail)
            }
            GpError::Build(_) => Self::new(Exit::Usage, Text::new("err-build")).detail(detail),
            GpError::KeyCheck { kvn, .. } => {
                Self::new(Exit::Refused, Text::new("err-key-check").with("kvn", format!("{kvn:02X}")))
                    .detail(detail)
                    .next(Text::new("rec-key-check"))
            }
            GpError::NewKeysUnproven { kvn, .. } => {
                Self::new(Exit::Partial, Text::new("err-new-keys-unproven").with("kvn", format!("{kvn:02X}")))
                    .detail(detail)
                    .next(Text::new("rec-new-keys-unproven"))
            }
            GpError::Tries(error) => error.into(),
            GpError::Level { offered, demanded } => {
                Self::new(Exit::Refused, Text::new("err-level").with("level", demanded).with("i", offered))
                    .detail(detail)
                    .next(Text::new("rec-level"))
            }
            _ => Self::new(Exit::Refused, Text::new("err-scp")).detail(detail),
        }
    }
}

impl From<ChannelError> for CliError {
    fn from(error: ChannelError) -> Self {
        let detail = error.to_string();
        match error {
            ChannelError::Card(error) => error.into(),
            _ => Self::new(Exit::Refused, Text::new("err-fault")).detail(detail).next(Text::new("rec-fault")),
        }
    }
}

impl From<ClientError> for CliError {
    fn from(error: ClientError) -> Self {
        let detail = error.to_string();
        match error {
            ClientError::Channel(error) => error.into(),
            ClientError::WrongSecret { tries_left, .. } => {
                let mut error =
                    Self::new(Exit::Authentication, Text::new("err-wrong-secret").with("tries", tries_left));
                error.tries_left = Some(tries_left);
                error.detail(detail)
            }
            ClientError::Blocked { .. } => {
                let mut error = Self::new(Exit::Authentication, Text::new("err-blocked"));
                error.tries_left = Some(0);
                error.detail(detail)
            }
            ClientError::NotVerified { .. } => {
                refused("VERIFY", StatusWord::SECURITY_NOT_SATISFIED).detail(detail)
            }
            ClientError::NotUsable { command, .. } => {
                refused(command, StatusWord::CONDITIONS_NOT_SATISFIED).detail(detail)
            }
            ClientError::NoApplication(_) | ClientError::NoFile(_) => {
                refused("SELECT", StatusWord::NOT_FOUND).detail(detail)
            }
            ClientError::Refused(refusal) => refused(refusal.command, refusal.sw),
            _ => Self::new(Exit::Refused, Text::new("err-profile")).detail(detail),
        }
    }
}

impl From<AdminError> for CliError {
    fn from(error: AdminError) -> Self {
        let detail = error.to_string();
        match error {
            AdminError::Channel(error) => error.into(),
            AdminError::Refused(refusal) => refused(refusal.command, refusal.sw),
            AdminError::App { source, .. } => source.into(),
            AdminError::Level(level) => {
                Self::new(Exit::Refused, Text::new("err-level").with("level", "13").with("i", level))
                    .next(Text::new("rec-level"))
            }
            _ => Self::new(Exit::Refused, Text::new("err-check").with("check", detail)),
        }
    }
}

impl From<PersonalizeError> for CliError {
    fn from(error: PersonalizeError) -> Self {
        let detail = error.to_string();
        match error {
            PersonalizeError::Step { source, .. } | PersonalizeError::Channel(source) => {
                let error = Self::from(source);
                let is_refusal = error.sw.is_some() && error.detail.is_none();
                if is_refusal {
                    error.detail(detail)
                } else {
                    error
                }
            }
            _ => Self::new(Exit::Refused, Text::new("err-check").with("check", detail)),
        }
    }
}

impl From<FileError> for CliError {
    fn from(error: FileError) -> Self {
        file_not_written(&error.path, &error.source).next(Text::new("rec-file"))
    }
}

/// A file that could not be written, with the system's reason. The next step is the caller's: it knows the option that
/// names another file.
pub fn file_not_written(path: &Path, source: &std::io::Error) -> CliError {
    let text = Text::new("err-file").with("path", path.display());
    CliError::new(Exit::Internal, text).detail(source.to_string())
}

/// A file that was named and cannot be read.
pub fn file_not_read(path: &Path, source: &std::io::Error) -> CliError {
    CliError::new(Exit::Usage, Text::new("err-file-read").with("path", path.display()))
        .detail(source.to_string())
        .next(Text::new("rec-file-read"))
}

/// A trace that cannot be read.
pub fn trace_not_read(path: &Path, error: &TraceReadError) -> CliError {
    let line = match error {
        TraceReadError::Io(source) => return file_not_read(path, source),
        TraceReadError::Line { line, .. } => *line,
        _ => 1,
    };
    let text = Text::new("err-trace-line").with("path", path.display()).with("line", line);
    CliError::new(Exit::Usage, text).detail(error.to_string()).next(Text::new("rec-trace-line"))
}

impl From<LaunchError> for CliError {
    fn from(error: LaunchError) -> Self {
        let detail = error.to_string();
        match error {
            LaunchError::Transport(error) => error.into(),
            LaunchError::Java { java, source } => {
                Self::new(Exit::NoCard, Text::new("err-java").with("java", java))
                    .detail(source.to_string())
                    .next(Text::new("rec-java"))
            }
            _ => Self::new(Exit::NoCard, Text::new("err-runtime-missing"))
                .detail(detail)
                .next(Text::new("rec-runtime-missing")),
        }
    }
}

impl From<StartError> for CliError {
    fn from(error: StartError) -> Self {
        match error {
            StartError::JCardSim(error) => error.into(),
            StartError::Transport(error) => error.into(),
            StartError::Profile(error) => Self::new(Exit::Usage, Text::new("err-card-profile"))
                .detail(error.to_string())
                .next(Text::new("rec-card-profile")),
            StartError::NoState => {
                Self::new(Exit::Usage, Text::new("err-no-state")).next(Text::new("rec-no-state"))
            }
            StartError::State { path, source: LoadSnapshotError::Snapshot(SnapshotError::Io(error)) } => {
                file_not_written(&path, &error).next(Text::new("rec-state-file"))
            }
            StartError::State { path, source } => {
                let text = Text::new("err-state").with("path", path.display());
                Self::new(Exit::Usage, text).detail(source.to_string()).next(Text::new("rec-state"))
            }
            other => Self::internal(other.to_string()),
        }
    }
}

impl From<VpcdError> for CliError {
    fn from(error: VpcdError) -> Self {
        match error {
            VpcdError::Unreachable { address, source } => {
                Self::new(Exit::NoCard, Text::new("err-vpcd").with("address", address))
                    .detail(source.to_string())
                    .next(Text::new("rec-vpcd"))
            }
            VpcdError::Card(error) => error.into(),
            other => Self::new(Exit::NoCard, Text::new("err-io")).detail(other.to_string()),
        }
    }
}

impl From<ChainError> for CliError {
    fn from(error: ChainError) -> Self {
        let detail = error.to_string();
        match error {
            ChainError::Gp(error) => error.into(),
            ChainError::Ara(error) => error.into(),
            ChainError::Provide(error) => error.into(),
            ChainError::Personalize(error) => error.into(),
            ChainError::Client(error) => error.into(),
            ChainError::File(error) => error.into(),
            ChainError::NoPackage(aid) => {
                Self::new(Exit::Refused, Text::new("err-no-package").with("aid", aid))
                    .next(Text::new("rec-no-package"))
            }
            ChainError::AlreadyInstalled(aid) => {
                Self::new(Exit::Refused, Text::new("err-installed").with("aid", aid))
                    .next(Text::new("rec-installed"))
            }
            ChainError::DidNotFail { case, sw } => {
                let text = Text::new("err-must-fail")
                    .nested("case", Text::new(format!("case-{}", case.id())))
                    .with("expected", case.expectation())
                    .with("sw", sw);
                Self::new(Exit::Refused, text).status(sw).next(Text::new("rec-report"))
            }
            ChainError::Refused { command, sw } => refused(command, sw),
            ChainError::Openssl(error) => error.into(),
            _ => Self::new(Exit::Refused, Text::new("err-check").with("check", detail))
                .next(Text::new("rec-report")),
        }
    }
}
