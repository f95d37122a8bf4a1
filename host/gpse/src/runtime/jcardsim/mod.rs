//! Applets as class files on jCardSim, in a JVM of their own.
//!
//! The process is `jcardsim-tests/runtime`; frames on its stdin and stdout carry requests and, while one is under way,
//! the applet's calls of card manager services. The process ends when this side does: its stdin closes, or its parent
//! is gone. A request that takes longer than allowed ends the process instead of the patience of the caller.
//!
//! A load file is taken when the class files of its package are on the class path and give that very load file; see
//! [`Mismatch`]. Not on jCardSim: any other load file, roll-back of transactions, more than one selected instance at a time.

mod classes;
mod frame;
mod process;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jpkise_card::TransportError;
use jpkise_wire::{Aid, StatusWord};

use self::classes::Classes;
pub use self::classes::Mismatch;
use self::frame::{kind, service, Fields, Frame};
use self::process::ChildProcess;
use super::{
    Caller, Channel, GpServices, InstallRequest, Interface, Package, Process, Registered, Runtime,
    RuntimeError, SW_IMPORT_MISSING,
};

/// Names the runtime's jar when it is not where the build puts it.
pub const JAR_VARIABLE: &str = "JPKISE_JCARDSIM";
/// Where the build puts it, below the project's root.
pub const JAR_PATH: &str = "jcardsim-tests/runtime/target/jcardsim-runtime.jar";
/// What builds it, at the project's root.
pub const BUILD_COMMAND: &str =
    "mvn -f applet/pom.xml install && mvn -f jcardsim-tests/pom.xml package -DskipTests";

/// Why jCardSim could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// There is no jar; it has to be built.
    #[error("the jCardSim runtime is not built ({looked_for}); build it with: {BUILD_COMMAND}")]
    NotBuilt {
        /// Path that was looked for.
        looked_for: String,
    },
    /// No Java program to run it with.
    #[error("{java} cannot be run (a JDK or JRE from 17 on is needed): {source}")]
    Java {
        /// The program tried.
        java: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The jar speaks another version of the protocol; it has to be built anew.
    #[error(
        "the jCardSim runtime speaks protocol {theirs}, not {ours}; build it anew with: {BUILD_COMMAND}"
    )]
    Version {
        /// The jar's.
        theirs: u16,
        /// This program's.
        ours: u16,
    },
    /// The process started and failed.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// How to start jCardSim.
#[derive(Debug, Clone)]
pub struct Options {
    /// `jcardsim-runtime.jar`, with its libraries in `lib` beside it.
    pub jar: PathBuf,
    /// Directories or jars with further applets, listed in a `jpkise-packages.txt`.
    pub class_path: Vec<PathBuf>,
    /// Packages on the class path that a new card does not have in its ROM: they can be loaded.
    pub loadable: Vec<Aid>,
    /// The Java program.
    pub java: PathBuf,
    /// Longest time for one command; generating an RSA key takes a second at worst.
    pub timeout: Duration,
}

impl Options {
    /// With this jar and the Java of `JAVA_HOME` or the search path.
    pub fn new(jar: impl Into<PathBuf>) -> Self {
        let home = std::env::var_os("JAVA_HOME").map(|home| Path::new(&home).join("bin").join("java"));
        let java = home.filter(|java| java.exists()).unwrap_or_else(|| PathBuf::from("java"));
        Self {
            jar: jar.into(),
            class_path: Vec::new(),
            loadable: Vec::new(),
            java,
            timeout: Duration::from_secs(30),
        }
    }

    /// With the jar that `JPKISE_JCARDSIM` names, or the one built in the project that this program or the current
    /// directory belongs to.
    pub fn find() -> Result<Self, LaunchError> {
        if let Some(named) = std::env::var_os(JAR_VARIABLE) {
            let jar = PathBuf::from(named);
            if jar.is_file() {
                return Ok(Self::new(jar));
            }
            let looked_for = format!("{JAR_VARIABLE}={}", jar.display());
            return Err(LaunchError::NotBuilt { looked_for });
        }
        let places = [std::env::current_dir().ok(), std::env::current_exe().ok()];
        let roots = places.iter().flatten().flat_map(|place| place.ancestors());
        let found = roots.map(|root| root.join(JAR_PATH)).find(|jar| jar.is_file());
        found.map(Self::new).ok_or_else(|| LaunchError::NotBuilt { looked_for: JAR_PATH.to_owned() })
    }
}

/// jCardSim in a child process. One card.
#[derive(Debug)]
pub struct JCardSim {
    process: ChildProcess,
    /// In ROM.
    packages: Vec<Package>,
    /// On the class path, but on the card only once they are loaded.
    loadable: Vec<Package>,
    /// What of these the registry holds.
    loaded: Vec<Aid>,
}

impl JCardSim {
    /// Starts the process and shakes hands.
    pub fn launch(options: &Options) -> Result<Self, LaunchError> {
        if !options.jar.is_file() {
            return Err(LaunchError::NotBuilt { looked_for: options.jar.display().to_string() });
        }
        let mut process = ChildProcess::start(options)
            .map_err(|source| LaunchError::Java { java: options.java.display().to_string(), source })?;
        process.send(Frame::new(kind::HELLO).word(frame::VERSION))?;
        let answer = process.receive()?;
        process.rest();
        let packages = read_hello(&answer).ok_or_else(|| protocol_error(&mut process))?;
        match packages {
            Hello::Packages(packages) => {
                let is_loadable = |package: &Package| options.loadable.contains(&package.aid);
                let (loadable, packages) = packages.into_iter().partition(is_loadable);
                Ok(Self { process, packages, loadable, loaded: Vec::new() })
            }
            Hello::OtherVersion(theirs) => Err(LaunchError::Version { theirs, ours: frame::VERSION }),
        }
    }

    /// Finds the built runtime and starts it.
    pub fn find_and_launch() -> Result<Self, LaunchError> {
        Self::launch(&Options::find()?)
    }

    /// The child's process identifier.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    fn request(
        &mut self,
        frame: Frame,
        services: Option<&mut dyn GpServices>,
    ) -> Result<Vec<u8>, RuntimeError> {
        let result = self.converse(frame, services);
        self.process.rest();
        result
    }

    fn converse(
        &mut self,
        frame: Frame,
        mut services: Option<&mut dyn GpServices>,
    ) -> Result<Vec<u8>, RuntimeError> {
        self.process.send(frame)?;
        loop {
            let answer = self.process.receive()?;
            let mut fields = Fields::new(&answer);
            match fields.kind() {
                kind::DONE => {
                    let data = fields.string().map(<[u8]>::to_vec);
                    return data.ok_or_else(|| protocol_error(&mut self.process).into());
                }
                kind::REFUSED => {
                    let sw = fields.word().ok_or_else(|| protocol_error(&mut self.process))?;
                    return Err(RuntimeError::Refused(StatusWord(sw)));
                }
                kind::SERVICE => {
                    let call = Call::read(&mut fields).ok_or_else(|| protocol_error(&mut self.process))?;
                    let result = match services.as_deref_mut() {
                        Some(services) => call.serve(services),
                        None => Err(StatusWord::CONDITIONS_NOT_SATISFIED),
                    };
                    self.process.send(match result {
                        Ok(data) => Frame::new(kind::RETURN).string(&data),
                        Err(sw) => Frame::new(kind::THROW).word(sw.0),
                    })?;
                }
                _ => return Err(protocol_error(&mut self.process).into()),
            }
        }
    }

    fn flag(&mut self, frame: Frame, services: Option<&mut dyn GpServices>) -> Result<bool, RuntimeError> {
        Ok(self.request(frame, services)? == [1])
    }
}

fn protocol_error(process: &mut ChildProcess) -> TransportError {
    process.give_up("it does not keep to the protocol")
}

enum Hello {
    Packages(Vec<Package>),
    OtherVersion(u16),
}

fn read_hello(answer: &[u8]) -> Option<Hello> {
    let mut fields = Fields::new(answer);
    if fields.kind() != kind::ANSWER_HELLO {
        return None;
    }
    let version = fields.word()?;
    if version != frame::VERSION {
        return Some(Hello::OtherVersion(version));
    }
    let count = fields.octet()?;
    let mut packages = Vec::new();
    for _ in 0..count {
        let aid = Aid::new(fields.string()?).ok()?;
        let version = (fields.octet()?, fields.octet()?);
        let modules = fields.octet()?;
        let modules = (0..modules).map(|_| Aid::new(fields.string()?).ok()).collect::<Option<_>>()?;
        packages.push(Package { aid, version, modules });
    }
    Some(Hello::Packages(packages))
}

/// One call of a card manager service.
struct Call<'a> {
    operation: u8,
    caller: Caller,
    input: &'a [u8],
}

impl<'a> Call<'a> {
    fn read(fields: &mut Fields<'a>) -> Option<Self> {
        let operation = fields.octet()?;
        let channel = Channel::new(fields.octet()?)?;
        let instance = Aid::new(fields.string()?).ok()?;
        Some(Self { operation, caller: Caller { channel, instance }, input: fields.string()? })
    }

    fn serve(&self, services: &mut dyn GpServices) -> Result<Vec<u8>, StatusWord> {
        let Self { operation, caller, input } = *self;
        let flag = |value: bool| Ok(vec![u8::from(value)]);
        match operation {
            service::PROCESS_SECURITY => services.process_security(caller, input),
            service::UNWRAP => services.unwrap(caller, input),
            service::WRAP => services.wrap(caller, input),
            service::DECRYPT_DATA => services.decrypt_data(caller, input),
            service::ENCRYPT_DATA => services.encrypt_data(caller, input),
            service::SECURITY_LEVEL => Ok(vec![services.security_level(caller)]),
            service::RESET_SECURITY => {
                services.reset_security(caller);
                Ok(Vec::new())
            }
            service::CARD_CONTENT_STATE => Ok(vec![services.card_content_state(caller)]),
            service::SET_CARD_CONTENT_STATE => {
                let state = input.first().ok_or(StatusWord::WRONG_DATA)?;
                flag(services.set_card_content_state(caller, *state))
            }
            service::CARD_STATE => Ok(vec![services.card_state()]),
            service::SET_HISTORICAL_BYTES => flag(services.set_atr_historical_bytes(caller, input)),
            service::LOCK_CARD => flag(services.lock_card(caller)),
            service::TERMINATE_CARD => flag(services.terminate_card(caller)),
            _ => Err(StatusWord::FUNCTION_NOT_SUPPORTED),
        }
    }
}

impl Runtime for JCardSim {
    fn name(&self) -> &'static str {
        "jcardsim"
    }

    fn packages(&self) -> Vec<Package> {
        self.packages.clone()
    }

    fn load(&mut self, package: Aid, load_file: &[u8]) -> Result<Package, RuntimeError> {
        if self.packages.iter().any(|p| p.aid == package) || self.loaded.contains(&package) {
            return Err(RuntimeError::Refused(StatusWord::CONDITIONS_NOT_SATISFIED));
        }
        let Some(found) = self.loadable.iter().find(|p| p.aid == package).cloned() else {
            tracing::warn!(%package, "load file refused: its classes are not among those that can be loaded");
            return Err(RuntimeError::Refused(StatusWord::FUNCTION_NOT_SUPPORTED));
        };
        let refuse = |mismatch: Mismatch| {
            tracing::warn!(%package, error = %mismatch, "load file refused");
            RuntimeError::Refused(StatusWord::WRONG_DATA)
        };
        let cap = jpkise_cap::Cap::read_load_file(load_file).map_err(|e| refuse(e.into()))?;
        let is_imported =
            |p: &&Package| cap.import.packages.iter().any(|i| i.aid.as_bytes() == p.aid.as_bytes());
        let mut wanted = vec![found.clone()];
        for import in self.loadable.iter().chain(&self.packages).filter(is_imported) {
            if !self.packages.contains(import) && !self.loaded.contains(&import.aid) {
                tracing::warn!(%package, import = %import.aid, "load file refused: an import is not on the card");
                return Err(RuntimeError::Refused(SW_IMPORT_MISSING));
            }
            wanted.push(import.clone());
        }
        let mut classes = Vec::new();
        for package in &wanted {
            let frame = Frame::new(kind::CLASSES).string(package.aid.as_bytes());
            let answer = self.request(frame, None)?;
            classes.push(Classes::read(package, &answer).map_err(refuse)?);
        }
        classes::compare(load_file, &classes).map_err(refuse)?;
        Ok(found)
    }

    fn unload(&mut self, package: Aid) -> Result<(), RuntimeError> {
        if self.loaded.contains(&package) {
            return Ok(());
        }
        Err(RuntimeError::Refused(StatusWord::CONDITIONS_NOT_SATISFIED))
    }

    fn install(
        &mut self,
        request: &InstallRequest<'_>,
        services: &mut dyn GpServices,
    ) -> Result<(), RuntimeError> {
        let frame = Frame::new(kind::INSTALL)
            .string(request.package.as_bytes())
            .string(request.module.as_bytes())
            .string(request.instance.as_bytes())
            .string(&request.privileges)
            .string(request.parameters);
        self.request(frame, Some(services)).map(|_| ())
    }

    fn select(
        &mut self,
        channel: Channel,
        instance: Aid,
        interface: Interface,
        services: &mut dyn GpServices,
    ) -> Result<bool, RuntimeError> {
        let frame = Frame::new(kind::SELECT)
            .octet(channel.number())
            .octet(contactless(interface))
            .string(instance.as_bytes());
        self.flag(frame, Some(services))
    }

    fn deselect(&mut self, channel: Channel, services: &mut dyn GpServices) -> Result<(), RuntimeError> {
        let frame = Frame::new(kind::DESELECT).octet(channel.number());
        self.request(frame, Some(services)).map(|_| ())
    }

    fn process(
        &mut self,
        command: &Process<'_>,
        services: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError> {
        let frame = Frame::new(kind::PROCESS)
            .octet(command.channel.number())
            .octet(contactless(command.interface))
            .octet(u8::from(command.selecting))
            .string(command.apdu);
        self.request(frame, Some(services))
    }

    fn takes_personalization(&mut self, instance: Aid) -> Result<bool, RuntimeError> {
        self.flag(Frame::new(kind::ACCEPTS).string(instance.as_bytes()), None)
    }

    fn personalize(
        &mut self,
        channel: Channel,
        instance: Aid,
        store_data: &[u8],
        services: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError> {
        let frame = Frame::new(kind::PERSONALIZE)
            .octet(channel.number())
            .string(instance.as_bytes())
            .string(store_data);
        self.request(frame, Some(services))
    }

    fn delete(&mut self, instances: &[Aid], services: &mut dyn GpServices) -> Result<(), RuntimeError> {
        self.request(Frame::new(kind::DELETE).aids(instances), Some(services)).map(|_| ())
    }

    fn settle(&mut self, registered: &Registered) -> Result<(), RuntimeError> {
        let is_loadable = |aid: &&Aid| self.loadable.iter().any(|p| p.aid == **aid);
        self.loaded = registered.packages.iter().filter(is_loadable).copied().collect();
        self.request(Frame::new(kind::SETTLE).aids(&registered.instances), None).map(|_| ())
    }

    fn reset(&mut self) -> Result<(), RuntimeError> {
        self.request(Frame::new(kind::RESET), None).map(|_| ())
    }
}

fn contactless(interface: Interface) -> u8 {
    u8::from(interface == Interface::Contactless)
}
