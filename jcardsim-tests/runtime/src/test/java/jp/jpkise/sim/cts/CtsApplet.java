package jp.jpkise.sim.cts;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.MultiSelectable;
import javacard.framework.Util;

/**
 * Answers what the applets of Android's compatibility test suite for OMAPI answer, after its own description.
 *
 * <pre>
 * SELECT      6F { 84 AID, A5 … }; 600 bytes longer where installed so (C9 first byte 01), in pieces by 61xx
 * 06, 0A, A4  nothing                                08, 0C     256 bytes
 * C2 to C8    as many bytes as P1 P2 say, in pieces by 61xx of at most 255
 * CF          the same, in pieces of at most 64
 * F3          a warning: P1 00 6200, 01 6281, 02 63F1, 03 63C2; P2 08 or 0C: with the data sent, or three bytes
 * F4          P2 of the SELECT on this channel
 * C0          the next piece
 * </pre>
 */
public final class CtsApplet extends Applet implements MultiSelectable {
    private static final short CHANNELS = 20;
    private static final short LONG_SELECT = 600;
    private static final short PIECE = 255;
    private static final short SMALL_PIECE = 64;
    private static final short SW_MORE = 0x6100;
    private static final short[] WARNINGS = {0x6200, 0x6281, 0x63F1, 0x63C2};

    private final boolean longSelect;
    /** Bytes still to be fetched, size of a piece, P2 of SELECT, value of the bytes; by channel, four each. */
    private final short[] state;
    /** The FCI of a long selection, or anything else that is answered. */
    private final byte[] answer;

    private CtsApplet(boolean longSelect) {
        this.longSelect = longSelect;
        state = JCSystem.makeTransientShortArray((short) (CHANNELS * 4), JCSystem.CLEAR_ON_RESET);
        answer = JCSystem.makeTransientByteArray((short) 256, JCSystem.CLEAR_ON_RESET);
    }

    public static void install(byte[] parameters, short offset, byte length) {
        short privileges = (short) (offset + 1 + (parameters[offset] & 0xFF));
        short specific = (short) (privileges + 1 + (parameters[privileges] & 0xFF));
        boolean longSelect = parameters[specific] != 0 && parameters[(short) (specific + 1)] == 1;
        new CtsApplet(longSelect).register(parameters, (short) (offset + 1), parameters[offset]);
    }

    @Override
    public boolean select(boolean appInstAlreadyActive) {
        return true;
    }

    @Override
    public void deselect(boolean appInstStillActive) {
        // Nothing is kept beyond a channel's next SELECT.
    }

    @Override
    public void process(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        short at = (short) (APDU.getCLAChannel() * 4);
        if (selectingApplet()) {
            selected(apdu, at);
            return;
        }
        short length = Util.getShort(buffer, ISO7816.OFFSET_P1);
        short value = 0x11;
        switch (buffer[ISO7816.OFFSET_INS]) {
            case (byte) 0x06:
                return;
            case (byte) 0x0A:
            case (byte) 0xA4:
                apdu.setIncomingAndReceive();
                return;
            case (byte) 0x0C:
                apdu.setIncomingAndReceive();
                whole(apdu);
                return;
            case (byte) 0x08:
                whole(apdu);
                return;
            case (byte) 0xC2:
            case (byte) 0xC6:
                more(apdu, at, length, PIECE, value);
                return;
            case (byte) 0xC4:
            case (byte) 0xC8:
                apdu.setIncomingAndReceive();
                more(apdu, at, length, PIECE, value);
                return;
            case (byte) 0xCF:
                more(apdu, at, length, SMALL_PIECE, value);
                return;
            case (byte) 0xC0:
                more(apdu, at, state[at], state[(short) (at + 1)], state[(short) (at + 3)]);
                return;
            case (byte) 0xF3:
                warn(apdu);
                return;
            case (byte) 0xF4:
                buffer[0] = (byte) state[(short) (at + 2)];
                apdu.setOutgoingAndSend((short) 0, (short) 1);
                return;
            default:
                ISOException.throwIt(ISO7816.SW_INS_NOT_SUPPORTED);
        }
    }

    private void selected(APDU apdu, short at) {
        byte[] buffer = apdu.getBuffer();
        state[at] = 0;
        state[(short) (at + 2)] = (short) (buffer[ISO7816.OFFSET_P2] & 0xFF);
        apdu.setIncomingAndReceive();
        byte aid = JCSystem.getAID().getBytes(answer, (short) 6);
        short inner = (short) (aid + 2);
        if (longSelect) {
            // 6F 82 hh ll 84 AID A5 82 hh ll, then the content in pieces.
            short value = (short) (inner + 4 + LONG_SELECT);
            answer[0] = 0x6F;
            answer[1] = (byte) 0x82;
            Util.setShort(answer, (short) 2, value);
            answer[4] = (byte) 0x84;
            answer[5] = aid;
            short end = (short) (6 + aid);
            answer[end] = (byte) 0xA5;
            answer[(short) (end + 1)] = (byte) 0x82;
            Util.setShort(answer, (short) (end + 2), LONG_SELECT);
            short head = (short) (end + 4);
            Util.arrayFillNonAtomic(answer, head, (short) (PIECE - head), (byte) 0x5A);
            remember(at, (short) (LONG_SELECT - (PIECE - head)), PIECE, (short) 0x5A);
            send(apdu, PIECE);
            ISOException.throwIt((short) (SW_MORE | PIECE));
        }
        Util.arrayCopyNonAtomic(answer, (short) 6, buffer, (short) 4, aid);
        buffer[0] = 0x6F;
        buffer[1] = (byte) inner;
        buffer[2] = (byte) 0x84;
        buffer[3] = aid;
        apdu.setOutgoingAndSend((short) 0, (short) (inner + 2));
    }

    private void whole(APDU apdu) {
        Util.arrayFillNonAtomic(answer, (short) 0, (short) 256, (byte) 0x77);
        send(apdu, (short) 256);
    }

    private void remember(short at, short left, short piece, short value) {
        state[at] = left;
        state[(short) (at + 1)] = piece;
        state[(short) (at + 3)] = value;
    }

    private void more(APDU apdu, short at, short left, short piece, short value) {
        if (left == 0) {
            ISOException.throwIt(ISO7816.SW_CONDITIONS_NOT_SATISFIED);
        }
        short now = left < piece ? left : piece;
        remember(at, (short) (left - now), piece, value);
        Util.arrayFillNonAtomic(answer, (short) 0, now, (byte) value);
        send(apdu, now);
        short waiting = state[at] < piece ? state[at] : piece;
        if (waiting > 0) {
            ISOException.throwIt((short) (SW_MORE | waiting));
        }
    }

    private void send(APDU apdu, short length) {
        apdu.setOutgoing();
        apdu.setOutgoingLength(length);
        apdu.sendBytesLong(answer, (short) 0, length);
    }

    private void warn(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        byte p1 = buffer[ISO7816.OFFSET_P1];
        byte p2 = buffer[ISO7816.OFFSET_P2];
        if (p1 < 0 || p1 >= (byte) WARNINGS.length) {
            ISOException.throwIt(ISO7816.SW_INCORRECT_P1P2);
        }
        if (p2 == 0x08 || p2 == 0x0C) {
            short length = p2 == 0x0C ? apdu.setIncomingAndReceive() : 0;
            Util.arrayCopyNonAtomic(buffer, ISO7816.OFFSET_CDATA, answer, (short) 0, length);
            if (length == 0) {
                length = 3;
                Util.arrayFillNonAtomic(answer, (short) 0, length, (byte) 0x22);
            }
            send(apdu, length);
        }
        ISOException.throwIt(WARNINGS[p1]);
    }
}
