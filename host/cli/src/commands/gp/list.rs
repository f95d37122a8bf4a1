//! `jpkise gp list`: the registry as a tree of domains.

use jpkise_gp::registry::{Entry, Kind, Registry};
use jpkise_gp::workflow::read_registry;
use jpkise_wire::Aid;
use serde_json::json;

use super::{info, words, Gp};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Lists the card. One channel, three or more GET STATUS.
pub fn run(gp: &Gp<'_>) -> Result<(), CliError> {
    gp.with_best_channel(|channel, keys| {
        let registry = read_registry(channel)?;
        let test_keys = keys.source.has_published_key();
        let mut object = json!({
            "issuer_domain": registry.issuer.as_ref().map(words::object),
            "applications": registry.applications.iter().map(words::object).collect::<Vec<_>>(),
            "load_files": registry.load_files.iter().map(words::object).collect::<Vec<_>>(),
            "partial": registry.partial,
            "test_keys": test_keys,
        });
        object["session"] = info::session(channel);
        gp.app.json(&object)?;
        for line in tree(gp, &registry) {
            gp.app.result(&line)?;
        }
        if test_keys {
            gp.line(&Text::new("gp-test-keys-open"))?;
        }
        if registry.partial {
            return Err(CliError::new(Exit::Partial, Text::new("err-partial-list"))
                .next(Text::new("rec-partial-list")));
        }
        Ok(())
    })
}

/// What goes below a line.
struct Node {
    text: String,
    children: Vec<Node>,
}

fn tree(gp: &Gp<'_>, registry: &Registry) -> Vec<String> {
    let mut lines = Vec::new();
    for root in roots(gp, registry) {
        lines.push(root.text);
        draw(&root.children, "", &mut lines);
    }
    lines
}

fn draw(nodes: &[Node], indent: &str, lines: &mut Vec<String>) {
    for (index, node) in nodes.iter().enumerate() {
        let last = index + 1 == nodes.len();
        let (branch, below) = if last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        lines.push(format!("{indent}{branch}{}", node.text));
        draw(&node.children, &format!("{indent}{below}"), lines);
    }
}

/// The issuer's domain with everything that names no other domain of this list, then domains that name themselves.
fn roots(gp: &Gp<'_>, registry: &Registry) -> Vec<Node> {
    let issuer = registry.issuer.as_ref();
    let mut placed = Vec::new();
    let mut roots = Vec::new();
    if let Some(entry) = issuer {
        roots.push(domain(gp, registry, entry, &mut placed));
    }
    // A supplementary domain sees no issuer; a domain may be its own parent.
    for entry in registry.domains() {
        if !placed.contains(&entry.aid) {
            roots.push(domain(gp, registry, entry, &mut placed));
        }
    }
    for entry in registry.applications.iter().chain(&registry.load_files) {
        if !placed.contains(&entry.aid) {
            placed.push(entry.aid);
            roots.push(leaf(gp, entry));
        }
    }
    roots
}

fn domain(gp: &Gp<'_>, registry: &Registry, entry: &Entry, placed: &mut Vec<Aid>) -> Node {
    placed.push(entry.aid);
    let is_issuer = entry.life_cycle.kind == Kind::IssuerDomain;
    let member = |e: &&Entry| match e.domain {
        Some(domain) => domain == entry.aid && e.aid != domain,
        // Cards that tell no domain mean their issuer's.
        None => is_issuer,
    };
    let mut children = Vec::new();
    let members: Vec<&Entry> =
        registry.load_files.iter().chain(&registry.applications).filter(member).collect();
    for child in members {
        if placed.contains(&child.aid) {
            continue;
        }
        if child.life_cycle.kind == Kind::Domain {
            children.push(domain(gp, registry, child, placed));
        } else {
            placed.push(child.aid);
            children.push(leaf(gp, child));
        }
    }
    Node { text: line(gp, entry), children }
}

fn leaf(gp: &Gp<'_>, entry: &Entry) -> Node {
    let modules = entry.modules.iter().map(|aid| Node {
        text: gp.app.messages.say(&Text::new("gp-entry-module").with("aid", words::named(aid))),
        children: Vec::new(),
    });
    Node { text: line(gp, entry), children: modules.collect() }
}

fn line(gp: &Gp<'_>, entry: &Entry) -> String {
    let mut line = gp.app.messages.say(&words::entry(entry));
    let mut more = Vec::new();
    // An issuer's domain has nearly all of them, and a domain is one: `gp status AID` shows the whole list.
    if let Some(privileges) = entry.privileges.filter(|_| entry.life_cycle.kind != Kind::IssuerDomain) {
        let names = privileges.names().filter(|name| *name != "security-domain");
        let names: Vec<_> = names.map(|name| words::privilege(gp.app, name)).collect();
        if !names.is_empty() {
            more.push(names.join(&gp.app.messages.get("list-separator")));
        }
    }
    if let Some(load_file) = entry.load_file {
        more.push(gp.app.messages.say(&Text::new("gp-from-load-file").with("aid", load_file)));
    }
    if !more.is_empty() {
        line.push_str("  – ");
        line.push_str(&more.join("; "));
    }
    line
}

/// Everything about one entry, a line each.
pub fn details(gp: &Gp<'_>, entry: &Entry) -> Result<(), CliError> {
    if let Some(privileges) = entry.privileges {
        let names = words::privileges(gp.app, privileges);
        gp.field("gp-field-privileges", format!("{privileges} {names}").trim_end())?;
    }
    for (name, aid) in [("gp-field-load-file", entry.load_file), ("gp-field-domain", entry.domain)] {
        if let Some(aid) = aid {
            gp.field(name, words::named(&aid))?;
        }
    }
    for module in &entry.modules {
        gp.field("gp-field-module", words::named(module))?;
    }
    Ok(())
}
