//! A runtime in Rust, to see the seam from the other side without a JVM.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jpkise_gpse::runtime::{
    Caller, Channel, GpServices, InstallRequest, Interface, Package, Process, Registered, Runtime,
    RuntimeError,
};
use jpkise_wire::{Aid, StatusWord};

pub const PACKAGE: &str = "F04A504B49535455";
pub const MODULE: &str = "F04A504B4953545501";

/// What the manager asked for, in words.
pub type Log = Arc<Mutex<Vec<String>>>;

/// Installs anything of its one module; parameters 01 make install fail, 02 make select() decline.
///
/// In an instance, 80 50, 84 82, 84 7A and 84 78 go to processSecurity; INS 30 unwraps, echoes and wraps; INS 34 tells the level;
/// INS 36 resets the channel; INS 38 deciphers; everything else answers P1 P2.
#[derive(Default)]
pub struct Stub {
    pub log: Log,
    instances: BTreeMap<Aid, Vec<u8>>,
    selected: BTreeMap<u8, Aid>,
}

fn aid(text: &str) -> Aid {
    text.parse().unwrap()
}

impl Stub {
    fn note(&self, text: String) {
        self.log.lock().unwrap().push(text);
    }
}

impl Runtime for Stub {
    fn name(&self) -> &'static str {
        "stub"
    }

    fn packages(&self) -> Vec<Package> {
        vec![Package { aid: aid(PACKAGE), version: (3, 4), modules: vec![aid(MODULE)] }]
    }

    fn load(&mut self, aid: Aid, load_file: &[u8]) -> Result<Package, RuntimeError> {
        self.note(format!("load {aid}"));
        let cap = jpkise_cap::Cap::read_load_file(load_file).unwrap();
        let modules = cap.applet.iter().flat_map(|a| &a.applets);
        let modules = modules.map(|a| Aid::new(a.aid.as_bytes()).unwrap()).collect();
        let version = cap.header.package.version;
        Ok(Package { aid, version: (version.major, version.minor), modules })
    }

    fn unload(&mut self, aid: Aid) -> Result<(), RuntimeError> {
        self.note(format!("unload {aid}"));
        Ok(())
    }

    fn install(
        &mut self,
        request: &InstallRequest<'_>,
        services: &mut dyn GpServices,
    ) -> Result<(), RuntimeError> {
        let caller = Caller { channel: Channel::BASIC, instance: request.instance };
        self.note(format!(
            "install {} {} {} in state {:02X}",
            request.instance,
            hex::encode_upper(request.privileges),
            hex::encode_upper(request.parameters),
            services.card_content_state(caller),
        ));
        self.instances.insert(request.instance, request.parameters.to_vec());
        if request.parameters == [1] {
            return Err(RuntimeError::Refused(StatusWord::NOT_ENOUGH_MEMORY));
        }
        Ok(())
    }

    fn select(
        &mut self,
        channel: Channel,
        instance: Aid,
        _: Interface,
        _: &mut dyn GpServices,
    ) -> Result<bool, RuntimeError> {
        self.note(format!("select {instance} on {}", channel.number()));
        if self.instances[&instance] == [2] {
            return Ok(false);
        }
        self.selected.insert(channel.number(), instance);
        Ok(true)
    }

    fn deselect(&mut self, channel: Channel, _: &mut dyn GpServices) -> Result<(), RuntimeError> {
        let instance = self.selected.remove(&channel.number()).unwrap();
        self.note(format!("deselect {instance} on {}", channel.number()));
        Ok(())
    }

    fn process(
        &mut self,
        command: &Process<'_>,
        services: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError> {
        let instance = self.selected[&command.channel.number()];
        let caller = Caller { channel: command.channel, instance };
        let apdu = command.apdu;
        let lc = apdu.get(4).map_or(0, |lc| usize::from(*lc));
        let input = apdu.get(..5 + lc).unwrap_or(apdu);
        let result = match (apdu[0] & !3, apdu[1]) {
            (_, 0xA4) if command.selecting && apdu[3] & 0x0C == 0 => Ok(instance.as_bytes().to_vec()),
            (_, 0xA4) if command.selecting => Ok(Vec::new()),
            (_, 0xA4) => Err(StatusWord::NOT_FOUND),
            (0x80, 0x50) | (0x84, 0x82 | 0x7A | 0x78) => services.process_security(caller, input),
            (_, 0x30) => services.unwrap(caller, input).and_then(|plain| {
                let mut answer = plain[5..].to_vec();
                answer.extend_from_slice(&[0x90, 0x00]);
                services.wrap(caller, &answer)
            }),
            (_, 0x34) => Ok(vec![services.security_level(caller)]),
            (_, 0x36) => {
                services.reset_security(caller);
                Ok(Vec::new())
            }
            (_, 0x38) => services.decrypt_data(caller, &apdu[5..]),
            _ => Err(StatusWord::new(apdu[2], apdu[3])),
        };
        let (mut data, sw) = match result {
            Ok(data) => (data, StatusWord::SUCCESS),
            Err(sw) => (Vec::new(), sw),
        };
        data.extend_from_slice(&sw.to_bytes());
        Ok(data)
    }

    fn takes_personalization(&mut self, instance: Aid) -> Result<bool, RuntimeError> {
        Ok(self.instances[&instance] != [3])
    }

    fn personalize(
        &mut self,
        channel: Channel,
        instance: Aid,
        store_data: &[u8],
        _: &mut dyn GpServices,
    ) -> Result<Vec<u8>, RuntimeError> {
        let data = hex::encode_upper(store_data);
        self.note(format!("personalize {instance} on {}: {data}", channel.number()));
        Ok(Vec::new())
    }

    fn delete(&mut self, instances: &[Aid], _: &mut dyn GpServices) -> Result<(), RuntimeError> {
        for instance in instances {
            self.note(format!("delete {instance}"));
        }
        Ok(())
    }

    fn settle(&mut self, registered: &Registered) -> Result<(), RuntimeError> {
        self.instances.retain(|aid, _| registered.instances.contains(aid));
        let names: Vec<String> = self.instances.keys().map(ToString::to_string).collect();
        self.note(format!("settled {}", names.join(" ")));
        Ok(())
    }

    fn reset(&mut self) -> Result<(), RuntimeError> {
        self.selected.clear();
        Ok(())
    }
}
