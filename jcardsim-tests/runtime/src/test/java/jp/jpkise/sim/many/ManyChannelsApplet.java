package jp.jpkise.sim.many;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.JCSystem;
import javacard.framework.MultiSelectable;
import javacard.framework.Util;
import javacardx.apdu.ExtendedLength;

/** May be selected on several channels at once and takes extended APDUs; echoes, with the number of selections in front. */
public final class ManyChannelsApplet extends Applet implements MultiSelectable, ExtendedLength {
    private final byte[] gathered = JCSystem.makeTransientByteArray((short) 1024, JCSystem.CLEAR_ON_RESET);
    private byte active;

    private ManyChannelsApplet() {
    }

    public static void install(byte[] array, short offset, byte length) {
        new ManyChannelsApplet().register(array, (short) (offset + 1), array[offset]);
    }

    @Override
    public boolean select() {
        active = 1;
        return true;
    }

    @Override
    public boolean select(boolean appInstAlreadyActive) {
        active++;
        return true;
    }

    @Override
    public void deselect(boolean appInstStillActive) {
        active--;
    }

    @Override
    public void process(APDU apdu) {
        if (selectingApplet()) {
            return;
        }
        byte[] buffer = apdu.getBuffer();
        short received = apdu.setIncomingAndReceive();
        short length = 1;
        // A card's buffer need not hold an extended command: the rest comes in pieces.
        while (received > 0) {
            short from = length == 1 ? apdu.getOffsetCdata() : 0;
            length = Util.arrayCopyNonAtomic(buffer, from, gathered, length, received);
            received = apdu.receiveBytes((short) 0);
        }
        gathered[0] = active;
        apdu.setOutgoing();
        apdu.setOutgoingLength(length);
        apdu.sendBytesLong(gathered, (short) 0, length);
    }
}
