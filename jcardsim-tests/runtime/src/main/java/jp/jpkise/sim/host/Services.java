package jp.jpkise.sim.host;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Arrays;
import javacard.framework.AID;
import javacard.framework.APDU;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import jp.jpkise.sim.GpProvider;
import org.globalplatform.SecureChannel;

/** {@code GPSystem} and {@code SecureChannel} as stubs: every call is a question to the host. */
final class Services implements GpProvider {
    private static final int PROCESS_SECURITY = 1;
    private static final int UNWRAP = 2;
    private static final int WRAP = 3;
    private static final int DECRYPT_DATA = 4;
    private static final int ENCRYPT_DATA = 5;
    private static final int SECURITY_LEVEL = 6;
    private static final int RESET_SECURITY = 7;
    private static final int CARD_CONTENT_STATE = 8;
    private static final int SET_CARD_CONTENT_STATE = 9;
    private static final int CARD_STATE = 10;
    private static final int SET_HISTORICAL_BYTES = 11;
    private static final int LOCK_CARD = 12;
    private static final int TERMINATE_CARD = 13;

    private static final byte[] NOTHING = {};

    private final Link link;
    private final SecureChannel secureChannel = new Channel();
    private HostedCard card;

    Services(Link link) {
        this.link = link;
    }

    void serve(HostedCard hostedCard) {
        this.card = hostedCard;
    }

    @Override
    public SecureChannel secureChannel() {
        return secureChannel;
    }

    @Override
    public byte cardContentState() {
        return ask(CARD_CONTENT_STATE, NOTHING)[0];
    }

    @Override
    public boolean setCardContentState(byte state) {
        return ask(SET_CARD_CONTENT_STATE, new byte[] {state})[0] != 0;
    }

    @Override
    public byte cardState() {
        return ask(CARD_STATE, NOTHING)[0];
    }

    @Override
    public boolean lockCard() {
        return ask(LOCK_CARD, NOTHING)[0] != 0;
    }

    @Override
    public boolean terminateCard() {
        return ask(TERMINATE_CARD, NOTHING)[0] != 0;
    }

    @Override
    public boolean setHistoricalBytes(byte[] historical) {
        return ask(SET_HISTORICAL_BYTES, historical)[0] != 0;
    }

    private byte[] ask(int operation, byte[] input) {
        AID caller = card.getAID();
        byte[] instance = new byte[16];
        byte length = caller == null ? 0 : caller.getBytes(instance, (short) 0);
        try {
            link.send(new Frame(Link.SERVICE).octet(operation).octet(card.channel())
                    .string(Arrays.copyOf(instance, length)).string(input));
            Fields answer = link.receive();
            if (answer == null) {
                // The host has gone; there is nobody to finish the command for.
                Runtime.getRuntime().halt(0);
                throw new IllegalStateException();
            }
            return switch (answer.type()) {
                case Link.RETURN -> answer.string();
                case Link.THROW -> throw new ISOException((short) answer.word());
                default -> throw new IOException("frame " + Integer.toHexString(answer.type()) + " during a service");
            };
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    private final class Channel implements SecureChannel {
        @Override
        public short processSecurity(APDU apdu) {
            if (apdu.getCurrentState() == APDU.STATE_INITIAL) {
                apdu.setIncomingAndReceive();
            }
            byte[] buffer = apdu.getBuffer();
            // Both commands are short: header, Lc, at most 32 bytes of data.
            int lc = buffer[ISO7816.OFFSET_LC] & 0xFF;
            byte[] answer = ask(PROCESS_SECURITY, Arrays.copyOf(buffer, ISO7816.OFFSET_CDATA + lc));
            return put(answer, buffer, ISO7816.OFFSET_CDATA);
        }

        @Override
        public short wrap(byte[] buffer, short offset, short length) {
            return put(ask(WRAP, take(buffer, offset, length)), buffer, offset);
        }

        @Override
        public short unwrap(byte[] buffer, short offset, short length) {
            return put(ask(UNWRAP, take(buffer, offset, length)), buffer, offset);
        }

        @Override
        public short decryptData(byte[] buffer, short offset, short length) {
            return put(ask(DECRYPT_DATA, take(buffer, offset, length)), buffer, offset);
        }

        @Override
        public short encryptData(byte[] buffer, short offset, short length) {
            return put(ask(ENCRYPT_DATA, take(buffer, offset, length)), buffer, offset);
        }

        @Override
        public void resetSecurity() {
            ask(RESET_SECURITY, NOTHING);
        }

        @Override
        public byte getSecurityLevel() {
            return ask(SECURITY_LEVEL, NOTHING)[0];
        }

        private byte[] take(byte[] buffer, short offset, short length) {
            return Arrays.copyOfRange(buffer, offset, offset + length);
        }

        private short put(byte[] result, byte[] buffer, int offset) {
            System.arraycopy(result, 0, buffer, offset, result.length);
            return (short) result.length;
        }
    }
}
