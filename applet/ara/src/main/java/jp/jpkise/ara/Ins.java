package jp.jpkise.ara;

/** Class and instruction bytes. */
interface Ins {
    byte CLA_ISO = 0x00;
    byte CLA_PROPRIETARY = (byte) 0x80;
    /** Added to the class: GP secure messaging, channels 0 to 3 (GP 11.1.4). */
    byte CLA_SECURE = 0x04;
    /** Marks the class of channels 4 to 19. */
    byte CLA_FURTHER = 0x40;
    /** Added to the class of channels 4 to 19: secure messaging. */
    byte CLA_FURTHER_SECURE = 0x20;

    byte INITIALIZE_UPDATE = 0x50;
    byte EXTERNAL_AUTHENTICATE = (byte) 0x82;
    byte SELECT = (byte) 0xA4;
    byte GET_DATA = (byte) 0xCA;
    byte STORE_DATA = (byte) 0xE2;
}
