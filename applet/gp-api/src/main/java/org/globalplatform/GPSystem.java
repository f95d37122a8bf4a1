package org.globalplatform;

/**
 * The card manager's services to an application, as GlobalPlatform Card API 1.0 has them.
 *
 * <p>This class exists to compile against. On a card the platform's own class takes its place; on jCardSim the one of
 * {@code jcardsim-tests/shims} does. If its methods are ever reached, the class path is in the wrong order.
 */
public class GPSystem {
    /** Life cycle of an application: installed. */
    public static final byte APPLICATION_INSTALLED = 0x03;
    /** Life cycle of an application: can be selected. */
    public static final byte APPLICATION_SELECTABLE = 0x07;
    /** Life cycle of a security domain: has keys. */
    public static final byte SECURITY_DOMAIN_PERSONALIZED = 0x0F;
    /** Life cycle of the card. */
    public static final byte CARD_OP_READY = 0x01;
    /** Life cycle of the card. */
    public static final byte CARD_INITIALIZED = 0x07;
    /** Life cycle of the card. */
    public static final byte CARD_SECURED = 0x0F;
    /** Life cycle of the card. */
    public static final byte CARD_LOCKED = 0x7F;
    /** Life cycle of the card. */
    public static final byte CARD_TERMINATED = (byte) 0xFF;
    /** The global PIN's identifier. */
    public static final byte CVM_GLOBAL_PIN = 0x11;

    /** As in the platform's class. */
    public GPSystem() {
    }

    /** @return the calling application's life cycle state */
    public static byte getCardContentState() {
        throw compileOnly();
    }

    /** @return the card's life cycle state */
    public static byte getCardState() {
        throw compileOnly();
    }

    /** @return the PIN service of that identifier, or null */
    public static CVM getCVM(byte bCVMIdentifier) {
        throw compileOnly();
    }

    /** @return the secure channel of the calling application's security domain; it may be another one next time */
    public static SecureChannel getSecureChannel() {
        throw compileOnly();
    }

    /** @return false when the caller may not lock the card */
    public static boolean lockCard() {
        throw compileOnly();
    }

    /** @return false when the caller may not terminate the card */
    public static boolean terminateCard() {
        throw compileOnly();
    }

    /** @return false when the caller may not set the historical bytes */
    public static boolean setATRHistBytes(byte[] baBuffer, short sOffset, byte bLength) {
        throw compileOnly();
    }

    /** @return false when the calling application may not have that state */
    public static boolean setCardContentState(byte bState) {
        throw compileOnly();
    }

    private static UnsupportedOperationException compileOnly() {
        return new UnsupportedOperationException("gp-api is for compiling only: put jcardsim-shims before it");
    }
}
