package jp.jpkise.sim.probe;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.AppletEvent;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.Util;
import javacard.security.KeyBuilder;
import javacard.security.KeyPair;
import javacard.security.RSAPublicKey;
import org.globalplatform.Application;
import org.globalplatform.GPSystem;
import org.globalplatform.SecureChannel;

/**
 * Does whatever the tests of the runtime seam want to see, within what a card can run: the tests convert it, too.
 *
 * <p>The first byte of C9 chooses what goes wrong: 01 install() throws 6A84 before register(), 02 after it, 03 an
 * unchecked exception after it, 04 select() answers false, 05 select() throws, 06 nothing is registered.
 *
 * <pre>
 * 80/84 50, 82  processSecurity          80 10  what select() and SELECT saw: selecting, protocol, deselections, resets
 * 80 12  echo of the data                80 14  throws P1 P2          80 16  NullPointerException
 * 80 18  runs for ever
 * 80 1C  own life cycle, card state      80 1E  sets the own life cycle to P1; answers whether it was
 * 80 20  GPSystem P1: 1 lock, 2 terminate, 3 historical bytes
 * 80 22  counter in transient memory of P1 (1 reset, 2 deselect), one up
 * 80 24  modulus of a fresh RSA-1024 key 80 26  what processData got
 * xx 30  unwrap, then data with the security level in front, wrapped
 * 84 32  unwrap, then decryptData of the data, wrapped
 * xx 34  security level before anything  80 36  resetSecurity()
 * </pre>
 */
public class ProbeApplet extends Applet implements AppletEvent, Application {
    private final byte fault;
    private final byte[] persistent = new byte[300];
    private final byte[] onReset = JCSystem.makeTransientByteArray((short) 1, JCSystem.CLEAR_ON_RESET);
    private final byte[] onDeselect = JCSystem.makeTransientByteArray((short) 1, JCSystem.CLEAR_ON_DESELECT);
    private byte deselections;
    private byte selectedWith;
    private short stored;

    protected ProbeApplet(byte fault) {
        this.fault = fault;
    }

    public static void install(byte[] array, short offset, byte length) {
        short at = (short) (offset + array[offset] + 1);
        at += (short) (array[at] + 1);
        byte fault = array[at] == 0 ? 0 : array[(short) (at + 1)];
        if (fault == 1) {
            ISOException.throwIt(ISO7816.SW_FILE_FULL);
        }
        ProbeApplet applet = new ProbeApplet(fault);
        if (fault != 6) {
            applet.register(array, (short) (offset + 1), array[offset]);
        }
        if (fault == 2) {
            ISOException.throwIt(ISO7816.SW_FILE_FULL);
        }
        if (fault == 3) {
            throw new SecurityException();
        }
    }

    @Override
    public boolean select() {
        if (fault == 5) {
            throw new SecurityException();
        }
        return fault != 4;
    }

    @Override
    public void deselect() {
        deselections++;
    }

    @Override
    public void uninstall() {
        Util.arrayFillNonAtomic(persistent, (short) 0, (short) persistent.length, (byte) 0);
    }

    @Override
    public void processData(byte[] buffer, short offset, short length) {
        if (buffer[(short) (offset + ISO7816.OFFSET_CDATA)] == (byte) 0xEE) {
            ISOException.throwIt(ISO7816.SW_WRONG_DATA);
        }
        Util.arrayCopy(buffer, offset, persistent, (short) 0, length);
        stored = length;
    }

    @Override
    public void process(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        if (selectingApplet()) {
            selectedWith = 1;
            return;
        }
        byte ins = buffer[ISO7816.OFFSET_INS];
        SecureChannel channel = GPSystem.getSecureChannel();
        switch (ins) {
            case (byte) 0xA4:
                ISOException.throwIt(ISO7816.SW_FILE_NOT_FOUND);
                break;
            case 0x50:
            case (byte) 0x82:
                apdu.setOutgoingAndSend(ISO7816.OFFSET_CDATA, channel.processSecurity(apdu));
                break;
            case 0x10:
                buffer[0] = selectedWith;
                buffer[1] = APDU.getProtocol();
                buffer[2] = deselections;
                apdu.setOutgoingAndSend((short) 0, (short) 3);
                break;
            case 0x12:
                echo(apdu);
                break;
            case 0x14:
                ISOException.throwIt(Util.getShort(buffer, ISO7816.OFFSET_P1));
                break;
            case 0x16:
                throw new NullPointerException();
            case 0x18:
                for (short i = 0; i >= 0; i ^= 1) {
                    onReset[0] = (byte) i;
                }
                break;
            case 0x1C:
                buffer[0] = GPSystem.getCardContentState();
                buffer[1] = GPSystem.getCardState();
                apdu.setOutgoingAndSend((short) 0, (short) 2);
                break;
            case 0x1E:
                answer(apdu, GPSystem.setCardContentState(buffer[ISO7816.OFFSET_P1]));
                break;
            case 0x20:
                answer(apdu, system(buffer));
                break;
            case 0x22:
                byte[] counter = buffer[ISO7816.OFFSET_P1] == 1 ? onReset : onDeselect;
                counter[0]++;
                buffer[0] = counter[0];
                apdu.setOutgoingAndSend((short) 0, (short) 1);
                break;
            case 0x24:
                KeyPair pair = new KeyPair(KeyPair.ALG_RSA_CRT, KeyBuilder.LENGTH_RSA_1024);
                pair.genKeyPair();
                apdu.setOutgoingAndSend((short) 0, ((RSAPublicKey) pair.getPublic()).getModulus(buffer, (short) 0));
                break;
            case 0x26:
                apdu.setOutgoing();
                apdu.setOutgoingLength(stored);
                apdu.sendBytesLong(persistent, (short) 0, stored);
                break;
            case 0x30:
            case 0x32:
                secured(apdu, channel, ins == 0x32);
                break;
            case 0x34:
                buffer[0] = channel.getSecurityLevel();
                apdu.setOutgoingAndSend((short) 0, (short) 1);
                break;
            case 0x36:
                channel.resetSecurity();
                break;
            default:
                ISOException.throwIt(ISO7816.SW_INS_NOT_SUPPORTED);
        }
    }

    private void echo(APDU apdu) {
        short length = apdu.setIncomingAndReceive();
        byte[] buffer = apdu.getBuffer();
        // jCardSim sends nothing that reaches beyond byte 258 of the buffer, however large that is.
        Util.arrayCopyNonAtomic(buffer, ISO7816.OFFSET_CDATA, buffer, (short) 0, length);
        apdu.setOutgoingAndSend((short) 0, length);
    }

    private void secured(APDU apdu, SecureChannel channel, boolean decrypt) {
        byte[] buffer = apdu.getBuffer();
        short length = apdu.setIncomingAndReceive();
        length = (short) (channel.unwrap(buffer, (short) 0, (short) (length + 5)) - 5);
        if (decrypt) {
            length = channel.decryptData(buffer, (short) 5, length);
        }
        buffer[4] = channel.getSecurityLevel();
        Util.setShort(buffer, (short) (5 + length), ISO7816.SW_NO_ERROR);
        length = channel.wrap(buffer, (short) 4, (short) (length + 3));
        apdu.setOutgoingAndSend((short) 4, length);
    }

    private boolean system(byte[] buffer) {
        switch (buffer[ISO7816.OFFSET_P1]) {
            case 1:
                return GPSystem.lockCard();
            case 2:
                return GPSystem.terminateCard();
            default:
                buffer[0] = (byte) 0x80;
                return GPSystem.setATRHistBytes(buffer, (short) 0, (byte) 1);
        }
    }

    private static void answer(APDU apdu, boolean done) {
        byte[] buffer = apdu.getBuffer();
        buffer[0] = (byte) (done ? 1 : 0);
        apdu.setOutgoingAndSend((short) 0, (short) 1);
    }
}
