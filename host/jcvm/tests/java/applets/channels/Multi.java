package channels;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.MultiSelectable;
import javacard.framework.Util;

/** May be selected on several channels at a time, and remembers how it was selected and deselected. */
public class Multi extends Applet implements MultiSelectable {
    /** What happened to any instance: 1 select, 2 deselect, 3 and 4 on several channels; 10 more when active elsewhere. */
    private static byte[] log = new byte[32];
    private static byte logged;

    private final byte[] untilDeselect = JCSystem.makeTransientByteArray((short) 4, JCSystem.CLEAR_ON_DESELECT);
    private final byte[] untilReset = JCSystem.makeTransientByteArray((short) 4, JCSystem.CLEAR_ON_RESET);

    public static void install(byte[] parameters, short offset, byte length) {
        new Multi().register(parameters, (short) (offset + 1), parameters[offset]);
    }

    private static void note(byte what) {
        log[logged++] = what;
    }

    public boolean select() {
        note((byte) 1);
        return true;
    }

    public void deselect() {
        note((byte) 2);
    }

    public boolean select(boolean active) {
        note(active ? (byte) 13 : (byte) 3);
        return true;
    }

    public void deselect(boolean active) {
        note(active ? (byte) 14 : (byte) 4);
    }

    public void process(APDU apdu) {
        if (selectingApplet()) {
            return;
        }
        byte[] buffer = apdu.getBuffer();
        switch (buffer[ISO7816.OFFSET_INS]) {
            case 0x10:
                untilDeselect[0] = buffer[ISO7816.OFFSET_P1];
                untilReset[0] = buffer[ISO7816.OFFSET_P1];
                break;
            case 0x12:
                buffer[0] = untilDeselect[0];
                buffer[1] = untilReset[0];
                buffer[2] = JCSystem.getAssignedChannel();
                buffer[3] = JCSystem.isAppletActive(JCSystem.getAID()) ? (byte) 1 : (byte) 0;
                apdu.setOutgoingAndSend((short) 0, (short) 4);
                break;
            case 0x14:
                Util.arrayCopyNonAtomic(log, (short) 0, buffer, (short) 0, logged);
                apdu.setOutgoingAndSend((short) 0, logged);
                logged = 0;
                break;
            default:
                ISOException.throwIt(ISO7816.SW_INS_NOT_SUPPORTED);
        }
    }
}
