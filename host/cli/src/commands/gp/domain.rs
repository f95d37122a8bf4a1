//! `jpkise gp domain`: create, delete, extradite.

use jpkise_gp::commands::get_data::TAG_CAPABILITIES;
use jpkise_gp::identity::CapabilityInformation;
use jpkise_gp::registry::{Kind, Privileges, Registry};
use jpkise_gp::workflow::{self, read_registry, DomainRequest, Exchange};
use jpkise_wire::Aid;
use serde_json::json;

use super::work::Plan;
use super::{words, Gp};
use crate::args::gp::{DeleteArgs, DomainCreateArgs};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Where cards keep the code of their security domains, by GlobalPlatform's own AIDs and by the older ones of Visa's
/// Open Platform that cards still carry.
const DOMAIN_CODE: [(Aid, Aid); 2] = [
    (DomainRequest::LOAD_FILE, DomainRequest::MODULE),
    (
        Aid::literal([0xA0, 0x00, 0x00, 0x00, 0x03, 0x53, 0x50]),
        Aid::literal([0xA0, 0x00, 0x00, 0x00, 0x03, 0x53, 0x50, 0x41]),
    ),
];

/// Creates a domain.
pub fn create(gp: &Gp<'_>, arguments: &DomainCreateArgs) -> Result<(), CliError> {
    gp.with_best_channel(|channel, _| {
        let registry = read_registry(channel)?;
        if registry.find(&arguments.instance).is_some() {
            return Err(CliError::new(Exit::Refused, Text::new("err-preflight").count("count", 1))
                .next(Text::new("obstacle-instance-exists").with("aid", arguments.instance)));
        }
        let request = request(&registry, arguments);
        check_privileges(gp, channel, request.privileges)?;
        let mut plan = Plan::new(gp.app);
        let text = Text::new("gp-plan-domain")
            .with("aid", words::named(&request.instance))
            .with("privileges", words::privileges(gp.app, request.privileges));
        let fields = json!({
            "domain": request.instance.to_string(),
            "privileges": request.privileges.names().collect::<Vec<_>>(),
            "parameters": hex::encode_upper(&request.parameters),
        });
        plan.step("create-domain", &text, fields)?;
        workflow::create_domain(&mut plan.over(channel), &request)?;
        let done = Text::new("gp-domain-created").with("aid", request.instance);
        plan.finish(&done, json!({ "domain": request.instance.to_string() }))?;
        if !gp.app.global.dry_run {
            gp.app.talk(&Text::new("gp-domain-next").with("aid", request.instance));
        }
        Ok(())
    })
}

fn request(registry: &Registry, arguments: &DomainCreateArgs) -> DomainRequest {
    let mut request = DomainRequest::new(arguments.instance, arguments.i);
    let listed = DOMAIN_CODE.iter().find(|(file, _)| registry.load_files.iter().any(|e| e.aid == *file));
    if let Some((file, module)) = listed {
        (request.load_file, request.module) = (*file, *module);
    }
    if let Some(package) = arguments.package {
        request.load_file = package;
    }
    if let Some(module) = arguments.module {
        request.module = module;
    }
    if let Some(privileges) = arguments.privileges {
        request.privileges = request.privileges.and(privileges);
    }
    if !arguments.parameters.is_empty() {
        request.parameters = arguments.parameters.iter().flat_map(|b| b.0.clone()).collect();
    }
    request
}

/// A card that tells which privileges a domain may have is asked before it refuses.
fn check_privileges(
    gp: &Gp<'_>,
    channel: &mut impl Exchange,
    privileges: Privileges,
) -> Result<(), CliError> {
    if privileges == Privileges::SECURITY_DOMAIN {
        return Ok(());
    }
    let told = workflow::get_data(channel, TAG_CAPABILITIES)?;
    let offered = told.and_then(|b| CapabilityInformation::parse(&b).ok()).and_then(|c| c.domain_privileges);
    if let Some(offered) = offered {
        let held: Vec<_> = offered.names().collect();
        let missing: Vec<_> = privileges.names().filter(|name| !held.contains(name)).collect();
        if !missing.is_empty() {
            gp.app.talk(&Text::new("gp-privileges-not-offered").with("privileges", missing.join(", ")));
        }
    }
    Ok(())
}

/// Deletes domains; anything else is for `gp delete`.
pub fn delete(gp: &Gp<'_>, arguments: &DeleteArgs) -> Result<(), CliError> {
    gp.with_best_channel(|channel, _| {
        let registry = read_registry(channel)?;
        for object in &arguments.objects {
            if let Some(entry) = registry.find(object).filter(|e| e.life_cycle.kind != Kind::Domain) {
                let text = Text::new("err-no-domain")
                    .with("aid", object)
                    .nested("kind", Text::new(format!("gp-kind-{}", words::kind(entry.life_cycle.kind))));
                return Err(CliError::new(Exit::Usage, text));
            }
        }
        super::delete::from(gp, channel, &registry, arguments)
    })
}

/// Hands an application or load file to another domain.
pub fn extradite(gp: &Gp<'_>, object: Aid, domain: Aid) -> Result<(), CliError> {
    gp.with_best_channel(|channel, _| {
        let registry = read_registry(channel)?;
        for aid in [object, domain] {
            if registry.find(&aid).is_none() && !registry.partial {
                return Err(super::delete::refused(workflow::DeletionError::NotOnCard(aid)));
            }
        }
        let mut plan = Plan::new(gp.app);
        let text = Text::new("gp-plan-extradite")
            .with("aid", words::named(&object))
            .with("domain", words::named(&domain));
        plan.step("extradite", &text, json!({ "object": object.to_string(), "domain": domain.to_string() }))?;
        workflow::extradite(&mut plan.over(channel), object, domain)?;
        let done = Text::new("gp-extradited").with("aid", object).with("domain", domain);
        plan.finish(&done, json!({ "object": object.to_string(), "domain": domain.to_string() }))
    })
}
