//! The applet firewall between two packages (JCRE 3.0.4 chapter 6), with an API interface as the shared one.

use jpkise_cap::{Aid, Cap};
use jpkise_jcvm::{Card, InstallRequest, NoServices, Process};

use super::assemble;
use super::common::{aid, card};

/// Offers itself for parameter 1, an object that is not shareable for 2, and throws for 3.
const SERVER: &str = r"
import java/lang 1.0
import javacard/framework 1.5
import org/globalplatform 1.0
applet Main
class Main extends javacard/framework/Applet implements org/globalplatform/Application public
  field seen S
  birth
  method process (Ljavacard/framework/APDU;)V public
    return
  method getShareableInterfaceObject (Ljavacard/framework/AID;B)Ljavacard/framework/Shareable; public stack 3
    sload_2
    sconst_1
    if_scmpeq this
    sload_2
    sconst_3
    if_scmpeq fail
    aconst_null
    areturn
    this:
    aload_0
    areturn
    fail:
    sspush 27013
    invokestatic javacard/framework/ISOException.throwIt(S)V
    aconst_null
    areturn
  method processData ([BSS)V public stack 4
    aload_0
    sload_3
    putfield_s Main.seen
    aload_1
    sload_2
    bspush 42
    bastore
    sload_3
    sconst_1
    if_scmpne done
    invokestatic javacard/framework/JCSystem.getPreviousContextAID()Ljavacard/framework/AID;
    aload_1
    sconst_1
    invokevirtual javacard/framework/AID.getBytes([BS)B
    pop
    done:
    return
";

const CLIENT: &str = r"
import java/lang 1.0
import javacard/framework 1.5
import org/globalplatform 1.0
applet Main
class Main extends javacard/framework/Applet public
  field mine [B private static = 1,2,3
  field server [B private static = -16,106,112,107,105,115,1,1
  birth
  method sio (B)Lorg/globalplatform/Application; private static stack 3
    getstatic_a Main.server
    sconst_0
    bspush 8
    invokestatic javacard/framework/JCSystem.lookupAID([BSB)Ljavacard/framework/AID;
    sload_0
    invokestatic javacard/framework/JCSystem.getAppletShareableInterfaceObject(Ljavacard/framework/AID;B)Ljavacard/framework/Shareable;
    checkcast org/globalplatform/Application
    areturn
  method process (Ljavacard/framework/APDU;)V public stack 6 locals 3
    aload_1
    invokevirtual javacard/framework/APDU.getBuffer()[B
    astore_2
    try:
";

const CLIENT_END: &str = r"
    end:
    aload_1
    sconst_0
    bspush 9
    invokevirtual javacard/framework/APDU.setOutgoingAndSend(SS)V
    return
    security:
    pop
    sspush 28423
    invokestatic javacard/framework/ISOException.throwIt(S)V
    return
    catch try end security java/lang/SecurityException stop
";

const SERVER_AID: &str = "F06A706B69730101";
const CLIENT_AID: &str = "F06A706B69730201";

fn package(text: &str, number: u8) -> Cap {
    let mut cap = assemble(text);
    cap.header.package.aid = Aid::new(&[0xF0, 0x6A, 0x70, 0x6B, 0x69, 0x73, number]).unwrap();
    cap.applet.as_mut().unwrap().applets[0].aid =
        Aid::new(&[0xF0, 0x6A, 0x70, 0x6B, 0x69, 0x73, number, 1]).unwrap();
    cap
}

fn install(card: &mut Card, cap: &Cap) -> Aid {
    let package = card.load_cap(cap).unwrap();
    let module = package.modules[0];
    let request =
        InstallRequest { package: package.aid, module, instance: module, privileges: &[0], parameters: &[] };
    card.install(&request, &mut NoServices).unwrap();
    module
}

/// Runs the client's instructions; the answer.
fn client(body: &str) -> String {
    let mut card = card();
    install(&mut card, &package(SERVER, 1));
    let instance =
        install(&mut card, &package(&format!("{CLIENT}{}{CLIENT_END}", body.replace("; ", "\n")), 2));
    assert!(card.select(0, instance, &mut NoServices).unwrap());
    let command = Process { channel: 0, contactless: false, apdu: &[0, 0, 0, 0, 0], selecting: false };
    hex::encode_upper(card.process(&command, &mut NoServices).unwrap())
}

const SECURITY: &str = "6F07";

#[test]
fn a_shared_object_works_on_global_arrays_in_its_own_context() {
    let answer = client(
        "sconst_1; invokestatic Main.sio(B)Lorg/globalplatform/Application;; aload_2; sconst_0; sconst_1; \
         invokeinterface org/globalplatform/Application.processData([BSS)V",
    );
    assert_eq!(answer, format!("2A{CLIENT_AID}9000"), "the server saw who called");
}

#[test]
fn what_crosses_the_firewall_otherwise_is_refused() {
    let call = "invokeinterface org/globalplatform/Application.processData([BSS)V";
    let sio = "sconst_1; invokestatic Main.sio(B)Lorg/globalplatform/Application;";
    let rows = [
        (
            "the server writes the client's array",
            format!("{sio}; getstatic_a Main.mine; sconst_0; sconst_2; {call}"),
        ),
        (
            "a virtual method of a foreign object",
            format!("{sio}; aconst_null; invokevirtual java/lang/Object.equals(Ljava/lang/Object;)Z; pop"),
        ),
        ("a cast to a class", format!("{sio}; checkcast javacard/framework/Applet; pop")),
        (
            "a cast to an interface that is not shareable",
            format!("{sio}; checkcast javacard/framework/MultiSelectable; pop"),
        ),
        ("instanceof a class", format!("{sio}; instanceof javacard/framework/Applet; pop")),
        ("throwing a foreign object", format!("{sio}; athrow; nop")),
    ];
    for (name, body) in rows {
        assert_eq!(client(&body), SECURITY, "{name}");
    }
}

#[test]
fn a_server_may_decline() {
    for parameter in [2, 3] {
        let body = format!(
            "sconst_{parameter}; invokestatic Main.sio(B)Lorg/globalplatform/Application;; ifnull end; \
             sspush 27904; invokestatic javacard/framework/ISOException.throwIt(S)V"
        );
        assert_eq!(client(&body), "0000000000000000009000");
    }
}

#[test]
fn a_shared_object_may_be_asked_for_its_shareable_types() {
    let body = "sconst_1; invokestatic Main.sio(B)Lorg/globalplatform/Application;; \
                instanceof javacard/framework/Shareable; sstore_3; aload_2; sconst_0; sload_3; bastore";
    assert_eq!(client(body), "0100000000000000009000");
}

#[test]
fn an_instance_that_another_applet_holds_cannot_be_deleted() {
    let keep = "sconst_1; invokestatic Main.sio(B)Lorg/globalplatform/Application;; putstatic_a Main.kept";
    let text = CLIENT.replace(
        "  field mine",
        "  field kept Lorg/globalplatform/Application; private static\n  field mine",
    );
    let mut card = card();
    let server = install(&mut card, &package(SERVER, 1));
    let cap = package(&format!("{text}{}{CLIENT_END}", keep.replace("; ", "\n")), 2);
    let client = install(&mut card, &cap);
    let delete = |card: &mut Card| card.delete(&[server], &mut NoServices).map_err(|e| e.to_string());
    let unused = &mut card.clone();
    assert_eq!(delete(unused), Ok(()));
    assert!(card.select(0, client, &mut NoServices).unwrap());
    let command = Process { channel: 0, contactless: false, apdu: &[0, 0, 0, 0, 0], selecting: false };
    card.process(&command, &mut NoServices).unwrap();
    assert_eq!(delete(&mut card), Err("refused with 6985".into()));
    // What the registry no longer lists goes all the same; the reference becomes null.
    let packages: Vec<Aid> = card.packages().iter().map(|p| p.aid).collect();
    card.settle(&packages, &[client]).unwrap();
    assert_eq!(card.instances(), [aid(CLIENT_AID)]);
    assert_ne!(server, client);
    assert_eq!(server, aid(SERVER_AID));
}
