//! `--dry-run`: the commands that would be sent, in order, without their secrets.

use jpkise_card::names::command_name;
use jpkise_card::{CommandApdu, Expected, SecretKind};
use jpkise_jpki::edge::{admin, data, file, reference, signature, Ef, KeyRef, Offset, Scheme, Target};
use jpkise_wire::Aid;
use serde_json::{json, Value};

use crate::app::App;
use crate::error::CliError;
use crate::i18n::Text;

/// Commands gathered.
pub struct Dry<'a> {
    app: &'a App,
    lines: Vec<(String, String, bool)>,
}

impl<'a> Dry<'a> {
    /// None yet.
    pub fn new(app: &'a App) -> Self {
        Self { app, lines: Vec::new() }
    }

    /// A command in clear.
    pub fn clear(&mut self, command: &CommandApdu) {
        self.push(command, false);
    }

    /// A command in the SP-TSM's channel, shown as it is before wrapping.
    pub fn secured(&mut self, command: &CommandApdu) {
        self.push(command, true);
    }

    fn push(&mut self, command: &CommandApdu, secured: bool) {
        let shown = match command.secret() {
            Some(kind) => format!("{} ({})", hex::encode_upper(command.header()), kind.name()),
            None => command.to_bytes().map(|b| hex::encode_upper(b.as_slice())).unwrap_or_default(),
        };
        self.lines.push((command_name(command.header()).into_owned(), shown, secured));
    }

    /// SELECT of the application.
    pub fn select(&mut self, aid: &Aid) {
        self.clear(&file::select_application(aid));
    }

    /// VERIFY of a key's PIN or password, asked for its tries before and after.
    pub fn verify(&mut self, key: KeyRef) {
        let kind = match key {
            KeyRef::Auth => SecretKind::Pin,
            KeyRef::Sign => SecretKind::Password,
        };
        self.clear(&file::select_ef(key.secret_ef()));
        self.clear(&reference::tries_left(Target::Current));
        self.clear(&reference::verify_bytes(Target::Current, kind, &[]));
        self.clear(&reference::tries_left(Target::Current));
    }

    /// The first READ BINARY of a file.
    pub fn read(&mut self, ef: Ef) {
        self.clear(&file::select_ef(ef));
        self.clear(&file::read_binary(Offset::ZERO, Expected::ALL_SHORT));
    }

    /// A signature over input of this length.
    pub fn sign(&mut self, key: KeyRef, scheme: Scheme, input: &[u8]) -> Result<(), CliError> {
        self.clear(&file::select_ef(key.key_ef()));
        for command in signature::compute(scheme, Target::Current, input).map_err(super::sign::wrong_input)? {
            self.clear(&command);
        }
        Ok(())
    }

    /// INITIALIZE UPDATE and EXTERNAL AUTHENTICATE.
    pub fn open_channel(&mut self, aid: &Aid, kvn: u8) {
        self.select(aid);
        self.clear(&CommandApdu::new(0x80, 0x50, kvn, 0));
        self.clear(&CommandApdu::new(0x84, 0x82, 0x33, 0));
    }

    /// The attestation that ends every change.
    pub fn attest(&mut self) {
        self.secured(&data::get_attestation(&[0; 16]));
    }

    /// RESET RETRY COUNTER and the app's CHANGE REFERENCE DATA.
    pub fn reset(&mut self, key: KeyRef) {
        self.secured(&admin::reset_retry_counter(key, &[0; 32]));
        self.replace_temporary(key);
    }

    /// The app's CHANGE REFERENCE DATA.
    pub fn replace_temporary(&mut self, key: KeyRef) {
        let kind = match key {
            KeyRef::Auth => SecretKind::Pin,
            KeyRef::Sign => SecretKind::Password,
        };
        let target = Target::Short(key.secret_ef());
        self.clear(&CommandApdu::new(0x00, 0x24, 0x00, target.p2()).hiding(kind));
    }

    /// The commands as JSON.
    pub fn to_json(&self) -> Value {
        let commands: Vec<Value> = self
            .lines
            .iter()
            .map(|(name, command, secured)| json!({ "name": name, "command": command, "secured": secured }))
            .collect();
        json!({ "dry_run": true, "commands": commands })
    }

    /// Shows them; nothing has been sent.
    pub fn show(&self) -> Result<(), CliError> {
        self.app.talk(&Text::new("jpki-dry-run"));
        self.list()?;
        self.app.json(&self.to_json())
    }

    /// The lines alone.
    pub fn list(&self) -> Result<(), CliError> {
        let secured = self.app.messages.get("jpki-dry-secured");
        for (name, command, in_channel) in &self.lines {
            let mark = if *in_channel { secured.as_str() } else { "" };
            self.app.result(format!("  {command}  {name} {mark}").trim_end())?;
        }
        Ok(())
    }
}
