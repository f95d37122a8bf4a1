package jp.jpkise.sim.probe;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.ISO7816;
import javacard.framework.MultiSelectable;
import javacardx.apdu.ExtendedLength;

/** May be selected on several channels at once and takes extended APDUs; echoes, with the number of selections in front. */
public final class ManyChannelsApplet extends Applet implements MultiSelectable, ExtendedLength {
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
        short length = apdu.setIncomingAndReceive();
        short offset = apdu.getOffsetCdata();
        buffer[(short) (offset - 1)] = active;
        apdu.setOutgoing();
        apdu.setOutgoingLength((short) (length + 1));
        apdu.sendBytes((short) (offset - 1), (short) (length + 1));
    }
}
