package jp.jpkise.jpki;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.AppletEvent;
import javacard.framework.CardRuntimeException;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.Util;

/**
 * The JPKI applet: installation, selection, and which command goes where.
 *
 * <p>Not MultiSelectable: a secret verified on one logical channel must not serve another.
 */
public final class JpkiApplet extends Applet implements AppletEvent {
    // Capacities of the files.
    private static final short SIZE_SIGN_CERTIFICATE = 2560;
    private static final short SIZE_AUTH_CERTIFICATE = 2048;
    private static final short SIZE_CA_CERTIFICATE = 1536;
    private static final short SIZE_TOKEN_INFO = 160;

    private final Ram ram;
    private final Config config;
    private final SecureGuard guard;
    private final Files files;
    private final Secrets secrets;
    private final Signer signer;
    private final StoreData storeData;
    private final Issuance issuance;

    /** All there will ever be is created here; an algorithm the platform lacks fails the installation. */
    private JpkiApplet(byte[] parameters, short offset, short end) {
        ram = new Ram();
        Ef tokenInfo = new Ef(SIZE_TOKEN_INFO);
        config = new Config(parameters, offset, end, tokenInfo);
        JpkiKey auth = new JpkiKey(ram, Tag.KEY_AUTH, config.authTries, config.authMedia,
                SIZE_AUTH_CERTIFICATE, SIZE_CA_CERTIFICATE);
        JpkiKey sign = new JpkiKey(ram, Tag.KEY_SIGN, config.signTries, config.signMedia,
                SIZE_SIGN_CERTIFICATE, SIZE_CA_CERTIFICATE);
        guard = new SecureGuard(ram, config);
        files = new Files(ram, config, guard, auth, sign, tokenInfo);
        secrets = new Secrets(ram, config, guard, files);
        signer = new Signer(ram, config, guard, files);
        storeData = new StoreData(ram, config, files, secrets);
        issuance = new Issuance(ram, guard, files, secrets, signer);
    }

    /**
     * Called by the runtime with three LV: instance AID, privileges, the value of C9 (see {@link Config}).
     *
     * @throws ISOException 6A80 for parameters that are not that
     */
    public static void install(byte[] bArray, short bOffset, byte bLength) {
        short end = (short) (bOffset + (bLength & 0xFF));
        short privileges = skip(bArray, bOffset, end);
        short parameters = skip(bArray, privileges, end);
        short parametersEnd = skip(bArray, parameters, end);
        new JpkiApplet(bArray, (short) (parameters + 1), parametersEnd)
                .register(bArray, (short) (bOffset + 1), bArray[bOffset]);
    }

    /** @return offset behind the LV at {@code offset} */
    private static short skip(byte[] array, short offset, short end) {
        if (offset >= end) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        short next = (short) (offset + 1 + (array[offset] & 0xFF));
        if (next > end) {
            ISOException.throwIt(Sw.WRONG_DATA);
        }
        return next;
    }

    @Override
    public boolean select() {
        issuance.resume();
        forgetSession();
        return true;
    }

    @Override
    public void deselect() {
        forgetSession();
        SecureGuard.reset();
    }

    @Override
    public void uninstall() {
        issuance.wipeAll();
    }

    private void forgetSession() {
        secrets.unverifyAll();
        ram.forgetTemporary();
        ram.endSequences();
        ram.vars[Ram.CURRENT_EF] = 0;
    }

    @Override
    public void process(APDU apdu) {
        short sw;
        try {
            sw = run(apdu);
        } finally {
            ram.tidy();
        }
        if (sw == Sw.OK || isWarning(sw)) {
            guard.close(apdu, sw);
        }
        if (sw != Sw.OK) {
            ISOException.throwIt(sw);
        }
    }

    /** 62xx and 63xx, which the channel protects as it does 9000. */
    private static boolean isWarning(short sw) {
        short sw1 = (short) ((sw >> 8) & 0xFF);
        return sw1 == 0x62 || sw1 == 0x63;
    }

    /** Runs a command to its status word. An error ends whatever runs over several commands. */
    private short run(APDU apdu) {
        try {
            guard.openClear();
            if (selectingApplet()) {
                files.answerSelection(apdu);
            } else {
                dispatch(apdu);
            }
            return Sw.OK;
        } catch (ISOException e) {
            ram.endSequences();
            return e.getReason();
        } catch (CardRuntimeException e) {
            // The platform failed (key generation, memory, transaction): a status word that says so, not 6F00.
            ram.endSequences();
            return Sw.MEMORY_FAILURE;
        }
    }

    private void dispatch(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        // The class byte is read here, not by the API: isSecureMessagingCLA and isValidCLA do not know GlobalPlatform's
        // proprietary class on every platform, and jCardSim answers them wrongly.
        byte cla = (byte) (buffer[ISO7816.OFFSET_CLA] & Ins.CLA_WITHOUT_CHANNEL);
        byte ins = buffer[ISO7816.OFFSET_INS];
        boolean secure = (cla & Ins.CLA_SECURE) != 0;
        byte kind = (byte) (cla & ~Ins.CLA_SECURE);
        boolean chained = cla == (byte) (Ins.CLA_PROPRIETARY | Ins.CLA_CHAINING);
        if (kind != Ins.CLA_ISO && kind != Ins.CLA_PROPRIETARY && !chained) {
            ISOException.throwIt(Sw.CLA_NOT_SUPPORTED);
        }
        endOtherSequences(buffer, ins);
        if (kind == Ins.CLA_PROPRIETARY && ins == (secure ? Ins.EXTERNAL_AUTHENTICATE : Ins.INITIALIZE_UPDATE)) {
            guard.processSecurity(apdu);
            return;
        }
        if (secure) {
            guard.openSecure(apdu);
        }
        if (kind == Ins.CLA_ISO) {
            interindustry(apdu, ins);
        } else {
            proprietary(apdu, buffer, ins, chained);
        }
    }

    /** Whatever runs over several commands ends with any command but its own. */
    private void endOtherSequences(byte[] buffer, byte ins) {
        short[] vars = ram.vars;
        if (ins != Ins.STORE_DATA) {
            vars[Ram.NEXT_BLOCK] = 0;
            vars[Ram.DGI] = 0;
        }
        if (ins != Ins.COMPUTE_DIGITAL_SIGNATURE) {
            vars[Ram.CHAIN] = 0;
        }
        if (ins != Ins.GET_DATA || Util.getShort(buffer, ISO7816.OFFSET_P1) != Tag.PROOF) {
            vars[Ram.PROOF] = 0;
        }
    }

    private void interindustry(APDU apdu, byte ins) {
        switch (ins) {
            case Ins.SELECT:
                files.select(apdu);
                break;
            case Ins.READ_BINARY:
                files.readBinary(apdu);
                break;
            case Ins.VERIFY:
                secrets.verify(apdu);
                break;
            case Ins.CHANGE_REFERENCE_DATA:
                secrets.change(apdu);
                break;
            case Ins.GET_CHALLENGE:
                signer.getChallenge(apdu);
                break;
            default:
                ISOException.throwIt(Sw.INS_NOT_SUPPORTED);
        }
    }

    private void proprietary(APDU apdu, byte[] buffer, byte ins, boolean chained) {
        if (chained && ins != Ins.COMPUTE_DIGITAL_SIGNATURE) {
            ISOException.throwIt(Sw.INS_NOT_SUPPORTED);
        }
        switch (ins) {
            case Ins.COMPUTE_DIGITAL_SIGNATURE:
                signer.compute(apdu, chained);
                break;
            case Ins.GET_DATA:
                issuance.getData(apdu);
                break;
            case Ins.STORE_DATA:
                storeData.store(buffer, guard.requireAdmin());
                break;
            case Ins.GENERATE_ASYMMETRIC_KEY_PAIR:
            case Ins.PROVE_POSSESSION:
            case Ins.RESET_RETRY_COUNTER:
            case Ins.DEACTIVATE_FILE:
            case Ins.ACTIVATE_FILE:
            case Ins.TERMINATE_EF:
            case Ins.DELETE_FILE:
                issuance.command(buffer, guard.requireAdmin());
                break;
            default:
                ISOException.throwIt(Sw.INS_NOT_SUPPORTED);
        }
    }
}
