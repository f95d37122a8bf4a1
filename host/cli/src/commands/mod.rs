//! One file per noun.

mod ara;
mod cap;
mod cap_run;
mod decode;
mod demo;
mod doctor;
mod gp;
mod jpki;
mod lab;
mod omapi;
mod readers;
mod sim;
mod trace;
mod vectors;

use jpkise_jpki::edge::TokenProfile;
use jpkise_lab::simulator::RuntimeKind;

use crate::app::App;
use crate::args::{Command, Runtime, Token, TraceVerb};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Runs the command.
pub fn run(app: &App, command: Command) -> Result<(), CliError> {
    let is_lab = matches!(command, Command::Lab { .. });
    if app.global.reader.len() > 1 && !is_lab {
        return Err(CliError::new(Exit::Usage, Text::new("lab-err-one-reader")));
    }
    match command {
        Command::Lab { verb } => lab::run(app, &verb),
        Command::Demo(arguments) => demo::run(app, &arguments),
        Command::Sim(arguments) => sim::run(app, &arguments),
        Command::Readers(arguments) => readers::run(app, &arguments),
        Command::Doctor(arguments) => doctor::run(app, &arguments),
        Command::Cap { verb } => cap::run(app, &verb),
        Command::Gp(arguments) => gp::run(app, &arguments),
        Command::Jpki(arguments) => jpki::run(app, &arguments),
        Command::Ara(arguments) => ara::run(app, &arguments),
        Command::Omapi(arguments) => omapi::run(app, &arguments),
        Command::Trace { verb: TraceVerb::Show { file } } => trace::show(app, &file),
        Command::Trace { verb: TraceVerb::Decode { file, keys } } => decode::run(app, &file, &keys),
    }
}

impl From<Token> for TokenProfile {
    fn from(token: Token) -> Self {
        match token {
            Token::Phone => Self::Phone,
            Token::Card => Self::Card,
        }
    }
}

impl From<Runtime> for RuntimeKind {
    fn from(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Jcvm => Self::Jcvm,
            Runtime::JCardSim => Self::JCardSim,
        }
    }
}
