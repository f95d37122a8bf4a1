//! `jpkise gp install`: delete what is replaced, load, install, make selectable, hand over; one command for the user.

use std::path::PathBuf;

use jpkise_gp::commands::install::ForInstall;
use jpkise_gp::registry::{Privileges, Registry};
use jpkise_gp::workflow::{self, plan_deletion, Deletion, Exchange, LevelChoice};
use jpkise_gp::GpError;
use jpkise_wire::Aid;
use serde_json::{json, Value};

use super::load::{plan_removal, Content, Package};
use super::work::Plan;
use super::{words, Gp};
use crate::args::gp::InstallArgs;
use crate::args::Bytes;
use crate::commands::ara::{install_with_rules, AppletRules};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;
use crate::keys::Channel;

/// Installs.
pub fn install(gp: &Gp<'_>, arguments: &InstallArgs) -> Result<(), CliError> {
    let package = match &arguments.cap {
        Some(path) => Some(Package::read(gp, path, &arguments.how)?),
        None => None,
    };
    // A module that the CAP does not have shows before any card is touched.
    let from_cap = match &package {
        None => None,
        Some(package) => {
            let modules = package.cap.applet.iter().flat_map(|c| &c.applets);
            let modules: Vec<Aid> = modules.filter_map(|m| Aid::new(m.aid.as_bytes()).ok()).collect();
            Some(choose(&modules, arguments.module, package.aid())?)
        }
    };
    // Parameters may hold secrets; a load file does not.
    let secret =
        package.is_none() || !arguments.parameters.is_empty() || !arguments.system_parameters.is_empty();
    let level = if secret { LevelChoice::Best } else { LevelChoice::Integrity };
    gp.with_channel(level, |channel, _| {
        if let (Some(package), Some(module)) = (&package, from_cap) {
            let content = Content::read(channel, true)?;
            let instance = arguments.instance.unwrap_or(module);
            let removal = package.check(gp, &content, &arguments.how, vec![instance])?;
            let new = request(package.aid(), module, instance, arguments);
            let rules = rules(channel, &content.registry, &removal, instance, arguments)?;
            carry_out(gp, channel, arguments, Some(package), &removal, &new, rules.as_ref())
        } else {
            let registry = workflow::read_registry(channel)?;
            let load_file =
                arguments.package.ok_or_else(|| CliError::new(Exit::Usage, Text::new("err-usage")))?;
            let module = on_card(&registry, load_file, arguments.module)?;
            let instance = arguments.instance.unwrap_or(module);
            let removal = free(&registry, instance, arguments.how.replace)?;
            let new = request(load_file, module, instance, arguments);
            let rules = rules(channel, &registry, &removal, instance, arguments)?;
            carry_out(gp, channel, arguments, None, &removal, &new, rules.as_ref())
        }
    })
}

/// The plan for the access rules, where a file gives them.
fn rules(
    channel: &mut Channel<'_, '_>,
    registry: &Registry,
    removal: &Deletion,
    instance: Aid,
    arguments: &InstallArgs,
) -> Result<Option<AppletRules>, CliError> {
    let coming = |file: &PathBuf| AppletRules::coming(channel, registry, removal, instance, file);
    arguments.ara_rules.as_ref().map(coming).transpose()
}

/// The module named, or the only one.
fn choose(modules: &[Aid], named: Option<Aid>, package: Aid) -> Result<Aid, CliError> {
    let list = || modules.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match (named, modules) {
        (Some(named), _) if modules.contains(&named) => Ok(named),
        (Some(named), _) => {
            let text =
                Text::new("err-no-module").with("module", named).with("aid", package).with("modules", list());
            Err(CliError::new(Exit::Usage, text))
        }
        (None, [only]) => Ok(*only),
        (None, []) => Err(CliError::new(Exit::Usage, Text::new("err-no-applet").with("aid", package))
            .next(Text::new("rec-no-applet"))),
        (None, _) => Err(CliError::new(Exit::Usage, Text::new("err-which-applet")).detail(list())),
    }
}

/// The module of a package on the card. A card that lists no modules is believed.
fn on_card(registry: &Registry, package: Aid, named: Option<Aid>) -> Result<Aid, CliError> {
    let entry = registry.load_files.iter().find(|e| e.aid == package);
    match (entry, named) {
        (Some(entry), named) if !entry.modules.is_empty() => choose(&entry.modules, named, package),
        (_, Some(named)) => Ok(named),
        (None, None) if !registry.partial => {
            Err(CliError::new(Exit::Refused, Text::new("err-not-on-card").with("aid", package))
                .next(Text::new("rec-not-on-card")))
        }
        _ => Err(CliError::new(Exit::Usage, Text::new("err-which-applet"))),
    }
}

/// Whether the instance's AID is free, or what has to go for it.
fn free(registry: &Registry, instance: Aid, replace: bool) -> Result<Deletion, CliError> {
    match registry.find(&instance) {
        None => Ok(Deletion::default()),
        Some(_) if replace => plan_deletion(registry, instance, false).map_err(super::delete::refused),
        Some(_) => Err(CliError::new(Exit::Refused, Text::new("err-preflight").count("count", 1))
            .next(Text::new("obstacle-instance-exists").with("aid", instance))),
    }
}

fn request(load_file: Aid, module: Aid, instance: Aid, arguments: &InstallArgs) -> ForInstall {
    let joined = |parts: &[Bytes]| parts.iter().flat_map(|b| b.0.iter().copied()).collect::<Vec<u8>>();
    let mut new = ForInstall::new(load_file, module, instance)
        .with_privileges(arguments.privileges.unwrap_or(Privileges::NONE))
        .with_parameters(joined(&arguments.parameters));
    new.system_parameters = joined(&arguments.system_parameters);
    new
}

fn carry_out(
    gp: &Gp<'_>,
    channel: &mut impl Exchange,
    arguments: &InstallArgs,
    package: Option<&Package>,
    removal: &Deletion,
    new: &ForInstall,
    rules: Option<&AppletRules>,
) -> Result<(), CliError> {
    let mut plan = Plan::new(gp.app);
    if let Some(rules) = rules {
        rules.plan_leaving(&mut plan)?;
    }
    plan_removal(&mut plan, removal)?;
    if let Some(package) = package {
        package.plan(&mut plan, None)?;
    }
    plan_install(gp, &mut plan, new, arguments)?;
    if let Some(rules) = rules {
        rules.plan_coming(&mut plan)?;
    }
    if !removal.steps.is_empty() {
        plan.consent(&Text::new("gp-ask-replace"))?;
    }
    let mut guarded = plan.over(channel);
    let replaced = super::delete::remove(&mut guarded, removal, rules)?;
    let mut object = json!({ "load_file": new.load_file.to_string() });
    if let Some(package) = package {
        let sent = package.send(gp, &mut guarded, &arguments.how, None)?;
        object = package.object(&sent);
    }
    let installed = match rules {
        Some(rules) => install_with_rules(&mut guarded, rules, new),
        None if arguments.not_selectable => workflow::install_only(&mut guarded, new).map_err(CliError::from),
        None => workflow::install(&mut guarded, new).map_err(CliError::from),
    };
    if let Err(error) = installed {
        if package.is_some() && error.sw.is_some() {
            take_back(gp, &mut guarded, new.load_file);
        }
        return Err(error);
    }
    if let Some(domain) = arguments.how.domain {
        hand_over(gp, &mut guarded, new.application, domain)?;
    }
    object["module"] = json!(new.module.to_string());
    object["instance"] = json!(new.application.to_string());
    object["domain"] = arguments.how.domain.map_or(Value::Null, |aid| json!(aid.to_string()));
    object["replaced"] = json!(replaced);
    let key = if arguments.not_selectable { "gp-installed-only" } else { "gp-installed" };
    plan.finish(&Text::new(key).with("aid", words::named(&new.application)), object)
}

fn plan_install(
    gp: &Gp<'_>,
    plan: &mut Plan<'_>,
    new: &ForInstall,
    arguments: &InstallArgs,
) -> Result<(), CliError> {
    let text = Text::new("gp-plan-install")
        .with("aid", words::named(&new.application))
        .with("module", new.module)
        .with("load_file", new.load_file);
    let fields = json!({
        "instance": new.application.to_string(),
        "module": new.module.to_string(),
        "load_file": new.load_file.to_string(),
        "privileges": new.privileges.names().collect::<Vec<_>>(),
        "selectable": !arguments.not_selectable,
    });
    plan.step("install", &text, fields)?;
    if new.privileges != Privileges::NONE {
        let names = words::privileges(gp.app, new.privileges);
        gp.app.talk(&Text::new("gp-plan-privileges").with("privileges", names));
    }
    if let Some(domain) = arguments.how.domain {
        let text =
            Text::new("gp-plan-extradite").with("aid", new.application).with("domain", words::named(&domain));
        plan.step(
            "extradite",
            &text,
            json!({ "object": new.application.to_string(), "domain": domain.to_string() }),
        )?;
    }
    Ok(())
}

/// A load file whose applet does not install is of no use: the card shall be as it was.
fn take_back(gp: &Gp<'_>, channel: &mut impl Exchange, load_file: Aid) {
    let key = match workflow::delete(channel, load_file, false) {
        Ok(()) => "gp-taken-back",
        Err(_) => "gp-not-taken-back",
    };
    gp.app.talk(&Text::new(key).with("aid", load_file));
}

/// Cards put a new instance into the domain of its load file or into the one that installed it.
fn hand_over(gp: &Gp<'_>, channel: &mut impl Exchange, instance: Aid, domain: Aid) -> Result<(), CliError> {
    if !gp.app.global.dry_run {
        let there = workflow::read_entry(channel, &instance)?;
        if there.and_then(|entry| entry.domain) == Some(domain) {
            return Ok(());
        }
    }
    workflow::extradite(channel, instance, domain).map_err(|error: GpError| {
        let mut error = CliError::from(error);
        error.exit = Exit::Partial;
        error.next(Text::new("rec-extradite").with("aid", instance).with("domain", domain))
    })
}
