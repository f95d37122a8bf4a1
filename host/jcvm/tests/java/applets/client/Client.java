package client;

import javacard.framework.AID;
import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.Util;
import vault.Ledger;
import vault.Vault;

/** Uses the server's vault, and a ledger of its own. */
public class Client extends Applet {
    private static final byte[] SERVER = {(byte) 0xD2, 0x76, 0x00, 0x01, 0x77, 0x53, 0x01};
    private final byte[] mine = {1, 2, 3};
    private final Own own = new Own();

    private static final class Own extends Ledger {
        protected short weight() {
            return 5;
        }
    }

    public static void install(byte[] parameters, short offset, byte length) {
        new Client().register(parameters, (short) (offset + 1), parameters[offset]);
    }

    public void process(APDU apdu) {
        if (selectingApplet()) {
            return;
        }
        byte[] buffer = apdu.getBuffer();
        AID server = JCSystem.lookupAID(SERVER, (short) 0, (byte) SERVER.length);
        Vault vault = (Vault) JCSystem.getAppletShareableInterfaceObject(server, buffer[ISO7816.OFFSET_P1]);
        if (vault == null) {
            ISOException.throwIt(ISO7816.SW_FUNC_NOT_SUPPORTED);
        }
        short result = 0;
        try {
            switch (buffer[ISO7816.OFFSET_INS]) {
                case 0x30: // the global array is everybody's
                    apdu.setIncomingAndReceive();
                    result = vault.add(buffer, ISO7816.OFFSET_CDATA, (short) (buffer[ISO7816.OFFSET_LC] & 0xFF));
                    break;
                case 0x32: // an array of the client is not the server's to read
                    result = vault.add(mine, (short) 0, (short) 3);
                    break;
                case 0x34:
                    result = vault.caller();
                    break;
                case 0x36: // the server object's class is not the client's to know
                    result = vault instanceof Applet ? (short) 1 : (short) 0;
                    break;
                case 0x38: // static fields belong to no context
                    result = Ledger.entries;
                    break;
                case 0x3A: // a class of the library in the client's context
                    result = own.enter((short) 7);
                    break;
                default:
                    ISOException.throwIt(ISO7816.SW_INS_NOT_SUPPORTED);
            }
        } catch (SecurityException e) {
            ISOException.throwIt((short) 0x6F07);
        }
        Util.setShort(buffer, (short) 0, result);
        apdu.setOutgoingAndSend((short) 0, (short) 2);
    }
}
