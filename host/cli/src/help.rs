//! Help texts from the Fluent bundles, put over clap's own.

use clap::{Arg, ArgAction, Command, CommandFactory};

use crate::args::Cli;
use crate::i18n::Messages;

/// Message key of the program's own description; a command's is this and its path.
const ROOT: &str = "help";

/// Order on the page: a command's own options first, then those of every command, then help.
const SHARED_OPTIONS: usize = 100;
const GLOBAL_OPTIONS: usize = 200;
const BUILT_IN: usize = 300;

/// The command with every description and heading in the language of `messages`.
pub fn localized(messages: &Messages) -> Command {
    walk(Cli::command(), messages, ROOT)
}

fn walk(command: Command, messages: &Messages, path: &str) -> Command {
    let arguments: Vec<String> = command.get_arguments().map(|a| a.get_id().to_string()).collect();
    let verbs: Vec<String> = command.get_subcommands().map(|c| c.get_name().to_owned()).collect();
    let mut command = command
        .about(messages.get(path))
        .help_template(template(messages, &verbs))
        .subcommand_help_heading(messages.get("heading-commands"));
    for (position, id) in arguments.into_iter().enumerate() {
        command = command.mut_arg(&id, |argument| {
            let takes_value = argument.get_action().takes_values();
            // Flags that several commands share come in groups, named where they are defined.
            let group_name = argument.get_help_heading().map(|name| format!("heading-{name}"));
            let heading = match &group_name {
                Some(heading) => heading,
                None if argument.is_positional() => "heading-arguments",
                None => "heading-options",
            };
            let group = match (&group_name, argument.is_global_set()) {
                (Some(_), _) => SHARED_OPTIONS,
                (None, true) => GLOBAL_OPTIONS,
                (None, false) => 0,
            };
            let argument = argument
                .help(messages.get(&help_key(messages, path, &id)))
                .help_heading(messages.get(heading))
                .display_order(group + position);
            // The help text names values and variables itself, in its own language and on one line.
            if takes_value {
                argument.hide_possible_values(true).hide_env(true)
            } else {
                argument
            }
        });
    }
    for verb in verbs {
        let inner = format!("{path}-{verb}");
        command = command.mut_subcommand(&verb, |c| walk(c, messages, &inner));
    }
    let builtin = |name: &'static str, short: char, action: ArgAction| {
        Arg::new(name)
            .short(short)
            .long(name)
            .action(action)
            .display_order(BUILT_IN)
            .help(messages.get(&format!("arg-{name}")))
            .help_heading(messages.get("heading-options"))
    };
    command = command.disable_help_flag(true).arg(builtin("help", 'h', ArgAction::Help));
    if path == ROOT {
        command = command.disable_version_flag(true).arg(builtin("version", 'V', ArgAction::Version));
    }
    command
}

/// Message of a flag: the command's own (`arg-gp-delete-aid`), its noun's (`arg-gp-aid`), or the one of every command that
/// has a flag of this name (`arg-aid`).
fn help_key(messages: &Messages, path: &str, id: &str) -> String {
    let id = id.replace('_', "-");
    let mut scope = path.strip_prefix(ROOT).unwrap_or(path).trim_start_matches('-');
    loop {
        let key = if scope.is_empty() { format!("arg-{id}") } else { format!("arg-{scope}-{id}") };
        if scope.is_empty() || messages.has(&key) {
            return key;
        }
        scope = scope.rsplit_once('-').map_or("", |(outer, _)| outer);
    }
}

fn template(messages: &Messages, verbs: &[String]) -> String {
    let usage = messages.get("heading-usage");
    let commands = messages.get("heading-commands");
    let options = messages.get("heading-options");
    if verbs.is_empty() {
        format!("{{about}}\n\n{usage} {{usage}}\n\n{{all-args}}\n")
    } else {
        format!("{{about}}\n\n{usage} {{usage}}\n\n{commands}:\n{{subcommands}}\n\n{options}:\n{{options}}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::Language;

    fn collect(messages: &Messages, command: &Command, path: &str, keys: &mut Vec<String>) {
        keys.push(path.to_owned());
        keys.extend(command.get_arguments().map(|a| help_key(messages, path, a.get_id().as_str())));
        for sub in command.get_subcommands() {
            collect(messages, sub, &format!("{path}-{}", sub.get_name()), keys);
        }
    }

    #[test]
    fn every_command_and_flag_has_help_in_both_languages() {
        for language in [Language::En, Language::Ja] {
            let messages = Messages::new(language);
            let mut keys = Vec::new();
            collect(&messages, &Cli::command(), "help", &mut keys);
            let missing: Vec<_> = keys.iter().filter(|k| !messages.has(k)).collect();
            assert!(missing.is_empty(), "{language:?}: {missing:?}");
        }
    }

    #[test]
    fn a_page_shows_its_own_options_before_those_of_every_command() {
        let mut command = localized(&Messages::new(Language::En));
        for (path, order) in [
            (&[][..], &["Commands:", "Options:", "--reader", "--help", "--version"][..]),
            (&["demo"], &["Options:", "--out", "--token", "--reader", "--verbose", "--help"]),
            (&["trace", "show"], &["Arguments:", "<FILE>  ", "Options:", "--reader", "--help"]),
            (&["cap"], &["Commands:", "  build  ", "Options:", "--reader", "--help"]),
        ] {
            command.build();
            let page = path.iter().fold(&mut command, |c, name| c.find_subcommand_mut(name).unwrap());
            let text = page.render_help().to_string();
            let places: Vec<_> = order.iter().map(|word| text.find(word)).collect();
            assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{path:?}: {text}");
        }
    }

    #[test]
    fn the_localized_command_is_well_formed() {
        for language in [Language::En, Language::Ja] {
            localized(&Messages::new(language)).debug_assert();
        }
    }
}
