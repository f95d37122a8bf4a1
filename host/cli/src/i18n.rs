//! Messages in Japanese and English: Fluent bundles compiled into the binary.
//!
//! Data apart from words: the libraries give keys and fields, the sentences live in `i18n/{en,ja}/*.ftl`. A test holds
//! the two languages to the same set of messages.

use std::borrow::Cow;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource, FluentValue};
use unic_langid::{langid, LanguageIdentifier};

/// The files of one language.
type Sources = &'static [(&'static str, &'static str)];

macro_rules! sources {
    ($language:literal) => {
        &[
            ("cli.ftl", include_str!(concat!("../i18n/", $language, "/cli.ftl"))),
            ("help.ftl", include_str!(concat!("../i18n/", $language, "/help.ftl"))),
            ("demo.ftl", include_str!(concat!("../i18n/", $language, "/demo.ftl"))),
            ("doctor.ftl", include_str!(concat!("../i18n/", $language, "/doctor.ftl"))),
            ("errors.ftl", include_str!(concat!("../i18n/", $language, "/errors.ftl"))),
            ("gp.ftl", include_str!(concat!("../i18n/", $language, "/gp.ftl"))),
            ("jpki.ftl", include_str!(concat!("../i18n/", $language, "/jpki.ftl"))),
            ("ara.ftl", include_str!(concat!("../i18n/", $language, "/ara.ftl"))),
            ("lab.ftl", include_str!(concat!("../i18n/", $language, "/lab.ftl"))),
        ]
    };
}

const ENGLISH: Sources = sources!("en");
const JAPANESE: Sources = sources!("ja");

/// Language of everything said to people. Status words and JSON fields are never translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Language {
    /// Japanese.
    Ja,
    /// English.
    En,
}

impl Language {
    /// From the locale of the environment; English unless it names Japanese.
    pub fn from_environment() -> Self {
        match sys_locale::get_locale() {
            Some(locale) if locale.to_ascii_lowercase().starts_with("ja") => Self::Ja,
            _ => Self::En,
        }
    }

    /// Its language tag.
    pub fn tag(self) -> &'static str {
        match self {
            Self::Ja => "ja",
            Self::En => "en",
        }
    }

    fn identifier(self) -> LanguageIdentifier {
        match self {
            Self::Ja => langid!("ja"),
            Self::En => langid!("en"),
        }
    }

    fn sources(self) -> Sources {
        match self {
            Self::Ja => JAPANESE,
            Self::En => ENGLISH,
        }
    }
}

/// A message to be said: its key and the values it carries.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    key: String,
    args: Vec<(Cow<'static, str>, FluentValue<'static>)>,
    nested: Vec<(&'static str, Text)>,
}

impl Text {
    /// The message `key`.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), args: Vec::new(), nested: Vec::new() }
    }

    /// With a string value.
    #[must_use]
    // By value, so that numbers and AIDs need no borrow at every call.
    #[allow(clippy::needless_pass_by_value)]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.args.push((name.into(), FluentValue::from(value.to_string())));
        self
    }

    /// With a string value under a name that is known only now.
    #[must_use]
    pub fn with_named(mut self, name: &str, value: &str) -> Self {
        self.args.push((name.to_owned().into(), FluentValue::from(value.to_owned())));
        self
    }

    /// With a number, so that the message can choose a plural.
    #[must_use]
    pub fn count(mut self, name: &'static str, value: u64) -> Self {
        self.args.push((name.into(), FluentValue::from(value)));
        self
    }

    /// With another message as a value.
    #[must_use]
    pub fn nested(mut self, name: &'static str, value: Self) -> Self {
        self.nested.push((name, value));
        self
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The messages of one language.
pub struct Messages {
    bundle: FluentBundle<FluentResource>,
    language: Language,
}

impl Messages {
    /// Loads the language's files.
    pub fn new(language: Language) -> Self {
        let mut bundle = FluentBundle::new_concurrent(vec![language.identifier()]);
        // Terminals show the direction marks as boxes.
        bundle.set_use_isolating(false);
        for (_, source) in language.sources() {
            // A malformed line loses that message only; the tests refuse such files.
            let resource = match FluentResource::try_new((*source).to_owned()) {
                Ok(resource) | Err((resource, _)) => resource,
            };
            bundle.add_resource_overriding(resource);
        }
        Self { bundle, language }
    }

    /// The language.
    pub fn language(&self) -> Language {
        self.language
    }

    /// Whether there is such a message.
    pub fn has(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    /// The message as text. An unknown key comes back as itself: visible, and harmless.
    pub fn say(&self, text: &Text) -> String {
        let Some(pattern) = self.bundle.get_message(&text.key).and_then(|m| m.value()) else {
            return text.key.clone();
        };
        let mut args = FluentArgs::new();
        for (name, value) in &text.args {
            args.set(name.clone(), value.clone());
        }
        for (name, value) in &text.nested {
            args.set(*name, self.say(value));
        }
        self.bundle.format_pattern(pattern, Some(&args), &mut Vec::new()).into_owned()
    }

    /// A message without values.
    pub fn get(&self, key: &str) -> String {
        self.say(&Text::new(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fluent_bundle::FluentResource;
    use std::collections::{BTreeMap, BTreeSet};

    /// Message key -> the variables it uses, by a scan of the source.
    fn keys(sources: Sources) -> BTreeMap<String, BTreeSet<String>> {
        let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, source) in sources {
            FluentResource::try_new((*source).to_owned()).unwrap_or_else(|(_, e)| panic!("{file}: {e:?}"));
            let mut current = String::new();
            for line in source.lines() {
                if let Some((key, _)) = line.split_once(" =") {
                    if !line.starts_with([' ', '#', '.']) && !line.starts_with('-') {
                        current = key.to_owned();
                        assert!(
                            all.insert(current.clone(), BTreeSet::new()).is_none(),
                            "{file}: {key} twice"
                        );
                    }
                }
                if line.starts_with('#') {
                    continue;
                }
                for piece in line.split('$').skip(1) {
                    let name: String =
                        piece.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
                    all.get_mut(&current).unwrap().insert(name);
                }
            }
        }
        all
    }

    #[test]
    fn both_languages_have_the_same_messages_with_the_same_values() {
        let (english, japanese) = (keys(ENGLISH), keys(JAPANESE));
        let missing: Vec<_> = english.keys().filter(|k| !japanese.contains_key(*k)).collect();
        assert!(missing.is_empty(), "not in ja: {missing:?}");
        let missing: Vec<_> = japanese.keys().filter(|k| !english.contains_key(*k)).collect();
        assert!(missing.is_empty(), "not in en: {missing:?}");
        for (key, variables) in &english {
            assert_eq!(variables, &japanese[key], "{key} uses other values in ja");
        }
    }

    #[test]
    fn japanese_messages_are_japanese() {
        for (file, source) in JAPANESE {
            for line in source.lines().filter(|l| l.contains(" = ") && !l.starts_with('#')) {
                let value = line.split_once(" = ").unwrap().1;
                let wordy = value.split_whitespace().filter(|w| w.len() > 3).count() > 4;
                assert!(!wordy || !value.is_ascii(), "{file}: still English: {line}");
            }
        }
    }

    #[test]
    fn values_are_put_into_the_sentence_without_direction_marks() {
        let english = Messages::new(Language::En);
        let text = Text::new("reader-line").with("index", 0).with("name", "R").with("card", "x");
        assert_eq!(english.say(&text), "0  R  x");
        assert_eq!(english.get("no-such-message"), "no-such-message");
    }

    #[test]
    fn every_cause_of_a_refusal_has_its_words_in_both_languages() {
        for language in [Language::En, Language::Ja] {
            let messages = Messages::new(language);
            for cause in jpkise_gp::explain::Cause::ALL {
                for key in [cause.key(), cause.next_key()] {
                    assert!(messages.has(key), "{language:?}: {key}");
                }
            }
            for name in jpkise_gp::registry::Privileges::known_names() {
                assert!(messages.has(&format!("privilege-{name}")), "{language:?}: {name}");
            }
        }
    }
}
