package jp.jpkise.jpki;

/** Class and instruction bytes. "ISO" is ISO/IEC 7816-4 and -8, "GP" the GlobalPlatform Card Specification 2.3. */
interface Ins {
    /** Class of the interindustry commands. */
    byte CLA_ISO = 0x00;
    /** Class of the deployed application's own commands, and of GP. */
    byte CLA_PROPRIETARY = (byte) 0x80;
    /** Added to the class: more blocks of this command follow (ISO 5.3.3). */
    byte CLA_CHAINING = 0x10;
    /** Added to the class: GP secure messaging (GP 11.1.4). */
    byte CLA_SECURE = 0x04;
    /** Everything but the logical channel 0 to 3. */
    byte CLA_WITHOUT_CHANNEL = (byte) 0xFC;

    // For everybody.
    byte VERIFY = 0x20;
    byte CHANGE_REFERENCE_DATA = 0x24;
    /** PERFORM SECURITY OPERATION; the deployed card edge gives P1 and P2 a meaning of its own. */
    byte COMPUTE_DIGITAL_SIGNATURE = 0x2A;
    byte GET_CHALLENGE = (byte) 0x84;
    byte SELECT = (byte) 0xA4;
    byte READ_BINARY = (byte) 0xB0;
    byte GET_DATA = (byte) 0xCA;

    // The secure channel's own (GP D.4, Amendment D 7.1).
    byte INITIALIZE_UPDATE = 0x50;
    byte EXTERNAL_AUTHENTICATE = (byte) 0x82;

    // For the service provider's TSM, in the secure channel only.
    byte DEACTIVATE_FILE = 0x04;
    byte PROVE_POSSESSION = 0x2B;
    byte RESET_RETRY_COUNTER = 0x2C;
    byte ACTIVATE_FILE = 0x44;
    byte GENERATE_ASYMMETRIC_KEY_PAIR = 0x46;
    byte STORE_DATA = (byte) 0xE2;
    byte DELETE_FILE = (byte) 0xE4;
    byte TERMINATE_EF = (byte) 0xE8;
}
