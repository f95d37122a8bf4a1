package jp.jpkise.ara;

/** Tags of the data objects (SEAC chapter 4). */
interface Tag {
    byte REF_AR_DO = (byte) 0xE2;
    byte REF_DO = (byte) 0xE1;
    byte AID_REF_DO = 0x4F;
    byte AID_REF_DO_DEFAULT = (byte) 0xC0;
    byte DEVICE_APP_ID_REF_DO = (byte) 0xC1;
    byte PKG_REF_DO = (byte) 0xCA;
    byte AR_DO = (byte) 0xE3;
    byte APDU_AR_DO = (byte) 0xD0;
    byte NFC_AR_DO = (byte) 0xD1;
    byte PERM_AR_DO = (byte) 0xDB;
    byte DEVICE_CONFIG_DO = (byte) 0xE4;
    byte ARAM_CONFIG_DO = (byte) 0xE5;
    byte INTERFACE_VERSION_DO = (byte) 0xE6;

    // Command objects of STORE DATA.
    byte STORE = (byte) 0xF0;
    byte DELETE = (byte) 0xF1;
    byte UPDATE_REFRESH_TAG = (byte) 0xF2;
    byte GET_CLIENT_AIDS = (byte) 0xF6;
    byte REGISTER_CLIENT_AIDS = (byte) 0xF7;

    // P1 P2 of GET DATA; tags of the answers.
    short ALL = (short) 0xFF40;
    short SPECIFIC = (short) 0xFF50;
    short NEXT = (short) 0xFF60;
    short REFRESH_TAG = (short) 0xDF20;
    short CONFIG = (short) 0xDF21;
    short CLIENT_AIDS = (short) 0xFF70;

    /** Install parameter (inside C9): bytes for rules, 2. */
    byte INSTALL_MEMORY = (byte) 0x80;

    byte FCI = 0x6F;
    byte FCI_AID = (byte) 0x84;
}
