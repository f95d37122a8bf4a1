package views;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.Util;

/** Shows what an applet sees of a command. */
public class View extends Applet {
    private final byte[] out = JCSystem.makeTransientByteArray((short) 512, JCSystem.CLEAR_ON_RESET);

    public static void install(byte[] parameters, short offset, byte length) {
        new View().register(parameters, (short) (offset + 1), parameters[offset]);
    }

    public void process(APDU apdu) {
        if (selectingApplet()) {
            return;
        }
        byte[] buffer = apdu.getBuffer();
        switch (buffer[ISO7816.OFFSET_INS]) {
            case 0x20:
                transport(apdu, buffer);
                break;
            case 0x22:
                incoming(apdu, buffer);
                break;
            case 0x24:
                outgoing(apdu, Util.getShort(buffer, ISO7816.OFFSET_P1));
                break;
            default:
                ISOException.throwIt(ISO7816.SW_INS_NOT_SUPPORTED);
        }
    }

    /** Protocol and block sizes, state before and after setOutgoing, Le. */
    private void transport(APDU apdu, byte[] buffer) {
        out[0] = APDU.getProtocol();
        Util.setShort(out, (short) 1, APDU.getInBlockSize());
        Util.setShort(out, (short) 3, APDU.getOutBlockSize());
        out[5] = apdu.getCurrentState();
        Util.setShort(out, (short) 6, apdu.setOutgoing());
        out[8] = apdu.getCurrentState();
        out[9] = apdu.isISOInterindustryCLA() ? (byte) 1 : (byte) 0;
        out[10] = APDU.getCLAChannel();
        apdu.setOutgoingLength((short) 11);
        apdu.sendBytesLong(out, (short) 0, (short) 11);
    }

    /** Bytes of the first receive, Lc, data offset, the sum of all data, Le. */
    private void incoming(APDU apdu, byte[] buffer) {
        short received = apdu.setIncomingAndReceive();
        short offset = apdu.getOffsetCdata();
        Util.setShort(out, (short) 0, received);
        Util.setShort(out, (short) 2, apdu.getIncomingLength());
        Util.setShort(out, (short) 4, offset);
        short sum = 0;
        while (received > 0) {
            for (short i = 0; i < received; i++) {
                sum += (short) (buffer[(short) (offset + i)] & 0xFF);
            }
            if (apdu.getCurrentState() == APDU.STATE_FULL_INCOMING) {
                break;
            }
            received = apdu.receiveBytes(offset);
        }
        Util.setShort(out, (short) 6, sum);
        Util.setShort(out, (short) 8, apdu.setOutgoing());
        apdu.setOutgoingLength((short) 10);
        apdu.sendBytesLong(out, (short) 0, (short) 10);
    }

    /** So many bytes, in pieces of 200. */
    private void outgoing(APDU apdu, short length) {
        apdu.setOutgoing();
        apdu.setOutgoingLength(length);
        while (length > 0) {
            short piece = length > 200 ? (short) 200 : length;
            Util.arrayFillNonAtomic(out, (short) 0, piece, (byte) piece);
            apdu.sendBytesLong(out, (short) 0, piece);
            length -= piece;
        }
    }
}
