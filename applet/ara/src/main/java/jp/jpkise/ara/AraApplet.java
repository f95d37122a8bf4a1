package jp.jpkise.ara;

import javacard.framework.AID;
import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.CardRuntimeException;
import javacard.framework.ISO7816;
import javacard.framework.ISOException;
import javacard.framework.JCSystem;
import javacard.framework.MultiSelectable;
import javacard.framework.Shareable;
import javacard.framework.Util;
import org.globalplatform.Application;
import org.globalplatform.GPSystem;

/**
 * The ARA-M: installation, selection, and which command goes where.
 *
 * <p>MultiSelectable: the phone asks on a channel of its own whenever an app opens one.
 */
public final class AraApplet extends Applet implements MultiSelectable, Application {
    /** Room for rules unless installation asks for another size: 200 rules of 102 bytes. */
    private static final short MEMORY = 20480;
    private static final short MEMORY_MIN = 1024;
    private static final short MEMORY_MAX = 32736;

    private final Ram ram;
    private final Guard guard;
    private final GetData getData;
    private final StoreData storeData;

    private AraApplet(short memory) {
        short count = (short) (memory / Blocks.BLOCK);
        ram = new Ram(Blocks.bitmap(count));
        guard = new Guard(ram);
        Blocks blocks = new Blocks(ram, count);
        Rules rules = new Rules(ram, blocks);
        getData = new GetData(ram, guard, blocks, rules);
        storeData = new StoreData(ram, blocks, rules, new Clients());
    }

    /**
     * Called by the runtime with three LV: instance AID, privileges, the value of C9: nothing, or 80 02 bytes for rules.
     *
     * @throws ISOException 6A80 for parameters that are not that
     */
    public static void install(byte[] bArray, short bOffset, byte bLength) {
        short end = (short) (bOffset + (bLength & 0xFF));
        short privileges = skip(bArray, bOffset, end);
        short parameters = skip(bArray, privileges, end);
        short parametersEnd = skip(bArray, parameters, end);
        short memory = MEMORY;
        parameters++;
        if (parameters != parametersEnd) {
            if ((short) (parametersEnd - parameters) != 4 || bArray[parameters] != Tag.INSTALL_MEMORY
                    || bArray[(short) (parameters + 1)] != 2) {
                ISOException.throwIt(Sw.WRONG_DATA);
            }
            memory = Util.getShort(bArray, (short) (parameters + 2));
            if (memory < MEMORY_MIN || memory > MEMORY_MAX) {
                ISOException.throwIt(Sw.WRONG_DATA);
            }
        }
        new AraApplet(memory).register(bArray, (short) (bOffset + 1), bArray[bOffset]);
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
    public boolean select(boolean appInstAlreadyActive) {
        return true;
    }

    @Override
    public void deselect(boolean appInstStillActive) {
        GPSystem.getSecureChannel().resetSecurity();
    }

    @Override
    public void deselect() {
        GPSystem.getSecureChannel().resetSecurity();
    }

    @Override
    public Shareable getShareableInterfaceObject(AID clientAID, byte parameter) {
        return this;
    }

    @Override
    public void processData(byte[] baBuffer, short sOffset, short sLength) {
        Guard.requireDomainSession();
        if (sLength < ISO7816.OFFSET_CDATA) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        short length = (short) (baBuffer[(short) (sOffset + ISO7816.OFFSET_LC)] & 0xFF);
        if (length > (short) (sLength - ISO7816.OFFSET_CDATA)) {
            ISOException.throwIt(Sw.WRONG_LENGTH);
        }
        if (baBuffer[(short) (sOffset + ISO7816.OFFSET_INS)] != Ins.STORE_DATA) {
            ISOException.throwIt(Sw.INS_NOT_SUPPORTED);
        }
        ram.vars[Ram.CHANNEL] = channel(baBuffer[sOffset]);
        storeData.store(baBuffer, sOffset, length, false);
        if (ram.vars[Ram.RESULT] != Sw.OK) {
            ISOException.throwIt(ram.vars[Ram.RESULT]);
        }
    }

    @Override
    public void process(APDU apdu) {
        short sw;
        try {
            sw = run(apdu);
        } catch (ISOException e) {
            throw e;
        } catch (CardRuntimeException e) {
            // The platform failed (memory, transaction): a status word that says so, not 6F00.
            sw = Sw.MEMORY_FAILURE;
        }
        if (sw == Sw.OK || (short) (sw & (short) 0xFF00) == 0x6300) {
            guard.close(apdu, sw);
        }
        if (sw != Sw.OK) {
            ISOException.throwIt(sw);
        }
    }

    private short run(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        short[] vars = ram.vars;
        // The class byte is read here, not by the API, which does not know GlobalPlatform's class on every platform.
        byte cla = buffer[ISO7816.OFFSET_CLA];
        byte ins = buffer[ISO7816.OFFSET_INS];
        vars[Ram.CHANNEL] = channel(cla);
        vars[Ram.RESULT] = Sw.OK;
        vars[Ram.LEVEL] = 0;
        if (selectingApplet()) {
            answerSelection(apdu);
            return Sw.OK;
        }
        boolean secure = (cla & Ins.CLA_FURTHER) == 0
                ? (cla & Ins.CLA_SECURE) != 0 : (cla & Ins.CLA_FURTHER_SECURE) != 0;
        if (kind(cla) != Ins.CLA_PROPRIETARY) {
            ISOException.throwIt(Sw.CLA_NOT_SUPPORTED);
        }
        if (ins != Ins.STORE_DATA) {
            storeData.end();
        }
        if (ins == (secure ? Ins.EXTERNAL_AUTHENTICATE : Ins.INITIALIZE_UPDATE)) {
            guard.processSecurity(apdu);
            return Sw.OK;
        }
        if (ins != Ins.GET_DATA && ins != Ins.STORE_DATA) {
            ISOException.throwIt(Sw.INS_NOT_SUPPORTED);
        }
        if (secure) {
            guard.openSecure(apdu);
        } else {
            guard.openClear(apdu);
        }
        if (ins == Ins.GET_DATA) {
            getData.get(apdu);
        } else {
            guard.requireManager();
            vars[Ram.ANSWER] = storeData.store(buffer, (short) 0, vars[Ram.DATA], true);
        }
        return vars[Ram.RESULT];
    }

    /** Logical channel that a class byte names (ISO/IEC 7816-4, 5.4.1). */
    private static short channel(byte cla) {
        if ((cla & Ins.CLA_FURTHER) == 0) {
            return (short) (cla & 0x03);
        }
        short channel = (short) ((cla & 0x0F) + 4);
        return channel < Ram.CHANNELS ? channel : 0;
    }

    /** The class byte without channel and secure messaging. */
    private static byte kind(byte cla) {
        return (byte) (cla & ((cla & Ins.CLA_FURTHER) == 0 ? 0xF8 : 0x90));
    }

    /** A new selection begins with nothing read and nothing stored. P2 0C asks for no answer. */
    private void answerSelection(APDU apdu) {
        byte[] buffer = apdu.getBuffer();
        ram.pages[ram.page()] = Ram.PAGE_NONE;
        storeData.end();
        if ((buffer[ISO7816.OFFSET_P2] & 0x0C) != 0) {
            return;
        }
        apdu.setIncomingAndReceive();
        apdu.setOutgoing();
        byte length = JCSystem.getAID().getBytes(buffer, (short) 4);
        buffer[0] = Tag.FCI;
        buffer[1] = (byte) (length + 2);
        buffer[2] = Tag.FCI_AID;
        buffer[3] = length;
        apdu.setOutgoingLength((short) (length + 4));
        apdu.sendBytes((short) 0, (short) (length + 4));
    }
}
