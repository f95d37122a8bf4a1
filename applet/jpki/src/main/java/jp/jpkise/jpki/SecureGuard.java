package jp.jpkise.jpki;

import javacard.framework.APDU;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.Util;
import org.globalplatform.GPSystem;
import org.globalplatform.SecureChannel;

/**
 * The secure channel's rules, and with them the way in for a command's data and the way out for its answer.
 *
 * <p>The channel is asked for anew by every command, since extradition changes the domain behind it. Its methods work in
 * the APDU buffer, which must then hold a whole short command: a platform with a smaller buffer serves commands in clear
 * only. (The size cannot be asked for at installation: {@code APDU.getCurrentAPDUBuffer} is for {@code process} alone.)
 */
final class SecureGuard {
    /** The APDU buffer the secure channel needs: header, 255 bytes of data, Le. */
    static final short CHANNEL_BUFFER = 261;
    /** The most an answer may have before R-MAC and response encryption are added to it. */
    static final short LONGEST_WRAPPED = 224;

    /** What an ordinary command in the channel needs. */
    private static final byte LEVEL_USER = (byte) (SecureChannel.AUTHENTICATED | SecureChannel.C_MAC);
    /**
     * What an admin command needs. Without R-MAC the app that relays could swap the public key, without C-DECRYPTION it
     * could read the temporary secret's commands.
     */
    private static final byte LEVEL_ADMIN =
            (byte) (LEVEL_USER | SecureChannel.C_DECRYPTION | SecureChannel.R_MAC);

    private static final short DATA_OFFSET = ISO7816.OFFSET_CDATA;
    private static final short NE_MAX = 256;

    private final Ram ram;
    private final Config config;

    SecureGuard(Ram ram, Config config) {
        this.ram = ram;
        this.config = config;
    }

    /** INITIALIZE UPDATE and EXTERNAL AUTHENTICATE: the domain's business. A new session ends what hung on the old one. */
    void processSecurity(APDU apdu) {
        config.requireAdminMedium();
        requireChannelBuffer(apdu.getBuffer());
        ram.forgetTemporary();
        short length = GPSystem.getSecureChannel().processSecurity(apdu);
        if (length > 0) {
            apdu.setOutgoingAndSend(DATA_OFFSET, length);
        }
    }

    /** Notes that the command came in clear. Its class byte showed so: {@code unwrap} would hand it back unchecked. */
    void openClear() {
        ram.vars[Ram.LEVEL] = 0;
    }

    /**
     * Receives and unwraps a command whose class byte shows secure messaging.
     *
     * @throws ISOException 6982 when no session is open, or of the channel's own (6982, 6985 after an abort)
     */
    void openSecure(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        requireChannelBuffer(buffer);
        ram.vars[Ram.LEVEL] = 0;
        ram.vars[Ram.ANSWER] = 0;
        short received = apdu.setIncomingAndReceive();
        short length = apdu.getIncomingLength();
        while (received < length) {
            received = (short) (received + apdu.receiveBytes((short) (DATA_OFFSET + received)));
        }
        SecureChannel channel = GPSystem.getSecureChannel();
        try {
            length = channel.unwrap(buffer, (short) 0, (short) (DATA_OFFSET + length));
        } catch (ISOException e) {
            ram.forgetTemporary();
            throw e;
        }
        byte level = channel.getSecurityLevel();
        if ((byte) (level & LEVEL_USER) != LEVEL_USER) {
            ram.forgetTemporary();
            ISOException.throwIt(Sw.SECURITY_STATUS);
        }
        ram.vars[Ram.LEVEL] = level;
        ram.vars[Ram.DATA] = (short) (length - DATA_OFFSET);
    }

    boolean isSecure() {
        return ram.vars[Ram.LEVEL] != 0;
    }

    /**
     * Lets an admin command pass.
     *
     * @return length of its data, which stands in the APDU buffer from offset 5
     * @throws ISOException 6982 in clear or below level 13; 6985 on a medium refused for administration
     */
    short requireAdmin() {
        if ((byte) (ram.vars[Ram.LEVEL] & LEVEL_ADMIN) != LEVEL_ADMIN) {
            ISOException.throwIt(Sw.SECURITY_STATUS);
        }
        config.requireAdminMedium();
        return ram.vars[Ram.DATA];
    }

    /** @return whether a channel fit for admin commands is open now, whatever this command came by */
    boolean isAdminChannelOpen() {
        return (byte) (GPSystem.getSecureChannel().getSecurityLevel() & LEVEL_ADMIN) == LEVEL_ADMIN;
    }

    /**
     * Brings the data of a command for everybody to the start of scratch, and leaves none in the APDU buffer, which other
     * applications get to see.
     *
     * @return its length, 0 to 255
     */
    short receive(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        if (isSecure()) {
            short data = ram.vars[Ram.DATA];
            move(buffer, (short) 0, data);
            return data;
        }
        short chunk = apdu.setIncomingAndReceive();
        short length = apdu.getIncomingLength();
        if (length >= Ram.SCRATCH) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        short received = 0;
        while (chunk > 0 && chunk <= (short) (length - received)) {
            move(buffer, received, chunk);
            received = (short) (received + chunk);
            chunk = received < length ? apdu.receiveBytes(DATA_OFFSET) : 0;
        }
        return received;
    }

    private void move(byte[] buffer, short received, short length) {
        Util.arrayCopyNonAtomic(buffer, DATA_OFFSET, ram.scratch, received, length);
        Util.arrayFillNonAtomic(buffer, DATA_OFFSET, length, (byte) 0);
    }

    /**
     * Turns to the answer of a command that sends as much as is asked for.
     *
     * @return how much to send at most
     * @throws ISOException 6700 without Le; 6985 when the channel cannot carry what Le asks
     */
    short startAnswer(APDU apdu) {
        short ne = apdu.setOutgoing();
        if (ne == 0) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        if (isSecure() && ne > LONGEST_WRAPPED) {
            if (ne != NE_MAX) {
                ISOException.throwIt(Sw.CONDITIONS);
            }
            ne = LONGEST_WRAPPED;
        }
        return ne;
    }

    /** Sends an answer, or keeps it in the APDU buffer until {@link #close} wraps it. At most 224 bytes in the channel. */
    void answer(APDU apdu, byte[] source, short offset, short length) {
        if (isSecure()) {
            Util.arrayCopyNonAtomic(source, offset, apdu.getBuffer(), (short) 0, length);
            ram.vars[Ram.ANSWER] = length;
            return;
        }
        setOutgoing(apdu);
        apdu.setOutgoingLength(length);
        apdu.sendBytesLong(source, offset, length);
    }

    /** Wraps answer and status word of a command that came by the channel. Errors leave bare, so this is not for them. */
    void close(APDU apdu, short sw) {
        if (!isSecure()) {
            return;
        }
        byte[] buffer = apdu.getBuffer();
        short length = Util.setShort(buffer, ram.vars[Ram.ANSWER], sw);
        try {
            length = GPSystem.getSecureChannel().wrap(buffer, (short) 0, length);
        } catch (ISOException e) {
            ram.forgetTemporary();
            throw e;
        }
        if (length > 0) {
            setOutgoing(apdu);
            apdu.setOutgoingLength(length);
            apdu.sendBytes((short) 0, length);
        }
    }

    /** Ends the session; the runtime calls back with no APDU at hand. */
    static void reset() {
        GPSystem.getSecureChannel().resetSecurity();
    }

    private static void setOutgoing(APDU apdu) {
        if (apdu.getCurrentState() != APDU.STATE_OUTGOING) {
            apdu.setOutgoing();
        }
    }

    private static void requireChannelBuffer(byte[] buffer) {
        if ((short) buffer.length < CHANNEL_BUFFER) {
            ISOException.throwIt(Sw.FUNCTION_NOT_SUPPORTED);
        }
    }
}
