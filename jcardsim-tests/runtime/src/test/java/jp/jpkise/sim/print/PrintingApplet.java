package jp.jpkise.sim.print;

import javacard.framework.APDU;
import javacard.framework.Applet;
import javacard.framework.ISO7816;
import javacard.framework.Util;

/** Prints to stdout, as a library on the class path may, then echoes. No card could run it: it is for jCardSim alone. */
public final class PrintingApplet extends Applet {
    private PrintingApplet() {
    }

    public static void install(byte[] array, short offset, byte length) {
        new PrintingApplet().register(array, (short) (offset + 1), array[offset]);
    }

    @Override
    public void process(APDU apdu) {
        if (selectingApplet()) {
            return;
        }
        System.out.println("a library that prints");
        short length = apdu.setIncomingAndReceive();
        byte[] buffer = apdu.getBuffer();
        Util.arrayCopyNonAtomic(buffer, ISO7816.OFFSET_CDATA, buffer, (short) 0, length);
        apdu.setOutgoingAndSend((short) 0, length);
    }
}
