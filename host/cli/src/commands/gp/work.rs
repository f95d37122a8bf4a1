//! What a command is about to do, said before it is done: the plan, the question, and with `--dry-run` the commands.

use std::cell::RefCell;

use jpkise_card::{CommandApdu, ResponseApdu};
use jpkise_gp::commands::{delete, install, load, put_key, set_status, store_data};
use jpkise_gp::scp03::ScpError;
use jpkise_gp::workflow::Exchange;
use jpkise_wire::StatusWord;
use serde_json::{json, Map, Value};

use crate::app::App;
use crate::error::CliError;
use crate::i18n::Text;

/// Instructions that change a card. All others only read.
const CHANGING: [u8; 6] = [
    delete::INS_DELETE,
    install::INS_INSTALL,
    load::INS_LOAD,
    put_key::INS_PUT_KEY,
    set_status::INS_SET_STATUS,
    store_data::INS_STORE_DATA,
];

/// Whether a command changes a card.
pub fn changes(command: &CommandApdu) -> bool {
    command.cla & 0x80 != 0 && CHANGING.contains(&command.ins)
}

/// A plan under way.
pub struct Plan<'a> {
    app: &'a App,
    steps: Vec<Value>,
    commands: RefCell<Vec<String>>,
}

impl<'a> Plan<'a> {
    /// An empty one.
    pub fn new(app: &'a App) -> Self {
        Self { app, steps: Vec::new(), commands: RefCell::default() }
    }

    /// One more step, said on standard error; with `--dry-run` it is the result.
    pub fn step(&mut self, action: &str, words: &Text, fields: Value) -> Result<(), CliError> {
        let mut object = Map::new();
        object.insert("action".to_owned(), json!(action));
        if let Value::Object(fields) = fields {
            object.extend(fields);
        }
        self.steps.push(Value::Object(object));
        let line = format!("{:3}. {}", self.steps.len(), self.app.messages.say(words));
        if self.app.global.dry_run {
            return self.app.result(&line);
        }
        crate::app::talk_line(&line);
        Ok(())
    }

    /// Asks, unless nothing will be done.
    pub fn consent(&self, question: &Text) -> Result<(), CliError> {
        if self.app.global.dry_run {
            return Ok(());
        }
        self.app.consent(question)
    }

    /// The channel as the workflows shall see it: with `--dry-run` nothing that changes the card goes through.
    pub fn over<'c, X: Exchange>(&'c self, channel: &'c mut X) -> Guarded<'c, 'a, X> {
        Guarded { channel, plan: self }
    }

    /// Remembers a command that is not sent.
    pub fn withhold(&self, command: &CommandApdu) {
        let text = if let Some(secret) = command.secret() {
            format!("{} ({})", hex::encode_upper(command.header()), secret.name())
        } else {
            command.to_bytes().map(|bytes| hex::encode_upper(bytes.as_slice())).unwrap_or_default()
        };
        self.commands.borrow_mut().push(text);
    }

    /// What was done, or would have been.
    pub fn finish(self, result: &Text, fields: Value) -> Result<(), CliError> {
        let mut object = Map::new();
        object.insert("dry_run".to_owned(), json!(self.app.global.dry_run));
        object.insert("plan".to_owned(), Value::Array(self.steps));
        if self.app.global.dry_run {
            let commands = self.commands.into_inner();
            for command in &commands {
                self.app.result(&format!("     {command}"))?;
            }
            object.insert("commands".to_owned(), json!(commands));
            self.app.result(&self.app.messages.get("gp-dry-run"))?;
        } else {
            if let Value::Object(fields) = fields {
                object.extend(fields);
            }
            self.app.result(&self.app.messages.say(result))?;
        }
        self.app.json(&Value::Object(object))
    }
}

/// A channel behind a plan.
pub struct Guarded<'c, 'a, X> {
    channel: &'c mut X,
    plan: &'c Plan<'a>,
}

impl<X: Exchange> Exchange for Guarded<'_, '_, X> {
    fn exchange(&mut self, command: &CommandApdu) -> Result<ResponseApdu, ScpError> {
        if self.plan.app.global.dry_run && changes(command) {
            self.plan.withhold(command);
            return Ok(ResponseApdu::new([0], StatusWord::SUCCESS));
        }
        self.channel.exchange(command)
    }

    fn max_data(&self) -> usize {
        self.channel.max_data()
    }
}
