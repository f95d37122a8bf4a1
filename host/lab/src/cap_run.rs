//! A CAP straight on the virtual machine, without a card manager: load, install, select, then a script of commands.
//!
//! There is no secure channel and no life cycle; what an applet asks of the card manager is refused or answered as on a
//! card that has just been made.

use jpkise_cap::inspect::{disassemble, Names};
use jpkise_cap::model::ClassRef;
use jpkise_cap::{Aid, Cap};
use jpkise_jcvm::{
    Card, CardError, FreeMemory, HeapChange, HeapKind, HeapReport, InstallRequest, NoServices,
    PackageSummary, Process, Profile, Step, Tracer,
};

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// Packages the CAP imports, in an order in which imports come first.
    pub imports: Vec<Cap>,
    /// The package with the applet.
    pub cap: Cap,
    /// The applet; `None`: the package's only one.
    pub module: Option<Aid>,
    /// Under which AID; `None`: the module's.
    pub instance: Option<Aid>,
    /// Value of C9.
    pub parameters: Vec<u8>,
    /// Over the contactless interface.
    pub contactless: bool,
    /// What to send.
    pub script: Vec<Line>,
    /// Report the objects in memory after the installation and at the end, besides where the script asks for it.
    pub heap: bool,
}

/// A line of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: usize,
    /// What it says.
    pub what: Action,
}

/// What a line of a script asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Send this command.
    Send(Vec<u8>),
    /// Power off and on, and select the applet again.
    Reset,
    /// Report the objects in memory, and what has come and gone since the report before.
    Heap,
}

/// A line that is neither hexadecimal nor `reset` nor `heap`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: not hexadecimal, and not \"reset\" or \"heap\": {text}")]
pub struct ScriptError {
    /// Its number, from 1.
    pub line: usize,
    /// What it says.
    pub text: String,
}

/// Reads a script: a command in hexadecimal a line, or `reset`, or `heap`; spaces, empty lines and what follows `#` do not
/// count.
pub fn read_script(text: &str) -> Result<Vec<Line>, ScriptError> {
    let mut lines = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words = line.split('#').next().unwrap_or_default();
        let digits: String = words.split_whitespace().collect();
        let what = match digits.as_str() {
            "" => continue,
            "reset" => Action::Reset,
            "heap" => Action::Heap,
            digits => Action::Send(
                hex::decode(digits)
                    .map_err(|_| ScriptError { line: index + 1, text: line.trim().to_owned() })?,
            ),
        };
        lines.push(Line { number: index + 1, what });
    }
    Ok(lines)
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Loading this package.
    Load(Aid),
    /// In `install`.
    Install,
    /// In `select`, or in `process` with the SELECT command.
    Select,
    /// At this line of the script.
    Line(usize),
    /// Behind the last line.
    End,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Load(package) => write!(f, "load {package}"),
            Self::Install => f.write_str("install"),
            Self::Select => f.write_str("select"),
            Self::Line(number) => write!(f, "line {number}"),
            Self::End => f.write_str("end"),
        }
    }
}

/// Why a run stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The package has no applet, or not this one.
    #[error("the package {0} has no such applet")]
    NoApplet(Aid),
    /// The package has several applets and none was named.
    #[error("several applets: {}", list(.0))]
    WhichApplet(Vec<Aid>),
    /// `select()` said no.
    #[error("the applet declines to be selected")]
    Declined,
    /// Refused, or beyond what verified bytecode does.
    #[error("{stage}: {source}")]
    Card {
        /// Where.
        stage: Stage,
        /// Why.
        source: CardError,
    },
}

fn list(aids: &[Aid]) -> String {
    aids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What happens, as it happens.
#[derive(Debug)]
pub enum Event<'a> {
    /// The applet is installed.
    Installed {
        /// Its AID.
        instance: Aid,
    },
    /// A command and its answer.
    Exchange {
        /// Its line; `None` for the SELECT that comes before the first.
        line: Option<usize>,
        /// The command.
        command: &'a [u8],
        /// Data and status word.
        answer: &'a [u8],
    },
    /// Power off and on.
    Reset,
    /// The objects in memory.
    Heap {
        /// After what.
        after: Stage,
        /// All of them.
        report: &'a HeapReport,
        /// What has come and gone since the report before; `None` for the first.
        changes: Option<Vec<HeapChange>>,
    },
}

/// What a run took, in bytes of the card's memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// Persistent memory for the packages, static fields included.
    pub packages: i64,
    /// Persistent memory that `install` took.
    pub instance: i64,
    /// Transient memory that `install` took.
    pub transient: i64,
    /// By how much persistent memory grew while the script ran: an applet that is well made allocates nothing then.
    pub growth: i64,
}

struct Run<'a> {
    card: Card,
    plan: &'a Plan,
    instance: Aid,
    events: &'a mut dyn FnMut(&Event<'_>),
    /// The last report of objects.
    heap: Option<HeapReport>,
}

/// Runs a plan on a new card of this profile.
pub fn run(
    plan: &Plan,
    profile: Profile,
    tracer: Option<Tracer>,
    events: &mut dyn FnMut(&Event<'_>),
) -> Result<Memory, RunError> {
    let own = plan.cap.header.package.aid;
    let at = |stage| move |source| RunError::Card { stage, source };
    let mut card = Card::new(profile).map_err(at(Stage::Load(own)))?;
    card.set_tracer(tracer);
    let empty = card.free_memory();
    let mut packages = Vec::new();
    for cap in plan.imports.iter().chain([&plan.cap]) {
        let aid = cap.header.package.aid;
        packages.push(card.load_cap(cap).map_err(at(Stage::Load(aid)))?);
        let known: Vec<Aid> = packages.iter().map(|p| p.aid).collect();
        card.settle(&known, &[]).map_err(at(Stage::Load(aid)))?;
    }
    let loaded = card.free_memory();
    let module = module_of(packages.last(), plan.module, own)?;
    let instance = plan.instance.unwrap_or(module);
    let request =
        InstallRequest { package: own, module, instance, privileges: &[0], parameters: &plan.parameters };
    card.install(&request, &mut NoServices).map_err(at(Stage::Install))?;
    let known: Vec<Aid> = packages.iter().map(|p| p.aid).collect();
    card.settle(&known, &[instance]).map_err(at(Stage::Install))?;
    let installed = card.free_memory();
    events(&Event::Installed { instance });

    let mut run = Run { card, plan, instance, events, heap: None };
    if plan.heap {
        run.report(Stage::Install);
    }
    run.select()?;
    for line in &plan.script {
        match &line.what {
            Action::Send(command) => run.send(Some(line.number), command)?,
            Action::Reset => {
                run.card.power_up().map_err(at(Stage::Line(line.number)))?;
                (run.events)(&Event::Reset);
                run.select()?;
            }
            Action::Heap => run.report(Stage::Line(line.number)),
        }
    }
    if plan.heap {
        run.report(Stage::End);
    }
    let end = run.card.free_memory();
    let persistent =
        |before: FreeMemory, after: FreeMemory| i64::from(before.persistent) - i64::from(after.persistent);
    Ok(Memory {
        packages: persistent(empty, loaded),
        instance: persistent(loaded, installed),
        transient: i64::from(loaded.transient) - i64::from(installed.transient),
        growth: persistent(installed, end),
    })
}

fn module_of(package: Option<&PackageSummary>, wanted: Option<Aid>, own: Aid) -> Result<Aid, RunError> {
    let modules = package.map(|p| p.modules.as_slice()).unwrap_or_default();
    match (wanted, modules) {
        (Some(wanted), _) if modules.contains(&wanted) => Ok(wanted),
        (None, [only]) => Ok(*only),
        (Some(_), _) | (None, []) => Err(RunError::NoApplet(own)),
        (None, several) => Err(RunError::WhichApplet(several.to_vec())),
    }
}

impl Run<'_> {
    fn report(&mut self, after: Stage) {
        let report = self.card.heap_report();
        let changes = self.heap.take().map(|before| report.since(&before));
        (self.events)(&Event::Heap { after, report: &report, changes });
        self.heap = Some(report);
    }

    fn select(&mut self) -> Result<(), RunError> {
        let selected = self.card.select(0, self.instance, &mut NoServices);
        if !selected.map_err(|source| RunError::Card { stage: Stage::Select, source })? {
            return Err(RunError::Declined);
        }
        let aid = self.instance.as_bytes();
        // An AID has 16 bytes at most.
        let lc = u8::try_from(aid.len()).unwrap_or(16);
        let mut command = vec![0x00, 0xA4, 0x04, 0x00, lc];
        command.extend_from_slice(aid);
        command.push(0);
        self.send(None, &command)
    }

    /// Sends a command; without a line it is the SELECT that selects the applet.
    fn send(&mut self, line: Option<usize>, command: &[u8]) -> Result<(), RunError> {
        let process = Process {
            channel: 0,
            contactless: self.plan.contactless,
            apdu: command,
            selecting: line.is_none(),
        };
        let stage = line.map_or(Stage::Select, Stage::Line);
        let answer = self.card.process(&process, &mut NoServices);
        let answer = answer.map_err(|source| RunError::Card { stage, source })?;
        (self.events)(&Event::Exchange { line, command, answer: &answer });
        Ok(())
    }
}

/// Names of the classes in heap reports.
pub struct ClassNames(std::collections::HashMap<(Aid, u16), String>);

impl ClassNames {
    /// Of these packages; classes that the files do not name are called by their place in the Class component.
    pub fn new(caps: &[&Cap]) -> Self {
        let exports = jpkise_cap::exports::ExportSet::any_platform();
        let mut all = std::collections::HashMap::new();
        for cap in caps {
            let names = Names::new(cap, &exports);
            let interfaces = cap.class.interfaces.iter().map(|i| i.offset);
            let places = interfaces.chain(cap.class.classes.iter().map(|c| c.offset));
            for (index, offset) in (0..).zip(places) {
                all.insert((cap.header.package.aid, index), names.class(ClassRef::Internal(offset)));
            }
        }
        Self(all)
    }

    /// What an object is, as Java calls it; `None` for what is no Java object.
    pub fn of(&self, kind: &HeapKind) -> Option<String> {
        Some(match kind {
            HeapKind::ApiClass(name) => name.replace('/', "."),
            HeapKind::Class { package, index } => {
                self.0.get(&(*package, *index)).cloned().unwrap_or_else(|| format!("{package} #{index}"))
            }
            HeapKind::Array(element) => format!("{element}[]"),
            HeapKind::References => "Object[]".to_owned(),
            _ => return None,
        })
    }
}

/// Every instruction of these packages as text, for a tracer: `tell` gets a line before each one runs.
pub fn bytecode_tracer(caps: &[&Cap], mut tell: impl FnMut(&str) + Send + 'static) -> Tracer {
    let exports = jpkise_cap::exports::ExportSet::any_platform();
    let mut texts = std::collections::HashMap::new();
    for cap in caps {
        let package = cap.header.package.aid;
        for method in disassemble(cap, &Names::new(cap, &exports)) {
            let code = usize::from(method.offset) + method.header.size();
            for instruction in &method.instructions {
                let offset = code + instruction.instruction.offset;
                texts.insert((package, offset), format!("{} {instruction}", method.name));
            }
        }
    }
    Tracer::new(move |step: &Step| {
        let text = texts.get(&(step.package, usize::from(step.offset)));
        let name = || jpkise_cap::opcodes::Opcode::from_u8(step.opcode).map_or("?", |o| o.mnemonic());
        let indent = step.depth * 2;
        match text {
            Some(text) => tell(&format!("{:indent$}{:04X} {text}", "", step.offset)),
            None => tell(&format!("{:indent$}{:04X} {} {}", "", step.offset, step.package, name())),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jpkise_jcvm::HeapOwner;

    #[test]
    fn a_script_is_hexadecimal_with_comments_and_resets() {
        let text = "# head\n00A4 0400 # select\n\n  reset\n80ca\r\n";
        let lines = read_script(text).unwrap();
        let expected = [
            (2, Action::Send(vec![0x00, 0xA4, 0x04, 0x00])),
            (4, Action::Reset),
            (5, Action::Send(vec![0x80, 0xCA])),
        ];
        assert_eq!(lines, expected.map(|(number, what)| Line { number, what }));
        assert_eq!(read_script("00\n0G\n").unwrap_err().line, 2);
        assert_eq!(read_script("000\n").unwrap_err().line, 1);
    }

    fn jpki(script: &str) -> Plan {
        Plan {
            imports: Vec::new(),
            cap: Cap::read(crate::dist::JPKI_CAP).unwrap(),
            module: None,
            instance: Some("D392F000260100000001".parse().unwrap()),
            parameters: Vec::new(),
            contactless: false,
            script: read_script(script).unwrap(),
            heap: false,
        }
    }

    #[test]
    fn the_heap_is_reported_where_asked_and_does_not_grow() {
        let plan = Plan { heap: true, ..jpki("80CADF3000\nheap\n80CADF3100\n") };
        let names = ClassNames::new(&[&plan.cap]);
        let mut reports = Vec::new();
        let memory = run(&plan, Profile::default(), None, &mut |event| {
            if let Event::Heap { after, report, changes } = event {
                reports.push((*after, (*report).clone(), changes.clone()));
            }
        })
        .unwrap();
        let after: Vec<Stage> = reports.iter().map(|(after, _, _)| *after).collect();
        assert_eq!(after, [Stage::Install, Stage::Line(2), Stage::End]);
        assert_eq!(reports[0].2, None);
        assert_eq!(reports[1].2, Some(Vec::new()), "an applet that is well made allocates nothing");
        assert_eq!(reports[2].2, Some(Vec::new()));
        let entries = &reports[0].1.entries;
        let instance = |e: &&jpkise_jcvm::HeapEntry| e.owner == HeapOwner::Instance(plan.instance.unwrap());
        let own: u32 = entries.iter().filter(instance).map(|e| e.persistent).sum();
        // Record and AID object of an instance are the runtime's.
        assert!((memory.instance - i64::from(own)).abs() < 100, "{own} {memory:?}");
        let transient: u32 = entries.iter().filter(instance).map(|e| e.on_reset + e.on_deselect).sum();
        assert_eq!(i64::from(transient), memory.transient);
        let kinds: Vec<_> = entries.iter().filter(instance).filter_map(|e| names.of(&e.kind)).collect();
        for wanted in ["byte[]", "javacard.security.KeyPair", "javacard.security.RSAPrivateCrtKeyImpl"] {
            assert!(kinds.iter().any(|k| k == wanted), "{wanted}: {kinds:?}");
        }
    }

    #[test]
    fn the_jpki_applet_answers_without_a_card_manager_and_allocates_nothing() {
        let plan = jpki("80CADF3000\n00200098 # the PIN's tries, nothing set yet\nreset\n0084000010\nFF");
        let mut answers = Vec::new();
        let memory = run(&plan, Profile::default(), None, &mut |event| {
            if let Event::Exchange { line, answer, .. } = event {
                answers.push((*line, hex::encode_upper(answer)));
            }
        })
        .unwrap();
        let status: Vec<_> = answers.iter().map(|(line, a)| (*line, &a[a.len() - 4..])).collect();
        let expected =
            [(None, "9000"), (Some(1), "9000"), (Some(2), "63C3"), (None, "9000"), (Some(4), "9000")];
        assert_eq!(status[..5], expected);
        assert_eq!(status[5], (Some(5), "6700"), "a single byte is no command");
        assert_eq!(memory.growth, 0);
        assert!(memory.instance > 8000 && memory.packages > 8000 && memory.transient > 200, "{memory:?}");
    }

    #[test]
    fn what_cannot_be_run_is_refused_with_its_stage() {
        let error = |plan: &Plan| run(plan, Profile::default(), None, &mut |_| {}).unwrap_err();
        let plan = Plan { module: Some("F04A504B4900".parse().unwrap()), ..jpki("") };
        assert!(matches!(error(&plan), RunError::NoApplet(_)));
        let plan = Plan { parameters: vec![0xFF], ..jpki("") };
        assert_eq!(error(&plan).to_string(), "install: refused with 6A80");
        let twice = Plan { imports: vec![jpki("").cap], ..jpki("") };
        assert!(error(&twice).to_string().starts_with("load D392F000264A504B01: refused with 6985"));
    }

    #[test]
    fn the_tracer_names_every_instruction() {
        use std::sync::{Arc, Mutex};
        let plan = jpki("80CADF3000");
        let lines = Arc::new(Mutex::new(Vec::new()));
        let seen = lines.clone();
        let tracer = bytecode_tracer(&[&plan.cap], move |line| seen.lock().unwrap().push(line.to_owned()));
        run(&plan, Profile::default(), Some(tracer), &mut |_| {}).unwrap();
        let lines = lines.lock().unwrap();
        assert!(lines.len() > 300, "{}", lines.len());
        assert!(lines.iter().any(|l| l.contains("invokevirtual")), "{:?}", &lines[..20]);
        // A line without a name would show the package's AID.
        assert!(!lines.iter().any(|l| l.contains("D392F000264A504B01")), "{lines:?}");
    }
}
