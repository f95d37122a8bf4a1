package org.globalplatform;

import jp.jpkise.sim.CardRuntime;

/** The class applets call on jCardSim: every service is asked of the {@link jp.jpkise.sim.GpProvider} of the card that runs. */
public class GPSystem {
    public static final byte APPLICATION_INSTALLED = 0x03;
    public static final byte APPLICATION_SELECTABLE = 0x07;
    public static final byte SECURITY_DOMAIN_PERSONALIZED = 0x0F;
    public static final byte CARD_OP_READY = 0x01;
    public static final byte CARD_INITIALIZED = 0x07;
    public static final byte CARD_SECURED = 0x0F;
    public static final byte CARD_LOCKED = 0x7F;
    public static final byte CARD_TERMINATED = (byte) 0xFF;
    public static final byte CVM_GLOBAL_PIN = 0x11;

    public GPSystem() {
    }

    public static byte getCardContentState() {
        return CardRuntime.running().provider().cardContentState();
    }

    public static byte getCardState() {
        return CardRuntime.running().provider().cardState();
    }

    public static CVM getCVM(byte identifier) {
        return CardRuntime.running().provider().cvm(identifier);
    }

    public static SecureChannel getSecureChannel() {
        return CardRuntime.running().provider().secureChannel();
    }

    public static boolean lockCard() {
        return CardRuntime.running().provider().lockCard();
    }

    public static boolean terminateCard() {
        return CardRuntime.running().provider().terminateCard();
    }

    public static boolean setATRHistBytes(byte[] buffer, short offset, byte length) {
        byte[] historical = new byte[length & 0xFF];
        System.arraycopy(buffer, offset, historical, 0, historical.length);
        return CardRuntime.running().provider().setHistoricalBytes(historical);
    }

    public static boolean setCardContentState(byte state) {
        return CardRuntime.running().provider().setCardContentState(state);
    }
}
