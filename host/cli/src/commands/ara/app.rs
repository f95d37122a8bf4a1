//! The app that the flags name: its certificates, their hashes, and which of them a rule should carry.

use std::path::Path;

use jpkise_gp::ara::file::{parse_app, AppText};
use jpkise_gp::ara::DeviceApp;
use jpkise_omapi::apk::{ApkError, ApkSignatures, Certificate, Role, Scheme, Verification};
use serde_json::{json, Value};

use crate::app::App;
use crate::args::AppArgs;
use crate::error::CliError;
use crate::exit::Exit;
use crate::explain::file_not_read;
use crate::i18n::Text;

impl AppArgs {
    /// Whether no app is named.
    pub fn is_empty(&self) -> bool {
        self.apk.is_none() && self.cert.is_none() && self.hash.is_empty()
    }
}

/// What is known of one certificate.
struct Key {
    /// Absent where only a hash was given.
    certificate: Option<Certificate>,
    hashes: Vec<DeviceApp>,
    role: KeyRole,
    scheme: Option<Scheme>,
}

/// What a certificate is to the app.
#[derive(Clone, Copy, PartialEq, Eq)]
enum KeyRole {
    /// By an APK's signatures.
    Apk(Role),
    /// The certificate was given itself.
    Given,
    /// Only a hash was given.
    Hash,
}

impl KeyRole {
    fn name(self) -> &'static str {
        match self {
            Self::Apk(role) => role.name(),
            Self::Given => "given",
            Self::Hash => "hash",
        }
    }

    /// Whether Android's enforcer compares rules with it.
    fn is_compared(self) -> bool {
        match self {
            Self::Apk(role) => role.is_used(),
            Self::Given | Self::Hash => true,
        }
    }

    /// Whether a rule is written for it. The newest key of a rotated app gets one beside the oldest: Android hands out the
    /// oldest today, and an enforcer that asks for the signer of today, or an app signed without its lineage tomorrow,
    /// must not fall into a gap.
    fn is_in_rule(self) -> bool {
        self.is_compared() || matches!(self, Self::Apk(Role::NewestOfLineage))
    }
}

/// The app that the flags name.
pub struct NamedApp {
    /// The file, or nothing.
    pub name: Option<String>,
    keys: Vec<Key>,
    verified: Option<bool>,
}

impl NamedApp {
    /// Reads what the flags name.
    pub fn find(arguments: &AppArgs) -> Result<Self, CliError> {
        if let Some(path) = &arguments.apk {
            Self::of_apk(path, arguments.unverified)
        } else if let Some(path) = &arguments.cert {
            Self::of_certificate(path)
        } else if arguments.hash.is_empty() {
            Err(CliError::new(Exit::Usage, Text::new("err-ara-which-app"))
                .next(Text::new("rec-ara-which-app")))
        } else {
            let hash = |text: &String| {
                let hashes = vec![parse_hash(text)?];
                Ok(Key { certificate: None, hashes, role: KeyRole::Hash, scheme: None })
            };
            let keys = arguments.hash.iter().map(hash).collect::<Result<_, CliError>>()?;
            Ok(Self { name: None, keys, verified: None })
        }
    }

    fn of_apk(path: &Path, unverified: bool) -> Result<Self, CliError> {
        let bytes = std::fs::read(path).map_err(|e| file_not_read(path, &e))?;
        let verification = if unverified { Verification::Skip } else { Verification::Full };
        let signatures =
            ApkSignatures::read(&bytes, verification).map_err(|error| refused_apk(path, &error))?;
        let key = |candidate: jpkise_omapi::apk::Candidate| Key {
            hashes: vec![candidate.certificate.sha1(), candidate.certificate.sha256()],
            certificate: Some(candidate.certificate),
            role: KeyRole::Apk(candidate.role),
            scheme: Some(candidate.scheme),
        };
        let keys = signatures.candidates().into_iter().map(key).collect();
        Ok(Self { name: Some(path.display().to_string()), keys, verified: Some(!unverified) })
    }

    fn of_certificate(path: &Path) -> Result<Self, CliError> {
        let bytes = std::fs::read(path).map_err(|e| file_not_read(path, &e))?;
        let certificate = Certificate::from_file(&bytes).map_err(|error| {
            CliError::new(Exit::Usage, Text::new("err-ara-certificate").with("path", path.display()))
                .detail(error.to_string())
        })?;
        let hashes = vec![certificate.sha1(), certificate.sha256()];
        let key = Key { certificate: Some(certificate), hashes, role: KeyRole::Given, scheme: None };
        Ok(Self { name: Some(path.display().to_string()), keys: vec![key], verified: None })
    }

    /// The hashes that Android's enforcer tries, in its order.
    pub fn compared(&self) -> Vec<DeviceApp> {
        self.keys.iter().filter(|k| k.role.is_compared()).flat_map(|k| k.hashes.clone()).collect()
    }

    /// Every hash of every certificate: what a rule for the app may name.
    pub fn all_hashes(&self) -> Vec<DeviceApp> {
        self.keys.iter().flat_map(|key| key.hashes.clone()).collect()
    }

    /// What rules for the app name: of each certificate the SHA-256 hash, or the SHA-1 hash where that is asked for.
    pub fn rule_apps(&self, sha1: bool) -> Result<Vec<DeviceApp>, CliError> {
        let of = |key: &Key| {
            let wanted = |hash: &&DeviceApp| matches!(hash, DeviceApp::Sha1(_)) == sha1;
            let only = (key.hashes.len() == 1 && !sha1).then(|| &key.hashes[0]);
            key.hashes.iter().find(wanted).or(only).copied().ok_or_else(|| {
                CliError::new(Exit::Usage, Text::new("err-ara-no-sha1")).next(Text::new("rec-ara-no-sha1"))
            })
        };
        self.keys.iter().filter(|key| key.role.is_in_rule()).map(of).collect()
    }

    /// Every candidate hash with what it is and whether a rule uses it.
    pub fn lines(&self, app: &App) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(name) = &self.name {
            let key = match self.verified {
                Some(true) => "ara-app-verified",
                Some(false) => "ara-app-unverified",
                None => "ara-app-file",
            };
            lines.push(app.messages.say(&Text::new(key).with("name", name)));
        }
        for key in &self.keys {
            let role = Text::new(format!("ara-role-{}", key.role.name()));
            let scheme = key.scheme.map_or(String::new(), |scheme| format!(" ({scheme})"));
            lines.push(format!("  {}{scheme}", app.messages.say(&role)));
            if let Some(certificate) = &key.certificate {
                lines.push(format!("    {}", certificate.subject()));
            }
            for hash in &key.hashes {
                let mark = match (key.role.is_in_rule(), hash) {
                    (true, DeviceApp::Sha256(_)) => " ←",
                    (true, _) if key.hashes.len() == 1 => " ←",
                    _ => "",
                };
                lines.push(format!("    {hash}{mark}"));
            }
        }
        lines.push(app.messages.get("ara-hash-why"));
        lines
    }

    /// The same for machines.
    pub fn json(&self) -> Value {
        let keys = self.keys.iter().map(|key| {
            json!({
                "role": key.role.name(),
                "scheme": key.scheme.map(Scheme::name),
                "subject": key.certificate.as_ref().map(Certificate::subject),
                "hashes": key.hashes.iter().map(ToString::to_string).collect::<Vec<_>>(),
                "compared": key.role.is_compared(),
                "in_rule": key.role.is_in_rule(),
            })
        });
        json!({ "app": self.name, "verified": self.verified, "certificates": keys.collect::<Vec<_>>() })
    }
}

fn parse_hash(text: &str) -> Result<DeviceApp, CliError> {
    let error = match parse_app(text) {
        Ok(DeviceApp::All) | Err(AppText::NoMeaning) => Text::new("err-ara-hash").with("text", text),
        Err(AppText::Length(length)) => Text::new("err-ara-hash-length").with("length", length),
        Ok(hash) => return Ok(hash),
    };
    Err(CliError::new(Exit::Usage, error).next(Text::new("rec-ara-hash")))
}

fn refused_apk(path: &Path, error: &ApkError) -> CliError {
    let (key, next) = match error {
        ApkError::NotAnApk(_) => ("err-apk-none", "rec-apk-none"),
        ApkError::Unsigned => ("err-apk-unsigned", "rec-apk-unsigned"),
        ApkError::Block(_) | ApkError::Malformed { .. } => ("err-apk-malformed", "rec-apk-none"),
        ApkError::Algorithm { .. } => ("err-apk-algorithm", "rec-apk-unverified"),
        _ => ("err-apk-signature", "rec-apk-signature"),
    };
    CliError::new(Exit::Usage, Text::new(key).with("path", path.display()))
        .detail(error.to_string())
        .next(Text::new(next))
}
