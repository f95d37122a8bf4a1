package jp.jpkise.ara;

import javacard.framework.APDU;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.Util;
import org.globalplatform.GPSystem;
import org.globalplatform.SecureChannel;

/** The way in for a command's data and out for its answer, and the secure channel's rules. */
final class Guard {
    /** The APDU buffer the secure channel needs: header, 255 bytes of data, Le. */
    private static final short CHANNEL_BUFFER = 261;
    /** The most an answer may have before R-MAC and response encryption are added to it. */
    private static final short LONGEST_WRAPPED = 224;
    /** A page: some modems do not take a full 256 bytes. */
    private static final short LONGEST_PAGE = 255;
    /** What changing rules needs. They are no secret, so encryption is not asked for. */
    private static final byte LEVEL_MANAGER = (byte) (SecureChannel.AUTHENTICATED | SecureChannel.C_MAC);

    private final Ram ram;

    Guard(Ram ram) {
        this.ram = ram;
    }

    /** INITIALIZE UPDATE and EXTERNAL AUTHENTICATE: the domain's business. */
    void processSecurity(APDU apdu) {
        requireChannelBuffer(apdu.getBuffer());
        short length = GPSystem.getSecureChannel().processSecurity(apdu);
        if (length > 0) {
            apdu.setOutgoingAndSend(ISO7816.OFFSET_CDATA, length);
        }
    }

    /** Receives a command in clear. Its class byte showed so: {@code unwrap} would hand it back unchecked. */
    void openClear(APDU apdu) {
        ram.vars[Ram.LEVEL] = 0;
        ram.vars[Ram.DATA] = receive(apdu);
    }

    /**
     * Receives and unwraps a command whose class byte shows secure messaging.
     *
     * @throws ISOException 6982 when no session is open, or of the channel's own
     */
    void openSecure(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        requireChannelBuffer(buffer);
        ram.vars[Ram.LEVEL] = 0;
        ram.vars[Ram.ANSWER] = 0;
        short length = receive(apdu);
        SecureChannel channel = GPSystem.getSecureChannel();
        length = channel.unwrap(buffer, (short) 0, (short) (ISO7816.OFFSET_CDATA + length));
        byte level = channel.getSecurityLevel();
        if ((byte) (level & LEVEL_MANAGER) != LEVEL_MANAGER) {
            ISOException.throwIt(Sw.SECURITY_STATUS);
        }
        ram.vars[Ram.LEVEL] = level;
        ram.vars[Ram.DATA] = (short) (length - ISO7816.OFFSET_CDATA);
    }

    private static short receive(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        short received = apdu.setIncomingAndReceive();
        short length = apdu.getIncomingLength();
        if (length > (short) (buffer.length - ISO7816.OFFSET_CDATA)) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        while (received < length) {
            received = (short) (received + apdu.receiveBytes((short) (ISO7816.OFFSET_CDATA + received)));
        }
        return received;
    }

    /** Lets a command that changes rules pass: it came in a secure channel. */
    void requireManager() {
        if (ram.vars[Ram.LEVEL] == 0) {
            ISOException.throwIt(Sw.SECURITY_STATUS);
        }
    }

    /**
     * Lets a command pass that the security domain hands over: the domain's session is open on this channel. Asked here
     * because nothing else tells the domain from any other applet that calls {@code processData}.
     */
    static void requireDomainSession() {
        byte level = GPSystem.getSecureChannel().getSecurityLevel();
        if ((byte) (level & LEVEL_MANAGER) != LEVEL_MANAGER) {
            ISOException.throwIt(Sw.SECURITY_STATUS);
        }
    }

    /** Turns to the answer. @return how many bytes it may have */
    short startAnswer(APDU apdu) {
        short buffer = (short) apdu.getBuffer().length;
        if (ram.vars[Ram.LEVEL] != 0) {
            return LONGEST_WRAPPED;
        }
        short most = apdu.setOutgoing();
        if (most <= 0 || most > LONGEST_PAGE) {
            most = LONGEST_PAGE;
        }
        return most < buffer ? most : buffer;
    }

    /** Sends an answer that stands at the start of the APDU buffer, or keeps it there until {@link #close} wraps it. */
    void answer(APDU apdu, short length) {
        if (ram.vars[Ram.LEVEL] != 0) {
            ram.vars[Ram.ANSWER] = length;
            return;
        }
        apdu.setOutgoingLength(length);
        apdu.sendBytes((short) 0, length);
    }

    /** Wraps answer and status word of a command that came by the channel: 9000 and warnings only, errors leave bare. */
    void close(APDU apdu, short sw) {
        if (ram.vars[Ram.LEVEL] == 0) {
            return;
        }
        byte[] buffer = apdu.getBuffer();
        short length = Util.setShort(buffer, ram.vars[Ram.ANSWER], sw);
        length = GPSystem.getSecureChannel().wrap(buffer, (short) 0, length);
        if (length > 0) {
            apdu.setOutgoing();
            apdu.setOutgoingLength(length);
            apdu.sendBytes((short) 0, length);
        }
    }

    private static void requireChannelBuffer(byte[] buffer) {
        if ((short) buffer.length < CHANNEL_BUFFER) {
            ISOException.throwIt(Sw.FUNCTION_NOT_SUPPORTED);
        }
    }
}
