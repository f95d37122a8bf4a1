package server;

import javacard.framework.AID;
import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.JCSystem;
import javacard.framework.Shareable;
import vault.Ledger;
import vault.Vault;

/** Keeps a ledger for whoever knows the password. */
public class Server extends Applet implements Vault {
    private final Book book = new Book();

    /** Counts everything twice. */
    private static final class Book extends Ledger {
        protected short weight() {
            return 2;
        }
    }

    public static void install(byte[] parameters, short offset, byte length) {
        new Server().register(parameters, (short) (offset + 1), parameters[offset]);
    }

    public Shareable getShareableInterfaceObject(AID client, byte parameter) {
        return parameter == 0x55 ? this : null;
    }

    public short add(byte[] data, short offset, short length) {
        short total = 0;
        for (short i = 0; i < length; i++) {
            total = book.enter(data[(short) (offset + i)]);
        }
        return total;
    }

    public byte caller() {
        AID previous = JCSystem.getPreviousContextAID();
        byte[] one = new byte[1];
        previous.getPartialBytes((short) 5, one, (short) 0, (byte) 1);
        return one[0];
    }

    public void process(APDU apdu) {
    }
}
