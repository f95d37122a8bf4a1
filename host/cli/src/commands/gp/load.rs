//! `jpkise gp load`: from a CAP file to a load file on the card, verified before, shown while it goes.

use std::path::Path;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jpkise_cap::exports::{embedded_by_aid, ExportSet};
use jpkise_cap::verify::{verify, Severity};
use jpkise_cap::{Cap, LoadOptions as Components, PackageVersion};
use jpkise_gp::commands::get_data::TAG_EXTENDED_RESOURCES;
use jpkise_gp::identity::{ExtendedResources, HashAlgorithm};
use jpkise_gp::registry::Registry;
use jpkise_gp::workflow::{
    self, plan_deletion, preflight, Deletion, Exchange, LevelChoice, LoadFile, LoadNeeds, Obstacle,
};
use jpkise_gp::{GpError, Progress};
use jpkise_wire::Aid;
use serde_json::json;

use super::work::Plan;
use super::{words, Gp};
use crate::args::gp::{Hash, LoadArgs, LoadOptions};
use crate::error::CliError;
use crate::exit::Exit;
use crate::i18n::Text;

/// Loads.
pub fn run(gp: &Gp<'_>, arguments: &LoadArgs) -> Result<(), CliError> {
    let package = Package::read(gp, &arguments.cap, &arguments.how)?;
    // What a load file says is known to whoever has the CAP: integrity is what the load needs.
    gp.with_channel(LevelChoice::Integrity, |channel, _| {
        // Who else uses the load file matters only when it goes.
        let content = Content::read(channel, arguments.how.replace)?;
        let removal = package.check(gp, &content, &arguments.how, Vec::new())?;
        let mut plan = Plan::new(gp.app);
        plan_removal(&mut plan, &removal)?;
        package.plan(&mut plan, arguments.how.domain)?;
        if !removal.steps.is_empty() {
            plan.consent(&Text::new("gp-ask-replace"))?;
        }
        let mut guarded = plan.over(channel);
        let replaced = delete(&mut guarded, &removal)?;
        let sent = package.send(gp, &mut guarded, &arguments.how, arguments.how.domain)?;
        let done = package.done("gp-loaded", &sent);
        let mut object = package.object(&sent);
        object["replaced"] = json!(replaced);
        plan.finish(&done, object)
    })
}

/// What is on the card before a load.
pub struct Content {
    /// Applications and load files.
    pub registry: Registry,
    resources: Option<ExtendedResources>,
}

impl Content {
    /// Reads it: the load files and the free memory, and the applications where they matter.
    pub fn read(channel: &mut impl Exchange, with_applications: bool) -> Result<Self, CliError> {
        let registry = workflow::read_content(channel, with_applications)?;
        let resources = workflow::get_data(channel, TAG_EXTENDED_RESOURCES)?;
        Ok(Self { registry, resources: resources.and_then(|bytes| ExtendedResources::parse(&bytes)) })
    }
}

/// A CAP that may be loaded.
pub struct Package {
    /// The CAP.
    pub cap: Cap,
    file: LoadFile,
}

/// What went over.
pub struct Sent {
    blocks: usize,
    bytes: usize,
    took: Duration,
}

impl Package {
    /// Reads and verifies a CAP file. No card has been looked for yet.
    pub fn read(gp: &Gp<'_>, path: &Path, how: &LoadOptions) -> Result<Self, CliError> {
        let cap = crate::commands::cap::read_cap(path)?;
        if how.unverified {
            gp.app.talk(&Text::new("gp-unverified"));
        } else {
            let exports = crate::commands::cap::exports(&how.export_path, ExportSet::any_platform())?;
            let findings = verify(&cap, &exports);
            let errors: Vec<String> =
                findings.iter().filter(|f| f.severity == Severity::Error).map(ToString::to_string).collect();
            if !errors.is_empty() {
                let text = Text::new("err-verify").count("count", errors.len() as u64);
                return Err(CliError::new(Exit::Refused, text)
                    .detail(errors.join("\n  "))
                    .next(Text::new("rec-verify")));
            }
        }
        let file = LoadFile::from_cap(&cap, Components::default()).map_err(|error| {
            CliError::new(Exit::Usage, Text::new("err-cap").with("path", path.display()))
                .detail(error.to_string())
        })?;
        Ok(Self { cap, file })
    }

    /// AID of the load file.
    pub fn aid(&self) -> Aid {
        self.file.aid()
    }

    /// Compares what the load needs with what the card has; with `--replace` the plan of what has to go first.
    pub fn check(
        &self,
        gp: &Gp<'_>,
        content: &Content,
        how: &LoadOptions,
        instances: Vec<Aid>,
    ) -> Result<Deletion, CliError> {
        let size = u32::try_from(self.file.data_block().len()).unwrap_or(u32::MAX);
        let needs = LoadNeeds::of(&self.cap, instances, size)
            .map_err(|error| CliError::new(Exit::Usage, Text::new("err-build")).detail(error.to_string()))?;
        let mut obstacles = preflight(&needs, &content.registry, content.resources.as_ref());
        let mut removal = Deletion::default();
        if how.replace && content.registry.load_files.iter().any(|e| e.aid == self.aid()) {
            removal = plan_deletion(&content.registry, self.aid(), true).map_err(super::delete::refused)?;
            let goes: Vec<Aid> = removal.objects().collect();
            obstacles.retain(|obstacle| match obstacle {
                Obstacle::LoadFileExists(aid) | Obstacle::InstanceExists(aid) => !goes.contains(aid),
                // What the old one frees is not known.
                Obstacle::Memory { .. } => false,
                _ => true,
            });
        }
        if gp.app.global.verbose {
            for obstacle in obstacles.iter().filter(|o| !o.is_certain()) {
                gp.app.talk(&obstacle_words(obstacle));
            }
        }
        obstacles.retain(|o| o.is_certain());
        if obstacles.is_empty() {
            return Ok(removal);
        }
        if how.despite_preflight {
            for obstacle in &obstacles {
                gp.app.talk(&obstacle_words(obstacle));
            }
            return Ok(removal);
        }
        let text = Text::new("err-preflight").count("count", obstacles.len() as u64);
        let mut error = CliError::new(Exit::Refused, text);
        for obstacle in &obstacles {
            error = error.next(obstacle_words(obstacle));
        }
        Err(error)
    }

    /// Adds the load to a plan.
    pub fn plan(&self, plan: &mut Plan<'_>, domain: Option<Aid>) -> Result<(), CliError> {
        let size = self.file.data_block().len();
        let text = Text::new("gp-plan-load").with("aid", words::named(&self.aid())).with("bytes", size);
        let domain = domain.map(|aid| aid.to_string());
        plan.step(
            "load",
            &text,
            json!({ "load_file": self.aid().to_string(), "bytes": size, "domain": domain }),
        )
    }

    /// Loads, with a bar where somebody looks at it. A load that breaks off is looked after.
    pub fn send(
        &self,
        gp: &Gp<'_>,
        channel: &mut impl Exchange,
        how: &LoadOptions,
        domain: Option<Aid>,
    ) -> Result<Sent, CliError> {
        let hash = how.hash.map(|hash| match hash {
            Hash::Sha1 => HashAlgorithm::Sha1,
            Hash::Sha256 => HashAlgorithm::Sha256,
            Hash::Sha384 => HashAlgorithm::Sha384,
            Hash::Sha512 => HashAlgorithm::Sha512,
        });
        let mut request = self.file.request(domain, hash);
        request.block_size = how.block;
        let clock = std::time::Instant::now();
        let bar = progress_bar(gp);
        let mut last = None;
        let loaded = workflow::load(channel, &request, &mut |progress: Progress| {
            bar.set_length(progress.of_bytes as u64);
            bar.set_position(progress.bytes as u64);
            last = Some(progress);
        });
        bar.finish_and_clear();
        if let Err(error) = loaded {
            if matches!(error, GpError::Refused(_)) {
                self.look_after(gp, channel);
            }
            return Err(error.into());
        }
        let progress = last.unwrap_or(Progress { blocks: 0, of_blocks: 0, bytes: 0, of_bytes: 0 });
        Ok(Sent { blocks: progress.blocks, bytes: self.file.data_block().len(), took: clock.elapsed() })
    }

    /// After a refused load: whether the card kept a part of it, and how that goes away.
    fn look_after(&self, gp: &Gp<'_>, channel: &mut impl Exchange) {
        match workflow::read_entry(channel, &self.aid()) {
            Ok(Some(_)) => gp.app.talk(&Text::new("gp-load-remains").with("aid", self.aid())),
            Ok(None) => gp.app.talk(&Text::new("gp-load-left-nothing")),
            // The refusal itself is what is reported.
            Err(_) => {}
        }
    }

    /// The closing sentence.
    pub fn done(&self, key: &str, sent: &Sent) -> Text {
        Text::new(key)
            .with("aid", words::named(&self.aid()))
            .with("bytes", sent.bytes)
            .with("blocks", sent.blocks)
            .with("ms", sent.took.as_millis())
    }

    /// Stable fields of a load.
    pub fn object(&self, sent: &Sent) -> serde_json::Value {
        let milliseconds = u64::try_from(sent.took.as_millis()).unwrap_or(u64::MAX);
        json!({
            "load_file": self.aid().to_string(),
            "bytes": sent.bytes,
            "blocks": sent.blocks,
            "ms": milliseconds,
        })
    }
}

fn progress_bar(gp: &Gp<'_>) -> ProgressBar {
    // Hidden by the crate itself where standard error is no terminal; -v shows each APDU instead.
    if gp.app.global.verbose || gp.app.global.dry_run {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("  {bar:40} {bytes}/{total_bytes} {bytes_per_sec}") {
        bar.set_style(style);
    }
    bar
}

fn obstacle_words(obstacle: &Obstacle) -> Text {
    let version = |(major, minor): (u8, u8)| format!("{major}.{minor}");
    match *obstacle {
        Obstacle::LoadFileExists(aid) => Text::new("obstacle-load-file-exists").with("aid", aid),
        Obstacle::InstanceExists(aid) => Text::new("obstacle-instance-exists").with("aid", aid),
        Obstacle::ImportMissing { package, wanted } => Text::new("obstacle-import-missing")
            .with("aid", package_name(package, wanted))
            .with("wanted", version(wanted)),
        Obstacle::ImportVersion { package, wanted, there } => Text::new("obstacle-import-version")
            .with("aid", package_name(package, wanted))
            .with("wanted", version(wanted))
            .with("there", version(there)),
        Obstacle::ImportNotListed { package, wanted } => Text::new("obstacle-import-not-listed")
            .with("aid", package_name(package, wanted))
            .with("wanted", version(wanted)),
        Obstacle::Memory { needed, free } => {
            Text::new("obstacle-memory").with("needed", needed).with("free", free)
        }
    }
}

/// A package's AID with the Java name it is known under.
fn package_name(aid: Aid, (major, minor): (u8, u8)) -> String {
    let known = jpkise_cap::Aid::new(aid.as_bytes())
        .ok()
        .and_then(|aid| embedded_by_aid(aid, PackageVersion::new(major, minor)))
        .map(|package| package.name.replace('/', "."));
    known.map_or_else(|| aid.to_string(), |name| format!("{aid} ({name})"))
}

/// Adds a deletion to a plan.
pub fn plan_removal(plan: &mut Plan<'_>, removal: &Deletion) -> Result<(), CliError> {
    for step in &removal.steps {
        let instances: Vec<String> = step.instances.iter().map(ToString::to_string).collect();
        let key = if instances.is_empty() { "gp-plan-delete" } else { "gp-plan-delete-related" };
        let kind = step.kind.map_or("unknown", words::kind);
        let text = Text::new(key)
            .nested("kind", Text::new(format!("gp-kind-{kind}")))
            .with("aid", words::named(&step.object))
            .with("instances", instances.join(", "));
        plan.step(
            "delete",
            &text,
            json!({ "object": step.object.to_string(), "kind": kind, "instances": instances }),
        )?;
    }
    Ok(())
}

/// Deletes; returns what is gone.
pub fn delete(channel: &mut impl Exchange, removal: &Deletion) -> Result<Vec<String>, CliError> {
    let mut gone = Vec::new();
    removal.run(channel, &mut |aid| gone.push(aid.to_string()))?;
    Ok(gone)
}
