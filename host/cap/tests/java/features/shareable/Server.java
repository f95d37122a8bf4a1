package shareable;

import javacard.framework.AID;
import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.JCSystem;
import javacard.framework.Shareable;

/** An applet package exports its shareable interface alone. */
public class Server extends Applet implements Service {
    public static void install(byte[] parameters, short offset, byte length) {
        new Server().register();
    }

    public void process(APDU apdu) {
        AID aid = JCSystem.getPreviousContextAID();
        Service other = (Service) JCSystem.getAppletShareableInterfaceObject(aid, (byte) 0);
        other.ask(apdu.getBuffer(), (short) 0);
    }

    public short ask(byte[] buffer, short offset) {
        return buffer[offset];
    }

    public Shareable getShareableInterfaceObject(AID client, byte parameter) {
        return this;
    }
}
